"""Texts as pages show them. Token rows count the tokens of the corpus from 0, BOS left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import polars as pl

# the commonest tokens of some; what a direction does to logits; topics against the corpus, with
# their lift and its 95% interval
TOKENS = pl.Schema({"text": pl.String, "count": pl.Int64, "share": pl.Float64})
LOGITS = pl.Schema({"text": pl.String, "logit": pl.Float32})
TOPICS = pl.Schema(
    {"topic": pl.String, "count": pl.Int64}
    | dict.fromkeys(("share", "prior", "lift", "low", "high"), pl.Float64)
)
Item = TypeVar("Item")  # a member of a region, an example of a feature


@dataclass(frozen=True)
class Passage:
    """Consecutive tokens of one document with a number each."""

    document: int
    title: str
    topic: str
    first: int  # token row of the first piece
    pieces: tuple[str, ...]  # text of each token, as the document spells it
    values: tuple[float, ...]  # activation, or distance to the nearest exemplar
    focus: int = -1  # index into pieces of the token that is meant; -1: none
    regions: tuple[int, ...] = ()  # region of each token, where regions are shown


@dataclass(frozen=True)
class Draw(Generic[Item]):
    """A sample and how it was drawn, in words, with the number it was drawn from."""

    how: str
    of: int
    items: tuple[Item, ...]
