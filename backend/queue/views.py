"""What the queue shows: which features are next, what labels are made from, how steady they are."""

from __future__ import annotations

from dataclasses import dataclass

from backend.annotations.views import Decision
from backend.features.views import Example


@dataclass(frozen=True)
class RepeatAgreement:
    """How many of the features that a person decided twice got the same both times."""

    pairs: int
    same: int
    low: float  # Wilson's 95% interval of the share
    high: float


@dataclass(frozen=True)
class Queue:
    """What a person is to label next, and how far they are."""

    # feature, occurrence of those ahead; uid of its decision where it was skipped and comes again
    slots: tuple[tuple[int, int, str], ...]
    done: int
    skipped: int  # that come again at the end
    of: int
    repeats: int  # of these
    seconds: float | None  # median of the last decisions
    history: tuple[tuple[Decision, bool], ...]  # the last decisions, and whether undone
    agreement: RepeatAgreement


@dataclass(frozen=True)
class Agreement:
    """Cosine of the labels that a person gave to the same feature twice, and, as a null, of labels
    of different features; None where there are none."""

    pairs: int
    mean: float | None
    low: float | None  # 95% interval of the mean
    high: float | None
    null: float | None
    null_low: float | None  # 5th and 95th percentile
    null_high: float | None


@dataclass(frozen=True)
class QueueItem:
    """What a label is to be made from."""

    feature: int
    contexts: int  # in which it fires
    maximum: float
    strongest: tuple[Example, ...]
    drawn: tuple[Example, ...]  # at random of the others


@dataclass(frozen=True)
class Hint:
    """What a method calls a feature."""

    method: str
    text: str
