"""What a person is to label next: which features, in which order, with which repeats."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from statistics import median

import numpy as np
import polars as pl

from backend.annotations import hand_labels
from backend.annotations.hand_labels import Key, Ledger
from backend.annotations.views import Decision
from backend.corpus import passages
from backend.experiments import runs, single_labels
from backend.features import codes, examples
from backend.features.answers import FeatureIndex, feature_index
from backend.features.views import Example
from backend.labels.tables import DISTANCES
from backend.labels.words import LabelRequest
from backend.query import lookup, query
from backend.queue.views import Hint, Queue, QueueItem, RepeatAgreement
from backend.queue.words import ORDERS, Selection
from backend.schema import NotFoundError, Study, Thresholds, Tier, TierSpec
from backend.statistics.intervals import wilson
from backend.store import queue as jobs
from backend.tiers import answers as tier_answers
from backend.tiers.words import TIERS

LEAST = 2  # contexts in which a feature has to fire
EVERY = 10  # every tenth slot is a repeat …
NEAR, FAR = 10, 30  # … of an item so many slots before
AHEAD = 300  # slots told at once
HISTORY = 200
RECENT = 50  # decisions that the pace is of …
ENOUGH = 4  # … and how many it takes
EACH = 4  # examples: so many of the strongest, so many at random
SIDE = 20  # tokens on either side of the peak
HINTS = 9  # as many as there are digits

Slot = tuple[int, int]  # feature, occurrence


# ---------------------------------------------------------------- the list


def schedule(order: Sequence[int], seed: int) -> list[Slot]:
    """Slots of features in their order; every tenth repeats one of 10 to 30 slots before."""
    rng, slots, rest = np.random.default_rng([seed, len(order)]), [], iter(order)
    repeated: set[int] = set()
    while True:
        place = len(slots)
        before = slots[max(0, place - FAR) : max(0, place - NEAR + 1)]
        may = [
            feature
            for feature, repeated_slots in before
            if not repeated_slots and feature not in repeated
        ]
        if place % EVERY == EVERY - 1 and may:
            feature = may[int(rng.integers(len(may)))]
            repeated.add(feature)
            slots.append((feature, 1))
            continue
        feature = next(rest, None)
        if feature is None:
            return slots
        slots.append((int(feature), 0))


@functools.lru_cache(maxsize=8)
def _slots(order: bytes, seed: int) -> tuple[Slot, ...]:
    return tuple(schedule(np.frombuffer(order, np.int64).tolist(), seed))


def _check(selection: Selection) -> None:
    for name, names in (("tier", TIERS), ("order", tuple(ORDERS))):
        value = getattr(selection, name)
        if value not in names:
            raise NotFoundError(
                f"There is no {name} {value!r}.", f"Choose one of {', '.join(names)}."
            )
    _numbers(selection.only)


def _numbers(text: str) -> list[int]:
    """Feature numbers with commas between."""
    try:
        return [int(number) for number in text.split(",") if number.strip()]
    except ValueError:
        raise NotFoundError(
            f"{text!r} is no list of features.", "Give their numbers, with commas between."
        ) from None


def _selected(
    study: Study, selection: Selection, spec: TierSpec, thresholds: Thresholds
) -> np.ndarray:
    """[n] int64 features asked for that fire often enough to be shown, of a tier those nearest to
    another tier first."""
    frequent = feature_index(study).table.filter(pl.col("contexts") >= LEAST)
    may = frequent["feature"].to_numpy().astype(np.int64)
    if selection.only:
        return may[np.isin(may, _numbers(selection.only))]
    if selection.tier == "all":
        return may
    inside = tier_answers.of_tier(study, Tier[selection.tier.upper()], spec, thresholds)
    return inside[np.isin(inside, may)]


def _ordered(study: Study, selected: np.ndarray, selection: Selection) -> np.ndarray:
    """Feature numbers in the order in which they are to be labelled."""
    if selection.order == "random":
        return np.random.default_rng(selection.seed).permutation(selected)
    density = feature_index(study).table["density"].to_numpy()[selected]
    if selection.order == "disagreement":
        widest = _disagreement(study)
        distance = np.array([widest.get(int(number), -1.0) for number in selected])
        return selected[np.lexsort((selected, -density, -distance))]
    if selection.order == "margin" and selection.tier != "all" and not selection.only:
        return selected
    return selected[np.lexsort((selected, -density))]


def _disagreement(study: Study) -> dict[int, float]:
    """The widest distance between two methods' labels of a feature, over all experiments."""
    ended = (runs.results(each.run) for each in runs.list_runs(study) if each.done)
    frames = [results.entry.frame("distances") for results in ended if results]
    distances = pl.concat([pl.DataFrame(schema=DISTANCES), *frames]).drop_nulls("distance")
    return dict(distances.group_by("feature").agg(pl.col("distance").max()).iter_rows())


# ---------------------------------------------------------------- for one person


@query("A queue of features", priority=jobs.SHORT)
def queue(
    study: Study,
    person: str,
    selection: Selection | None = None,
    spec: TierSpec | None = None,
    thresholds: Thresholds | None = None,
    history: bool = True,
) -> Queue:
    """What a person is to label next, and how far they are. With `history`, their last decisions.

    Raises:
        StoreError: the annotations cannot be read.
        NotFoundError: nobody is named, or there is no such tier, order or feature number.
    """
    selection = selection or Selection()
    _check(selection)
    name = hand_labels.checked_name(person)
    selected = _selected(study, selection, spec or TierSpec(), thresholds or Thresholds())
    order = np.ascontiguousarray(_ordered(study, selected, selection), np.int64).tobytes()
    with hand_labels.ledger(study) as book:
        return _queue(_slots(order, selection.seed), book, name, history)


