"""How words of excerpts are compared and counted."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from backend.labels.contract import Excerpt
from backend.labels.prompts import visible
from backend.labels.words import STOP_WORDS
from backend.statistics.intervals import wilson

_SUFFIXES = tuple(
    (re.compile(suffix), instead)
    for suffix, instead in (
        ("ie[sd]$", "y"),
        ("(?<=ss|ch|sh)es$", ""),
        ("(?<=x)es$", ""),
        ("(?<![siu])s$", ""),
        ("(?<!e)ed$", ""),
        ("ing$", ""),
    )
)


@functools.lru_cache(maxsize=10_000)
def stem(word: str) -> str:
    """What simple English inflections of a word have in common; other words as they are.

    The first that leaves three letters with a vowel: -ies/-ied to -y; -es after ss, x, ch, sh;
    -s not after s, i, u; -ed not after e; -ing. Then, with four letters left, a last -e goes, and
    with three left, a doubled last consonant is halved. Irregular and short words stay apart.

    snowballstemmer folds derivations too (operate, operation), which are other words in a label.
    """
    if not re.fullmatch("[a-z]+", word):
        return word
    for suffix, instead in _SUFFIXES:
        short = suffix.sub(instead, word)
        if short != word and len(short) >= 3 and re.search("[aeiouy]", short):
            word = short
            break
    word = re.sub("(?<=.{3}[^e])e$", "", word)
    return re.sub(r"(?<=.{2})([^aeiou])\1$", r"\1", word)


@dataclass(frozen=True)
class Count:
    """How many of some words share the commonest stem; `word` is its commonest form."""

    word: str
    count: int
    total: int

    @property
    def share(self) -> float:
        return self.count / self.total if self.total else 0.0

    def __str__(self) -> str:
        low, high = wilson(self.count, self.total)
        interval = f"95% interval {low:.0%} to {high:.0%}"
        return f"{self.count} of {self.total} ({self.share:.0%}; {interval})"


def commonest(pieces: Sequence[str]) -> Count:
    """The stem that most pieces share, of equals the first met; empty pieces share nothing, but
    count among all."""
    # a token of nothing but whitespace is shown by signs
    plain = (visible(p.strip()).casefold() or visible(p).replace(" ", "␠") for p in pieces)
    words = [word for word in plain if word]
    stems = Counter(map(stem, words)).most_common(1)
    if not stems:
        return Count("", 0, len(pieces))
    best, count = stems[0]
    forms = Counter(word for word in words if stem(word) == best)
    return Count(forms.most_common(1)[0][0], count, len(pieces))


def at_peak(excerpts: Sequence[Excerpt], offset: int) -> list[str]:
    """The piece `offset` tokens from each peak, empty beyond the excerpt's edge."""
    return [dict(enumerate(one.pieces)).get(one.peak + offset, "") for one in excerpts]


def commonest_word(excerpts: Sequence[Excerpt]) -> Count:
    """The stem of a word, no stop word, that is found in most excerpts; of equals the first met."""
    words: list[str] = []
    for one in excerpts:
        words_there = re.findall(r"[^\W\d_]{2,}", one.text.casefold())
        words += {stem(word): word for word in words_there if word not in STOP_WORDS}.values()
    best = commonest(words)
    return Count(best.word, best.count, len(excerpts))
