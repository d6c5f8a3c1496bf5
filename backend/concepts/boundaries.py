"""Three tests of whether a model's output changes where regions end (`stability.interpolate`), each
beside the same test of other exemplars, as many activations at random (a *coreset*).

Where regions end is exact. A point's norm does not change which exemplar is nearest, so along
a + α(b − a) the similarity to an exemplar may be replaced by a product that is linear in α. The
nearest exemplars are then the upper envelope of K lines, and no sampling is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from backend.concepts.views import BOUNDARIES, PREDICTION, SHARPNESS
from backend.statistics.estimates import auroc
from backend.statistics.intervals import mean_interval

PATHS = ("ends", "sharpness", "steepest", "next")
CALIPER = 0.2  # of the standard deviation of ‖A − B‖: pairs farther apart are no match


def boundary_tests(
    paths: Mapping[str, np.ndarray],
    directions: dict[str, np.ndarray],
    centre: np.ndarray,
    seed: int,
) -> dict[str, pl.DataFrame]:
    """`boundaries` (`BOUNDARIES`), `sharper` (`SHARPNESS`) and `prediction` (`PREDICTION`) of the
    `directions` [K, width] "exemplars" and "coreset", on the `PATHS` of
    `stability.interpolate_prompts`. Pairs without a D are left out; `seed` orders the matching.
    What cannot be computed is null.

    (i) How far the steepest α is from the nearest boundary. Many boundaries are near to
    everything, so *beyond* is that distance less what the steepest α of the other pairs give.
    Ends of one region have no boundary between them: pairs without one of either are left out, so
    that all three rows are of the same pairs.
    (ii) Sharpness of pairs whose ends are in one region less that of pairs in two, matched on
    ‖A − B‖ within a caliper.
    (iii) AUROC of "the ends are in one region" for "the likeliest next tokens are the same".

    The pairs are the same for both. Half of them were drawn within regions of the exemplars. That
    favours neither in (i), whose differences are of pairs that cross boundaries of both. In (ii)
    and (iii) the exemplars get as many pairs of one region as of two, the coreset only those of
    one region that it shares, so that its intervals are wider; and the AUROC of either is one for
    this draw, not for pairs at random.
    """
    usable = np.flatnonzero(np.isfinite(paths["sharpness"]))
    ends, sharpness, steepest, following = (paths[name][usable] for name in PATHS)
    same_next = following[:, 0] == following[:, 1]
    apart = np.linalg.norm(np.diff(ends.astype(np.float64), axis=1)[:, 0], axis=1)
    segments = {}
    for kind, vectors in directions.items():
        wide = np.asarray(vectors, dtype=np.float64)
        segments[kind] = [envelope(a, b, wide, centre) for a, b in ends]
    in_one = {  # whether the ends of a pair are in one region
        kind: np.array([not len(segment.bounds) for segment in part], bool)
        for kind, part in segments.items()
    }
    sharper, predicted = [], []
    for kind, one in in_one.items():
        pairs = match_pairs(apart, one, seed)
        inside, across = sharpness[pairs[:, 0]], sharpness[pairs[:, 1]]
        means = mean_interval(inside)[0], mean_interval(across)[0]
        counts = int(one.sum()), int((~one).sum())
        sharper.append((kind, *means, *mean_interval(inside - across), len(pairs), *counts))
        area = auroc(one[same_next], one[~same_next])
        counts = len(one), int(same_next.sum()), int(one.sum())
        predicted.append((kind, area.value, area.low, area.high, *counts))
    return {
        "boundaries": _boundaries(segments, steepest),
        "sharper": pl.DataFrame(sharper, SHARPNESS, orient="row"),
        "prediction": pl.DataFrame(predicted, PREDICTION, orient="row"),
    }


# ---------------------------------------------------------------- (i) boundaries


def _boundaries(segments: dict[str, list[Segment]], steepest: np.ndarray) -> pl.DataFrame:
    distances = {kind: boundary_distances(part, steepest) for kind, part in segments.items()}
    both = np.isfinite(distances["exemplars"][0] + distances["coreset"][0])
    rows = []
    for column, measure in enumerate(("distance", "beyond")):
        values = {kind: pair[column] for kind, pair in distances.items()}
        values["difference"] = values["exemplars"] - values["coreset"]
        for kind, each in values.items():
            counts = np.array([len(segment.bounds) for segment in segments.get(kind, [])])
            mean = float(counts[both].mean()) if len(counts) and both.any() else None
            finite = each[both & np.isfinite(each)]
            sizes = len(finite), int((~both).sum())
            rows.append((measure, kind, *mean_interval(finite), *sizes, mean))
    return pl.DataFrame(rows, BOUNDARIES, orient="row")


def boundary_distances(
    segments: list[Segment], steepest: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """[P] the distance of each pair's steepest α to its nearest boundary, and that less the mean
    distance of the steepest α of the others that have a boundary; NaN for pairs that have none."""
    every = np.array([each.distance(steepest) for each in segments]).reshape(
        len(segments), len(steepest)
    )
    own = every.diagonal().copy()
    crossed = np.flatnonzero(np.isfinite(own))
    margin = np.full(len(own), np.nan)
    if len(crossed) > 1:
        others = every[np.ix_(crossed, crossed)].sum(axis=1) - own[crossed]
        margin[crossed] = own[crossed] - others / (len(crossed) - 1)
    return own, margin


# ---------------------------------------------------------------- (ii) sharpness


def match_pairs(apart: np.ndarray, one: np.ndarray, seed: int) -> np.ndarray:
    """[n, 2] rows (one, not one) with values of `apart` [P] alike: nearest neighbours without
    replacement, in an order by seed, none farther than the caliper."""
    order = np.random.default_rng(seed).permutation(np.flatnonzero(one))
    free, matches = np.flatnonzero(~one), []
    caliper = CALIPER * float(apart.std(ddof=1)) if len(apart) > 1 else 0.0
    for row in order:
        gaps = np.abs(apart[free] - apart[row])
        if len(free) and gaps.min() <= caliper:
            matches.append((row, free[gaps.argmin()]))
            free = np.delete(free, gaps.argmin())
    return np.array(matches, dtype=np.int64).reshape(-1, 2)


# ---------------------------------------------------------------- segments


@dataclass(frozen=True)
class Segment:
    """Owners along a segment: `owners` [m + 1] regions in the order passed, and `bounds` [m], the
    α in (0, 1), ascending, at which one gives way to the next. No region comes twice: regions are
    convex in this sense, so ends of one region have no boundary between them."""

    bounds: np.ndarray  # float64
    owners: np.ndarray  # int64

    def distance(self, alpha: np.ndarray) -> np.ndarray:
        """[n] of each α to the nearest boundary; NaN where there is none."""
        alpha = np.asarray(alpha, dtype=np.float64)
        if not len(self.bounds):
            return np.full(len(alpha), np.nan)
        return np.abs(alpha[:, None] - self.bounds).min(axis=1)


def envelope(a: np.ndarray, b: np.ndarray, exemplars: np.ndarray, centre: np.ndarray) -> Segment:
    """The segment between activations `a` and `b` [width] among `exemplars` [K, width].

    In float64; ties to the lower index. O(K) for each boundary beside two products.
    """
    wide = np.asarray(exemplars, dtype=np.float64)
    begin, end = (np.asarray(each, dtype=np.float64) for each in (a, b))
    # einsum adds up every row in the same order, BLAS does not: equal exemplars stay tied
    height = np.einsum("kw,w->k", wide, begin - centre)
    slope = np.einsum("kw,w->k", wide, end - begin)
    bounds, owners, here = [], [_steepest(np.flatnonzero(height == height.max()), slope)], 0.0
    while True:
        alpha, owner = _overtaken(owners[-1], height, slope)
        if alpha >= 1:
            return Segment(np.array(bounds, dtype=np.float64), np.array(owners, dtype=np.int64))
        if alpha > here:
            bounds.append(alpha)
            owners.append(owner)
            here = alpha
        else:  # rounding has parted lines that meet in one place
            owners[-1] = owner


def _overtaken(owner: int, height: np.ndarray, slope: np.ndarray) -> tuple[float, int]:
    """The first α at which another line passes that of `owner`, and which; infinity where none
    does."""
    faster = np.flatnonzero(slope > slope[owner])
    if not len(faster):
        return np.inf, owner
    with np.errstate(over="ignore"):
        meet = (height[owner] - height[faster]) / (slope[faster] - slope[owner])
    first = meet.min()
    return float(first), _steepest(faster[meet == first], slope)


def _steepest(lines: np.ndarray, slope: np.ndarray) -> int:
    """Of lines that meet, the one that is highest from there on."""
    return int(lines[np.argmax(slope[lines])])
