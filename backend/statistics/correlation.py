"""Rank correlations: Spearman's ρ alone, with weights, and less what a third ranking explains."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from backend.statistics.intervals import NOTHING, Ends, Z, fisher_interval

FEWEST = 5  # values of which a ρ has an interval


def mean_ranks(values: np.ndarray) -> np.ndarray:
    """[n] float64 rank of each value, from 1; equal values share the mean of theirs.

    The numbers of `scipy.stats.rankdata`, whose module takes .6 s to load on the page that shows
    the first interval.
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def spearman_interval(x: np.ndarray, y: np.ndarray) -> Ends:
    """Spearman's ρ of two arrays [n] with its interval: Fisher's z with the variance that ranks
    have, (1 + ρ²/2) / (n − 3) (Bonett and Wright 2000). Nothing below five values or where one
    array is all the same."""
    if len(x) < FEWEST or np.ptp(x) == 0 or np.ptp(y) == 0:
        return NOTHING
    rho = float(np.corrcoef(mean_ranks(x), mean_ranks(y))[0, 1])
    half = 1.96 * math.sqrt((1 + rho**2 / 2) / (len(x) - 3))
    # at ±1 arctanh is infinite
    return rho, *fisher_interval(float(np.clip(rho, -0.999999, 0.999999)), half)


def partial_spearman(one: np.ndarray, other: np.ndarray, control: np.ndarray) -> Ends:
    """ρ of what the ranks of `control` leave of the ranks of both, and its 95% interval: Fisher's
    z with n − 4. Nothing below five values or where nothing is left; no interval at ±1."""
    if len(one) < FEWEST:
        return NOTHING
    first, second, third = (mean_ranks(values) for values in (one, other, control))
    residual, other_residual = _residual(first, third), _residual(second, third)
    if residual is None or other_residual is None:
        return NOTHING
    rho = float(residual @ other_residual)
    if abs(rho) > 1 - 1e-12:
        return float(round(rho)), None, None
    return rho, *fisher_interval(rho, Z / math.sqrt(len(one) - 4))


def _residual(ranks: np.ndarray, control: np.ndarray) -> np.ndarray | None:
    """Of unit length; None where regression on `control` leaves nothing but rounding."""
    ranks, control = ranks - ranks.mean(), control - control.mean()
    size = float(control @ control)
    rest = ranks - control * (float(ranks @ control) / size) if size else ranks
    length = float(np.linalg.norm(rest))
    return rest / length if length > 1e-6 * float(np.linalg.norm(ranks)) else None


def weighted_spearman(
    one: ArrayLike, other: ArrayLike, weights: np.ndarray | None = None
) -> np.ndarray:
    """[resamples] Spearman's ρ of values [n], each counted as often as `weights` [resamples, n] say
    (without: once); NaN where one of them is all the same.

    scipy's has no weights, and repeating values, resample by resample, takes 9 times as long for
    300 values, more for fewer.
    """
    counts = np.ones((1, np.size(one))) if weights is None else weights.astype(np.float64)
    left, right = (_centred_ranks(np.asarray(values), counts) for values in (one, other))
    product = (counts * left * right).sum(axis=1)
    norm = np.sqrt(np.prod([(counts * part**2).sum(axis=1) for part in (left, right)], axis=0))
    return np.divide(product, norm, out=np.full(len(counts), np.nan), where=norm > 1e-9)


def _centred_ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """[resamples, n] rank of each value where it stands `counts` [resamples, n] times, less the
    mean rank. Equal values share the mean of their ranks."""
    order = np.argsort(values, kind="stable")
    _, first, inverse = np.unique(values[order], return_index=True, return_inverse=True)
    ties = np.add.reduceat(counts[:, order], first, axis=1)
    ranks = np.empty_like(counts)
    ranks[:, order] = (np.cumsum(ties, axis=1) - (ties - 1) / 2)[:, inverse]
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return ranks - (counts * ranks).sum(axis=1, keepdims=True) / total


def percentile_ranks(values: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """[n] share of `reference` below each value, a tie being half; NaN without a reference.

    scipy's `percentileofscore` compares each value with each of the reference; here both are
    sorted, since distances of texts come by the million.
    """
    if not len(reference):
        return np.full(len(values), np.nan)
    ordered = np.sort(reference)
    sides = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return np.sum([*sides], axis=0) / (2 * len(reference))
