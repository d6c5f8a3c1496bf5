"""Decisions of people, and what became of those that were sent or imported."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Decision:
    """What a person decided about a feature; `occurrence` 1 is an unannounced repeat."""

    person: str
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
    made: float  # Unix seconds
    uid: str
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
