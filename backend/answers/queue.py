"""What a person is to label next: which features, in which order, with which repeats."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import polars as pl

from backend.answers import decisions, features, passages, runs, tiers
from backend.answers import labels as label_answers
from backend.answers.decisions import Ledger
from backend.features import codes, examples
from backend.schema import Job, NotFoundError, Study, Thresholds, Tier, TierSpec
from backend.statistics.intervals import wilson
from backend.views import Decided, Decision, Example, Hint, Queue, QueueItem, Same

ORDERS = ("margin", "density", "disagreement", "random")
TIERS = ("all", "input", "output", "cross", "obscure")
LEAST = 2  # contexts in which a feature has to fire
EVERY = 10  # every tenth slot is a repeat …
NEAR, FAR = 10, 30  # … of an item so many slots before
AHEAD = 300  # slots told at once
HISTORY = 200
RECENT = 50  # decisions that the pace is of …
ENOUGH = 5  # … and how many it takes
EACH = 4  # examples: so many of the strongest, so many at random
SIDE = 20  # tokens on either side of the peak
HINTS = 9  # as many as there are digits

SPEC, TAU = TierSpec(), Thresholds()

Slot = tuple[int, int]  # feature, occurrence


@dataclass(frozen=True)
class Asked:
    """Which features are queued, and in which order."""

    tier: str = "obscure"
    order: str = "margin"
    seed: int = 0
    only: tuple[int, ...] = ()
    spec: TierSpec = SPEC
    thresholds: Thresholds = TAU

    def __post_init__(self) -> None:
        for name, known in (("tier", TIERS), ("order", ORDERS)):
            value = getattr(self, name)
            if value not in known:
                raise NotFoundError(
                    f"There is no {name} {value!r}.", f"Choose one of {', '.join(known)}."
                )


# ---------------------------------------------------------------- the list


def schedule(order: Sequence[int], seed: int) -> list[Slot]:
    """Slots of features in their order; every tenth repeats one of 10 to 30 slots before."""
    rng, slots, fresh = np.random.default_rng([seed, len(order)]), [], iter(order)
    repeated: set[int] = set()
    while True:
        at = len(slots)
        before = slots[max(0, at - FAR) : max(0, at - NEAR + 1)]
        may = [feature for feature, again in before if not again and feature not in repeated]
        if at % EVERY == EVERY - 1 and may:
            feature = may[int(rng.integers(len(may)))]
            repeated.add(feature)
            slots.append((feature, 1))
            continue
        feature = next(fresh, None)
        if feature is None:
            return slots
        slots.append((int(feature), 0))


@functools.lru_cache(maxsize=8)
def _slots(order: bytes, seed: int) -> tuple[Slot, ...]:
    return tuple(schedule(np.frombuffer(order, np.int64).tolist(), seed))


def _ordered(study: Study, read: features.Read, chosen: np.ndarray, asked: Asked) -> np.ndarray:
    """Feature numbers in the order in which they are to be labelled."""
    if asked.order == "random":
        return np.random.default_rng(asked.seed).permutation(chosen)
    density = read.table["density"].to_numpy()[chosen]
    if asked.order == "disagreement":
        apart = _disagreement(study)
        known = np.array([apart.get(int(number), -1.0) for number in chosen])
        return chosen[np.lexsort((chosen, -density, -known))]
    if asked.order == "margin" and asked.tier != "all" and not asked.only:
        return chosen
    return chosen[np.lexsort((chosen, -density))]


def _disagreement(study: Study) -> dict[int, float]:
    """The widest distance between two methods' labels of a feature, over all experiments."""
    found: dict[int, float] = {}
    for run in runs.listed(study):
        entry = runs.experiments.run.at(run.run) if run.done else None
        if entry is None:
            continue
        widest = entry.frame("distances").group_by("feature").agg(pl.col("distance").max())
        for feature, distance in widest.drop_nulls().iter_rows():
            found[feature] = max(distance, found.get(feature, distance))
    return found


def _chosen(study: Study, read: features.Read, asked: Asked) -> np.ndarray | Job:
    """Numbers of the features asked for that fire often enough to be shown, of a tier those
    nearest to another tier first."""
    may = read.table.filter(pl.col("contexts") >= LEAST)["feature"].to_numpy().astype(np.int64)
    if asked.only:
        return may[np.isin(may, asked.only)]
    if asked.tier == "all":
        return may
    found = tiers.numbers(study, Tier[asked.tier.upper()], asked.spec, asked.thresholds)
    return found if isinstance(found, Job) else found[np.isin(found, may)]


# ---------------------------------------------------------------- for one person


def queue(study: Study, person: str, asked: Asked, history: bool) -> Queue | Job:
    """What is next for a person, and how far they are. With `history`, their last decisions.

    Raises:
        StoreError: the annotations cannot be read.
        NotFoundError: nobody is named.
    """
    name = decisions.checked_name(person)
    read = features.find_or_job(study)
    if isinstance(read, Job):
        return read
    chosen = _chosen(study, read, asked)
    if isinstance(chosen, Job):
        return chosen
    order = np.ascontiguousarray(_ordered(study, read, chosen, asked), np.int64).tobytes()
    with decisions.ledger(study) as book:
        return _queue(_slots(order, asked.seed), book, name, history)


