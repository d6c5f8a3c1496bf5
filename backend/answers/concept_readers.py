"""How well regions, rivals and readers tell the concepts of a set apart."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import polars as pl

from backend.answers import concepts, provenance
from backend.answers.concepts import Held
from backend.concept_views import AnyRegion
from backend.concepts import judged, supervised
from backend.concepts.judged import CONTRASTS
from backend.schema import ConceptRef, PartitionSpec, Study
from backend.statistics import estimates
from backend.statistics.bootstrap import weighted_mean
from backend.statistics.intervals import Ends, Z, mean_interval

LEVELS = (0.6, 0.7, 0.8, 0.9)


READERS = pl.Schema(
    {"method": pl.String, "of": pl.Int64, "column": pl.Int64}
    | dict.fromkeys(("train", "value", "low", "high"), pl.Float64)
    | dict.fromkeys(("positives", "negatives"), pl.Int64)
    | dict.fromkeys(("best", "null_mean", "null_high"), pl.Float64)
    | {"tied": pl.Int64}
    | dict.fromkeys(("tied_mean", "tied_low", "tied_high"), pl.Float64)
)


def any_region(held: Held, concept: int, contrast: str, command: str) -> AnyRegion:
    """How well every direction tells one concept from a contrast."""
    aurocs = {
        kind: np.asarray(table.array(contrast)[concept]) for kind, table in held.tables.items()
    }
    shares = [
        (kind, len(found), *(float(np.mean(found > level)) for level in LEVELS))
        for kind, found in aurocs.items()
        if not np.isnan(found).any()
    ]
    names = ["method", "of", *(f"above {level:.1f}" for level in LEVELS)]
    return AnyRegion(
        contrast=contrast,
        readers=pl.DataFrame(_readers(held, concept, contrast), schema=READERS, orient="row"),
        aurocs=aurocs,
        shares=pl.DataFrame(shares, schema=names, orient="row"),
        over=over_concepts(held),
        provenance=provenance.of(held.tables["exemplar"], command),
    )


def _readers(held: Held, concept: int, contrast: str) -> list[tuple[Any, ...]]:
    """Rows of `READERS`: text length and those fitted to the concept first."""
    positive = held.set.of(concept, "test")[0]
    other = judged.against(held.set, concept, contrast)
    rows: list[tuple[Any, ...]] = []
    sizes, counted = np.diff(held.set.offsets), (len(positive), len(other))
    ends, chance = _length(sizes[positive], sizes[other])
    rows.append(("length", 1, -1, None, *ends, *counted, None, *chance, *[None] * 4))
    for name in supervised.READERS:
        given = held.readers.array(name)[concept]
        found = estimates.auroc(given[positive], given[other])
        rows.append((name, 1, -1, None, found.value, found.low, found.high, *counted, *[None] * 7))
    for kind, table in held.tables.items():
        read = judged.chosen(held.set, table, held.scores[kind], concept, contrast)
        ends = read.test.value, read.test.low, read.test.high
        counted = read.positives, read.negatives
        best = None if np.isnan(read.best) else read.best
        known = (best, *read.null) if contrast == "negative" else (best, None, None)
        width = held.scores[kind].shape[1]
        alike = read.tied, *(None if np.isnan(value) else value for value in read.among)
        rows.append((kind, width, read.column, read.train, *ends, *counted, *known, *alike))
    return rows


def _length(
    positive: np.ndarray, other: np.ndarray
) -> tuple[tuple[float | None, float, float], tuple[float | None, float | None]]:
    """What length alone tells, no direction needs to: the strongest of more tokens is stronger.
    AUROC of numbers of tokens, longer or shorter, whichever tells more (so that concepts of longer
    and of shorter texts do not cancel), with its interval; and what it then is, on average and at
    most in 95%, where lengths do not differ."""
    found = estimates.auroc(positive, other)
    if found.value is None:
        return (None, found.low, found.high), (None, None)
    m, n = len(positive), len(other)
    error = math.sqrt((m + n + 1) / (12 * m * n))  # of the rank sum
    chance = 0.5 + error * math.sqrt(2 / math.pi), min(0.5 + Z * error, 1.0)
    if found.value < 0.5:
        return (1 - found.value, 1 - found.high, 1 - found.low), chance
    return (found.value, found.low, found.high), chance


def over_concepts(held: Held) -> pl.DataFrame:
    """method, contrast, mean, low, high, concepts, positives, negatives: AUROC on test texts (mean
    of those that tie on training texts), mean over concepts with its t interval; texts, how many
    different ones, as a text is read for several concepts; chance, of text length; gain, gain_low,
    gain_high: the same of what it has over as many random activations, concept by concept. Against
    hard negatives, of which a concept has few, each text counts alike: concepts weigh by them, and
    the interval is a bootstrap over concepts."""
    return _over(held.study, held.spec, held.ref)


@functools.lru_cache(maxsize=3)
def _over(study: Study, spec: PartitionSpec, ref: ConceptRef) -> pl.DataFrame:
    """Takes a second or two where there are many."""
    held = concepts.find_or_job(study, spec, ref)
    if not isinstance(held, Held):
        raise LookupError("it was whole when it was asked about")
    rows = []
    for contrast in CONTRASTS:
        tables = [
            pl.DataFrame(_readers(held, concept, contrast), schema=READERS, orient="row")
            for concept in range(len(held.set.concepts))
        ]
        whole = pl.concat(tables).filter(pl.col("value").is_not_null())
        whole = whole.with_columns(value=pl.coalesce("tied_mean", "value"))
        texts = _different(held, contrast)
        control = whole.filter(pl.col("method") == "coreset")["value"].to_numpy()
        for (method,), part in whole.group_by("method", maintain_order=True):
            values, weights = part["value"].to_numpy(), part["negatives"].to_numpy()
            ends = [_mean(found, weights, contrast) for found in (values, values - control)]
            counted = len(part), int(part["positives"].sum()), int(weights.sum()), texts
            chance = None
            if method == "length":
                alike = weights if contrast == "hard" else None
                chance = float(np.average(part["null_mean"].to_numpy(), weights=alike))
            rows.append((method, contrast, *ends[0], *counted, chance, *ends[1]))
    names = ["method", "contrast", "mean", "low", "high", "concepts", "positives", "negatives"]
    names += ["texts", "chance", "gain", "gain_low", "gain_high"]
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


def _different(held: Held, contrast: str) -> int:
    parts = [
        np.r_[held.set.of(concept, "test")[0], judged.against(held.set, concept, contrast)]
        for concept in range(len(held.set.concepts))
    ]
    return len(np.unique(np.concatenate(parts)))


def _mean(values: np.ndarray, weights: np.ndarray, contrast: str) -> Ends:
    return weighted_mean(values, weights) if contrast == "hard" else mean_interval(values)
