"""Trials: what a judge is asked about a label, and what is true of it.

Excerpts are held out, as many positives as negatives, and shuffled. The place of a cut must not
tell negatives from positives by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from backend.labels.contract import Evidence, Excerpt
from backend.labels.judges import Question
from backend.labels.kinds import SCORERS
from backend.labels.kinds.base import Cut

Marks = Literal["matched", "post"]


@dataclass(frozen=True)
class Trial:
    """A label's test: a question in shuffled order, and what is true of its texts."""

    evidence: Evidence
    scorer: str
    setting: str  # marks and window
    question: Question
    truth: tuple[int, ...]  # 1: the feature fires in that text
    cuts: tuple[Cut, ...]  # tokens of each text, and activations of what fires there


def trial(
    scorer: str,
    label: str,
    evidence: Evidence,
    *,
    marks: Marks = "matched",
    window: int | None = None,
) -> Trial:
    """A question on as many positives as negatives, shuffled by the evidence's seed: the same
    excerpts in the same order for all labels of a feature, so that labels can be compared.

    `window` cuts excerpts to so many tokens on either side (None: whole), `marks` says which
    tokens of negatives are marked: `matched`, or `post`, where their own features fire.

    Raises:
        ValueError: parts of the evidence share a context, or `post` has nothing to mark.
    """
    held_out(evidence)
    rng = np.random.default_rng([evidence.seed, evidence.feature])
    kind = SCORERS[scorer]
    foreign = marks == "post" and kind.has_marks
    positives, negatives = _even(evidence, rng, window, foreign)
    setting = "whole contexts" if window is None else f"window {window}"
    texts = kind.texts(positives, negatives, marks, rng)
    if kind.has_marks:
        setting = f"{marks} marks, {setting}"
    order = rng.permutation(len(texts))
    truth = tuple(int(place < len(positives)) for place in order)
    question = Question(scorer, label, tuple(texts[place] for place in order))
    cuts = tuple((positives + negatives)[place] for place in order)
    return Trial(evidence, scorer, setting, question, truth, cuts)


def held_out(evidence: Evidence) -> None:
    """Train, test and negatives share no token of the corpus.

    Raises:
        ValueError: they do; a score on such evidence would flatter the label.
    """
    parts = {"train": evidence.train, "test": evidence.test, "negatives": evidence.negatives}
    for (one, left), (other, right) in combinations(parts.items(), 2):
        spans = [_rows(excerpt) for excerpt in left]
        for first, last in map(_rows, right):
            if any(first < end and begin < last for begin, end in spans):
                raise ValueError(f"feature {evidence.feature}: {one} and {other} share a context")


def _rows(excerpt: Excerpt) -> tuple[int, int]:
    first = excerpt.row - max(excerpt.peak, 0)
    return first, first + len(excerpt.pieces)


# ---------------------------------------------------------------- what of an excerpt is shown


def cut(pieces: Sequence[str], values: Sequence[float], place: int, window: int | None) -> Cut:
    """Up to 2 · window + 1 tokens around a place; at an edge as many, from there."""
    length = len(pieces)
    size = length if window is None else min(length, 2 * window + 1)
    first = min(max(0, place - (window or 0)), length - size)
    return pieces[first : first + size], np.asarray(values[first : first + size])


def _even(
    evidence: Evidence, rng: np.random.Generator, window: int | None, foreign: bool
) -> tuple[list[Cut], list[Cut]]:
    """As many positives as negatives. Negatives are cut where positives peak, since a place of
    their own would tell them apart; with `foreign`, where their own feature does."""
    count = min(len(evidence.test), len(evidence.negatives))
    tests, others = (
        np.sort(rng.choice(len(part), count, replace=False)).tolist() if len(part) else []
        for part in (evidence.test, evidence.negatives)
    )
    places = rng.permutation([evidence.test[number].peak for number in tests]).tolist()
    if foreign:
        places = [int(np.argmax(evidence.foreign[number])) for number in others]
    excerpts = [evidence.test[number] for number in tests]
    positives = [cut(each.pieces, each.values, each.peak, window) for each in excerpts]
    negatives = [
        cut(evidence.negatives[number].pieces, evidence.foreign[number], place, window)
        for number, place in zip(others, places, strict=True)
    ]
    return positives, negatives
