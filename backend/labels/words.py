"""What pages ask about labels, and what they call scores. It imports nothing that is heavy."""

from __future__ import annotations

import re
from dataclasses import dataclass

from backend.labels.kinds import SCORERS

STOP_WORDS = frozenset(
    "a about after again all also am an and any are as at be because been before being but by can "
    "could did do does for from had has have he her here him his how i if in into is it its just "
    "like me more most my no not now of on one only or other our out over said she should so some "
    "such than that the their them then there these they this those to two up us was we were what "
    "when where which while who will with would you your".split()
)
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


QUOTED = re.compile('(token|after|say|text with) "(.*)"', re.DOTALL)  # a label by counting
PLACES = {"token": "", "after": "after ", "say": "before ", "text with": "near "}
SPACES = frozenset("␠⏎↵⇥·␍␉")  # signs of white space


def mark_named(label: str) -> str:
    """What a label names where that is no word and no number: "white space" or "punctuation" (and
    any other signs); "" where it names something."""
    quoted = QUOTED.fullmatch(label)
    piece = (quoted[2] if quoted else label).strip()
    if any(character.isalnum() for character in piece):
        return ""
    return "white space" if SPACES.issuperset(piece) else "punctuation"


def mark_words(label: str) -> tuple[str, str]:
    """A label by counting that names no word, in words, and the signs that it names; two empty
    texts where it names something, or was not counted."""
    quoted, named = QUOTED.fullmatch(label), mark_named(label)
    if not quoted or not named:
        return "", ""
    return f"most often {PLACES[quoted[1]]}{named}", quoted[2]


def says_something(text: str) -> bool:
    """Whether a word tells a reader what it is about: not a function word, digits or a letter."""
    letters = [character for character in text if character.isalpha()]
    # a sign of a script without an alphabet is a word
    is_word = len(letters) > 2 or any(ord(letter) > 0x2E7F for letter in letters)
    return is_word and text.strip().casefold() not in STOP_WORDS
