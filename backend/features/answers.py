"""What the Features page asks: all features, one feature, its examples, what is found in them."""

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
from backend.features.views import Example, FeatureTable, FeatureView
from backend.query import query
from backend.regions import matching, partitioned
from backend.schema import ModelRef, NotFoundError, Reading, SaeRef, Study
from backend.store import queue
from backend.store.memo import Entry

LISTED = 20


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
            top_token=pl.Series(self._texts(frame["top_token"].to_numpy())),
            topic=pl.Series([names[code] for code in frame["topic"]]),
        )

    def _texts(self, ids: np.ndarray) -> list[str]:
        texts = passages.token_text(self.model, np.maximum(ids, 0))
        return [text if token >= 0 else "" for text, token in zip(texts, ids, strict=True)]

    def column(self, feature: int) -> codes.Column:
        """Where a feature fires.

        Raises:
            NotFoundError: the SAE has no such feature.
        """
        if not 0 <= feature < len(self.table):
            raise NotFoundError(
                f"There is no feature {feature}.",
                f"This SAE has features 0 to {len(self.table) - 1}.",
            )
        return codes.column(self.index, feature)

    def values(self, column: codes.Column, first: int, last: int) -> np.ndarray:
        """The feature's activation at token rows first..last-1."""
        low, high = np.searchsorted(column.rows, [first, last])
        dense = np.zeros(last - first)
        dense[column.rows[low:high] - first] = column.values[low:high]
        return dense


_kept = functools.lru_cache(maxsize=4)(FeatureIndex)


def feature_index(study: Study) -> FeatureIndex:
    """The study's SAE as it was read over the corpus; where it was not, the job is that of all
    features.

    Raises:
        ModelError: the study names no SAE.
    """
    with features.asking(study):
        return _index(study)


def _index(study: Study) -> FeatureIndex:
    reading, sae = study.reading, study.require_sae()
    tokens = passages.tokens_of(reading.model, reading.corpus)
    return _kept(reading, sae, codes.index(reading, sae), examples.summary(reading, sae), tokens)


