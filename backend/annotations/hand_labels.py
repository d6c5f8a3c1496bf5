"""What people decided about features, as events that are only ever added, and what is current.

A decision is undone and redone by events of their own, so nothing that was said is ever changed.
The one made last of a person's decisions on a feature's occurrence that are not undone is current:
what a file brings in later does not stand before what was made after it.
"""

from __future__ import annotations

import bisect
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from backend.annotations.views import Decision, DecisionReceipt
from backend.annotations.words import TAGS
from backend.features.answers import feature_index
from backend.labels import tables
from backend.query import action, lookup
from backend.schema import NotFoundError, Study, conform
from backend.store import annotations
from backend.store.annotations import Event, New

KINDS = ("decision", "undo", "redo")
ACTIONS = ("label", "none", "skip")
CONFIDENCE = ("", "low", "middle", "high")
LONGEST = {"label": 2_000, "notes": 10_000}  # characters
NAME = 80  # characters of a person's name
TEXTS = 20  # of evidence, each as long as a label may be
CHANCES = 2  # times that an item is shown to one who skips it
UID = re.compile(r"[0-9A-Za-z-]{8,64}")

Key = tuple[str, int, int]  # person, feature, occurrence
# an event as its sender gives it: `uid`, `kind`; of a decision what `value_of` keeps, of an undo or
# redo the uid of the decision (`of`)
DecisionEvent = dict[str, Any]
DECISIONS = pl.Schema(
    (name, kind) for name, kind in tables.columns_of(Decision).items() if name != "old"
)

HUMAN = "human"  # the method of a label made by hand
NO_LABEL = "no label fits"
DATED_LABELS = pl.Schema(
    {**tables.LABELS, "occurrence": pl.Int64, "made": pl.Float64}  # Unix seconds
)


# ---------------------------------------------------------------- what is current


@dataclass
class Ledger:
    """All decisions of a study, read once and kept up as events come."""

    last: int = 0  # id of the last event that was read
    by_uid: dict[str, Decision] = field(default_factory=dict)  # in the order they were heard of
    by_key: dict[Key, list[Decision]] = field(default_factory=dict)  # by the time they were made
    undone: set[str] = field(default_factory=set)
    current: dict[Key, Decision] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        self.last = event.id
        if event.kind == "decision":
            decision = _decision(event)
            self.by_uid[decision.uid] = decision
            key = decision.person, decision.feature, decision.occurrence
            bisect.insort(self.by_key.setdefault(key, []), decision, key=lambda each: each.made)
            return self._settle(key)
        decision = self.by_uid.get(str(event.value["of"]))
        if decision is None or decision.person != event.person:
            return None
        (self.undone.add if event.kind == "undo" else self.undone.discard)(decision.uid)
        return self._settle((decision.person, decision.feature, decision.occurrence))

    def _settle(self, key: Key) -> None:
        valid = self.standing(key)
        if valid:
            self.current[key] = valid[-1]
        else:
            self.current.pop(key, None)

    def standing(self, key: Key) -> list[Decision]:
        """Decisions that are not undone, oldest first."""
        return [each for each in self.by_key.get(key, ()) if each.uid not in self.undone]

    def is_settled(self, key: Key) -> bool:
        """Whether this item is not shown again: decided, or skipped as often as it may be."""
        decision = self.current.get(key)
        if decision is None or decision.action != "skip":
            return decision is not None
        return sum(each.action == "skip" for each in self.standing(key)) >= CHANCES

    def current_of(self, person: str) -> Iterator[Decision]:
        """The current decisions of one person."""
        return (decision for key, decision in self.current.items() if key[0] == person)


def _decision(event: Event) -> Decision:
    tuples = {name: tuple(event.value[name]) for name in ("tags", "evidence")}
    names = {"person": event.person, "made": event.made, "uid": event.uid}
    return Decision(**event.value | tuples | names)


_ledgers: dict[tuple[Path, str], tuple[tuple[int, int], Ledger]] = {}
_lock = threading.Lock()


@contextmanager
def ledger(study: Study) -> Iterator[Ledger]:
    """What was decided up to now; nobody else reads on while it is looked at.

    Raises:
        StoreError: the annotations cannot be read.
    """
    path = annotations.path()
    with _lock:
        identity = _identity(path)
        before, current = _ledgers.get((path, study.name), (None, Ledger()))
        if before != identity:  # the file was made, replaced or removed
            current = Ledger()
        for event in annotations.of_study(study.name, KINDS, after=current.last):
            current.add(event)
        _ledgers[path, study.name] = identity, current
        yield current


