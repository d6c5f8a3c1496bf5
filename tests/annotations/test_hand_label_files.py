"""Labels made by hand, out as files and in again, and where they show."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from backend import queries
from backend.annotations import hand_labels
from backend.annotations.formats import FORMATS
from backend.annotations.formats.contract import DecisionFormat
from backend.annotations.views import DecisionImport
from backend.annotations.words import format_of
from backend.experiments import experiment
from backend.labels.interchange import neuronpedia
from backend.labels.interchange.records import FormatError
from backend.labels.subjects import features_of, models_of, wordings_of
from backend.queue.words import Selection
from backend.schema import NotFoundError, Plan, Study
from backend.store import annotations
from backend.study import loading as studies
from components.annotations import hand_label_files as shown
from tests.helpers.interchange import batches
from tests.helpers.pages import opened, text_of


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Annotations of this test alone."""
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path / "said"))
    return tmp_path


def decision(uid: str, feature: int, label: str = "", **more: object) -> dict[str, object]:
    action = "label" if label else "none"
    event = {"kind": "decision", "feature": feature, "occurrence": 0, "action": action}
    return {"uid": uid.ljust(8, "0"), "label": label, **event, **more}


def statements(study: str) -> list[tuple[str, int, str, str]]:
    frame = queries.human_labels(study).sort("person", "feature")
    return frame.select("person", "feature", "action", "label").rows()


@pytest.fixture
def labelled(ready: str) -> str:
    """Two people decided, one took something back."""
    first = [decision("a1", 3, "days of the week"), decision("a2", 5), decision("a3", 7, "boats")]
    queries.decide(ready, "ann", [*first, {"uid": "undo0001", "kind": "undo", "of": "a3000000"}])
    odd = "שלום <b>&amp;</b> =1+1"
    queries.decide(ready, "bob", [decision("b1", 3, odd, notes="two\nlines", tags=["topic"])])
    return ready


def test_events_go_out_and_come_back_whole(
    labelled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events, before = queries.export_decisions(labelled, "events"), queries.human_labels(labelled)
    assert len(events.splitlines()) == 5
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path / "elsewhere"))
    assert not len(queries.human_labels(labelled))
    receipt = queries.import_decisions(labelled, "", events, "events")
    assert (receipt.kept, receipt.known, receipt.problems) == (5, 0, ())
    assert queries.human_labels(labelled).equals(before), "the undone stays undone, times too"
    repeated = queries.import_decisions(labelled, "", events, "events")
    assert (repeated.kept, repeated.known) == (0, 5)
    assert queries.export_decisions(labelled, "events") == events


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_labels_go_out_and_come_back_once(
    labelled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    decisions, data = statements(labelled), queries.export_decisions(labelled, format)
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path / "elsewhere"))
    for stored, known in ((3, 0), (0, 3)):
        receipt = queries.import_decisions(labelled, "cyd", data, format)
        assert (receipt.kept, receipt.known, receipt.problems) == (stored, known, ())
        assert statements(labelled) == decisions


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_ones_own_labels_taken_in_again_change_nothing(ready: str, format: str) -> None:
    more: dict[str, Any] = {"tags": ["topic"], "confidence": "high", "evidence": ["at sea"]}
    first = [decision("a1", 3, "boats", **more, flagged=True, hinted=True), decision("a2", 5)]
    first.append(decision("a3", 3, "boats", occurrence=1))  # the same label at the repeat
    queries.decide(ready, "ann", first)
    data, before = queries.export_decisions(ready, format), queries.human_labels(ready)
    receipt = queries.import_decisions(ready, "ann", data, format)
    assert (receipt.kept, receipt.known, receipt.problems, receipt.notes) == (0, 3, (), ())
    assert queries.human_labels(ready).equals(before)


@pytest.mark.parametrize("format", ["events", "jsonl", "csv", "parquet"])
def test_what_is_older_does_not_stand_before_a_later_decision(
    ready: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    queries.decide(ready, "ann", [decision("a1", 3, "old"), decision("a2", 4, "alone")])
    data = queries.export_decisions(ready, format)
    created = queries.human_labels(ready)["made"].to_list()
    queries.decide(ready, "ann", [decision("a3", 3, "new")])
    assert queries.import_decisions(ready, "ann", data, format).kept == 0
    assert statements(ready) == [("ann", 3, "label", "new"), ("ann", 4, "label", "alone")]
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path / "elsewhere"))
    queries.decide(ready, "ann", [decision("b1", 3, "new")])
    for stored, known in ((2, 0), (0, 2)):
        receipt = queries.import_decisions(ready, "ann", data, format)
        assert (receipt.kept, receipt.known, receipt.problems) == (stored, known, ())
        assert statements(ready) == [("ann", 3, "label", "new"), ("ann", 4, "label", "alone")]
    assert queries.human_labels(ready)["made"].to_list()[-1] == created[-1]
    result = queries.queue(ready, "ann", Selection("all"))
    assert [one.label for one, _ in result.history] == ["old", "alone", "new"]  # type: ignore[union-attr]


