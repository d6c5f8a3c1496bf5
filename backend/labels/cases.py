"""Questions as a text that a base model continues: cases with their labels, then the one at hand.

A writer that follows no instructions has only the form to go by. So cases are short and alike, what
they share stands on a line of its own right before the cue, and excerpts are cut to what is near
the peak: a small model loses the thread of longer ones. It tells what words have in common better
than it tells why, and it likes to answer with a word that it has just read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from backend.labels import prompts
from backend.labels.contract import Excerpt

AROUND = 10  # tokens on either side of the peak
TEXT_WORDS = 30  # of what a verbalizer said

MARKS_CUE = "What the marked words have in common:"
LIST_CUE = "What the lists are about:"
TEXTS_CUE = "What the descriptions have in common:"

# in the manner of the corpus: lines begin and end anywhere
EXCERPTS = (
    (
        "verbs of moving on foot",
        "In the rain he<< walked>> to the station",
        "the boys<< ran>> down the hill and",
        "at dusk a fox<< crept>> along the wall",
    ),
    (
        "places where people meet",
        "they drank in the<< pub>> until late",
        "at the<< market>> she met",
        "the<< library>> was full of",
    ),
    (
        "days of the week",
        "The ferry sails on<< Tuesday>> and comes back",
        "closed every<< Sunday>> in winter, open",
        "due by<< Friday>> noon, said the clerk",
    ),
    (
        'the word "nor"',
        "neither warm<< nor>> dry, and the",
        "it did not rain<< nor>> snow that",
        "he has no house,<< nor>> does he want",
    ),
)
LISTS = (  # strongest tokens, those that follow, those made more likely
    ("days of the week", "Tuesday, Sunday, Friday", "and, in, noon", "morning, night, evening"),
    ('say "cent"', "per, per, per", "cent, cent, month", "cent, annum, capita"),
    ("verbs of moving on foot", "walked, ran, crept", "to, down, along", "away, past, towards"),
    ('the word "nor"', "nor, nor, Nor", "dry, snow, does", "did, does, any"),
)
VERBALIZATIONS = (
    (
        "days of the week",
        "the day after Monday",
        "a day when shops are closed",
        "the end of a week",
    ),
    ("verbs of moving on foot", "to go slowly", "he went without a sound", "what runners do"),
    ("sums of money", "what a ticket costs", "pounds and pence", "three dollars"),
)


# ---------------------------------------------------------------- questions


def of_excerpts(excerpts: Sequence[Excerpt]) -> str:
    """What is near each peak, with marks, and the marked words once more."""
    cut = [near(one) for one in excerpts]
    lines = [prompts.marked(one).strip() for one in cut]
    head = "In each group of texts, the words between << and >> have something in common."
    cases = [_excerpts(texts, MARKS.findall(" ".join(texts)), label) for label, *texts in EXCERPTS]
    return "\n\n".join([head, *cases, _excerpts(lines, [w for one in cut for w in runs(one)])])


def _excerpts(lines: Sequence[str], words: Sequence[str], label: str = "") -> str:
    listing = ", ".join(word for word in map(str.strip, words) if word)
    return _case([*(f"- {line}" for line in lines), f"Marked words: {listing}"], MARKS_CUE, label)


def of_lists(peaks: Sequence[str], after: Sequence[str], promoted: Sequence[str]) -> str:
    """Strongest tokens, those that follow and those made more likely; no excerpts."""
    lists = [_joined(pieces) for pieces in (peaks, after, promoted)]
    names = ("Strongest", "Then", "More likely")
    return "\n\n".join(
        _case([f"{name}: {one}" for name, one in zip(names, some, strict=True)], LIST_CUE, label)
        for label, *some in (*LISTS, ("", *lists))
    )


def of_verbalizations(texts: Sequence[tuple[str, int]]) -> str:
    """Each text on one line, `TEXT_WORDS` of it; the strongest come first, which has to do."""
    lines = [" ".join(prompts.visible(text).split()[:TEXT_WORDS]) for text, _ in texts]
    return "\n\n".join(
        _case([f"- {line}" for line in some], TEXTS_CUE, label)
        for label, *some in (*VERBALIZATIONS, ("", *lines))
    )


def _case(lines: Sequence[str], cue: str, label: str) -> str:
    return "\n".join([*lines, f"{cue} {label}".strip()])


# ---------------------------------------------------------------- how text is shown

MARKS = re.compile("<<(.*?)>>")


def near(excerpt: Excerpt) -> Excerpt:
    """The excerpt within `AROUND` tokens of its peak."""
    first, last = max(0, excerpt.peak - AROUND), excerpt.peak + AROUND + 1
    pieces, values = excerpt.pieces[first:last], excerpt.values[first:last]
    return replace(excerpt, pieces=pieces, values=values, peak=excerpt.peak - first)


def runs(excerpt: Excerpt) -> list[str]:
    """The runs of strong tokens, as `prompts.marked` marks them."""
    return [text for is_strong, text in prompts.runs(excerpt) if is_strong]


def _joined(pieces: Sequence[str]) -> str:
    return ", ".join(text for piece in pieces if (text := prompts.visible(piece).strip()))