def _identity(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino


# ---------------------------------------------------------------- what is said


@action
def decide(study: Study, person: str, events: Sequence[Any]) -> DecisionReceipt:
    """Keeps decisions of a person, undone and redone ones too; gives which of them are on disk
    now, and why others are refused. Each has a `uid` that its sender makes: sent twice, it is
    kept once.

    Raises:
        StoreError: they could not be kept.
        NotFoundError: nobody is named.
    """
    features = len(feature_index(study).table)
    name, refused, good = checked_name(person), {}, []
    for event in events:
        reason = refusal(event, features)
        if reason:
            refused[str(event.get("uid", "") if isinstance(event, dict) else "")] = reason
        else:
            good.append(event)
    replaced: dict[Key, str] = {}
    with ledger(study) as current:
        new = [_new(study, name, event, current, replaced) for event in good]
    stored = annotations.add_all(new)
    return DecisionReceipt(tuple(event.uid for event in stored), refused)


def checked_name(person: str) -> str:
    name = person.strip()
    if not name or len(name) > NAME:
        raise NotFoundError(
            "Nobody is named." if not name else f"The name has {len(name)} characters.",
            f"Say who decides, in 1 to {NAME} characters: it is kept with every decision.",
        )
    return name


def _new(
    study: Study, person: str, event: DecisionEvent, book: Ledger, replaced: dict[Key, str]
) -> New:
    """The event to be kept. `replaced` has the last uid by key of those of the same batch."""
    if event["kind"] != "decision":
        target = book.by_uid.get(event["of"])
        subject = f"feature {target.feature}" if target else ""
        return New(event["uid"], person, event["kind"], study.name, subject, {"of": event["of"]})
    key = person, event["feature"], event["occurrence"]
    now, past = book.current.get(key), book.by_key.get(key)
    old = event.get("old") or replaced.get(key) or (now.uid if now else "")
    replaced[key] = event["uid"]
    time_made = max(time.time(), past[-1].made if past else 0.0)  # a clock may have been set back
    subject, value = f"feature {event['feature']}", value_of(event) | {"old": old}
    return New(event["uid"], person, "decision", study.name, subject, value, time_made)


def value_of(event: DecisionEvent) -> dict[str, Any]:
    """The value that is kept of a decision, once there is no `refusal` of it."""
    return {
        "feature": event["feature"],
        "occurrence": event["occurrence"],
        "action": event["action"],
        "label": _whole(event["label"]).strip() if event["action"] == "label" else "",
        "tags": list(event.get("tags", ())),
        "confidence": event.get("confidence", ""),
        "notes": _whole(event.get("notes") or "").strip(),
        "evidence": [_whole(text) for text in event.get("evidence") or ()],
        "flagged": bool(event.get("flagged", False)),
        "hinted": bool(event.get("hinted", False)),
        "seconds": round(float(event.get("seconds", 0)), 2),
        "old": str(event.get("old") or ""),
    }


def _whole(text: str) -> str:
    """A text without halves of characters, which a browser can send and no table can hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def refusal(event: Any, features: int) -> str:
    """Why an event cannot be kept, in a sentence; empty where it can."""
    if not isinstance(event, dict) or not UID.fullmatch(str(event.get("uid", ""))):
        return "It has no name of its own."
    if event.get("kind") not in KINDS:
        return f"There is no {event.get('kind')!r}; decide, undo or redo."
    if event["kind"] != "decision":
        return "" if UID.fullmatch(str(event.get("of", ""))) else "It does not say what of."
    numbers = event.get("feature"), event.get("occurrence")
    if not all(type(number) is int for number in numbers):
        return "It names no feature."
    if not 0 <= event["feature"] < features or event["occurrence"] not in (0, 1):
        return f"There is no feature {event['feature']}, occurrence {event['occurrence']}."
    return _refusal_of_texts(event) or _refusal_of_choices(event)


def _refusal_of_texts(event: DecisionEvent) -> str:
    label, notes, texts = (event.get(name) for name in ("label", "notes", "evidence"))
    if event.get("action") == "label" and not (isinstance(label, str) and label.strip()):
        return "The label is empty."
    for name, text in (("label", label), ("notes", notes)):
        if not isinstance(text or "", str):
            return f"Its {name} is no text."
        if len((text or "").strip()) > LONGEST[name]:
            most = f"{LONGEST[name]:,}"
            return f"Its {name} has {len((text or '').strip()):,} characters; at most {most}."
    if not isinstance(texts or [], list) or len(texts or ()) > TEXTS:
        return f"It has more than {TEXTS} texts as evidence."
    if any(not isinstance(text, str) or len(text) > LONGEST["label"] for text in texts or ()):
        return f"A text of its evidence has more than {LONGEST['label']:,} characters."
    return ""


def _refusal_of_choices(event: DecisionEvent) -> str:
    if event.get("action") not in ACTIONS:
        return f"There is no {event.get('action')!r}; use one of {', '.join(ACTIONS)}."
    tags = event.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        return "Its tags are no list of names."
    strange = [tag for tag in tags if tag not in TAGS]
    if strange:
        return f"There is no tag {strange[0]!r}; use {', '.join(TAGS)}."
    if event.get("confidence", "") not in CONFIDENCE:
        return f"There is no confidence {event['confidence']!r}."
    seconds = event.get("seconds", 0)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < 1e7:
        return "It took no time that can be."
    return ""


# ---------------------------------------------------------------- tables


@lookup
def human_labels(study: Study) -> pl.DataFrame:
    """The current decisions of everybody: person, feature, occurrence, action, label, tags, …"""
    return pl.DataFrame(list(map(asdict, current(study))), schema=DECISIONS)


def current(study: Study) -> list[Decision]:
    """The current decisions of everybody, in the order of the first."""
    with ledger(study) as book:
        return list(book.current.values())


def labels_of(study: Study) -> pl.DataFrame:
    """`tables.LABELS`: what everybody calls features now, a first look and a repeat apart; a
    feature for which no label fits has failed."""
    return conform(dated_labels(study), tables.LABELS)


def dated_labels(study: Study) -> pl.DataFrame:
    """As `labels_of`, with the occurrence and the time of each: `DATED_LABELS`."""
    rows = [
        (
            decision.feature,
            HUMAN,
            decision.person,
            decision.label,
            decision.notes,
            "" if decision.action == "label" else NO_LABEL,
            None,
            decision.seconds,
            decision.occurrence,
            decision.made,
        )
        for decision in current(study)
        if decision.action != "skip"
    ]
    return pl.DataFrame(rows, schema=DATED_LABELS, orient="row")
