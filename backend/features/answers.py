"""The study's SAE as it was read over the corpus: statistics of features, examples, a search."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import polars as pl

from backend import run
from backend.corpus import passages
from backend.corpus.contexts import Tokens
from backend.corpus.views import Draw
from backend.features import codes, examples, facets, logits
from backend.features.views import Example
from backend.query import query
from backend.schema import ModelRef, NotFoundError, Reading, SaeRef, Study
from backend.store import queue
from backend.store.memo import Entry


@dataclass(frozen=True)
class FeatureIndex:
    """An SAE that was read over a corpus, with what is needed to show it, kept in memory."""

    reading: Reading
    sae: SaeRef
    index: Entry
    summary: Entry
    tokens: Tokens

    @property
    def model(self) -> ModelRef:
        return self.reading.model

    @functools.cached_property
    def table(self) -> pl.DataFrame:
        """FeatureTable.table, but for matched regions and promoted tokens."""
        frame = self.summary.frame("features")
        names = [*self.tokens.topic_names, ""]
        return frame.with_columns(
            top_token=pl.Series(passages.token_text(self.model, frame["top_token"].to_numpy())),
            topic=pl.Series([names[code] for code in frame["topic"]]),
        )

    def column(self, feature: int) -> codes.Column:
        """Where a feature fires.

        Raises:
            NotFoundError: the SAE has no such feature.
        """
        return codes.column(self.index, feature)


_index = functools.lru_cache(maxsize=4)(FeatureIndex)


def feature_index(study: Study) -> FeatureIndex:
    """The study's SAE as it was read over the corpus; where it was not, the job is that of
    `feature_statistics`.

    Raises:
        ModelError: the study names no SAE.
    """
    with feature_statistics.asking(study):
        return read_index(study)


def read_index(study: Study) -> FeatureIndex:
    """As `feature_index`, for a query whose own job reads the SAE."""
    reading, sae = study.reading, study.require_sae()
    tokens = passages.tokens_of(reading.model, reading.corpus)
    return _index(reading, sae, codes.index(reading, sae), examples.summary(reading, sae), tokens)


def with_top_token(index: FeatureIndex, frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with the token that each of its features fires on most often."""
    return frame.with_columns(index.table["top_token"].gather(frame["feature"]))


# ---------------------------------------------------------------- all features


@query("Features of the SAE", priority=20)
def feature_statistics(study: Study) -> pl.DataFrame:
    """All features of the study's SAE, with density, tokens, topics and what they promote: as
    `features`, but for the regions that match them."""
    index = read_index(study)
    blocks = tuple(run.optional(_read_logits, index) or ())
    promoted = _promoted_texts(index.model, blocks) if blocks else [""] * len(index.table)
    return index.table.with_columns(promoted=pl.Series(promoted, dtype=pl.String))


def _read_logits(index: FeatureIndex) -> list[Entry]:
    """What every feature promotes, block by block; and its nearest others."""

    def read(block: int) -> Entry:
        logits.neighbours(index.sae, block)
        return logits.effects(index.model, index.sae, block)

    blocks = range(-(-len(index.table) // logits.BLOCK))
    return run.each(read, blocks, "Reading logits of features")


@functools.lru_cache(maxsize=4)
def _promoted_texts(model: ModelRef, blocks: tuple[Entry, ...]) -> list[str]:
    """The three most promoted tokens of each feature."""
    ids = np.concatenate([np.asarray(block.array("promoted"))[:, :3] for block in blocks])
    words = passages.token_text(model, ids.ravel())
    return [" ".join(words[3 * row : 3 * row + 3]) for row in range(len(ids))]


# ---------------------------------------------------------------- examples, search


@query("Examples of a feature", priority=queue.SHORT)
def feature_examples(
    study: Study, feature: int, draw: str = "top", count: int = 8, seed: int = 0, topic: str = ""
) -> Draw[Example]:
    """Contexts of a feature: top, random, silent, or one of ten quantiles ("quantile 1")."""
    index = feature_index(study)
    whole = index.column(feature)
    sample = _sample(index, whole, draw, count, seed, topic)
    items = tuple(
        Example(int(row), float(activation), passages.context(index.tokens, int(row), whole.dense))
        for row, activation in zip(sample.tokens, sample.activations, strict=True)
    )
    return Draw(sample.how, sample.population, items)


def _sample(
    index: FeatureIndex, whole: codes.Column, draw: str, count: int, seed: int, topic: str
) -> examples.Sample:
    column = examples.restrict(whole, index.tokens, topic)
    if draw == "top":
        return examples.top(column, index.tokens, count)
    if draw == "random":
        return examples.random_active(column, index.tokens, count, seed)
    if draw == "silent":
        return examples.silent(whole, index.tokens, count, seed, topic)
    kind, _, number = draw.partition(" ")
    if kind == "quantile" and number.isdecimal():
        return examples.quantile(column, index.tokens, int(number), count, seed)
    raise NotFoundError(
        f"There is no draw {draw!r}.", "Choose top, random, silent, or quantile 1 to quantile 10."
    )


@query("A search of features", priority=queue.SHORT)
def search_features(study: Study, text: str) -> pl.DataFrame:
    """Features that fire on a text, most hits first: feature, hits, share. Whole words; `*` for
    parts."""
    index = feature_index(study)
    rows = passages.find_text(index.tokens, text)
    hits = facets.token_codes(index.index).counts(rows)
    share = hits / np.maximum(1, index.table["active"].to_numpy())
    table = pl.DataFrame({"feature": index.table["feature"], "hits": hits, "share": share})
    return table.filter(pl.col("hits") > 0).sort("hits", "share", descending=True)
