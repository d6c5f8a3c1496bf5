"""The ways to score labels, in the order in which they are shown: a file and a line for each."""

from __future__ import annotations

from backend.labels.kinds.base import Scorer
from backend.labels.kinds.detection import DETECTION
from backend.labels.kinds.embedding import EMBEDDING
from backend.labels.kinds.fuzzing import FUZZING

SCORERS: dict[str, Scorer] = {
    each.name: each
    for each in (
        DETECTION,
        FUZZING,
        EMBEDDING,
    )
}
