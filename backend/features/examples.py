"""Where a feature fires: a table of all features, and draws of examples of one.

An example is a context with the feature's activations; its peak is the token where the feature
is strongest there. Top examples alone flatter a feature, so there are draws from the whole range
of peaks (ten quantiles), at random, and of contexts in which it is silent. Every draw says in
words how it was made and from how many.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from backend import run
from backend.corpus.contexts import Tokens, tokenize
from backend.features.codes import Column
from backend.features.codes import index as codes_index
from backend.features.views import FEATURES, QUANTILES
from backend.schema import NotFoundError, Reading, SaeRef
from backend.statistics.intervals import wilson
from backend.store.memo import Entry, memoize

SUPPORT = 5  # tokens in a topic below which its lift is noise
BANDS = 10


# ---------------------------------------------------------------- the table of all features


@memoize("features.summary", version=1)
def summary(reading: Reading, sae: SaeRef) -> dict[str, Any]:
    """`features`: one row of `FEATURES` for each feature, in order."""
    entry = codes_index(reading, sae)
    tokens = Tokens(tokenize(reading.model, reading.corpus))
    return {"features": summarize(entry, tokens)}


def summarize(index: Entry, tokens: Tokens) -> pl.DataFrame:
    """The table of `FEATURES`, in passes over the codes that hold no copy of them."""
    from backend.features import passes  # compiled, so pages, which never summarize, do not wait

    offsets, rows = np.asarray(index.array("offsets")), np.asarray(index.array("rows"))
    values, active = np.asarray(index.array("values")), np.diff(offsets)
    run.report(0, 4, "Summarizing features", "passes")
    peak, mean = passes.strongest(offsets, values)
    run.report(1, 4, "Summarizing features", "passes")
    top_token, count = passes.commonest(
        offsets, rows, np.asarray(tokens.ids), int(tokens.ids.max()) + 1
    )
    run.report(2, 4, "Summarizing features", "passes")
    contexts, documents = (
        passes.runs(offsets, rows, label_of) for label_of in (tokens.context_of, tokens.document_of)
    )
    run.report(3, 4, "Summarizing features", "passes")
    some = active > 0
    columns = {
        "feature": np.arange(len(active)),
        "density": active / len(tokens),
        "active": active,
        "contexts": contexts,
        "documents": documents,
        "max": _values_at(values, peak, some, 0),
        "mean": mean,
        "top_token": top_token,
        "top_token_share": count / np.maximum(active, 1),
        "peak": _values_at(rows, peak, some, -1),
        **most_lifted_topics(offsets, rows, tokens),
    }
    frame = pl.DataFrame(columns, schema=FEATURES)
    return frame.with_columns(pl.col("lift", "lift_low", "lift_high").fill_nan(None))


def _values_at(
    values: np.ndarray, place: np.ndarray, some: np.ndarray, otherwise: int
) -> np.ndarray:
    result = np.full(len(place), otherwise, dtype=values.dtype)
    result[some] = values[place[some]]
    return result


def most_lifted_topics(
    offsets: np.ndarray, rows: np.ndarray, tokens: Tokens
) -> dict[str, np.ndarray]:
    """The topic of highest lift of each feature or region, whose token rows are
    `rows[offsets[i]:offsets[i + 1]]`, with Wilson's interval; -1 and NaN where support is too
    small."""
    from backend.features import passes

    prior, sizes = tokens.topic_prior, np.diff(offsets)
    topic, count = passes.most_lifted(offsets, rows, tokens.topic_of, prior, SUPPORT)
    priors = np.where(topic >= 0, prior[topic], np.nan)
    low, high = wilson(count, sizes)
    share = count / np.maximum(sizes, 1)
    return {
        "topic": topic,
        "lift": share / priors,
        "lift_low": low / priors,
        "lift_high": high / priors,
    }


# ---------------------------------------------------------------- examples of one feature


@dataclass(frozen=True)
class Sample:
    """Drawn examples: token rows of their peaks, the activations there (0: silent), how they were
    drawn, and from how many contexts."""

    how: str
    population: int
    tokens: np.ndarray  # [n] int64
    activations: np.ndarray  # [n] float32


def restrict(column: Column, tokens: Tokens, topic: str) -> Column:
    """What a feature does in documents of one topic; all of it where `topic` is empty."""
    if not topic:
        return column
    inside = tokens.topic_of[column.rows] == _topic(tokens, topic)
    return Column(column.feature, column.rows[inside], column.values[inside])


def peaks(column: Column, tokens: Tokens) -> tuple[np.ndarray, np.ndarray]:
    """Token rows [contexts] int64 and activations [contexts] float32 of the strongest token of
    each context in which the feature fires, in corpus order; of equals the first."""
    if not len(column.rows):
        return np.empty(0, np.int64), np.empty(0, np.float32)
    rows, values = np.asarray(column.rows), np.asarray(column.values)
    contexts = tokens.context_of[rows]
    starts = np.flatnonzero(np.r_[True, contexts[1:] != contexts[:-1]])
    highest = np.repeat(np.maximum.reduceat(values, starts), np.diff(np.r_[starts, len(rows)]))
    places = np.flatnonzero(values == highest)
    places = places[np.r_[True, contexts[places][1:] != contexts[places][:-1]]]
    return rows[places].astype(np.int64), values[places]


def top(column: Column, tokens: Tokens, count: int = 8) -> Sample:
    """The strongest contexts, of each document only its strongest while there are others."""
    rows, values = peaks(column, tokens)
    order = np.lexsort((rows, -values))
    documents = tokens.document_of[rows[order]]
    _, best = np.unique(documents, return_index=True)
    first = np.isin(np.arange(len(order)), best)
    picks = np.r_[order[first], order[~first]][:count]
    more = len(picks) - min(int(first.sum()), count)
    how = f"The {_contexts(len(picks))} with the highest peak, one a document"
    if more:
        how += f"; {more} of them from documents shown already, since it fires in no others"
    return Sample(how + ".", len(rows), rows[picks], values[picks])


def random_active(column: Column, tokens: Tokens, count: int = 8, seed: int = 0) -> Sample:
    """Contexts in which the feature fires, each as likely as any other."""
    rows, values = peaks(column, tokens)
    picks = _draw(len(rows), count, seed, column.feature)
    how = f"{_contexts(len(picks))} at random of those in which it fires (seed {seed})."
    return Sample(how, len(rows), rows[picks], values[picks])


def quantile(column: Column, tokens: Tokens, band: int, count: int = 8, seed: int = 0) -> Sample:
    """Contexts at random of one tenth of all in which the feature fires, ordered by peak; band 1
    holds the weakest, band 10 the strongest."""
    if not 1 <= band <= BANDS:
        raise NotFoundError(f"There is no quantile {band}.", f"Choose 1 to {BANDS}.")
    rows, values = peaks(column, tokens)
    members = _bands(rows, values)[band - 1]
    picks = members[_draw(len(members), count, seed, column.feature, band)]
    how = (
        f"{_contexts(len(picks))} at random of the {_ordinal(band)} tenth by peak activation, "
        f"counted from the weakest (seed {seed})."
    )
    return Sample(how, len(members), rows[picks], values[picks])


def silent(
    column: Column, tokens: Tokens, count: int = 8, seed: int = 0, topic: str = ""
) -> Sample:
    """Contexts in which the feature fires on no token, each as likely as any other; of each the
    first token's row. `column` is the whole feature, not restricted to the topic."""
    free = np.ones(len(tokens.contexts), dtype=bool)
    free[tokens.context_of[column.rows]] = False
    firsts = tokens.contexts["first_token"].to_numpy()
    if topic:
        free &= tokens.topic_of[firsts] == _topic(tokens, topic)
    contexts = np.flatnonzero(free)
    picks = contexts[_draw(len(contexts), count, seed, column.feature)]
    where = f" {topic}" if topic else ""
    how = f"{_contexts(len(picks))} at random of the{where} ones it is silent in (seed {seed})."
    rows = firsts[picks].astype(np.int64)
    return Sample(how, len(contexts), rows, np.zeros(len(rows), dtype=np.float32))


