"""What pages ask about labels, and what they call scores. It imports nothing that is heavy."""

from __future__ import annotations

from dataclasses import dataclass

from backend.labels.kinds import SCORERS

RANKED = "_auroc"  # ends the name of a scorer's second number


@dataclass(frozen=True)
class LabelRequest:
    """Which feature or region (`kind`) is labelled, a region at the stop of `p` and `k`; how its
    excerpts are drawn (`split`, `negatives`, `seed`), and `who` writes and judges."""

    number: int
    kind: str = "feature"
    p: float | None = None
    k: float | None = None
    split: str = "range"
    negatives: str = "other"
    seed: int = 0
    who: str = "own"


def scorer_names() -> list[str]:
    """All ways to score labels."""
    return list(SCORERS)


def judged_names() -> list[str]:
    """Those by which a model is asked."""
    return [name for name, scorer in SCORERS.items() if scorer.is_judged]


def base(score: str) -> str:
    """The scorer that a number is of."""
    return score.removesuffix(RANKED)


def measure(score: str) -> str:
    """What a number is: balanced accuracy, AUROC or gap."""
    return "AUROC" if score.endswith(RANKED) else SCORERS[score].measure


def title(score: str) -> str:
    """A number as it heads a column."""
    return f"{base(score)} {measure(score)}"
