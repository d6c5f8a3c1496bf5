"""How pure regions are of a concept and how much of it each covers, over tokens; over how many
regions it is split; and whether either goes with the shape of regions.

Any way of grouping tokens is measured alike: regions, clusters, features that are active. Tokens of
one text are not independent, so intervals of shares are narrower than the truth.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl

from backend.concepts.views import CORRELATIONS, PURITY
from backend.statistics.correlation import partial_spearman
from backend.statistics.intervals import Z, wilson

LEAST = 5  # tokens of a region whose purity is compared with its shape
MEASURES = ("purity", "coverage", "f1")
SHAPES = ("coherence", "mean_distance", "radius")


def purity_of_owners(owner: np.ndarray, positive: np.ndarray, regions: int) -> pl.DataFrame:
    """`PURITY`, a row a region. `owner` [N] is the region of each token, negative for none;
    `positive` [N] is bool. Tokens of no region count among all tokens and all positives.

    Raises:
        ValueError: an owner is none of the regions.
    """
    if owner.max(initial=-1) >= regions:
        raise ValueError(f"owner {owner.max()} of {regions} regions")
    counts = np.bincount(owner[owner >= 0], minlength=regions)
    hits = np.bincount(owner[(owner >= 0) & positive], minlength=regions)
    return purity_of_counts(counts, hits, int(positive.sum()), len(owner))


def purity_of_counts(
    counts: np.ndarray, hits: np.ndarray, positives: int, tokens: int
) -> pl.DataFrame:
    """`PURITY` of groups that may overlap: of `tokens`, `positives` of them positive, group r has
    `counts[r]` and `hits[r]`.

    The interval of F1 is that of hits over tokens in either, of which F1 is a rising function.
    """
    prior = np.nan if not positives else positives / tokens
    purity = _shares(hits, counts)
    coverage = _shares(hits, np.full(len(hits), positives))
    either = counts + positives - hits if positives else np.zeros(len(hits))
    f1 = [2 * share / (1 + share) for share in _shares(hits, either)]
    lift = [share / prior for share in purity]
    columns = [np.arange(len(counts)), counts, hits, *purity, *lift, *coverage, *f1]
    return pl.DataFrame(dict(zip(PURITY, columns, strict=True)), PURITY, nan_to_null=True)


def _shares(k: np.ndarray, n: np.ndarray) -> list[np.ndarray]:
    """Share and Wilson's interval; NaN where `n` is 0."""
    mask = np.where(n > 0, 1.0, np.nan)
    return [part * mask for part in (k / np.maximum(n, 1), *wilson(k, n, Z))]


# ---------------------------------------------------------------- splitting


def split_over_regions(hits: np.ndarray, uncovered: int = 0) -> dict[str, Any]:
    """Over how many regions the positives in each region [K] are split; `uncovered` are in none.

    `effective` is exp of the entropy (so many equal parts have as much), a little too low where
    positives are few; `half` and `most` are the fewest regions that hold 50% and 90% of the
    `positives`. None where there are none. Groups that overlap count a token once in each. The same
    of all tokens in each region is what a concept has that lies no closer together than the corpus.
    """
    total = int(hits.sum())
    counts = {"positives": total, "uncovered": uncovered}
    if not total:
        return {"effective": None, "half": None, "most": None, **counts}
    reached = np.cumsum(np.sort(hits)[::-1].astype(np.int64))  # by so many of the largest
    half = int(np.searchsorted(reached * 2, total)) + 1
    most = int(np.searchsorted(reached * 10, total * 9)) + 1
    return {"effective": math.exp(entropy(hits)), "half": half, "most": most, **counts}


def entropy(counts: np.ndarray) -> float:
    """Entropy of the shares that counts make, in nats; 0 without any."""
    shares = counts[counts > 0] / max(int(counts.sum()), 1)
    return float(-(shares * np.log(shares)).sum()) + 0.0  # no −0


# ---------------------------------------------------------------- purity and shape


def shape_correlations(purity: pl.DataFrame, shape: pl.DataFrame) -> pl.DataFrame:
    """`CORRELATIONS`: how purity, coverage and F1 (of `PURITY`) rise with coherence, mean pairwise
    distance and radius.

    `shape` has a row a region with `region`, `size` and the three, as `regions.statistics` gives.
    Spearman's ρ, partial on `size`, and with `size` itself; Fisher's z with n − 4. Small regions
    are more coherent by chance and cover less, so what the rank of `size` explains is taken out of
    both ranks first.
    """
    shapes = shape.select("region", "size", *SHAPES).cast({"region": pl.Int32})
    joined = purity.join(shapes, on="region").filter(pl.col("count") >= LEAST)
    rows = []
    for measure in MEASURES:
        for shape_name in (*SHAPES, "size"):
            control = pl.lit(0) if shape_name == "size" else pl.col("size")
            pair = joined.select(measure, shape_name, control=control).cast(pl.Float64)
            pair = pair.fill_nan(None).drop_nulls()
            rho = partial_spearman(*(pair[name].to_numpy() for name in pair.columns))
            rows.append((measure, shape_name, *rho, len(pair), len(purity) - len(pair)))
    return pl.DataFrame(rows, schema=CORRELATIONS, orient="row")
