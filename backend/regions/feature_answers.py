"""What the Features page asks: all features, and one feature, with the regions that match them."""

from __future__ import annotations

import polars as pl

from backend import run
from backend.corpus import passages
from backend.features import codes, examples, facets, logits, views
from backend.features.answers import FeatureIndex, feature_statistics, read_index, with_top_token
from backend.query import query
from backend.regions import matching, partitioning
from backend.schema import Study, conform
from backend.store import queue
from backend.store.memo import Entry

LISTED = 20  # rows of the short tables in the inspector


# ---------------------------------------------------------------- all features


@query("Features with their regions", priority=20)
def features(study: Study) -> views.FeatureTable:
    """All features of the study's SAE, with density, tokens and topics."""
    statistics, index = feature_statistics.part(study), read_index(study)
    table = matching.with_best(statistics, matching.matches_of(study, study.cut()), "feature")
    return views.FeatureTable(
        table=conform(table, views.FEATURE_TABLE),
        tokens=len(index.tokens),
        l0=float(index.index.value("l0")),
        fvu=float(index.index.value("fvu") or "nan"),
        dead=int((table["active"] == 0).sum()),
        provenance=index.index.provenance(f"features --study {study.name}"),
    )


# ---------------------------------------------------------------- one feature


@query("One feature", priority=queue.SHORT)
def feature(study: Study, feature: int) -> views.FeatureView:
    """One feature: logits, histogram, tokens, topics, nearest and co-firing features, regions."""
    table, index = features.part(study).table, read_index(study)
    column = index.column(feature)
    block, row = divmod(feature, logits.BLOCK)
    effects = run.optional(logits.effects, index.model, index.sae, block)
    neighbours = run.optional(logits.neighbours, index.sae, block)
    promoted, suppressed = (
        passages.logit_frame(index.model, effects, name, row) for name in ("promoted", "suppressed")
    )
    command = f"feature --study {study.name} --feature {feature}"
    return views.FeatureView(
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
        nearest=_nearest(index, neighbours, row),
        cofiring=conform(
            with_top_token(index, facets.cofiring(index.index, column, LISTED)), views.COFIRING
        ),
        regions=_regions(index, study, feature),
        provenance=index.index.provenance(command),
    )


def _logit_histogram(effects: Entry | None, row: int) -> pl.DataFrame:
    """`LOGIT_BINS`; empty where not computed yet."""
    if effects is None:
        return pl.DataFrame(schema=views.LOGIT_BINS)
    edges, counts = effects.array("edges")[row], effects.array("histogram")[row]
    columns = {"low": edges[:-1], "high": edges[1:], "count": counts}
    return pl.DataFrame(columns, schema=views.LOGIT_BINS)


def _tokens(index: FeatureIndex, column: codes.Column) -> pl.DataFrame:
    """`TOKENS`: the tokens that a feature fires on."""
    counts = facets.token_counts(column, index.tokens, LISTED)
    texts = passages.token_text(index.model, counts["token"].to_numpy())
    return conform(counts.with_columns(pl.Series("text", texts, pl.String)), views.TOKENS)


def _nearest(index: FeatureIndex, neighbours: Entry | None, row: int) -> pl.DataFrame:
    """`NEAREST`; empty where not computed yet."""
    if neighbours is None:
        return pl.DataFrame(schema=views.NEAREST)
    arrays = {"feature": "features", "cosine": "cosines"}
    frame = pl.DataFrame({name: neighbours.array(array)[row] for name, array in arrays.items()})
    return conform(with_top_token(index, frame), views.NEAREST)


def _regions(index: FeatureIndex, study: Study, feature: int) -> pl.DataFrame:
    """`MATCHING_REGIONS`: the regions whose members it fires on."""
    partition = study.cut()
    matches = matching.matches_of(study, partition)
    if matches is None:
        return pl.DataFrame(schema=views.MATCHING_REGIONS)
    frame = matches.frame("by_feature").filter(pl.col("feature") == feature)
    exemplars = partitioning.build_partition(partition).array("exemplar_tokens")
    rows = exemplars[frame["region"].to_numpy()]
    texts = [passages.piece_at(index.tokens, int(row)) for row in rows]
    return conform(frame.with_columns(pl.Series("token", texts, pl.String)), views.MATCHING_REGIONS)
