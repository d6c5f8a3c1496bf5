"""Sentences, words and forms of words, by rules of English that need no dictionary."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

SHORTEST, LONGEST = 6, 40  # words of a sentence
END = re.compile(
    r"(?<!\bMr\.)(?<!\bMrs\.)(?<!\bDr\.)(?<=[.!?])[\"'”’)]*\s+(?=[\"'“‘(]*[A-Z0-9])|\n+"
)
WORD = re.compile(r"[^\W_]+(?:[’'-][^\W_]+)*")
IRREGULAR = """\
be am is are was were been being|become became|begin began begun|break broke broken|build built
bring brought|buy bought|choose chose chosen|come came|do did done does|draw drew drawn
drive drove driven|eat ate eaten|fall fell fallen|feel felt|find found|get got gotten
give gave given|go went gone|grow grew grown|have had has|hear heard|keep kept|know knew known
leave left|lose lost|make made|meet met|pay paid|say said|see saw seen|sell sold|send sent
sing sang sung|sit sat|spend spent|speak spoke spoken|stand stood|steal stole stolen
take took taken|teach taught|tell told|think thought|understand understood|win won
write wrote written|man men|woman women|child children|foot feet|tooth teeth|mouse mice
wife wives|life lives|knife knives|leaf leaves|bad worse worst|good better best"""
FORMS = {
    forms[0]: set(forms[1:])
    for line in IRREGULAR.splitlines()
    for forms in (part.split() for part in line.split("|"))
}


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text that are neither too short nor too long, by their words."""
    for part in END.split(text):
        if SHORTEST <= len(WORD.findall(part)) <= LONGEST:
            yield part.strip()


def words_of(text: str) -> list[str]:
    """The words of a text, case folded; a part of a hyphenated word is none."""
    return WORD.findall(text.casefold())


def inflections(word: str) -> Callable[[str], bool]:
    """Whether a word is a form of another: itself with a regular ending, one of the commonest
    irregular forms, or whatever begins with it, where it has four letters or more."""
    stem = word[:-1] if word[-1] in "ey" else word
    endings = ("", "s", "es", "d", "ed", "er", "est", "ing", "ly")
    regular = {word + ending for ending in endings} | {f"{word}'s", f"{word}’s"}
    regular |= {word + word[-1] + ending for ending in ("ed", "ing", "er", "est")}
    regular |= {stem + ending for ending in ("ies", "ied", "ier", "iest", "ily", "ing")}
    regular |= FORMS.get(word, set())
    return lambda other: other in regular or (len(word) > 3 and other.startswith(word))
