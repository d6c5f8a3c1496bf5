"""Fuzzing: are the marked tokens what a label describes? Paulo et al. (arXiv 2410.13928).

The marks on negatives must not tell them from positives by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from backend.labels.kinds.base import Cut, Scorer

SHARE = 0.3  # of an excerpt's own maximum, from which a token is marked


def fuzzed_texts(
    positives: Sequence[Cut], negatives: Sequence[Cut], marks: str, rng: np.random.Generator
) -> list[str]:
    """Excerpts with marks: of negatives `matched` to those of positives, or as in the `post`,
    where their own features fire.

    Raises:
        ValueError: `post` has nothing to mark.
    """
    own = [fired(values) for _, values in positives]
    if marks == "matched":
        others = matched(own, [len(p) for p, _ in positives], [len(p) for p, _ in negatives], rng)
    else:
        others = [fired(values) for _, values in negatives]
        if not all(others):
            raise ValueError("a negative in which no other feature fires: use matched marks")
    both = zip([*positives, *negatives], [*own, *others], strict=True)
    return [mark(pieces, places) for (pieces, _), places in both]


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
    patterns = []
    for donor, length in zip(rng.permutation(len(marks)), others, strict=True):
        pattern = np.asarray(marks[donor])
        start, extent = pattern[0], pattern[-1] - pattern[0] + 1
        spare, room = lengths[donor] - extent, length - extent
        if room >= 0:
            pattern = pattern - start + (round(start * room / spare) if spare else 0)
        else:  # wider than the negative: pressed together
            pattern = np.unique(pattern * length // lengths[donor])
        patterns.append(pattern.tolist())
    return patterns


def unmarked(pieces: Sequence[str]) -> list[str]:
    """The pieces, with angle brackets exchanged for single quotation marks (‹ ›) where the text
    holds a << or >> of its own, which would read as a mark."""
    text = "".join(pieces)
    if "<<" not in text and ">>" not in text:
        return list(pieces)
    return [piece.replace("<", "‹").replace(">", "›") for piece in pieces]


def mark(pieces: Sequence[str], places: Sequence[int]) -> str:
    """The text with << >> around each run of the tokens at these indices; a run's leading blanks
    stay outside. Without the marks it is the text of `unmarked`."""
    marked, parts = set(places), []
    numbered = enumerate(unmarked(pieces))
    for inside, run in groupby(numbered, key=lambda pair: pair[0] in marked):
        text = "".join(piece for _, piece in run)
        word = text.lstrip() or text
        blank = text[: len(text) - len(word)]
        parts.append(f"{blank}<<{word}>>" if inside else text)
    return "".join(parts)


FUZZING = Scorer(
    name="fuzzing",
    measure="balanced accuracy",
    duty=(
        "You are given a description of something that occurs in text, and numbered excerpts in "
        "which some words are marked << like this >>. For each excerpt decide on its own: 1 if "
        "the marked words are where the described thing occurs, 0 if the marks stand elsewhere, "
        "even if the described thing occurs in the excerpt. Any number of them may fit, none and "
        "all included."
    ),
    cue="The marked words are:",
    shots=(
        ("We meet again on <<Thursday>> at noon.", "days of the week"),
        ("<<Fog>> hung over the valley until ten.", "weather"),
        ("It was neither warm <<nor>> dry.", 'the word "nor"'),
    ),
    texts=fuzzed_texts,
    has_marks=True,
)
