"""The queue of features to label by hand: its schedule, what is kept, what is current."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend import queries
from backend.annotations import hand_labels
from backend.queue import answers as queue_answers
from backend.queue.answers import schedule
from backend.queue.views import Agreement, Queue
from backend.queue.words import Selection
from backend.schema import Job, NotFoundError, StoreError
from backend.store import annotations
from components.queue import setup
from tests.helpers.decisions import decision


@pytest.fixture
def study(ready: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The study `small` with annotations of its own."""
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path / "annotations"))
    return ready


def undo(owner: dict[str, Any], kind: str = "undo") -> dict[str, Any]:
    return {"uid": uuid.uuid4().hex, "kind": kind, "of": owner["uid"]}


def queue_of(study: str, person: str = "Anna", **also: Any) -> Queue:
    result = queries.queue(study, person, Selection(**({"tier": "all"} | also)))
    assert isinstance(result, Queue)
    return result


def ahead(study: str, person: str = "Anna", **also: Any) -> list[tuple[int, int]]:
    return [
        (feature, occurrence) for feature, occurrence, _ in queue_of(study, person, **also).slots
    ]


def labels(study: str) -> dict[tuple[str, int, int], str]:
    table = queries.human_labels(study)
    keys = table.select("person", "feature", "occurrence").rows()
    return dict(zip(keys, table["label"], strict=True))


def test_how_many_features_come_twice_is_said(study: str) -> None:
    queue = queue_of(study)
    assert queue.repeats == sum(occurrence for _, occurrence, _ in queue.slots) > 0
    assert queue.of - queue.repeats == len({feature for feature, _, _ in queue.slots})


# ---------------------------------------------------------------- the schedule


