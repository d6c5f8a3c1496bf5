"""Three tests of whether a model's output changes where regions end (`stability.interpolate`), each
beside the same test of other exemplars, as many activations at random (a *coreset*)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from backend.concepts.segments import Segment, envelope
from backend.concepts.views import BOUNDARIES, PREDICTION, SHARPNESS
from backend.statistics.estimates import auroc
from backend.statistics.intervals import mean_interval

CALIPER = 0.2  # of the standard deviation of ‖A − B‖: pairs farther apart are no match


@dataclass(frozen=True)
class Paths:
    """Arrays of `stability.interpolate_prompts`."""

    ends: np.ndarray  # [P, 2, width]
    sharpness: np.ndarray  # [P]
    steepest: np.ndarray  # [P]
    next: np.ndarray  # [P, 2]


def boundary_tests(
    paths: Paths, directions: dict[str, np.ndarray], centre: np.ndarray, seed: int
) -> dict[str, pl.DataFrame]:
    """`boundaries` (`BOUNDARIES`), `sharper` (`SHARPNESS`) and `prediction` (`PREDICTION`) of the
    `directions` [K, width] "exemplars" and "coreset". Pairs without a D are left out; `seed` orders
    the matching. What cannot be computed is null.

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
    usable = np.flatnonzero(np.isfinite(paths.sharpness))
    ends, sharpness = paths.ends[usable], paths.sharpness[usable]
    same_next = paths.next[usable, 0] == paths.next[usable, 1]
    apart = np.linalg.norm(np.diff(ends.astype(np.float64), axis=1)[:, 0], axis=1)
    segments = {}
    for kind, vectors in directions.items():
        wide = np.asarray(vectors, dtype=np.float64)
        segments[kind] = [envelope(a, b, wide, centre) for a, b in ends]
    in_one = {  # whether the ends of a pair are in one region
        kind: np.array([not len(segment.bounds) for segment in part], bool)
        for kind, part in segments.items()
    }
    sharper = [_sharpness(kind, one, apart, sharpness, seed) for kind, one in in_one.items()]
    predicted = [_prediction(kind, one, same_next) for kind, one in in_one.items()]
    return {
        "boundaries": _boundaries(segments, paths.steepest[usable]),
        "sharper": pl.DataFrame(sharper, SHARPNESS, orient="row"),
        "prediction": pl.DataFrame(predicted, PREDICTION, orient="row"),
    }


# ---------------------------------------------------------------- (i) boundaries


def _boundaries(segments: dict[str, list[Segment]], steepest: np.ndarray) -> pl.DataFrame:
    distances = {kind: boundary_distances(part, steepest) for kind, part in segments.items()}
    both = np.isfinite(distances["exemplars"][0] + distances["coreset"][0])
    rows = []
    for at, measure in enumerate(("distance", "beyond")):
        values = {kind: pair[at] for kind, pair in distances.items()}
        values["difference"] = values["exemplars"] - values["coreset"]
        for kind, each in values.items():
            counts = np.array([len(segment.bounds) for segment in segments.get(kind, [])])
            mean = float(counts[both].mean()) if len(counts) and both.any() else None
            rows.append((measure, kind, *_mean(each[both]), int((~both).sum()), mean))
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
    beyond = np.full(len(own), np.nan)
    if len(crossed) > 1:
        others = every[np.ix_(crossed, crossed)].sum(axis=1) - own[crossed]
        beyond[crossed] = own[crossed] - others / (len(crossed) - 1)
    return own, beyond


def _mean(values: np.ndarray) -> tuple[float | None, float | None, float | None, int]:
    """Mean, interval and number of what is not NaN."""
    known = values[np.isfinite(values)]
    return (*mean_interval(known), len(known))


# ---------------------------------------------------------------- (ii) sharpness


def _sharpness(
    kind: str, one: np.ndarray, apart: np.ndarray, sharpness: np.ndarray, seed: int
) -> tuple[object, ...]:
    pairs = match_pairs(apart, one, seed)
    inside, across = sharpness[pairs[:, 0]], sharpness[pairs[:, 1]]
    means = (mean_interval(inside)[0], mean_interval(across)[0])
    counts = (len(pairs), int(one.sum()), int((~one).sum()))
    return (kind, *means, *mean_interval(inside - across), *counts)


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


# ---------------------------------------------------------------- (iii) next token


def _prediction(kind: str, one: np.ndarray, same_next: np.ndarray) -> tuple[object, ...]:
    estimate = auroc(one[same_next], one[~same_next])
    counts = (len(one), int(same_next.sum()), int(one.sum()))
    return (kind, estimate.value, estimate.low, estimate.high, *counts)
