"""The tables of labels that everything speaks: labels, verbalizations, scores and what they come
to, distances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import polars as pl

from backend.schema import conform

LABELS = pl.Schema(
    {
        "feature": pl.Int64,
        "method": pl.String,
        "writer": pl.String,  # "" where there was none
        "text": pl.String,  # "" where it failed
        "detail": pl.String,
        "failed": pl.String,  # why, "" where it did not
        "n": pl.Int64,  # excerpts read; null where a file does not say
        "seconds": pl.Float64,  # likewise
    }
)
VERBALIZATIONS = pl.Schema(
    {
        "feature": pl.Int64,
        "rank": pl.Int64,  # of the excerpt by its peak, from 1
        "text": pl.String,
        "strength": pl.Int64,  # of the peak, 1 to 10
    }
)


@dataclass(frozen=True)
class Score:
    """One label of one feature by one scorer. Failed excerpts are counted and left out of all
    else; `value` is None where a class has no other excerpt, and the interval then rules out
    nothing."""

    feature: int
    method: str  # the explainer whose label it is
    scorer: str
    judge: str  # or embedder
    n: int  # excerpts that the value stands on: not the failures
    tp: int | None  # None where the scorer makes no verdicts
    fp: int | None
    tn: int | None
    fn: int | None
    failures: int
    value: float | None
    low: float
    high: float
    chance: float
    interval: str  # how low and high were made
    split: str
    kind: str  # of negatives
    setting: str  # marks and window
    seed: int  # of the evidence and of all draws


_TYPES = {
    "int": pl.Int64(),
    "float": pl.Float64(),
    "str": pl.String(),
    "bool": pl.Boolean(),
    "tuple[str, ...]": pl.List(pl.String()),
}


def columns_of(record: type[Any]) -> pl.Schema:
    """A column for each field of a dataclass."""
    return pl.Schema(
        {each.name: _TYPES[str(each.type).removesuffix(" | None")] for each in fields(record)}
    )


SCORE_COLUMNS = columns_of(Score)
# `of` is label, shuffled or empty; null numbers where a file does not say
SCORES = pl.Schema({"of": pl.String, "label": pl.String, **SCORE_COLUMNS})
# what must agree for scores to be of one kind
ALIKE = ("scorer", "judge", "kind", "split", "setting")
SUMMARY = pl.Schema(
    {
        "method": pl.String,
        **dict.fromkeys(ALIKE, pl.String),
        "mean": pl.Float64,
        "low": pl.Float64,  # null of a single feature
        "high": pl.Float64,
        "interval": pl.String,
        "features": pl.Int64,  # that the mean stands on
        "unscored": pl.Int64,  # features without a value: too many failures
        "n": pl.Int64,  # excerpts
        "failures": pl.Int64,  # excerpts
        "chance": pl.Float64,
    }
)
DIFFERENCES = pl.Schema(
    {
        "method": pl.String,
        "other": pl.String,
        **dict.fromkeys(ALIKE, pl.String),
        "difference": pl.Float64,  # method less other
        "low": pl.Float64,
        "high": pl.Float64,
        "interval": pl.String,
        "features": pl.Int64,  # scored with both
        "sd": pl.Float64,  # of the differences
        "smallest": pl.Float64,  # true difference that so many features would show, at power 0.8
    }
)
DISTANCES = pl.Schema(
    {
        "feature": pl.Int64,
        "method": pl.String,
        "other": pl.String,  # after `method` in the alphabet
        "text": pl.String,
        "other_text": pl.String,
        "distance": pl.Float64,  # 1 − cosine of their embeddings
    }
)

VALID = (pl.col("failed") == "") & (pl.col("text") != "")


def distances(labels: pl.DataFrame, vectors: Callable[[Sequence[str]], np.ndarray]) -> pl.DataFrame:
    """`DISTANCES` of every two labels that different methods gave the same feature, farthest
    first. Failed labels have none.

    `vectors` embeds texts as [texts, width], of any length but 0; each text is embedded once.
    """
    keys = ["feature", "method", "text"]
    valid = conform(labels, LABELS).filter(VALID).select(keys).unique(maintain_order=True)
    others = valid.rename({"method": "other", "text": "other_text"})
    pairs = valid.join(others, on="feature").filter(pl.col("method") < pl.col("other"))
    if pairs.is_empty():
        return pl.DataFrame(schema=DISTANCES)
    texts = sorted({*pairs["text"], *pairs["other_text"]})
    units = np.asarray(vectors(texts), dtype=np.float64)
    units = units / np.linalg.norm(units, axis=1, keepdims=True)
    row_of = {text: place for place, text in enumerate(texts)}
    left, right = (units[[row_of[text] for text in pairs[name]]] for name in ("text", "other_text"))
    # rounding may put the same text a hair below 0
    apart = np.maximum(0.0, 1 - np.einsum("ij,ij->i", left, right))
    return farthest(conform(pairs.with_columns(distance=pl.Series(apart)), DISTANCES))


def farthest(frame: pl.DataFrame) -> pl.DataFrame:
    """`DISTANCES` in their order: the farthest first, of equals by feature and methods."""
    rest = [name for name in DISTANCES if name != "distance"]
    return frame.sort(["distance", *rest], descending=[True, *([False] * len(rest))])
