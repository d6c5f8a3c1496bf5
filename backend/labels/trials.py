"""Trials: what a judge is asked about a label, and what is true of it.

Excerpts are held out, as many positives as negatives, and shuffled. In fuzzing the marks on
negatives must not tell them from positives by themselves, nor may the place of a cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, groupby
from typing import Literal

import numpy as np

from backend.labels.contract import Evidence, Excerpt
from backend.labels.judges import Question, Task

Marks = Literal["matched", "post"]
SHARE = 0.3  # of an excerpt's own maximum, from which a token is marked


Cut = tuple[Sequence[str], np.ndarray]  # tokens, and activations of the feature that fires there


@dataclass(frozen=True)
class Trial:
    """A label's test: a question in shuffled order, and what is true of its texts."""

    evidence: Evidence
    method: str  # the explainer whose label it is
    scorer: str
    setting: str  # marks and window
    question: Question
    truth: tuple[int, ...]  # 1: the feature fires in that text
    shown: tuple[Cut, ...]  # tokens of each text, and activations of what fires there


def trial(
    task: Task,
    label: str,
    evidence: Evidence,
    method: str,
    *,
    marks: Marks = "matched",
    window: int | None = None,
) -> Trial:
    """A question on as many positives as negatives, shuffled by the evidence's seed: the same
    excerpts in the same order for all labels of a feature, so that labels can be compared.

    `window` cuts excerpts to so many tokens on either side (None: whole), `marks` says which
    tokens of negatives fuzzing marks: `matched`, or `post`, where their own features fire.

    Raises:
        ValueError: parts of the evidence share a context, or `post` has nothing to mark.
    """
    held_out(evidence)
    rng = np.random.default_rng([evidence.seed, evidence.feature])
    foreign = marks == "post" and task == "fuzzing"
    positives, negatives = _even(evidence, rng, window, foreign)
    setting = "whole contexts" if window is None else f"window {window}"
    if task == "fuzzing":
        texts = _fuzzed(positives, negatives, marks, rng)
        setting = f"{marks} marks, {setting}"
    else:
        texts = ["".join(pieces) for pieces, _ in positives + negatives]
    order = rng.permutation(len(texts))
    truth = tuple(int(at < len(positives)) for at in order)
    question = Question(task, label, tuple(texts[at] for at in order))
    shown = tuple((positives + negatives)[at] for at in order)
    return Trial(evidence, method, task, setting, question, truth, shown)


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
    places = rng.permutation([evidence.test[at].peak for at in tests]).tolist()
    if foreign:
        places = [int(np.argmax(evidence.foreign[at])) for at in others]
    shown = [evidence.test[at] for at in tests]
    positives = [cut(each.pieces, each.values, each.peak, window) for each in shown]
    negatives = [
        cut(evidence.negatives[at].pieces, evidence.foreign[at], place, window)
        for at, place in zip(others, places, strict=True)
    ]
    return positives, negatives


# ---------------------------------------------------------------- marks


def _fuzzed(
    positives: Sequence[Cut], negatives: Sequence[Cut], marks: Marks, rng: np.random.Generator
) -> list[str]:
    own = [fired(values) for _, values in positives]
    if marks == "matched":
        others = matched(own, [len(p) for p, _ in positives], [len(p) for p, _ in negatives], rng)
    else:
        others = [fired(values) for _, values in negatives]
        if not all(others):
            raise ValueError("a negative in which no other feature fires: use matched marks")
    both = zip([*positives, *negatives], [*own, *others], strict=True)
    return [mark(pieces, at) for (pieces, _), at in both]


def fired(values: np.ndarray) -> list[int]:
    """Indices of tokens with at least 0.3 of the excerpt's own maximum."""
    return np.flatnonzero((values > 0) & (values >= SHARE * values.max(initial=0))).tolist()


def matched(
    marks: Sequence[Sequence[int]],
    lengths: Sequence[int],
    others: Sequence[int],
    rng: np.random.Generator,
) -> list[list[int]]:
    """Marks for negatives of `others` tokens: each takes the pattern of a positive, drawn at random
    without repeats, so that number, runs and places are spread as among positives. Where lengths
    differ, the pattern starts in proportion."""
    found = []
    for donor, length in zip(rng.permutation(len(marks)), others, strict=True):
        pattern = np.asarray(marks[donor])
        start, extent = pattern[0], pattern[-1] - pattern[0] + 1
        spare, room = lengths[donor] - extent, length - extent
        if room >= 0:
            pattern = pattern - start + (round(start * room / spare) if spare else 0)
        else:  # wider than the negative: pressed together
            pattern = np.unique(pattern * length // lengths[donor])
        found.append(pattern.tolist())
    return found


def unmarked(pieces: Sequence[str]) -> list[str]:
    """The pieces, with angle brackets exchanged for single quotation marks (‹ ›) where the text
    holds a << or >> of its own, which would read as a mark."""
    text = "".join(pieces)
    if "<<" not in text and ">>" not in text:
        return list(pieces)
    return [piece.replace("<", "‹").replace(">", "›") for piece in pieces]


def mark(pieces: Sequence[str], at: Sequence[int]) -> str:
    """The text with << >> around each run of the tokens at these indices; a run's leading blanks
    stay outside. Without the marks it is the text of `unmarked`."""
    chosen, parts = set(at), []
    numbered = enumerate(unmarked(pieces))
    for inside, run in groupby(numbered, key=lambda pair: pair[0] in chosen):
        text = "".join(piece for _, piece in run)
        word = text.lstrip() or text
        blank = text[: len(text) - len(word)]
        parts.append(f"{blank}<<{word}>>" if inside else text)
    return "".join(parts)
