"""What the Features page shows, put together from memoized results."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import polars as pl

from backend.answers import partitions, passages, provenance, regions, tasks
from backend.corpus.contexts import Tokens
from backend.features import codes, examples, facets, logits
from backend.regions import matching
from backend.schema import CorpusRef, Job, ModelRef, NotFoundError, SaeRef, Site, Study
from backend.store.memo import Entry
from backend.views import Draw, Example, FeatureTable, FeatureView, Passage

LISTED = 20


@dataclass(frozen=True)
class Read:
    """An SAE that was read over a corpus, with what is needed to show it, kept in memory."""

    model: ModelRef
    site: Site
    corpus: CorpusRef
    sae: SaeRef
    index: Entry
    summary: Entry
    tokens: Tokens

    @property
    def arguments(self) -> tuple[ModelRef, Site, CorpusRef, SaeRef]:
        return self.model, self.site, self.corpus, self.sae

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


@functools.lru_cache(maxsize=4)
def _read(digest: str, study: Study) -> Read:
    arguments = study.model, study.site, study.corpus, study.sae
    assert study.sae is not None
    return Read(
        study.model,
        study.site,
        study.corpus,
        study.sae,
        codes.index.get(*arguments),
        examples.summary.get(*arguments),
        passages.tokens_of(study.model, study.corpus),
    )


def find_or_job(study: Study) -> Read | Job:
    """The read SAE, or the job that reads it."""
    arguments = study.model, study.site, study.corpus, study.sae
    digest = examples.summary.digest(*arguments)
    for step in (codes.index, examples.summary):
        if step.find(*arguments) is None:
            return tasks.ensure("features", study, digest)
    return _read(digest, study)


def read_or_raise(study: Study) -> Read:
    read = find_or_job(study)
    if isinstance(read, Job):
        raise NotFoundError("The features are not computed yet.", "Wait for their job.")
    return read


def top_tokens(study: Study, features: np.ndarray) -> list[str]:
    """The token each feature fires on most often."""
    read = find_or_job(study)
    if isinstance(read, Job):
        return [""] * len(features)
    column = read.table["top_token"]
    return [column[int(feature)] for feature in features]


# ---------------------------------------------------------------- all features


def table(study: Study) -> FeatureTable | Job:
    read = find_or_job(study)
    if isinstance(read, Job):
        return read
    shown = _matched(read, study).with_columns(promoted=pl.Series(_promoted(read), dtype=pl.String))
    return FeatureTable(
        table=shown,
        tokens=len(read.tokens),
        l0=float(read.index.value("l0")),
        fvu=float(read.index.value("fvu") or "nan"),
        dead=int((read.table["active"] == 0).sum()),
        provenance=provenance.of(read.index, f"features --study {study.name}"),
    )


def _matches(read: Read, study: Study) -> Entry | None:
    return matching.match.find(read.model, read.site, read.corpus, study.partition, read.sae)


def _matched(read: Read, study: Study) -> pl.DataFrame:
    """The table with each feature's best region; -1 where none is known."""
    entry = _matches(read, study)
    if entry is None:
        return read.table.with_columns(region=pl.lit(-1, pl.Int32), f1=pl.lit(None, pl.Float64))
    best = entry.frame("by_feature").group_by("feature", maintain_order=True).first()
    chosen = best.select(pl.col("feature").cast(pl.Int32), "region", "f1")
    return read.table.join(chosen, on="feature", how="left", maintain_order="left").with_columns(
        pl.col("region").fill_null(-1)
    )


