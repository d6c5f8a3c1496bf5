"""What the Features page asks: all features, and one feature, with the regions that match them."""

from __future__ import annotations

import polars as pl

from backend import run
from backend.corpus import passages
from backend.features import codes, examples, facets, logits
from backend.features.answers import (
    FeatureIndex,
    feature_statistics,
    read_index,
    with_top_token,
)
from backend.features.views import FeatureTable, FeatureView
from backend.query import query
from backend.regions import matching, partitioning
from backend.schema import Study
from backend.store import queue
from backend.store.memo import Entry

LISTED = 20  # rows of the short tables in the inspector


# ---------------------------------------------------------------- all features


@query("Features with their regions", priority=20)
def features(study: Study) -> FeatureTable:
    """All features of the study's SAE, with density, tokens and topics."""
    statistics, index = feature_statistics.part(study), read_index(study)
    table = matching.with_best(statistics, matching.matches_of(study, study.cut()), "feature")
    return FeatureTable(
        table=table.select(pl.exclude("promoted"), "promoted"),
        tokens=len(index.tokens),
        l0=float(index.index.value("l0")),
        fvu=float(index.index.value("fvu") or "nan"),
        dead=int((table["active"] == 0).sum()),
        provenance=index.index.provenance(f"features --study {study.name}"),
    )


# ---------------------------------------------------------------- one feature


@query("One feature", priority=queue.SHORT)
def feature(study: Study, feature: int) -> FeatureView:
    """One feature: logits, histogram, tokens, topics, nearest and co-firing features, regions."""
    table, index = features.part(study).table, read_index(study)
    column = index.column(feature)
    block, row = feature // logits.BLOCK, feature % logits.BLOCK
    effects = run.optional(logits.effects, index.model, index.sae, block)
    neighbours = run.optional(logits.neighbours, index.sae, block)
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
        nearest=with_top_token(index, _nearest(neighbours, row)),
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


def _nearest(neighbours: Entry | None, row: int) -> pl.DataFrame:
    """feature, cosine; empty where not computed yet."""
    if neighbours is None:
        return pl.DataFrame(schema={"feature": pl.Int32, "cosine": pl.Float32})
    arrays = {"feature": "features", "cosine": "cosines"}
    return pl.DataFrame({name: neighbours.array(array)[row] for name, array in arrays.items()})


def _regions(index: FeatureIndex, study: Study, feature: int) -> pl.DataFrame:
    """region, f1, precision, recall, token: the regions whose members it fires on."""
    partition = study.cut()
    matches = matching.matches_of(study, partition)
    frame = matching.table(matches, "feature").filter(pl.col("feature") == feature)
    rows = (
        partitioning.build_partition(partition).array("exemplar_tokens")[frame["region"].to_numpy()]
        if len(frame)
        else ()
    )
    texts = [passages.piece_at(index.tokens, int(row)) for row in rows]
    return frame.select("region", "f1", "precision", "recall", pl.Series("token", texts, pl.String))
