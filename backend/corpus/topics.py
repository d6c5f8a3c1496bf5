"""How often topics of documents stand among some tokens."""

from __future__ import annotations

import numpy as np
import polars as pl

from backend.corpus.contexts import Tokens
from backend.corpus.views import TOPICS
from backend.statistics.intervals import wilson


def topic_shares(tokens: Tokens, rows: np.ndarray) -> pl.DataFrame:
    """`topic`, `count` and `share` of the tokens `rows`, `prior` share of all tokens, `lift` =
    share / prior with its 95% interval `low`, `high` (Wilson's of the share, over the prior);
    highest lift first.

    Tokens of a document are not independent, so intervals are narrower than they should be.
    """
    topics, total = len(tokens.topic_names), max(1, len(rows))
    prior = np.bincount(tokens.topic_of, minlength=topics) / len(tokens)
    counts = np.bincount(tokens.topic_of[rows], minlength=topics)
    low, high = wilson(counts, total)
    share = counts / total
    return pl.DataFrame(
        {
            "topic": tokens.topic_names,
            "count": counts,
            "share": share,
            "prior": prior,
            "lift": share / prior,
            "low": low / prior,
            "high": high / prior,
        },
        schema=TOPICS,
    ).sort("lift", descending=True)
