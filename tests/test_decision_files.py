"""Labels made by hand, out as files and in again, and where they show."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from backend import queries
from backend import study as studies
from backend.answers import decision_files, exchange, experiments
from backend.answers.subjects import Tools, features_of, models_of
from backend.labels.interchange import neuronpedia
from backend.schema import NotFoundError, Plan, Progress
from backend.views import Taken
from components import decision_files as shown
from tests.test_experiments import Knows, Says, Scripted
from tests.test_pages import opened, text_of


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Annotations of this test alone."""
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path / "said"))
    return tmp_path


def decision(uid: str, feature: int, label: str = "", **more: object) -> dict[str, object]:
    action = "label" if label else "none"
    said = {"kind": "decision", "feature": feature, "occurrence": 0, "action": action}
    return {"uid": uid.ljust(8, "0"), "label": label, **said, **more}


def said(study: str) -> list[tuple[str, int, str, str]]:
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
    taken = queries.take_decisions(labelled, "", events, "events")
    assert (taken.kept, taken.known, taken.problems) == (5, 0, ())
    assert queries.human_labels(labelled).equals(before), "the undone stays undone, times too"
    again = queries.take_decisions(labelled, "", events, "events")
    assert (again.kept, again.known) == (0, 5)
    assert queries.export_decisions(labelled, "events") == events


@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_labels_go_out_and_come_back_once(
    labelled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    held, data = said(labelled), queries.export_decisions(labelled, format)
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path / "elsewhere"))
    for kept, known in ((3, 0), (0, 3)):
        taken = queries.take_decisions(labelled, "cyd", data, format)
        assert (taken.kept, taken.known, taken.problems) == (kept, known, ())
        assert said(labelled) == held


def test_labels_of_other_methods_become_those_of_whoever_takes_them_in(ready: str) -> None:
    rows = [{"feature": 9, "method": "baez", "writer": "gpt", "text": "sea"}]
    data = "\n".join(json.dumps(row) for row in rows).encode()
    queries.take_decisions(ready, "ann", data, "jsonl")
    assert said(ready) == [("ann", 9, "label", "sea")]
    assert queries.human_labels(ready)["notes"][0] == "by baez"
    with pytest.raises(NotFoundError, match="Nobody is named"):
        queries.take_decisions(ready, " ", data, "jsonl")


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
    taken = queries.take_decisions(ready, "ann", "\n".join(lines).encode(), "jsonl")
    assert taken.kept == 1
    told = " | ".join(taken.problems)
    for word in ("There is no feature 4096", "neither a text", "2,001 characters", "line 6"):
        assert word in told
    with pytest.raises(NotFoundError, match="cannot be taken in"):
        queries.take_decisions(ready, "ann", b"", "neuronpedia")
    with pytest.raises(NotFoundError, match="There is no format"):
        queries.export_decisions(ready, "pickle")


def test_neuronpedia_has_the_labels_and_not_what_none_fits(labelled: str) -> None:
    packed = queries.export_decisions(labelled, "neuronpedia")
    model, source = exchange.names(studies.load(labelled))
    found = neuronpedia.read(packed, model, source).labels
    assert sorted(found["feature"].to_list()) == [3, 3]
    assert set(found["method"]) == {decision_files.HUMAN}


def test_a_label_is_on_the_pages_at_once(labelled: str) -> None:
    for text in ("days of the week", "by ann"):
        assert text in text_of(opened("features", study=labelled, feature=3))
    shown = text_of(opened("features", study=labelled, feature=5))
    assert "by ann: no label fits" in shown
    best = next(
        row["region"]
        for row in queries.wait(lambda: queries.regions(labelled)).table.iter_rows(named=True)
        if row["feature"] == 3
    )
    shown = text_of(opened("regions", study=labelled, region=best))
    assert "days of the week" in shown
    assert "feature 3, which fits the region best" in shown


def test_a_label_is_on_compare_unless_it_is_blind(ready: str) -> None:
    study = studies.load(ready)
    of, given = features_of(study), Tools(Scripted(), Knows({}), Says, 1)
    methods = "token_frequency", "eleuther_acts_top5"
    plan = Plan(methods, scorers=("detection",), features=3)
    run = experiments.run(
        of, plan, models_of(study, given), inputs=given, device="cpu", progress=Progress()
    )
    number = int(run.frame("labels").filter(pl.col("failed") == "")["feature"][0])
    queries.decide(ready, "ann", [decision("c1", number, "days <of> the week")])
    link = {"study": ready, "run": run.digest, "feature": number}
    said = text_of(opened("compare", **link))
    assert "human · ann" in said
    assert "days &lt;of&gt; the week" in said
    assert "human · ann" not in text_of(opened("compare", **link, blind=1))


def test_files_are_named_by_what_they_hold() -> None:
    for name, kind in (
        ("a.events.jsonl", "events"),
        ("a.jsonl", "jsonl"),
        ("b.parquet", "parquet"),
    ):
        assert shown.format_of(name) == kind
    assert shown.format_of("labels.txt") == ""
    told = shown.taken_html(Taken(1, 2, tuple(f"line {n}: <b>" for n in range(25))))
    assert "1 taken in, 2 known already" in told
    assert "&lt;b&gt;" in told
    assert "and 5 more" in told
