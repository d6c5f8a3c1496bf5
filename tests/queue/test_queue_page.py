"""The page Queue as a script: cold, empty, populated, nobody named, wrong, unreadable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from backend import queries
from backend.queue.views import Queue
from backend.queue.words import ORDERS, Selection
from backend.schema import NotFoundError, StoreError
from backend.store import annotations
from components.queue import desk as queue
from tests.helpers.pages import html_of, opened, text_of


@pytest.fixture
def study(ready: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path / "annotations"))
    return ready


def data_of(app: AppTest) -> dict[str, Any]:
    """What the component is given."""
    result = [each for each in app.get("bidi_component") if "queue" in each.proto.component_name]
    assert len(result) == 1
    return json.loads(result[0].proto.json or result[0].proto.mixed.json)


def test_a_cold_queue_says_what_is_being_computed(
    small: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path / "annotations"))
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    assert "waiting for its turn" in text_of(opened("queue", person="Anna", tier="all"))


def test_without_a_name_nothing_is_asked(study: str) -> None:
    app = opened("queue")
    assert "when you have given yours" in text_of(app)
    assert not app.get("bidi_component") or "tessera_queue" not in str(app.get("bidi_component"))
    app.text_input(key="queue:person").set_value("Anna").run()
    app.run()
    assert app.query_params["person"] in ("Anna", ["Anna"])


def test_a_queue_has_slots_examples_counts_and_history(study: str) -> None:
    event = {
        "uid": "0123456789abcdef", "kind": "decision", "feature": 3, "occurrence": 0,
        "action": "label", "label": "<b>mine</b>",
    }  # fmt: skip
    queries.decide(study, "Anna", [event])
    data = data_of(opened("queue", person="Anna", tier="all"))
    result = queries.queue(study, "Anna", Selection("all"))
    assert isinstance(result, Queue)
    assert [tuple(slot) for slot in data["queue"]["slots"]] == list(result.slots)
    assert (data["queue"]["done"], data["queue"]["of"]) == (1, result.of)
    assert [each["label"] for each in data["history"]] == ["<b>mine</b>"]
    first = data["items"][str(result.slots[0][0])]
    assert len(first["strongest"]) == 4
    assert f"feature={result.slots[0][0]}" in first["href"]
    assert data["hints"] is None  # they would anchor


def test_what_others_decided_of_the_item_on_the_screen_is_told(study: str) -> None:
    result = queries.queue(study, "Anna", Selection("all"))
    assert isinstance(result, Queue)
    feature, occurrence, _ = result.slots[0]
    place = f"{feature}.{occurrence}"
    assert queue._decided(queries, study, place, result) is None, "it is still to be labelled"
    event = {
        "uid": "0123456789abcdef", "kind": "decision", "feature": feature, "occurrence": 0,
        "action": "label", "label": "his",
    }  # fmt: skip
    queries.decide(study, "Ben", [event])
    skip = event | {"uid": "0123456789abcdee", "action": "skip", "label": ""}
    queries.decide(study, "Cyd", [skip])
    later = queries.queue(study, "Anna", Selection("all"))
    assert isinstance(later, Queue)
    error = queue._decided(queries, study, place, later)
    assert error is not None
    assert [(one["person"], one["label"]) for one in error["decisions"]] == [("Ben", "his")]
    assert queue._decided(queries, study, "1.x", later) is None


def test_where_no_feature_is_obscure_it_says_what_to_do_next(
    study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.tiers.answers.of_tier", lambda *_: np.array([], np.int64))
    app = opened("queue", person="Anna")
    assert "No obscure feature is left to label." in text_of(app)
    assert 'href="tiers' in html_of(app)


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"tier": "best"}, "tier = 'best'"),
        ({"order": "x"}, "order = 'x'"),
        ({"only": "1,b"}, "no list of features"),
        ({"seed": "x"}, "seed = 'x'"),
    ],
)
def test_a_wrong_link_is_answered(study: str, params: dict[str, Any], problem: str) -> None:
    app = opened("queue", False, **({"person": "Anna", "tier": "all"} | params))
    assert problem in text_of(app).replace("&#x27;", "'")


def test_a_link_to_chosen_features_queues_them_alone(study: str) -> None:
    some = [
        slot[0] for slot in data_of(opened("queue", person="A", tier="all"))["queue"]["slots"][:3]
    ]
    only = ",".join(map(str, some))
    data = data_of(opened("queue", person="A", only=only))
    assert {slot[0] for slot in data["queue"]["slots"]} == set(some)


def test_an_unreadable_file_is_told_and_the_component_stays(study: str) -> None:
    annotations.path().mkdir(parents=True)
    data = data_of(opened("queue", person="Anna", tier="all"))
    assert data["queue"] is None
    assert "cannot be opened" in data["problem"]["problem"]


def test_a_file_of_a_newer_tessera_is_told(study: str) -> None:
    import sqlite3

    queries.decide(study, "Anna", [])
    annotations.add("note", study, "x", "Anna", {})
    with sqlite3.connect(annotations.path()) as base:
        base.execute("UPDATE alembic_version SET version_num = '9999'")
    data = data_of(opened("queue", person="Anna", tier="all"))
    assert "newer Tessera" in data["problem"]["problem"]


# ---------------------------------------------------------------- what the browser says


class Wire:
    """A desk whose decisions fail as told."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def decide(self, study: str, person: str, events: Any) -> Any:
        if self.error and study == "bad":
            raise self.error
        return queries.decide(study, person, events)


def reply_to(monkeypatch: pytest.MonkeyPatch, desk: Any, *boxes: dict[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = {}
    monkeypatch.setattr(queue, "_wire", lambda: {"boxes": list(boxes)})
    monkeypatch.setattr(queue.st, "session_state", state)
    queue._keep(desk)
    return state["queue.reply"]


@pytest.mark.parametrize("error", [StoreError("Full.", "Free."), ZeroDivisionError("surprise")])
def test_one_outbox_that_fails_leaves_the_others_kept(
    study: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    event = {
        "uid": "0123456789abcdef", "kind": "decision", "feature": 3, "occurrence": 0,
        "action": "none", "label": "",
    }  # fmt: skip
    boxes = [{"study": name, "person": "Anna", "events": [event]} for name in ("bad", study)]
    reply = reply_to(monkeypatch, Wire(error), *boxes)
    assert reply["acked"] == ["0123456789abcdef"]
    assert reply["problem"]["problem"]


def test_a_text_is_tried_or_its_failure_told(study: str) -> None:
    requests = {"id": "1", "feature": 3, "text": "The captain finds the anchor."}

    class Desk:
        def probe(self, *_: Any) -> Any:
            raise NotFoundError("No regions.", "Wait.")

    assert queue._probe(Desk(), study, requests) == {
        "id": "1", "ended": True, "problem": "No regions. Wait.",
    }  # fmt: skip
    assert queue._probe(Desk(), study, None) is None


def test_orders_are_told_in_words() -> None:
    assert set(ORDERS) == {"margin", "density", "disagreement", "random"}
