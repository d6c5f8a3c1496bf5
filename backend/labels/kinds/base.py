"""What a way to score labels is: one object of one file, which names it everywhere."""

from __future__ import annotations

import hashlib
import json
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
    """A way to score labels on held-out excerpts by asking a judge. The one without a `duty` asks
    none: it embeds labels and excerpts (`steps.embed_label`). Raise `version` when `texts` makes
    other texts: judgements are kept by `wording`."""

    name: str
    measure: str  # what its number is, on screen
    duty: str = ""  # what a judge that writes is told
    cue: str = ""  # after a text, where a judge that predicts expects its label
    shots: tuple[tuple[str, str], ...] = ()  # text and label: cases that such a judge is shown
    texts: Texts = plain_texts
    has_marks: bool = False  # tokens of the excerpts are marked
    version: int = 1

    @property
    def is_judged(self) -> bool:
        return bool(self.duty)

    @property
    def wording(self) -> str:
        """12 hex digits that name what a judge is told and shown."""
        parts = [self.version, self.duty, self.cue, self.shots]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
