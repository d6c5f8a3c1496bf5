"""Evidence by hand, and a writer that gives the replies it was given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from backend.labels.contract import GREEDY, Draw, Evidence, Excerpt, Message
from backend.labels.explainers import (
    EXPLAINERS,
    Context,
)
from backend.schema import LlmError

LONG = "It stands for ships that are out at sea, and for what they carry. Then for sailors."
GOOD = "They all speak of ships.\n[EXPLANATION]: ships at sea"


class Scripted:
    """Stands in for a paid service: gives the replies it was given, the last one for ever."""

    name = "scripted"

    def __init__(self, *replies: str | LlmError, obeys: bool = True) -> None:
        self.obeys = obeys
        self.replies = list(replies)
        self.asked: list[list[Message]] = []
        self.draws: list[tuple[float, int]] = []

    def write(self, messages: Sequence[Message], draw: Draw = GREEDY) -> str:
        self.asked.append(list(messages))
        self.draws.append((draw.temperature, draw.attempt))
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, LlmError):
            raise reply
        return reply


def excerpt(*pieces: str, peak: int = 1, strength: float = 2.0) -> Excerpt:
    """The peak at `strength`, everything else silent."""
    values = [0.0] * len(pieces)
    values[peak] = strength
    return Excerpt(0, pieces, tuple(values), peak)


def evidence(*train: Excerpt, maximum: float = 2.0) -> Evidence:
    return Evidence(7, maximum, train, (), (), (), "range", "other", 0, "by hand")


def around(*triples: tuple[str, str, str]) -> Evidence:
    return evidence(*(excerpt(*triple) for triple in triples))


def verbalize(one: Excerpt) -> str:
    return f"About {one.pieces[0]}.\n\nFinal token {one.pieces[one.peak]}\nends it."


def context(*replies: str | LlmError, **more: object) -> Context:
    writer = Scripted(*(replies or (GOOD,)))
    logits = ((" old", 1.5), (" new", 1.0))
    return replace(Context(writer, verbalize, lambda: LONG, logits), **more)


def script(tools: Context) -> Scripted:
    assert isinstance(tools.writer, Scripted)
    return tools.writer


def messages_of(tools: Context, turn: int = 0) -> list[Message]:
    return script(tools).asked[turn]


CASES = {
    "one excerpt": around(("the", " old", " ship")),
    "at the left edge": evidence(*[excerpt(" old", " ship", peak=0)] * 3),
    "at the right edge": evidence(*[excerpt("the", " old")] * 3),
    "one token": evidence(excerpt("x", peak=0)),
    "empty pieces": around(("", "", ""), ("a", "", "b")),
    "whitespace": around((" ", "\n", "\t"), ("\n\n", " ", "\r\n")),
    "markup": around(
        ("<b>", "<script>", "</b>"), ("<<", "\x07", ">>"), ("&amp;", "\x00", "\ud800")
    ),
    "Hebrew": around(("שלום", " עולם", "!"), ("את", " עולם", "?")),
    "Chinese": around(("你", "好", "吗"), ("他", "好", "。")),
    "strange numbers": evidence(excerpt("a", "b", strength=9.0), maximum=0.0),
    "no excerpt": evidence(),
}
WRITERS = [one for one in EXPLAINERS.values() if "writer" in one.needs]
every_explainer = pytest.mark.parametrize("explainer", EXPLAINERS.values(), ids=EXPLAINERS)
every_writing = pytest.mark.parametrize("explainer", WRITERS, ids=lambda one: one.name)
