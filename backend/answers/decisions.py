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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from backend.schema import TAGS, NotFoundError, Study
from backend.store import annotations
from backend.store.annotations import Event, New
from backend.views import Decided, Decision

KINDS = ("decision", "undo", "redo")
ACTIONS = ("label", "none", "skip")
CONFIDENCE = ("", "low", "middle", "high")
LONGEST = {"label": 2_000, "notes": 10_000}  # characters
NAME = 80  # characters of a person's name
TEXTS = 20  # of evidence, each as long as a label may be
CHANCES = 2  # times that an item is shown to one who skips it
UID = re.compile(r"[0-9A-Za-z-]{8,64}")

Key = tuple[str, int, int]  # person, feature, occurrence
HUMAN = pl.Schema(
    {
        "person": pl.String,
        "feature": pl.Int64,
        "occurrence": pl.Int64,
        "action": pl.String,
        "label": pl.String,
        "tags": pl.List(pl.String),
        "confidence": pl.String,
        "notes": pl.String,
        "evidence": pl.List(pl.String),
        "flagged": pl.Boolean,
        "hinted": pl.Boolean,
        "seconds": pl.Float64,
        "made": pl.Float64,
        "uid": pl.String,
    }
)


# ---------------------------------------------------------------- what is current


@dataclass
class Ledger:
    """All decisions of a study, read once and kept up as events come."""

    last: int = 0  # id of the last event that was read
    made: dict[str, Decision] = field(default_factory=dict)
    by_key: dict[Key, list[Decision]] = field(default_factory=dict)  # in the order of `made`
    undone: set[str] = field(default_factory=set)
    current: dict[Key, Decision] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        self.last = event.id
        if event.kind == "decision":
            decision = _decision(event)
            self.made[decision.uid] = decision
            key = decision.person, decision.feature, decision.occurrence
            bisect.insort(self.by_key.setdefault(key, []), decision, key=lambda each: each.made)
            return self._settle(key)
        decision = self.made.get(str(event.value["of"]))
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

    def settled(self, key: Key) -> bool:
        """Whether this item is not shown again: decided, or skipped as often as it may be."""
        decision = self.current.get(key)
        if decision is None or decision.action != "skip":
            return decision is not None
        return sum(each.action == "skip" for each in self.standing(key)) >= CHANCES

    def of(self, person: str) -> Iterator[Decision]:
        """The current decisions of one person."""
        return (decision for key, decision in self.current.items() if key[0] == person)


def _decision(event: Event) -> Decision:
    value = event.value
    return Decision(
        uid=event.uid,
        person=event.person,
        made=event.made,
        feature=int(value["feature"]),
        occurrence=int(value["occurrence"]),
        action=value["action"],
        label=value["label"],
        tags=tuple(value["tags"]),
        confidence=value["confidence"],
        notes=value["notes"],
        evidence=tuple(value["evidence"]),
        flagged=value["flagged"],
        hinted=value["hinted"],
        seconds=value["seconds"],
        old=value["old"],
    )


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
        known, found = _ledgers.get((path, study.name), (None, Ledger()))
        if known != identity:  # the file was made, replaced or removed
            found = Ledger()
        for event in annotations.of_study(study.name, KINDS, after=found.last):
            found.add(event)
        _ledgers[path, study.name] = identity, found
        yield found


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


# ---------------------------------------------------------------- what is said


def decide(study: Study, person: str, events: Sequence[Any], features: int) -> Decided:
    """Keeps events; one that is no good is refused with a reason, and the others are kept.

    `features` is how many there are. An event sent again is kept once.

    Raises:
        StoreError: they could not be kept.
        NotFoundError: nobody is named.
    """
    name, refused, good = checked_name(person), {}, []
    for event in events:
        reason = wrong(event, features)
        if reason:
            refused[str(event.get("uid", "") if isinstance(event, dict) else "")] = reason
        else:
            good.append(event)
    replaced: dict[Key, str] = {}
    with ledger(study) as book:
        new = [_new(study, name, event, book, replaced) for event in good]
    kept = annotations.add_all(new)
    return Decided(tuple(event.uid for event in kept), refused)


def checked_name(person: str) -> str:
    name = person.strip()
    if not name or len(name) > NAME:
        raise NotFoundError(
            "Nobody is named." if not name else f"The name has {len(name)} characters.",
            f"Say who decides, in 1 to {NAME} characters: it is kept with every decision.",
        )
    return name


def _new(
    study: Study, person: str, event: dict[str, Any], found: Ledger, replaced: dict[Key, str]
) -> New:
    if event["kind"] != "decision":
        of = found.made.get(event["of"])
        subject = f"feature {of.feature}" if of else ""
        return New(event["uid"], person, event["kind"], study.name, subject, {"of": event["of"]})
    key = person, event["feature"], event["occurrence"]
    now, past = found.current.get(key), found.by_key.get(key)
    old = event.get("old") or replaced.get(key) or (now.uid if now else "")
    replaced[key] = event["uid"]
    made = max(time.time(), past[-1].made if past else 0.0)  # a clock may have been set back
    subject = f"feature {event['feature']}"
    return New(
        event["uid"], person, "decision", study.name, subject, said(event) | {"old": old}, made
    )


def said(event: dict[str, Any]) -> dict[str, Any]:
    """The value that is kept of a decision which is not `wrong`."""
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


def wrong(event: Any, features: int) -> str:
    """Why an event is no good; empty where it is good."""
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
    return _wrong_words(event) or _wrong_choices(event)


def _wrong_words(event: dict[str, Any]) -> str:
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


def _wrong_choices(event: dict[str, Any]) -> str:
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


def human_labels(study: Study) -> pl.DataFrame:
    """`HUMAN`: the current decisions of everybody, in the order of the first."""
    with ledger(study) as book:
        rows = [
            {name: getattr(decision, name) for name in HUMAN} for decision in book.current.values()
        ]
    plain = [row | {"tags": list(row["tags"]), "evidence": list(row["evidence"])} for row in rows]
    return pl.DataFrame(plain, schema=HUMAN, orient="row")