def _queue(all_slots: Sequence[Slot], book: Ledger, name: str, history: bool) -> Queue:
    slots = _free_slots(all_slots, book, name)
    mine = [decision for decision in book.by_uid.values() if decision.person == name]
    first = [slot for slot in slots if (name, *slot) not in book.current]
    second = _skipped_slots(slots, book, name)
    return Queue(
        slots=tuple((*slot, _uid(book, (name, *slot))) for slot in (*first, *second)[:AHEAD]),
        done=len(slots) - len(first) - len(second),
        skipped=len(second),
        of=len(slots),
        repeats=sum(occurrence for _, occurrence in slots),
        seconds=_pace(mine),
        history=_history(book, mine) if history else (),
        agreement=_agreement(book, name),
    )


def _uid(book: Ledger, key: Key) -> str:
    """Of what was decided where a slot was skipped."""
    decision = book.current.get(key)
    return decision.uid if decision else ""


def _free_slots(slots: Sequence[Slot], book: Ledger, name: str) -> list[Slot]:
    """Slots less those of features that somebody else has decided, and this person has not."""
    decided = (d for d in book.current.values() if d.action != "skip")
    others = {decision.feature for decision in decided if decision.person != name}
    others -= {decision.feature for decision in book.current_of(name)}
    return [slot for slot in slots if slot[0] not in others] if others else list(slots)


def _skipped_slots(slots: Sequence[Slot], book: Ledger, name: str) -> list[Slot]:
    """Slots that were skipped and get a second chance, the first skipped first."""
    skipped = [slot for slot in slots if (name, *slot) in book.current]
    repeated_slots = [slot for slot in skipped if not book.is_settled((name, *slot))]
    return sorted(repeated_slots, key=lambda slot: book.current[name, *slot].made)


def _pace(decisions: Sequence[Decision]) -> float | None:
    """Median seconds of the last decisions; of a few it would say nothing."""
    seconds = [decision.seconds for decision in decisions if decision.seconds > 0]
    return float(median(seconds[-RECENT:])) if len(seconds) >= ENOUGH else None


def _history(book: Ledger, mine: Sequence[Decision]) -> tuple[tuple[Decision, bool], ...]:
    """The decisions heard of last, in the order in which they were made."""
    last = sorted(mine[-HISTORY:], key=lambda decision: decision.made)
    return tuple((decision, decision.uid in book.undone) for decision in last)


def pairs(book: Ledger, name: str) -> list[tuple[Decision, Decision]]:
    """A person's first and second decision on the same feature; skipped ones left out."""
    twice = []
    for decision in book.current_of(name):
        first = book.current.get((name, decision.feature, 0)) if decision.occurrence else None
        if first and "skip" not in (first.action, decision.action):
            twice.append((first, decision))
    return twice


def _agreement(book: Ledger, name: str) -> RepeatAgreement:
    """How often the second decision was the first one's, with Wilson's interval."""
    both = pairs(book, name)
    same = sum(a.action == b.action and _plain(a) == _plain(b) for a, b in both)
    low, high = wilson(same, len(both))
    return RepeatAgreement(len(both), same, float(low), float(high))


def _plain(decision: Decision) -> str:
    return " ".join(decision.label.casefold().split())


# ---------------------------------------------------------------- what is shown of a feature


@lookup
def queue_items(study: Study, features: Sequence[int]) -> list[QueueItem]:
    """What labels are to be made from: the strongest examples, and some of the whole range."""
    index = feature_index(study)
    return [_item(index, number) for number in features]


def _item(index: FeatureIndex, number: int) -> QueueItem:
    column = index.column(number)
    top = examples.top(column, index.tokens, EACH)
    sample = examples.random_active(column, index.tokens, 2 * EACH)
    strongest = set(top.tokens.tolist())
    more = [row for row in sample.tokens.tolist() if row not in strongest][:EACH]
    return QueueItem(
        feature=number,
        contexts=top.population,
        maximum=float(column.values.max()) if len(column.values) else 0.0,
        strongest=tuple(_example(index, column, row) for row in top.tokens.tolist()),
        drawn=tuple(_example(index, column, row) for row in more),
    )


def _example(index: FeatureIndex, column: codes.Column, row: int) -> Example:
    """The tokens around a peak, within its context."""
    tokens = index.tokens
    begin, end = tokens.context_span(row)
    first, last = max(begin, row - SIDE), min(end, row + SIDE + 1)
    values = column.dense(first, last)
    passage = passages.passage(tokens, first, last, row, values)
    return Example(row, float(values[row - first]), passage)


@lookup
def queue_hints(study: Study, feature: int) -> tuple[Hint, ...]:
    """What methods call a feature, and what a verbalizer says at its peaks, as far as known."""
    labels = single_labels.labels.part(study, LabelRequest(feature))
    hints = [
        Hint(row["method"], row["text"])
        for row in labels.labels.filter(pl.col("text") != "").iter_rows(named=True)
    ]
    texts = map(str.strip, labels.verbalizations["real"])
    hints += [Hint("verbalizer", text) for text in dict.fromkeys(texts) if text]
    return tuple(hints[:HINTS])
