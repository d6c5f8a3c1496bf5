"""Prompts of the four tasks in words, drawn at random."""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

MOST = 12  # words that are values of an attribute: more leave too few prompts to each
Words = dict[str, list[str]]
Templates = tuple[str, ...]


@dataclass(frozen=True)
class Draft:
    """A prompt in words: what fills the template, which placeholder a role is, the value of each
    attribute, and two words that may follow."""

    template: str
    fills: dict[str, str]
    roles: dict[str, str]
    attributes: tuple[str, ...]
    pair: tuple[str, str]


def write_prompt(draft: Draft) -> tuple[str, dict[str, tuple[int, int]]]:
    """The text, and where each placeholder's word begins and ends in it."""
    text, spans = "", {}
    for literal, name, _, _ in string.Formatter().parse(draft.template):
        text += literal
        if name:
            spans[name] = (len(text), len(text) + len(draft.fills[name]))
            text += draft.fills[name]
    return text, spans


def _ioi(rng: np.random.Generator, words: Words, templates: Templates) -> Iterator[list[Draft]]:
    names = words["names"][:MOST]

    def draft(template: str, io: str, s: str, first: str, pair: tuple[str, str]) -> Draft:
        a, b = (io, s) if first == "ABB" else (s, io)
        roles = {"IO": "A" if a == io else "B", "S1": "A" if a == s else "B", "S2": "S"}
        return Draft(template, {"A": a, "B": b, "S": s}, roles, (io, s, first), pair)

    while True:
        template, first = str(rng.choice(templates)), str(rng.choice(["ABB", "BAB"]))
        io, s, x, y = (str(name) for name in rng.choice(names, 4, replace=False))
        other = "BAB" if first == "ABB" else "ABB"
        yield [
            draft(template, io, s, first, (io, s)),
            draft(template, s, io, first, (io, s)),
            draft(template, x, s, first, (io, x)),
            draft(template, io, y, first, (io, s)),
            draft(template, io, s, other, (io, s)),
        ]


def _induction(
    rng: np.random.Generator, words: Words, templates: Templates
) -> Iterator[list[Draft]]:
    keys, things = words["keys"], words["words"][:MOST]
    roles = {"first key": "K1", "first word": "V1", "second key": "K2", "second word": "V2"}

    def draft(template: str, fills: dict[str, str], queried: int, pair: tuple[str, str]) -> Draft:
        order = [fills["V1"], fills["V2"]]
        answer, other = order[queried], order[1 - queried]
        fills = fills | {"Q": fills["K1"] if queried == 0 else fills["K2"]}
        return Draft(template, fills, roles, (answer, other, ("first", "second")[queried]), pair)

    while True:
        template, queried = str(rng.choice(templates)), int(rng.integers(2))
        k1, k2 = (str(key) for key in rng.choice(keys, 2, replace=False))
        v1, v2, new = (str(thing) for thing in rng.choice(things, 3, replace=False))
        fills = {"K1": k1, "V1": v1, "K2": k2, "V2": v2}
        answer, other = (v1, v2) if queried == 0 else (v2, v1)
        yield [
            draft(template, fills, queried, (answer, other)),
            draft(template, fills, 1 - queried, (answer, other)),
            draft(template, fills | {f"V{queried + 1}": new}, queried, (answer, new)),
        ]


def _agreement(
    rng: np.random.Generator, words: Words, templates: Templates
) -> Iterator[list[Draft]]:
    nouns = words["nouns"]
    number, verbs = ("singular", "plural"), ("is", "are")

    def draft(template: str, s: str, m: str, plural: tuple[int, int], plural_verb: int) -> Draft:
        fills = {"N": s.split("/")[plural[0]], "M": m.split("/")[plural[1]]}
        values = number[plural[0]], number[plural[1]]
        roles = {"subject": "N", "attractor": "M"}
        return Draft(template, fills, roles, values, (verbs[plural_verb], verbs[1 - plural_verb]))

    while True:
        template = str(rng.choice(templates))
        s, m = (str(noun) for noun in rng.choice(nouns, 2, replace=False))
        one, other = (int(each) for each in rng.integers(2, size=2))
        yield [
            draft(template, s, m, (one, other), one),
            draft(template, s, m, (1 - one, other), one),
            draft(template, s, m, (one, 1 - other), one),
        ]


def _capital(rng: np.random.Generator, words: Words, templates: Templates) -> Iterator[list[Draft]]:
    countries = [each.split("/") for each in words["countries"]][: 2 * MOST]

    def draft(template: str, country: str, pair: tuple[str, str]) -> Draft:
        return Draft(template, {"C": country}, {"country": "C"}, (country,), pair)

    while True:
        template = str(rng.choice(templates))
        one, other = (countries[number] for number in rng.choice(len(countries), 2, replace=False))
        yield [draft(template, each[0], (one[1], other[1])) for each in (one, other)]


DRAW = {"ioi": _ioi, "induction": _induction, "agreement": _agreement, "capital": _capital}