def _promoted(read: Read) -> list[str]:
    """The three most promoted tokens of each feature; empty where not computed yet."""
    count = len(read.table)
    found = tuple(
        entry.digest if (entry := _effects(read, block * logits.BLOCK)) else ""
        for block in range(-(-count // logits.BLOCK))
    )
    return _promoted_texts(read.model, read.sae, found, count)


@functools.lru_cache(maxsize=4)
def _promoted_texts(model: ModelRef, sae: SaeRef, found: tuple[str, ...], count: int) -> list[str]:
    texts: list[str] = []
    for block, digest in enumerate(found):
        size = min(logits.BLOCK, count - len(texts))
        if not digest:
            texts += [""] * size
            continue
        ids = logits.effects.get(model, sae, block).array("promoted")[:, :3]
        words = passages.token_text(model, ids.ravel())
        texts += [" ".join(words[3 * row : 3 * row + 3]) for row in range(size)]
    return texts


def _effects(read: Read, feature: int) -> Entry | None:
    return logits.effects.find(read.model, read.sae, feature // logits.BLOCK)


# ---------------------------------------------------------------- one feature


def view(study: Study, feature: int) -> FeatureView | Job:
    read = find_or_job(study)
    if isinstance(read, Job):
        return read
    column = read.column(feature)
    answer = table(study)
    assert isinstance(answer, FeatureTable)
    effects, row = _effects(read, feature), feature % logits.BLOCK
    return FeatureView(
        feature=feature,
        row=answer.table.row(feature, named=True),
        histogram=facets.histogram(column),
        quantiles=examples.quantile_bands(column, read.tokens),
        promoted=regions.logit_frame(read.model, effects, "promoted", row),
        suppressed=regions.logit_frame(read.model, effects, "suppressed", row),
        logit_histogram=_logit_histogram(effects, row),
        tokens=_tokens(read, column),
        topics=facets.topic_counts(column, read.tokens),
        documents=facets.document_counts(column, read.tokens, LISTED),
        nearest=_nearest(read, feature),
        cofiring=_named(read, facets.cofiring(read.index, column, LISTED)),
        regions=_regions(read, study, feature),
        provenance=provenance.of(read.index, f"feature --study {study.name} --feature {feature}"),
        pending=None if effects else _pending(study),
    )


def _pending(study: Study) -> Job:
    digest = examples.summary.digest(study.model, study.site, study.corpus, study.sae)
    return tasks.ensure("features", study, digest)


def _logit_histogram(effects: Entry | None, row: int) -> pl.DataFrame:
    """low, high, count over the vocabulary; empty where not computed yet."""
    if effects is None:
        return pl.DataFrame(schema={"low": pl.Float64, "high": pl.Float64, "count": pl.Int64})
    edges, counts = effects.array("edges")[row], effects.array("histogram")[row]
    return pl.DataFrame({"low": edges[:-1], "high": edges[1:], "count": counts})


def _tokens(read: Read, column: codes.Column) -> pl.DataFrame:
    """text, count, share, mean: the tokens a feature fires on."""
    counted = facets.token_counts(column, read.tokens, LISTED)
    texts = passages.token_text(read.model, counted["token"].to_numpy())
    return counted.select(pl.Series("text", texts, pl.String), "count", "share", "mean")


def _nearest(read: Read, feature: int) -> pl.DataFrame:
    """feature, cosine, top_token; empty where not computed yet."""
    entry = logits.neighbours.find(read.sae, feature // logits.BLOCK)
    row = feature % logits.BLOCK
    found = {"feature": [], "cosine": []} if entry is None else {
        "feature": entry.array("features")[row],
        "cosine": entry.array("cosines")[row],
    }  # fmt: skip
    frame = pl.DataFrame(found, schema={"feature": pl.Int32, "cosine": pl.Float32})
    return _named(read, frame)


def _named(read: Read, frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` with the top token of each of its features."""
    column = read.table["top_token"]
    texts = [column[int(feature)] for feature in frame["feature"]]
    return frame.with_columns(pl.Series("top_token", texts, pl.String))


def _regions(read: Read, study: Study, feature: int) -> pl.DataFrame:
    """region, f1, precision, recall, token: the regions whose members it fires on."""
    entry = _matches(read, study)
    mapped = partitions.find(study, study.partition)
    columns = ("region", "f1", "precision", "recall")
    if entry is None or mapped is None:
        kinds = dict.fromkeys(columns, pl.Float64) | {"region": pl.Int32, "token": pl.String}
        return pl.DataFrame(schema=kinds)
    frame = entry.frame("by_feature").filter(pl.col("feature") == feature).select(columns)
    rows = mapped.regions["token"].to_numpy()[frame["region"].to_numpy()]
    texts = [passages.piece_at(read.tokens, int(row)) for row in rows]
    return frame.with_columns(pl.Series("token", texts, pl.String))


# ---------------------------------------------------------------- examples, search, documents


def draw(study: Study, feature: int, how: str, count: int, seed: int, topic: str) -> Draw:
    read = read_or_raise(study)
    whole = read.column(feature)
    sample = _sample(read, whole, how, count, seed, topic)
    items = tuple(
        Example(
            token=int(row),
            activation=float(activation),
            passage=passages.context(
                read.tokens, int(row), lambda first, last: read.values(whole, first, last)
            ),
        )
        for row, activation in zip(sample.tokens, sample.activations, strict=True)
    )
    return Draw(sample.how, sample.of, items)


def _sample(
    read: Read, whole: codes.Column, how: str, count: int, seed: int, topic: str
) -> examples.Sample:
    column = examples.restrict(whole, read.tokens, topic)
    if how == "top":
        return examples.top(column, read.tokens, count)
    if how == "random":
        return examples.random_active(column, read.tokens, count, seed)
    if how == "silent":
        return examples.silent(whole, read.tokens, count, seed, topic)
    kind, _, number = how.partition(" ")
    if kind == "quantile" and number.isdecimal():
        return examples.quantile(column, read.tokens, int(number), count, seed)
    raise NotFoundError(
        f"There is no draw {how!r}.", "Choose top, random, silent, or quantile 1 to quantile 10."
    )


def search(study: Study, text: str) -> pl.DataFrame:
    """feature, hits, share: features that fire on `text`, most hits first."""
    read = read_or_raise(study)
    rows = passages.find_text(read.tokens, text)
    hits = facets.together(
        rows,
        read.index.array("token_offsets"),
        read.index.array("token_features"),
        len(read.table),
    )
    return (
        pl.DataFrame(
            {
                "feature": read.table["feature"],
                "hits": hits,
                "share": hits / np.maximum(1, read.table["active"].to_numpy()),
            }
        )
        .filter(pl.col("hits") > 0)
        .sort("hits", "share", descending=True)
    )


def document(study: Study, number: int, feature: int) -> Passage:
    """A whole document, each token valued by a feature."""
    read = read_or_raise(study)
    column = read.column(feature)
    first, last = read.tokens.document_span(number)
    return passages.passage(read.tokens, first, last, -1, read.values(column, first, last))