def quantile_bands(column: Column, tokens: Tokens) -> pl.DataFrame:
    """What `quantile` draws from: `band` 1 to 10, `low` and `high` peak, `count` of contexts;
    a band without contexts has no row."""
    rows, values = peaks(column, tokens)
    parts = [
        (band, values[places]) for band, places in enumerate(_bands(rows, values), 1) if len(places)
    ]
    return pl.DataFrame(
        [(band, float(part.min()), float(part.max()), len(part)) for band, part in parts],
        schema=QUANTILES,
        orient="row",
    )


def _bands(rows: np.ndarray, values: np.ndarray) -> list[np.ndarray]:
    return np.array_split(np.lexsort((rows, values)), BANDS)


def _draw(total: int, count: int, seed: int, *names: int) -> np.ndarray:
    """Up to `count` of 0..total-1 without replacement, in random order."""
    generator = np.random.default_rng([seed, *names])
    return generator.choice(total, size=min(total, count), replace=False)


def _topic(tokens: Tokens, topic: str) -> int:
    if topic not in tokens.topic_names:
        raise NotFoundError(
            f"There is no topic {topic!r}.", f"The corpus has {', '.join(tokens.topic_names)}."
        )
    return tokens.topic_names.index(topic)


def _contexts(count: int) -> str:
    return "1 context" if count == 1 else f"{count} contexts"


def _ordinal(number: int) -> str:
    return {1: "1st", 2: "2nd", 3: "3rd"}.get(number, f"{number}th")