def with_top_token(index: FeatureIndex, frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with the token that each of its features fires on most often."""
    column = index.table["top_token"]
    texts = [column[int(feature)] for feature in frame["feature"]]
    return frame.with_columns(pl.Series("top_token", texts, pl.String))


# ---------------------------------------------------------------- all features


@query("Features of the SAE", priority=20)
def features(study: Study) -> FeatureTable:
    """All features of the study's SAE, with density, tokens and topics."""
    index = _index(study)
    return FeatureTable(
        table=_with_regions(index, study).with_columns(
            promoted=pl.Series(_promoted(index), dtype=pl.String)
        ),
        tokens=len(index.tokens),
        l0=float(index.index.value("l0")),
        fvu=float(index.index.value("fvu") or "nan"),
        dead=int((index.table["active"] == 0).sum()),
        provenance=index.index.provenance(f"features --study {study.name}"),
    )


def _matches(index: FeatureIndex, study: Study) -> Entry | None:
    return matching.match.find(study.cut(), index.sae)


def _with_regions(index: FeatureIndex, study: Study) -> pl.DataFrame:
    """The table with each feature's best region; -1 where none is known."""
    entry = _matches(index, study)
    if entry is None:
        return index.table.with_columns(region=pl.lit(-1, pl.Int32), f1=pl.lit(None, pl.Float64))
    best = entry.frame("by_feature").group_by("feature", maintain_order=True).first()
    chosen = best.select(pl.col("feature").cast(pl.Int32), "region", "f1")
    return index.table.join(chosen, on="feature", how="left", maintain_order="left").with_columns(
        pl.col("region").fill_null(-1)
    )


def _promoted(index: FeatureIndex) -> list[str]:
    """The three most promoted tokens of each feature; empty where they are not computed yet."""
    blocks = tuple(run.optional(_read_logits, index) or ())
    return _promoted_texts(index.model, blocks) if blocks else [""] * len(index.table)


def _read_logits(index: FeatureIndex) -> list[Entry]:
    """What every feature promotes, block by block; and its nearest others."""

    def read(block: int) -> Entry:
        logits.neighbours(index.sae, block)
        return logits.effects(index.model, index.sae, block)

    blocks = range(-(-len(index.table) // logits.BLOCK))
    return run.each(read, blocks, "Reading logits of features")


@functools.lru_cache(maxsize=4)
def _promoted_texts(model: ModelRef, blocks: tuple[Entry, ...]) -> list[str]:
    ids = np.concatenate([np.asarray(block.array("promoted"))[:, :3] for block in blocks])
    words = passages.token_text(model, ids.ravel())
    return [" ".join(words[3 * row : 3 * row + 3]) for row in range(len(ids))]


# ---------------------------------------------------------------- one feature


@query("One feature", priority=queue.SHORT)
def feature(study: Study, feature: int) -> FeatureView:
    """One feature: logits, histogram, tokens, topics, nearest and co-firing features, regions."""
    table, index = features.part(study).table, _index(study)
    column = index.column(feature)
    block, row = feature // logits.BLOCK, feature % logits.BLOCK
    effects = run.optional(logits.effects, index.model, index.sae, block)
    promoted, suppressed = (
        passages.logit_frame(index.model, effects, name, row) for name in ("promoted", "suppressed")
    )
    command = f"feature --study {study.name} --feature {feature}"
    return FeatureView(
        feature=feature,
        row=table.row(feature, named=True),
        histogram=facets.histogram(column),
        quantiles=examples.quantile_bands(column, index.tokens),
        promoted=promoted,
        suppressed=suppressed,
        logit_histogram=_logit_histogram(effects, row),
        tokens=_tokens(index, column),
        topics=facets.topic_counts(column, index.tokens),
        documents=facets.document_counts(column, index.tokens, LISTED),
        nearest=_nearest(index, feature),
        cofiring=with_top_token(index, facets.cofiring(index.index, column, LISTED)),
        regions=_regions(index, study, feature),
        provenance=index.index.provenance(command),
    )


def _logit_histogram(effects: Entry | None, row: int) -> pl.DataFrame:
    """low, high, count over the vocabulary; empty where not computed yet."""
    if effects is None:
        return pl.DataFrame(schema={"low": pl.Float64, "high": pl.Float64, "count": pl.Int64})
    edges, counts = effects.array("edges")[row], effects.array("histogram")[row]
    return pl.DataFrame({"low": edges[:-1], "high": edges[1:], "count": counts})


def _tokens(index: FeatureIndex, column: codes.Column) -> pl.DataFrame:
    """text, count, share, mean: the tokens a feature fires on."""
    counted = facets.token_counts(column, index.tokens, LISTED)
    texts = passages.token_text(index.model, counted["token"].to_numpy())
    return counted.select(pl.Series("text", texts, pl.String), "count", "share", "mean")


def _nearest(index: FeatureIndex, feature: int) -> pl.DataFrame:
    """feature, cosine, top_token; empty where not computed yet."""
    entry = run.optional(logits.neighbours, index.sae, feature // logits.BLOCK)
    row, schema = feature % logits.BLOCK, {"feature": pl.Int32, "cosine": pl.Float32}
    columns = (
        {name: [] for name in schema}
        if entry is None
        else {"feature": entry.array("features")[row], "cosine": entry.array("cosines")[row]}
    )
    return with_top_token(index, pl.DataFrame(columns, schema=schema))


def _regions(index: FeatureIndex, study: Study, feature: int) -> pl.DataFrame:
    """region, f1, precision, recall, token: the regions whose members it fires on."""
    entry = _matches(index, study)
    columns = ("region", "f1", "precision", "recall")
    if entry is None:
        kinds = dict.fromkeys(columns, pl.Float64) | {"region": pl.Int32, "token": pl.String}
        return pl.DataFrame(schema=kinds)
    frame = entry.frame("by_feature").filter(pl.col("feature") == feature).select(columns)
    mapped = partitioned.partitioned(study.cut())
    rows = mapped.regions["token"].to_numpy()[frame["region"].to_numpy()]
    texts = [passages.piece_at(index.tokens, int(row)) for row in rows]
    return frame.with_columns(pl.Series("token", texts, pl.String))


# ---------------------------------------------------------------- examples, search


@query("Examples of a feature", priority=queue.SHORT)
def feature_examples(
    study: Study, feature: int, draw: str = "top", count: int = 8, seed: int = 0, topic: str = ""
) -> Draw:
    """Contexts of a feature: top, random, silent, or one of ten quantiles ("quantile 1")."""
    index = feature_index(study)
    whole = index.column(feature)
    sample = _sample(index, whole, draw, count, seed, topic)

    def values(first: int, last: int) -> np.ndarray:
        return index.values(whole, first, last)

    items = tuple(
        Example(int(row), float(activation), passages.context(index.tokens, int(row), values))
        for row, activation in zip(sample.tokens, sample.activations, strict=True)
    )
    return Draw(sample.how, sample.of, items)


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
    offsets, columns = (index.index.array(f"token_{name}") for name in ("offsets", "features"))
    hits = facets.together(rows, offsets, columns, len(index.table))
    share = hits / np.maximum(1, index.table["active"].to_numpy())
    table = pl.DataFrame({"feature": index.table["feature"], "hits": hits, "share": share})
    return table.filter(pl.col("hits") > 0).sort("hits", "share", descending=True)
