"""What people are asked, and what they said."""

from __future__ import annotations

from dataclasses import dataclass

from backend.features.views import Example


@dataclass(frozen=True)
class Task:
    """A label to judge excerpts by, blind; `item` is empty where a round is done."""

    item: str
    label: str
    texts: tuple[str, ...]
    done: int
    of: int


@dataclass(frozen=True)
class Guess:
    """A text up to a token, and two texts of which one was said of the activation there."""

    item: str
    context: str
    texts: tuple[str, str]
    done: int
    of: int


@dataclass(frozen=True)
class Decision:
    """What a person decided about a feature; `occurrence` 1 is an unannounced repeat."""

    uid: str
    person: str
    made: float  # Unix seconds
    feature: int
    occurrence: int
    action: str  # label, none (no label fits) or skip
    label: str
    tags: tuple[str, ...]
    confidence: str  # low, middle, high, or empty
    notes: str
    evidence: tuple[str, ...]  # texts that were tried
    flagged: bool
    hinted: bool  # hints had been looked at
    seconds: float  # that it took
    old: str  # uid of the decision it replaces, or empty


@dataclass(frozen=True)
class DecisionReceipt:
    """What became of decisions that were sent: uids that are on disk now, and reasons by uid."""

    kept: tuple[str, ...]
    refused: dict[str, str]


@dataclass(frozen=True)
class DecisionImport:
    """What became of a file of decisions: how many were kept, how many were known, and what is
    wrong with the others; `notes` say how some of the rest were understood."""

    kept: int
    known: int
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()


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
