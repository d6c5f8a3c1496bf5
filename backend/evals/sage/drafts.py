"""Prompts of the four tasks in words, drawn at random."""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

MOST = 12  # words that are values of an attribute: more leave too few prompts to each
Words = dict[str, list[str]]


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


def draw_prompts(
    task: str, rng: np.random.Generator, words: Words, templates: tuple[str, ...]
) -> Iterator[list[Draft]]:
    """Prompts without end, each with its counterfactuals after it."""
    while True:
        yield DRAW[task](rng, words, str(rng.choice(templates)))


def _ioi(rng: np.random.Generator, words: Words, template: str) -> list[Draft]:
    def draft(io: str, s: str, first: str, pair: tuple[str, str]) -> Draft:
        a, b = (io, s) if first == "ABB" else (s, io)
        roles = {"IO": "A" if a == io else "B", "S1": "A" if a == s else "B", "S2": "S"}
        return Draft(template, {"A": a, "B": b, "S": s}, roles, (io, s, first), pair)

    first = str(rng.choice(["ABB", "BAB"]))
    io, s, x, y = (str(name) for name in rng.choice(words["names"][:MOST], 4, replace=False))
    other = "BAB" if first == "ABB" else "ABB"
    return [
        draft(io, s, first, (io, s)),
        draft(s, io, first, (io, s)),
        draft(x, s, first, (io, x)),
        draft(io, y, first, (io, s)),
        draft(io, s, other, (io, s)),
    ]


def _induction(rng: np.random.Generator, words: Words, template: str) -> list[Draft]:
    roles = {"first key": "K1", "first word": "V1", "second key": "K2", "second word": "V2"}

    def draft(fills: dict[str, str], queried: int, pair: tuple[str, str]) -> Draft:
        order = [fills["V1"], fills["V2"]]
        answer, other = order[queried], order[1 - queried]
        fills = fills | {"Q": fills["K1"] if queried == 0 else fills["K2"]}
        return Draft(template, fills, roles, (answer, other, ("first", "second")[queried]), pair)

    queried = int(rng.integers(2))
    k1, k2 = (str(key) for key in rng.choice(words["keys"], 2, replace=False))
    v1, v2, new = (str(word) for word in rng.choice(words["words"][:MOST], 3, replace=False))
    fills = {"K1": k1, "V1": v1, "K2": k2, "V2": v2}
    answer, other = (v1, v2) if queried == 0 else (v2, v1)
    return [
        draft(fills, queried, (answer, other)),
        draft(fills, 1 - queried, (answer, other)),
        draft(fills | {f"V{queried + 1}": new}, queried, (answer, new)),
    ]


def _agreement(rng: np.random.Generator, words: Words, template: str) -> list[Draft]:
    number, verbs = ("singular", "plural"), ("is", "are")

    def draft(s: str, m: str, plural: tuple[int, int], plural_verb: int) -> Draft:
        fills = {"N": s.split("/")[plural[0]], "M": m.split("/")[plural[1]]}
        values = number[plural[0]], number[plural[1]]
        roles = {"subject": "N", "attractor": "M"}
        return Draft(template, fills, roles, values, (verbs[plural_verb], verbs[1 - plural_verb]))

    s, m = (str(noun) for noun in rng.choice(words["nouns"], 2, replace=False))
    one, other = (int(each) for each in rng.integers(2, size=2))
    return [
        draft(s, m, (one, other), one),
        draft(s, m, (1 - one, other), one),
        draft(s, m, (one, 1 - other), one),
    ]


def _capital(rng: np.random.Generator, words: Words, template: str) -> list[Draft]:
    countries = [each.split("/") for each in words["countries"]][: 2 * MOST]
    one, other = (countries[number] for number in rng.choice(len(countries), 2, replace=False))
    return [
        Draft(template, {"C": country}, {"country": "C"}, (country,), (one[1], other[1]))
        for country in (one[0], other[0])
    ]


DRAW = {"ioi": _ioi, "induction": _induction, "agreement": _agreement, "capital": _capital}