@given(st.integers(0, 400), st.integers(0, 5))
def test_every_tenth_slot_repeats_one_of_ten_to_thirty_before(count: int, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(count).tolist()
    slots = schedule(order, seed)
    assert slots == schedule(order, seed)
    assert [feature for feature, is_repeat in slots if not is_repeat] == order
    is_repeat = [(place, feature) for place, (feature, is_repeat) in enumerate(slots) if is_repeat]
    assert len({feature for _, feature in is_repeat}) == len(is_repeat)
    assert [place for place, _ in is_repeat] == list(range(19, len(slots), 10))
    for place, feature in is_repeat:
        assert queue_answers.NEAR <= place - slots.index((feature, 0)) <= queue_answers.FAR


# ---------------------------------------------------------------- what is next


def test_what_is_decided_is_not_asked_again(study: str) -> None:
    first, second, third = ahead(study)[:3]
    assert queries.decide(study, "Anna", [decision(first[0], "one")]).refused == {}
    assert ahead(study)[:2] == [second, third]
    result = queue_of(study)
    assert (result.done, result.skipped) == (1, 0)
    assert [each.label for each, _ in result.history] == ["one"]


def test_what_is_skipped_comes_once_more_at_the_end(study: str) -> None:
    slots = ahead(study)
    first = slots[0]
    queries.decide(study, "Anna", [decision(first[0])])
    result = queue_of(study)
    assert (result.done, result.skipped) == (0, 1)
    assert ahead(study)[0] == slots[1]
    assert result.slots[-1][:2] == first
    assert result.slots[-1][2]
    queries.decide(study, "Anna", [decision(first[0])])
    assert first not in ahead(study)
    assert queue_of(study).done == 1


def test_features_of_others_are_left_out_and_their_skips_are_not(study: str) -> None:
    first, second, third = ahead(study)[:3]
    queries.decide(study, "Ben", [decision(first[0], "his"), decision(second[0])])
    assert ahead(study)[:2] == [second, third]
    assert ahead(study, "Ben")[0] == third
    queries.decide(study, "Anna", [decision(first[0], "hers too")])
    assert queue_of(study).done == 1


def test_only_and_orders_choose_and_sort(study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.experiments.runs.list_runs", lambda _: [])  # no experiment
    some = [feature for feature, _ in ahead(study)[:5]]
    assert {f for f, _ in ahead(study, only=",".join(map(str, some)))} == set(some)
    density = {row["feature"]: row["density"] for row in queries.features(study).table.to_dicts()}
    dense = [
        density[feature] for feature, is_repeat in ahead(study, order="density") if not is_repeat
    ]
    assert dense == sorted(dense, reverse=True)
    assert ahead(study, order="random", seed=1) != ahead(study, order="random", seed=2)
    assert ahead(study, order="disagreement") == ahead(study, order="density")
    for wrong in ({"order": "best"}, {"tier": "x"}, {"only": "1,b"}):
        with pytest.raises(NotFoundError):
            queue_of(study, **wrong)
    with pytest.raises(NotFoundError):
        queue_of(study, "  ")


def test_a_tier_is_queued_nearest_to_its_bounds_first(
    study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [feature for feature, _ in ahead(study)[:4]][::-1]
    monkeypatch.setattr("backend.tiers.answers.of_tier", lambda *_: np.array(few))
    assert [feature for feature, _ in ahead(study, tier="obscure")] == few
    monkeypatch.setattr("backend.tiers.answers.of_tier", lambda *_: np.array([], np.int64))
    assert queue_of(study, tier="obscure").of == 0


def test_without_features_the_answer_is_a_job(
    small: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path / "annotations"))
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    assert isinstance(queries.queue(small, "Anna"), Job)


# ---------------------------------------------------------------- what is kept


def test_an_event_sent_again_is_kept_once(study: str) -> None:
    event = decision(ahead(study)[0][0], "  twice <b>é</b> ")
    for _ in range(3):
        assert queries.decide(study, "Anna", [event, event]).kept == (event["uid"],) * 2
    assert len(annotations.of_study(study, hand_labels.KINDS)) == 1
    assert list(labels(study).values()) == ["twice <b>é</b>"]


def test_the_last_one_that_is_not_undone_is_current(study: str) -> None:
    feature = ahead(study)[0][0]
    one, two = decision(feature, "one"), decision(feature, "two")
    text = [(one, "one"), (two, "two"), (undo(two), "one"), (undo(one), None)]
    text += [(undo(two, "redo"), "two"), (undo(one, "redo"), "two")]
    for event, current in text:
        queries.decide(study, "Anna", [event])
        assert labels(study).get(("Anna", feature, 0)) == current
    assert annotations.of_study(study, ["decision"])[1].value["old"] == one["uid"]
    theirs = undo(two)
    queries.decide(study, "Ben", [theirs])
    assert labels(study)["Anna", feature, 0] == "two"


def test_what_was_made_last_is_current_also_where_the_clock_was_set_back(
    study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    feature = ahead(study)[0][0]
    queries.decide(study, "Anna", [decision(feature, "first")])
    value = annotations.of_study(study, ["decision"])[0].value | {"label": "long ago"}
    old = annotations.New("old00001", "Anna", "decision", study, "", value, made=1.0)
    annotations.add_all([old])
    assert labels(study)["Anna", feature, 0] == "first"
    monkeypatch.setattr("backend.annotations.hand_labels.time.time", lambda: 2.0)
    queries.decide(study, "Anna", [decision(feature, "second")])
    assert labels(study)["Anna", feature, 0] == "second"
    assert [each.label for each, _ in queue_of(study).history] == ["long ago", "first", "second"]


def test_the_pace_is_told_from_four_decisions_on(study: str) -> None:
    features = [feature for feature, _ in ahead(study)[:4]]
    for feature in features[:3]:
        queries.decide(study, "Anna", [decision(feature, "x", seconds=2)])
    assert queue_of(study).seconds is None
    queries.decide(study, "Anna", [decision(features[3], "x", seconds=2)])
    assert queue_of(study).seconds == 2


def test_another_process_is_heard(study: str) -> None:
    feature = ahead(study)[0][0]
    queries.decide(study, "Anna", [decision(feature, "here")])
    value = annotations.of_study(study, ["decision"])[0].value | {"label": "there"}
    annotations.add("decision", study, f"feature {feature}", "Anna", value)
    assert labels(study)["Anna", feature, 0] == "there"


def test_a_file_put_in_another_one_s_place_is_read_anew(study: str) -> None:
    queries.decide(study, "Anna", [decision(ahead(study)[0][0], "gone")])
    for file in annotations.path().parent.iterdir():
        file.rename(file.with_name(f"{file.name}.old"))
    assert labels(study) == {}
    assert queue_of(study).done == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"label": "x" * 2_001},
        {"action": "label", "label": " \n "},
        {"action": "label", "label": None},
        {"action": "maybe"},
        {"feature": 64},
        {"feature": -1},
        {"feature": "3"},
        {"feature": True},
        {"occurrence": 2},
        {"tags": ["nice"]},
        {"tags": "syntax"},
        {"confidence": "very"},
        {"confidence": []},
        {"notes": "n" * 10_001},
        {"notes": 3},
        {"evidence": ["x"] * 21},
        {"evidence": ["x" * 2_001]},
        {"seconds": float("nan")},
        {"seconds": "long"},
        {"kind": "vote"},
        {"kind": []},
        {"kind": "undo", "of": None},
    ],
)
def test_a_bad_event_is_refused_and_the_others_are_kept(study: str, wrong: dict[str, Any]) -> None:
    good, bad = decision(1, "fine"), decision(2, "bad") | wrong
    ended = queries.decide(study, "Anna", [bad, good, "no event", {"uid": 3}])
    assert ended.kept == (good["uid"],)
    assert ended.refused[bad["uid"]]
    assert labels(study) == {("Anna", 1, 0): "fine"}


