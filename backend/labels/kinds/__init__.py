"""The ways to score labels, in the order in which they are shown: a file and a line for each."""

from __future__ import annotations

from backend.labels.kinds.base import Scorer
from backend.labels.kinds.detection import DETECTION
from backend.labels.kinds.embedding import EMBEDDING
from backend.labels.kinds.fuzzing import FUZZING


def by_name(*scorers: Scorer) -> dict[str, Scorer]:
    """Scorers by their names.

    Raises:
        ValueError: two of one name, or one that could not be computed.
    """
    names = [each.name for each in scorers]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two scorers are named {', '.join(sorted(twice))}")
    if idle := [each.name for each in scorers if not each.is_judged and each != EMBEDDING]:
        raise ValueError(f"{', '.join(idle)} has no `duty`: a judge would be told nothing")
    return dict(zip(names, scorers, strict=True))


SCORERS = by_name(
    DETECTION,
    FUZZING,
    EMBEDDING,
)