def test_a_label_that_was_mended_in_a_file_is_taken_and_one_without_a_time_replaces_nothing(
    ready: str,
) -> None:
    queries.decide(ready, "ann", [decision("a1", 3, "baots")])
    data = queries.export_decisions(ready, "csv")
    queries.import_decisions(ready, "ann", data.replace(b"baots", b"boats"), "csv")
    assert statements(ready) == [("ann", 3, "label", "boats")]
    assert queries.import_decisions(ready, "ann", data, "csv").kept == 0
    rows = [{"feature": n, "method": "human", "writer": "ann", "text": "hull"} for n in (3, 6)]
    undated = "\n".join(map(json.dumps, rows)).encode()
    receipt = queries.import_decisions(ready, "ann", undated, "jsonl", "mine.jsonl")
    assert statements(ready) == [("ann", 3, "label", "boats"), ("ann", 6, "label", "hull")]
    assert "mine.jsonl, line 1: Feature 3 has another decision of ann" in receipt.problems[0]


def test_rows_without_a_writer_are_counted_and_failures_of_methods_are_no_decision(
    ready: str,
) -> None:
    rows: list[dict[str, Any]] = [
        {"feature": 1, "method": "human", "text": "one"},
        {"feature": 2, "method": "human", "writer": " ", "text": "two"},
        {"feature": 3, "method": "baez", "text": "three"},
        {"feature": 4, "method": "baez", "failed": "no reply"},
        {"feature": 9999, "method": "human", "text": "nowhere"},
    ]
    receipt = queries.import_decisions(
        ready, "ann", "\n".join(map(json.dumps, rows)).encode(), "jsonl"
    )
    assert "2 rows had no writer and count as yours." in receipt.notes
    assert [(who, number) for who, number, *_ in statements(ready)] == [
        ("ann", n) for n in (1, 2, 3)
    ]
    assert "baez gave no label" in receipt.problems[0]


def test_an_event_of_a_file_has_all_that_one_of_here_has(ready: str) -> None:
    value = {"feature": 1, "occurrence": 0, "action": "label", "label": " bare "}
    line = {"uid": "bare0001", "made": 5.0, "person": "ann", "kind": "decision", "value": value}
    late = line | {"uid": "late0001", "made": time.time() + 1e6}
    data = "\n".join(map(json.dumps, [line, late])).encode()
    receipt = queries.import_decisions(ready, "ann", data, "events", "e.events.jsonl")
    assert statements(ready) == [("ann", 1, "label", "bare")]
    assert receipt.problems == (
        "e.events.jsonl, line 2: It was made in the future: `made` is in Unix seconds.",
    )


@pytest.mark.parametrize("format", ["events", "jsonl", "csv", "parquet"])
def test_a_file_that_holds_nothing_is_told_by_its_name(ready: str, format: str) -> None:
    for data in (b"", b" \n"):
        with pytest.raises(FormatError, match=r"my file is empty\.") as error:
            queries.import_decisions(ready, "ann", data, format, "my file")
        assert "feature, method and text" in error.value.remedy
    if format == "parquet":
        with pytest.raises(FormatError, match="my file cannot be read"):
            queries.import_decisions(ready, "ann", b"junk", format, "my file")


def test_an_upload_is_taken_once_and_its_answer_stays(
    ready: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"feature": 9, "method": "human", "writer": "ann", "text": "sea\u202e\x00"}
    state: dict[str, Any] = {}
    monkeypatch.setattr(shown.st, "session_state", state)

    def upload(name: str) -> Any:
        data = json.dumps(row).encode()
        return SimpleNamespace(file_id=name, name="mine.jsonl", getvalue=io.BytesIO(data).getvalue)

    for _ in range(3):
        receipt = shown._imported(queries, ready, "ann", upload("a"))
        assert (receipt.kept, receipt.known) == (1, 0)
    assert len(annotations.of_study(ready, ["decision"])) == 1
    assert shown._imported(queries, ready, "ann", upload("b")).known == 1