@pytest.mark.parametrize(
    "label", ["x" * 2_000, "שלום עולם", "漢字", "🙂‍↔️", "<script>", "a\nb", "\x00"]
)
def test_labels_of_any_script_come_back(study: str, label: str) -> None:
    event = decision(1, label, tags=["syntax"], confidence="low", notes=label, evidence=[label])
    queries.decide(study, "Anna", [event])
    saved = annotations.of_study(study, ["decision"])[0].value
    assert (saved["label"], saved["notes"], saved["evidence"]) == (label, label, [label])


def test_half_a_character_harms_nothing(study: str) -> None:
    queries.decide(study, "Anna", [decision(1, "a\ud800b"), decision(2, "\ud83d\ude42")])
    assert list(labels(study).values()) == ["a\ufffdb", "🙂"]


def test_nobody_decides_nothing(study: str) -> None:
    for name in ("", " ", "x" * 81):
        with pytest.raises(NotFoundError):
            queries.decide(study, name, [decision(1, "x")])


def test_many_at_once_do_not_hinder_each_other(study: str) -> None:
    names = [f"person {number}" for number in range(6)]

    def labels_all(name: str) -> int:
        for feature, occurrence, _ in queue_of(study, name).slots[:12]:
            queries.decide(study, name, [decision(feature, "x", occurrence=occurrence)])
            queue_of(study, name)
        return len(queries.human_labels(study))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(labels_all, names))
    assert len(labels(study)) == len(annotations.of_study(study, ["decision"])) == 6 * 12


def test_what_cannot_be_kept_is_an_error(study: str) -> None:
    annotations.path().mkdir(parents=True)
    with pytest.raises(StoreError):
        queries.decide(study, "Anna", [decision(1, "x")])
    annotations.path().rmdir()
    assert queries.decide(study, "Anna", [decision(1, "x")]).kept


# ---------------------------------------------------------------- agreement, evidence


def test_a_person_is_compared_with_themselves(study: str) -> None:
    text = [decision(1, "A  b"), decision(1, "a B", occurrence=1)]
    text += [decision(2, "c"), decision(2, "d", occurrence=1)]
    text += [decision(3), decision(3, "e", occurrence=1)]
    queries.decide(study, "Anna", text)
    result = queue_of(study).agreement
    assert (result.same, result.pairs) == (1, 2)
    assert result.low < 0.5 < result.high
    assert queue_of(study, "Ben").agreement.pairs == 0


def test_meaning_is_compared_beside_a_null(study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    assert queries.agreement(study, "Anna") == Agreement(0, None, None, None, None, None, None)
    text = [decision(1, "a"), decision(1, "b", occurrence=1)]
    text += [decision(2, "c"), decision(2, "c", occurrence=1)]
    queries.decide(study, "Anna", text)
    job = queries.agreement(study, "Anna")
    assert isinstance(job, Job)
    assert job.query == "agreement"

    class Entry:
        def array(self, name: str) -> np.ndarray:
            return np.array([[1, 0, 0], [0.6, 0.8, 0], [0, 0, 1]])

    # what the embedder makes of the texts, as if its job had run
    monkeypatch.setattr("backend.labels.label_search.vectors", lambda *_: Entry())
    result = queries.agreement(study, "Anna")
    assert isinstance(result, Agreement)
    assert (result.pairs, result.mean, result.null) == (2, pytest.approx(0.8), 0)
    assert "cosine .80" in setup.agreement_words(result)


def test_items_show_peaks_within_twenty_tokens(study: str) -> None:
    numbers = [feature for feature, _ in ahead(study)[:6]]
    items = queries.queue_items(study, numbers)
    assert [item.feature for item in items] == numbers
    for item in items:
        assert 1 <= len(item.strongest) <= 4
        shown_rows = [one.token for one in (*item.strongest, *item.drawn)]
        assert len(set(shown_rows)) == len(shown_rows)
        for one in (*item.strongest, *item.drawn):
            assert len(one.passage.pieces) == len(one.passage.values) <= 41
            assert one.passage.values[one.passage.focus] == pytest.approx(one.activation)
        assert item.strongest[0].activation == pytest.approx(item.maximum)


def test_hints_are_what_methods_say(study: str) -> None:
    busy = int(queries.features(study).table.sort("active", descending=True)["feature"][0])
    hints = queries.queue_hints(study, busy)
    assert "token_frequency" in {hint.method for hint in hints}
    assert len(hints) <= 9