def _queue(all_slots: Sequence[Slot], book: Ledger, name: str, history: bool) -> Queue:
    slots = _left(all_slots, book, name)
    open_ = [slot for slot in slots if (name, *slot) not in book.current]
    second = _second(slots, book, name)
    return Queue(
        slots=_told((*open_, *second), book, name),
        done=len(slots) - len(open_) - len(second),
        skipped=len(second),
        of=len(slots),
        seconds=_pace(book, name),
        history=_history(book, name) if history else (),
        agreement=_agreement(book, name),
    )


def _told(slots: Sequence[Slot], book: Ledger, name: str) -> tuple[tuple[int, int, str], ...]:
    """The next slots, with the uid of what was decided where one was skipped."""
    return tuple(
        (*slot, decision.uid if (decision := book.current.get((name, *slot))) else "")
        for slot in slots[:AHEAD]
    )


def _left(slots: Sequence[Slot], book: Ledger, name: str) -> list[Slot]:
    """Slots less those of features that somebody else has decided, and this person has not."""
    decided = (d for d in book.current.values() if d.action != "skip")
    others = {decision.feature for decision in decided if decision.person != name}
    others -= {decision.feature for decision in book.of(name)}
    return [slot for slot in slots if slot[0] not in others] if others else list(slots)


def _second(slots: Sequence[Slot], book: Ledger, name: str) -> list[Slot]:
    """Slots that were skipped and get a second chance, the first skipped first."""
    skipped = [slot for slot in slots if (name, *slot) in book.current]
    again = [slot for slot in skipped if not book.settled((name, *slot))]
    return sorted(again, key=lambda slot: book.current[name, *slot].made)


def _pace(book: Ledger, name: str) -> float | None:
    """Median seconds of the person's last decisions; of a few it would say nothing."""
    mine = [d.seconds for d in book.made.values() if d.person == name and d.seconds > 0]
    return float(median(mine[-RECENT:])) if len(mine) >= ENOUGH else None


def _history(book: Ledger, name: str) -> tuple[tuple[Decision, bool], ...]:
    """The decisions heard of last, in the order in which they were made."""
    mine = [decision for decision in book.made.values() if decision.person == name]
    last = sorted(mine[-HISTORY:], key=lambda decision: decision.made)
    return tuple((decision, decision.uid in book.undone) for decision in last)


def pairs(book: Ledger, name: str) -> list[tuple[Decision, Decision]]:
    """A person's first and second decision on the same feature; skipped ones left out."""
    found = []
    for decision in book.of(name):
        first = book.current.get((name, decision.feature, 0)) if decision.occurrence else None
        if first and "skip" not in (first.action, decision.action):
            found.append((first, decision))
    return found


def _agreement(book: Ledger, name: str) -> Same:
    """How often the second decision was the first one's, with Wilson's interval."""
    both = pairs(book, name)
    same = sum(a.action == b.action and _plain(a) == _plain(b) for a, b in both)
    low, high = wilson(same, len(both))
    return Same(len(both), same, float(low), float(high))


def _plain(decision: Decision) -> str:
    return " ".join(decision.label.casefold().split())


def decide(study: Study, person: str, events: Sequence[object]) -> Decided:
    """Keeps what a person decided; raises as `decisions.decide`."""
    read = features.read_or_raise(study)
    return decisions.decide(study, person, events, len(read.table))


# ---------------------------------------------------------------- what is shown of a feature


def items(study: Study, numbers: Sequence[int]) -> list[QueueItem]:
    """What a label is to be made from: the strongest examples, and some of the whole range."""
    read = features.read_or_raise(study)
    return [_item(read, number) for number in numbers]


def _item(read: features.Read, number: int) -> QueueItem:
    column = read.column(number)
    top = examples.top(column, read.tokens, EACH)
    drawn = examples.random_active(column, read.tokens, 2 * EACH)
    shown = set(top.tokens.tolist())
    more = [row for row in drawn.tokens.tolist() if row not in shown][:EACH]
    return QueueItem(
        feature=number,
        contexts=top.of,
        maximum=float(column.values.max()) if len(column.values) else 0.0,
        strongest=tuple(_example(read, column, row) for row in top.tokens.tolist()),
        drawn=tuple(_example(read, column, row) for row in more),
    )


def _example(read: features.Read, column: codes.Column, row: int) -> Example:
    """The tokens around a peak, within its context."""
    tokens = read.tokens
    context = int(tokens.context_of[row])
    begin = int(tokens.contexts["first_token"][context])
    end = begin + int(tokens.contexts["length"][context])
    first, last = max(begin, row - SIDE), min(end, row + SIDE + 1)
    values = read.values(column, first, last)
    shown = passages.passage(tokens, first, last, row, values)
    return Example(row, float(values[row - first]), shown)


def hints(study: Study, number: int) -> tuple[Hint, ...]:
    """What methods call a feature, and what a verbalizer said at its peaks, as far as known."""
    known = label_answers.labels(study, number, None, "range", 0, "own")
    found = [
        Hint(row["method"], row["text"])
        for row in known.labels.filter(pl.col("text") != "").iter_rows(named=True)
    ]
    said = known.said["real"].to_list() if len(known.said) else []
    found += [Hint("verbalizer", text.strip()) for text in dict.fromkeys(said) if text.strip()]
    return tuple(found[:HINTS])
