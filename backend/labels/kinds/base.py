"""What a way to score labels is: one object of one file, which names it everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

Cut = tuple[Sequence[str], np.ndarray]  # tokens, and activations of the feature that fires there
# positives, negatives, marks and a generator -> their texts, in this order
Texts = Callable[[Sequence[Cut], Sequence[Cut], str, np.random.Generator], list[str]]


def plain_texts(
    positives: Sequence[Cut], negatives: Sequence[Cut], _: str, __: np.random.Generator
) -> list[str]:
    """Excerpts as they are."""
    return ["".join(pieces) for pieces, _ in (*positives, *negatives)]


@dataclass(frozen=True)
class Scorer:
    """A way to score labels on held-out excerpts; one without a `duty` asks no judge."""

    name: str
    measure: str  # what its number is, on screen
    duty: str = ""  # what a judge that writes is told
    cue: str = ""  # after a text, where a judge that predicts expects its label
    shots: tuple[tuple[str, str], ...] = ()  # text and label: cases that such a judge is shown
    texts: Texts = plain_texts
    has_marks: bool = False  # tokens of the excerpts are marked

    @property
    def is_judged(self) -> bool:
        return bool(self.duty)
