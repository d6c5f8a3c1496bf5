"""The queue: labelling features by hand, one a screen, by keyboard.

The browser holds what was said until it is told that it is on disk: it sends all that is not, as
one value (`wire`), and is told which of it is kept, with what it asked for beside.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import streamlit as st
from streamlit.components.v2 import component

from backend.annotations.views import DecisionReceipt
from backend.annotations.words import TAGS
from backend.features.views import Example
from backend.queue.views import Hint, Queue, QueueItem
from backend.queue.words import Selection
from backend.regions.views import Probe
from backend.schema import Job, StoreError, TesseraError
from components.queue import setup
from components.shell import address, numbers, status, terms
from components.shell.links import href
from components.shell.markup import visible
from components.shell.status import Desk
from components.tiers import table as tier_table

log = logging.getLogger("tessera.pages")

KEYS = {
    "Enter": "save and next; among commands: back to the field, as I",
    "Esc": "leave the field, for commands (a bar says so); close what is open",
    "S N": "skip; no label fits: then the field of the next item, as after U, R, F, E",
    "U R": "undo and redo the last decision",
    "F C G M": "flag, confidence, tags (digits choose, G closes), notes",
    "V 1–9": "show hints, take one",
    "T E": "try a text, attach it as evidence",
    "L": "what was decided; undo, redo or decide any of it anew",
}
# what the commands do whose names do not say it, by their keys
TIPS = {
    "S": "Skip: not now. It comes back once, at the end.",
    "N": "None fits: you have looked, and no few words cover it. That is an answer, and is kept.",
    "F": f"Flag — {terms.words('flag')}",
    "C": f"Confidence — {terms.words('confidence')} Press again for the next.",
    "G": f"Tags: of what kind it is: {', '.join(TAGS)}.",
    "V": "Hints: what methods and the verbalizer say. Kept with the label, since they sway.",
    "T": "Try a text: reads one of your own, to see whether the feature fires on it.",
    "E": "Attach: keeps the text that you tried with the label, as evidence.",
}
LIST = ("tier", "order", "seed", "only", *address.SORTED)  # what makes another queue
EMPTY: dict[str, Any] = {"acked": [], "refused": {}, "problem": None}  # what became of a wire
AT_ONCE = 40  # items given to one that asks
PATIENCE = 0.25  # seconds spent on them before the rest has to be asked for again
FIRST = 8  # items given to one that has not asked yet

PARTS = ("queue_keep", "queue_view", "queue_keys", "queue_room", "queue")
SCRIPT = "\n".join(Path(__file__).with_name(f"{name}.js").read_text("utf-8") for name in PARTS)
_queue = component(
    "tessera_queue",
    css=Path(__file__).with_name("queue.css").read_text(encoding="utf-8"),
    js=SCRIPT,
    isolate_styles=False,
)


# ---------------------------------------------------------------- the component


def render_queue(desk: Desk, study: str, person: str) -> None:
    """The queue of a person, where there is one; keeps what they say."""
    identity: list[Any] = [study, person, [address.get(name) for name in LIST]]
    wire = _wire() if _wire().get("of") == identity else {}  # else it was said at another queue
    data = dict(zip(("study", "person", "list"), identity, strict=True)) | {
        "tags": TAGS,
        "tips": TIPS,
        "twice": terms.mark("repeat", "asked twice"),
        "seq": wire.get("seq", ""),
        **st.session_state.get("queue.reply", EMPTY),
        "queue": None,
        "history": None,
        "decided": None,
    }
    try:
        answer = _queue_of(desk, study, person, history=not wire or bool(wire.get("history")))
    except StoreError as error:  # what is typed stays on the screen
        data["problem"] = _words_of(error)
    else:
        if status.waiting(answer, desk, "queue"):
            return
        if not answer.of and not wire:
            return setup.render_nothing()
        data |= {"queue": _counts(answer), "history": _history(answer) if answer.history else None}
        data["decided"] = _decided(desk, study, wire.get("at"), answer)
    want = wire.get("want") or [feature for feature, _, _ in (data["queue"] or {}).get("slots", ())]
    data["items"] = _items(desk, study, want[: AT_ONCE if wire else FIRST])
    data["hints"] = _hints(desk, study, wire.get("hints", -1))
    data["probe"] = _probe(desk, study, wire.get("probe"))
    _queue(key="queue-desk", data=data, on_wire_change=lambda: _keep(desk))


def _wire() -> dict[str, Any]:
    """What the browser said last."""
    wire = getattr(st.session_state.get("queue-desk"), "wire", None)
    return wire if isinstance(wire, dict) else {}


def _queue_of(desk: Desk, study: str, person: str, history: bool) -> Queue | Job:
    selection = Selection(*(address.get(name) for name in LIST[:4]))
    return desk.queue(study, person, selection, tier_table.spec(), tier_table.thresholds(), history)


def _keep(desk: Desk) -> None:
    """Keeps all that the browser holds. What cannot be kept stays there, and is sent again."""
    reply = EMPTY | {"acked": [], "refused": {}}
    for box in _wire().get("boxes", ()):
        try:
            receipt: DecisionReceipt = desk.decide(box["study"], box["person"], box["events"])
        except TesseraError as error:
            reply["problem"] = _words_of(error)
        except Exception as error:  # the browser keeps it and says so
            log.exception("decisions were not kept")
            reply["problem"] = {"problem": f"{type(error).__name__}: {error}.", "remedy": ""}
        else:
            reply["acked"] += receipt.kept
            reply["refused"] |= receipt.refused
    st.session_state["queue.reply"] = reply


def _words_of(error: TesseraError) -> dict[str, str]:
    return {"problem": error.problem, "remedy": error.remedy}


# ---------------------------------------------------------------- what the browser is told


def _counts(queue: Queue) -> dict[str, Any]:
    names = ("slots", "done", "skipped", "of", "repeats", "seconds")
    return {name: getattr(queue, name) for name in names} | asdict(queue.agreement)


def _history(queue: Queue) -> list[dict[str, Any]]:
    return [asdict(decision) | {"undone": undone} for decision, undone in queue.history]


def _decided(desk: Desk, study: str, slot_shown: Any, queue: Queue) -> dict[str, Any] | None:
    """What was decided, not skipped, of an item on the screen that is not to be labelled any more;
    of others too."""
    if not isinstance(slot_shown, str) or slot_shown in {
        f"{slot[0]}.{slot[1]}" for slot in queue.slots
    }:
        return None
    feature, _, occurrence = slot_shown.partition(".")
    if not (feature.isdecimal() and occurrence.isdecimal()):
        return None
    labels = desk.human_labels(study).filter(feature=int(feature), occurrence=int(occurrence))
    return {
        "slot": slot_shown,
        "decisions": labels.filter(pl.col("action") != "skip").rows(named=True),
    }


def _items(desk: Desk, study: str, want: Sequence[Any]) -> dict[str, Any]:
    """Items, as many as can be had in `PATIENCE`, at least one."""
    until, items = time.monotonic() + PATIENCE, {}
    for feature in want:
        if items and time.monotonic() > until:
            break
        try:
            item: QueueItem = desk.queue_items(study, [int(feature)])[0]
        except TesseraError:  # no such feature: a tab of another study may still ask for it
            continue
        items[str(item.feature)] = {
            "href": href("features", feature=item.feature),
            "contexts": item.contexts,
            "maximum": item.maximum,
            "strongest": [_example(one) for one in item.strongest],
            "drawn": [_example(one) for one in item.drawn],
        }
    return items


def _example(one: Example) -> dict[str, Any]:
    return {
        "pieces": [visible(piece) for piece in one.passage.pieces],
        "values": _short(one.passage.values),
        "focus": one.passage.focus,
        "activation": numbers.activation(one.activation),
        "title": visible(one.passage.title),
        "topic": visible(one.passage.topic),
    }


def _hints(desk: Desk, study: str, feature: Any) -> dict[str, Any] | None:
    if not isinstance(feature, int) or feature < 0:
        return None
    try:
        hints: tuple[Hint, ...] = desk.queue_hints(study, feature)
    except TesseraError as error:
        return {"feature": feature, "hints": [], "problem": error.problem}
    return {"feature": feature, "hints": [asdict(hint) for hint in hints], "problem": ""}


def _probe(desk: Desk, study: str, wish: Any) -> dict[str, Any] | None:
    """A text as the feature sees it, or how far its reading is."""
    if not isinstance(wish, dict):
        return None
    reply: dict[str, Any] = {"id": wish["id"], "ended": True, "problem": ""}
    try:
        answer: Probe | Job = desk.probe(study, str(wish["text"]), int(wish["feature"]))
    except TesseraError as error:
        return reply | {"problem": f"{error.problem} {error.remedy}"}
    if isinstance(answer, Job):
        if answer.state in ("failed", "cancelled"):
            return reply | {"problem": answer.error or "Its reading was cancelled."}
        return reply | {"ended": False, "words": answer.message or status.pace(answer)}
    pieces = [visible(piece) for piece in answer.passage.pieces]
    return reply | {"pieces": pieces, "values": _short(answer.passage.values)}


def _short(values: Sequence[float]) -> list[float]:
    """Numbers in four digits, which are shorter to send."""
    return [float(f"{value:.4g}") for value in values]