def test_labels_of_other_methods_become_those_of_whoever_takes_them_in(ready: str) -> None:
    rows = [{"feature": 9, "method": "baez", "writer": "gpt", "text": "sea"}]
    data = "\n".join(json.dumps(row) for row in rows).encode()
    queries.import_decisions(ready, "ann", data, "jsonl")
    assert statements(ready) == [("ann", 9, "label", "sea")]
    assert queries.human_labels(ready)["notes"][0] == "by baez"
    with pytest.raises(NotFoundError, match="Nobody is named"):
        queries.import_decisions(ready, " ", data, "jsonl")


def test_what_is_wrong_in_a_file_is_named_and_the_rest_taken(ready: str) -> None:
    good = {"feature": 4, "method": "human", "writer": "ann", "text": "oars"}
    lines = [
        json.dumps(good),
        json.dumps(good),
        json.dumps(good | {"feature": 4096}),
        json.dumps(good | {"text": ""}),
        json.dumps(good | {"text": "x" * 2001}),
        "{broken",
    ]
    receipt = queries.import_decisions(ready, "ann", "\n".join(lines).encode(), "jsonl")
    assert receipt.kept == 1
    problems = " | ".join(receipt.problems)
    for word in ("There is no feature 4096", "neither a text", "2,001 characters", "line 6"):
        assert word in problems
    with pytest.raises(NotFoundError, match="cannot be imported"):
        queries.import_decisions(ready, "ann", b"", "neuronpedia")
    with pytest.raises(NotFoundError, match="There is no format"):
        queries.export_decisions(ready, "pickle")


def test_neuronpedia_has_the_labels_and_not_what_none_fits(labelled: str) -> None:
    packed = queries.export_decisions(labelled, "neuronpedia")
    model, source = neuronpedia.names(studies.load(labelled))
    (rows,) = batches(packed).values()
    assert [row["index"] for row in rows] == ["3", "3"]
    assert {(row["modelId"], row["layer"]) for row in rows} == {(model, source)}
    assert {row["typeName"] for row in rows} == {hand_labels.HUMAN}


def test_a_label_is_on_the_pages_at_once(labelled: str) -> None:
    for text in ("days of the week", "by ann"):
        assert text in text_of(opened("features", study=labelled, feature=3))
    page = text_of(opened("features", study=labelled, feature=5))
    assert "by ann: no label fits" in page
    best = next(
        row["region"]
        for row in queries.wait(lambda: queries.regions(labelled)).table.iter_rows(named=True)
        if row["feature"] == 3
    )
    page = text_of(opened("regions", study=labelled, region=best))
    assert "days of the week" in page
    assert "feature 3, which fits the region best" in page


def test_a_label_is_on_compare_unless_it_is_blind(ready: str) -> None:
    study = studies.load(ready)
    methods = "token_frequency", "eleuther_acts_top5"
    plan = Plan(methods, scorers=("detection",), features=3, seed=9)  # of no other test
    run = experiment.run(features_of(study), plan, models_of(study, "own"), wordings_of(plan))
    number = int(run.frame("labels").filter(pl.col("failed") == "")["feature"][0])
    queries.decide(ready, "ann", [decision("c1", number, "days <of> the week")])
    link = {"study": ready, "run": run.digest, "feature": number}
    text = text_of(opened("compare", **link))
    assert "human · ann" in text
    assert "days &lt;of&gt; the week" in text
    assert "human · ann" not in text_of(opened("compare", **link, blind=1))


def test_files_are_named_by_what_they_hold() -> None:
    for name, kind in (
        ("a.events.jsonl", "events"),
        ("a.events (1).JSONL", "events"),
        ("a.jsonl", "jsonl"),
        ("b.parquet", "parquet"),
    ):
        assert format_of(name, queries.decision_formats()) == kind
    assert format_of("labels.txt", queries.decision_formats()) == ""
    notes = ("2 rows had <no> writer.",)
    html = shown.import_html(
        DecisionImport(1, 2, tuple(f"line {n}: <b>" for n in range(25)), notes)
    )
    assert "2 rows had &lt;no&gt; writer." in html
    assert "1 imported, 2 known already" in html
    assert "&lt;b&gt;" in html
    assert "and 5 more" in html


def test_a_format_of_ones_own_is_in_the_popover_and_goes_out(
    labelled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(study: Study) -> bytes:
        return "\n".join(hand_labels.labels_of(study)["text"]).encode()

    own = DecisionFormat(
        "lines", "labels, one a line", "txt", "text/plain", "Loses all else", write
    )
    monkeypatch.setitem(FORMATS, own.name, own)
    assert queries.export_decisions(labelled, "lines").splitlines()[0] == b"days of the week"
    with pytest.raises(NotFoundError, match="cannot be imported"):
        queries.import_decisions(labelled, "ann", b"x", "lines")
    app = opened("queue", study=labelled, person="ann", tier="all")
    assert own.title in [button.label for button in app.get("download_button")]
