"""How well regions, rivals and readers tell the concepts of a set apart."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import polars as pl

from backend.concepts import supervised
from backend.concepts.ranked_units import CONTRASTS, test_texts, tied_units
from backend.concepts.results import ConceptResults, Stop, results_of
from backend.concepts.views import LEVEL_SHARES, LEVELS, MEANS, READERS, ConceptAurocs
from backend.query import query
from backend.schema import Study
from backend.statistics import estimates
from backend.statistics.bootstrap import weighted_mean
from backend.statistics.intervals import Ends, Z, mean_interval
from backend.store import queue

Row = tuple[Any, ...]

# ---------------------------------------------------------------- one concept


@query("A concept told from other texts", priority=queue.PAGE)
def concept_aurocs(
    study: Study,
    name: str = "topics",
    concept: str = "",
    contrast: str = "negative",
    p: Stop = None,
    k: Stop = None,
) -> ConceptAurocs:
    """How well every region, rival, feature and fitted reader tells a concept from a contrast
    (negative, hard or both)."""
    results, number = results_of(study, name, concept, p, k)
    aurocs = {
        kind: np.asarray(table.array(contrast)[number])
        for kind, table in results.unit_scores.items()
    }
    command = results.command("concept_aurocs", number, name=name, contrast=contrast)
    return ConceptAurocs(
        contrast=contrast,
        readers=_readers(results, number, contrast),
        aurocs=aurocs,
        shares=_shares(aurocs),
        over=_means(results),
        provenance=results.unit_scores["exemplar"].provenance(command),
    )


def _shares(aurocs: dict[str, np.ndarray]) -> pl.DataFrame:
    """method, of, and the share of columns above each level, where the contrast has texts."""
    rows = [
        (kind, len(values), *(float(np.mean(values > level)) for level in LEVELS))
        for kind, values in aurocs.items()
        if not np.isnan(values).any()
    ]
    return pl.DataFrame(rows, LEVEL_SHARES, orient="row")


def _readers(results: ConceptResults, concept: int, contrast: str) -> pl.DataFrame:
    """`READERS`: text length and those fitted to the concept first."""
    rows = [
        *_fitted_rows(results, concept, contrast),
        *(_unit_row(results, concept, contrast, kind) for kind in results.unit_scores),
    ]
    return pl.DataFrame(rows, schema=READERS, orient="row")


def _fitted_rows(results: ConceptResults, concept: int, contrast: str) -> list[Row]:
    positive, other = test_texts(results.set, concept, contrast)
    counts, sizes = (len(positive), len(other)), np.diff(results.set.offsets)
    ends, chance = _length(sizes[positive], sizes[other])
    rows: list[Row] = [("length", 1, -1, None, *ends, *counts, None, *chance, *[None] * 4)]
    for name in supervised.READERS:
        values = results.readers.array(name)[concept]
        auroc = estimates.auroc(values[positive], values[other])
        rows.append((name, 1, -1, None, auroc.value, auroc.low, auroc.high, *counts, *[None] * 7))
    return rows


def _unit_row(results: ConceptResults, concept: int, contrast: str, kind: str) -> Row:
    """What the unit of a kind of highest training AUROC is worth, of equal ones the first. Few
    training texts cannot choose, so those that tie stand beside it."""
    values = results.scores[kind]
    train, null, aurocs = (
        np.asarray(results.unit_scores[kind].array(name)[concept])
        for name in ("train", "null", contrast)
    )
    column, tied = int(train.argmax()), tied_units(train)
    positive, other = test_texts(results.set, concept, contrast)
    test = estimates.auroc(values[positive, column], values[other, column])
    tied_aurocs = aurocs[tied]
    # labels were shuffled for this contrast alone
    by_chance = (null.mean(), np.quantile(null, 0.95)) if contrast == "negative" else (None, None)
    spread = (tied_aurocs.mean(), tied_aurocs.min(), tied_aurocs.max())
    best, *spread = (None if np.isnan(value) else value for value in (aurocs.max(), *spread))
    sizes = (test.value, test.low, test.high, len(positive), len(other))
    choice = (kind, values.shape[1], column, train[column])
    return (*choice, *sizes, best, *by_chance, len(tied), *spread)


def _length(
    positive: np.ndarray, other: np.ndarray
) -> tuple[tuple[float | None, float, float], tuple[float | None, float | None]]:
    """What length alone tells, no direction needs to: the strongest of more tokens is stronger.
    AUROC of numbers of tokens, longer or shorter, whichever tells more (so that concepts of longer
    and of shorter texts do not cancel), with its interval; and what it then is, on average and at
    most in 95%, where lengths do not differ."""
    auroc = estimates.auroc(positive, other)
    if auroc.value is None:
        return (None, auroc.low, auroc.high), (None, None)
    m, n = len(positive), len(other)
    error = math.sqrt((m + n + 1) / (12 * m * n))  # of the rank sum
    chance = 0.5 + error * math.sqrt(2 / math.pi), min(0.5 + Z * error, 1.0)
    if auroc.value < 0.5:
        return (1 - auroc.value, 1 - auroc.high, 1 - auroc.low), chance
    return (auroc.value, auroc.low, auroc.high), chance


# ---------------------------------------------------------------- all concepts of a set


@query("A concept set told from other texts", priority=queue.PAGE)
def mean_aurocs(study: Study, name: str = "topics", p: Stop = None, k: Stop = None) -> pl.DataFrame:
    """Mean AUROC over the concepts of a set, by method and contrast.

    method, contrast, mean, low, high, concepts, positives, negatives: AUROC on test texts (mean of
    those that tie on training texts), mean over concepts with its t interval; texts, how many
    different ones, as a text is read for several concepts; chance, of text length; gain, gain_low,
    gain_high: the same of what it has over as many random activations, concept by concept. Against
    hard negatives, of which a concept has few, each text counts alike: concepts weigh by them, and
    the interval is a bootstrap over concepts.
    """
    return _means(results_of(study, name, "", p, k)[0])


@functools.lru_cache(maxsize=3)
def _means(results: ConceptResults) -> pl.DataFrame:
    """Takes a second or two where there are many concepts."""
    rows = [row for contrast in CONTRASTS for row in _contrast_rows(results, contrast)]
    return pl.DataFrame(rows, schema=MEANS, orient="row")


def _contrast_rows(results: ConceptResults, contrast: str) -> list[Row]:
    """Rows of `MEANS`, a method each."""
    concepts = range(len(results.set.concepts))
    whole = pl.concat([_readers(results, concept, contrast) for concept in concepts])
    whole = whole.filter(pl.col("value").is_not_null())
    whole = whole.with_columns(value=pl.coalesce("tied_mean", "value"))
    control = whole.filter(pl.col("method") == "coreset")["value"].to_numpy()
    different = [np.concatenate(test_texts(results.set, each, contrast)) for each in concepts]
    texts, rows = len(np.unique(np.concatenate(different))), []
    for (method,), part in whole.group_by("method", maintain_order=True):
        values, weights = part["value"].to_numpy(), part["negatives"].to_numpy()
        mean, gain = (_mean(v, weights, contrast) for v in (values, values - control))
        counts = len(part), int(part["positives"].sum()), int(weights.sum()), texts
        chance = None
        if method == "length":  # where lengths do not differ
            shares = weights if contrast == "hard" else None
            chance = float(np.average(part["null_mean"].to_numpy(), weights=shares))
        rows.append((method, contrast, *mean, *counts, chance, *gain))
    return rows


def _mean(values: np.ndarray, weights: np.ndarray, contrast: str) -> Ends:
    return weighted_mean(values, weights) if contrast == "hard" else mean_interval(values)
