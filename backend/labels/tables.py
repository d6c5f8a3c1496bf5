"""The tables of labels that everything speaks: labels, verbalizations, scores, distances."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from backend.labels import scorers
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
# `of` is label, shuffled or empty; null numbers where a file does not say
SCORES = pl.Schema({"of": pl.String, "label": pl.String, **scorers.SCORES})
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

GIVEN = (pl.col("failed") == "") & (pl.col("text") != "")


def distances(labels: pl.DataFrame, vectors: Callable[[Sequence[str]], np.ndarray]) -> pl.DataFrame:
    """`DISTANCES` of every two labels that different methods gave the same feature, farthest
    first. Failed labels have none.

    `vectors` embeds texts as [texts, width], of any length but 0; each text is embedded once.
    """
    keys = ["feature", "method", "text"]
    valid = conform(labels, LABELS).filter(GIVEN).select(keys).unique(maintain_order=True)
    others = valid.rename({"method": "other", "text": "other_text"})
    pairs = valid.join(others, on="feature").filter(pl.col("method") < pl.col("other"))
    if pairs.is_empty():
        return pl.DataFrame(schema=DISTANCES)
    texts = sorted({*pairs["text"], *pairs["other_text"]})
    units = np.asarray(vectors(texts), dtype=np.float64)
    units = units / np.linalg.norm(units, axis=1, keepdims=True)
    at = {text: place for place, text in enumerate(texts)}
    left, right = (units[[at[text] for text in pairs[name]]] for name in ("text", "other_text"))
    # rounding may put the same text a hair below 0
    apart = np.maximum(0.0, 1 - np.einsum("ij,ij->i", left, right))
    return farthest(conform(pairs.with_columns(distance=pl.Series(apart)), DISTANCES))


def farthest(frame: pl.DataFrame) -> pl.DataFrame:
    """`DISTANCES` in their order: the farthest first, of equals by feature and methods."""
    rest = [name for name in DISTANCES if name != "distance"]
    return frame.sort(["distance", *rest], descending=[True, *([False] * len(rest))])
