"""What a feature's activations are made of: their spread, tokens, topics, documents, and the
features that fire with it. All from its codes, in milliseconds."""

from __future__ import annotations

import functools

import numpy as np
import polars as pl

from backend.corpus.contexts import Tokens
from backend.corpus.passages import topic_shares
from backend.features import codes
from backend.features.codes import Column
from backend.features.views import BINS, COFIRING, DOCUMENTS
from backend.schema import conform
from backend.store.memo import Entry


def histogram(column: Column, bins: int = 40) -> pl.DataFrame:
    """`low`, `high`, `count` of the non-zero activations in bins of equal width."""
    counts, edges = np.histogram(column.values, bins=bins) if len(column.values) else ([], [0.0])
    return pl.DataFrame({"low": edges[:-1], "high": edges[1:], "count": counts}, schema=BINS)


def topic_counts(column: Column, tokens: Tokens) -> pl.DataFrame:
    """`topic_shares` of the tokens the feature fires on; no row where it never fires."""
    table = topic_shares(tokens, column.rows)
    return table if len(column.rows) else table.clear()


def document_counts(column: Column, tokens: Tokens, count: int = 20) -> pl.DataFrame:
    """`document`, `title`, `topic`, `count` of tokens it fires on and `max` activation there, of
    the documents with most."""
    own = pl.DataFrame({"document": tokens.document_of[column.rows], "value": column.values})
    counts = own.group_by("document").agg(count=pl.len(), max=pl.col("value").max())
    best = counts.sort("count", "document", descending=[True, False]).head(count)
    titles = tokens.documents.select("document", "title", "topic")
    joined = best.join(titles, on="document", maintain_order="left")
    return conform(joined, DOCUMENTS)


def token_counts(column: Column, tokens: Tokens, count: int = 20) -> pl.DataFrame:
    """`token` id, `count` and `share` of the tokens the feature fires on, `mean` activation on
    them; commonest first."""
    ids, values = np.asarray(tokens.ids)[column.rows], np.asarray(column.values)
    own = pl.DataFrame({"token": ids, "value": values})
    counts = own.group_by("token").agg(
        count=pl.len(), share=pl.len() / max(len(own), 1), mean=pl.col("value").mean()
    )
    return counts.sort("count", "token", descending=[True, False]).head(count)


def cofiring(index: Entry, column: Column, count: int = 20) -> pl.DataFrame:
    """The features that fire on the same tokens: `feature`, `count` of tokens with both, `jaccard`
    (both / either) and `lift` (both / what independence would give); highest Jaccard first."""
    every = token_codes(index)
    both = every.counts(np.asarray(column.rows))
    both[column.feature] = 0
    others = np.flatnonzero(both)
    shared, own, active = both[others], len(column.rows), every.active[others]
    table = pl.DataFrame(
        {
            "feature": others,
            "count": shared,
            "jaccard": shared / (own + active - shared),
            "lift": shared * (len(every.offsets) - 1) / (own * active) if own else shared,
        },
        schema={name: COFIRING[name] for name in ("feature", "count", "jaccard", "lift")},
    )
    return table.sort("jaccard", "feature", descending=[True, False]).head(count)


# mapped once, since mapping the arrays again for every feature costs more than counting
token_codes = functools.lru_cache(maxsize=2)(codes.token_codes)
