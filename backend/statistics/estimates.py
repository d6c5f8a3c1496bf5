"""Estimates with 95% intervals that hold for few excerpts.

- Balanced accuracy: Wilson's intervals of TPR and TNR, distances from the point squared and added
  (Newcombe 1998, method 10, there for a difference), halved with the sum.
- AUROC: the values that a score test with Hanley and McNeil's variance does not reject (Newcombe
  2006, method 5), so that a perfect AUROC of few excerpts still has a wide interval.
- Gap of means: bootstrap within both groups, made wider for small n (Hesterberg 2015).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy  # its parts load when they are used
from numpy.typing import ArrayLike

from backend.statistics.bootstrap import RESAMPLES
from backend.statistics.correlation import mean_ranks
from backend.statistics.intervals import Z, wilson


@dataclass(frozen=True)
class Estimate:
    """A value, its 95% interval, how that was made, and what a label that knows nothing gets.
    Where a class has no excerpt the value is None and the interval rules out nothing."""

    value: float | None
    low: float
    high: float
    chance: float
    interval: str


def balanced_accuracy(tp: int, fp: int, tn: int, fn: int) -> Estimate:
    """(TPR + TNR)/2 of counts."""
    how = "Wilson for TPR and TNR, square-and-add"
    right, sizes = np.array([tp, tn]), np.array([tp + fn, tn + fp])
    if not sizes.all():
        return Estimate(None, 0.0, 1.0, 0.5, how)
    shares, (low, high) = right / sizes, wilson(right, sizes, Z)
    value = float(shares.mean())
    below, above = (float(np.linalg.norm(shares - end)) / 2 for end in (low, high))
    return Estimate(value, max(value - below, 0.0), min(value + above, 1.0), 0.5, how)


def auroc(positives: ArrayLike, negatives: ArrayLike) -> Estimate:
    """The share of pairs in which the positive is higher; a tie is half a pair.

    Raises:
        ValueError: a value is NaN.
    """
    how = "Hanley–McNeil variance, inverted score test"
    high, low = np.asarray(positives, np.float64), np.asarray(negatives, np.float64)
    if np.isnan(high).any() or np.isnan(low).any():
        raise ValueError("AUROC of NaN")
    if not len(high) or not len(low):
        return Estimate(None, 0.0, 1.0, 0.5, how)
    # scikit-learn's `roc_auc_score` gives the same to 1e-15 and takes 15 times as long: a table of
    # readers has thousands of these
    ranks = mean_ranks(np.concatenate([high, low]))[: len(high)]
    value = float((ranks.sum() - len(high) * (len(high) + 1) / 2) / (len(high) * len(low)))
    above = _furthest(value, len(high), len(low))
    below = 1 - _furthest(1 - value, len(high), len(low))
    return Estimate(value, below, above, 0.5, how)


def _furthest(value: float, m: int, n: int) -> float:
    """The highest AUROC that is z standard errors or less above `value`, by bisection."""

    def error(area: float) -> float:
        pairs = (1 - area) / (2 - area) + area / (1 + area)
        return math.sqrt(area * (1 - area) * (1 + ((m + n) / 2 - 1) * pairs) / (m * n))

    low, high = value, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if middle - value <= Z * error(middle) else (low, middle)
    return high


def gap(positives: ArrayLike, negatives: ArrayLike, seed: int = 0) -> Estimate:
    """Mean of positives less mean of negatives, of values from −1 to 1 such as cosines.

    The bootstrap's own spread is too small by (n−1)/n and knows no t: each group's deviations are
    widened by √(n/(n−1)), and the percentile is that of Welch's t instead of z. A single value has
    no spread, so then nothing is said: −2 to 2.
    """
    how = f"bootstrap in both classes, {RESAMPLES} resamples, widened for small n"
    groups = [np.asarray(group, dtype=np.float64) for group in (positives, negatives)]
    if not all(len(group) for group in groups):
        return Estimate(None, -2.0, 2.0, 0.0, how)
    value = float(groups[0].mean() - groups[1].mean())
    if min(map(len, groups)) < 2:
        return Estimate(value, -2.0, 2.0, 0.0, how)
    rng = np.random.default_rng(seed)
    one, other = (_deviations(group, rng) for group in groups)
    tail = float(scipy.special.ndtr(scipy.special.stdtrit(_freedom(*groups), 0.025)))
    low, high = value + np.quantile(one - other, [tail, 1 - tail])
    return Estimate(value, max(float(low), -2.0), min(float(high), 2.0), 0.0, how)


def _freedom(one: np.ndarray, other: np.ndarray) -> float:
    """Welch's degrees of freedom; those of equal spread where there is none."""
    errors = [float(group.var(ddof=1)) / len(group) for group in (one, other)]
    parts = zip(errors, (one, other), strict=True)
    below = sum(error**2 / (len(group) - 1) for error, group in parts)
    return sum(errors) ** 2 / below if below else len(one) + len(other) - 2.0


def _deviations(group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[RESAMPLES] means of resamples less the mean, widened. The same resamples as those of
    `scipy.stats.bootstrap`, which takes twice as long, feature by feature."""
    n = len(group)
    means = group[rng.integers(n, size=(RESAMPLES, n))].mean(axis=1)
    return (means - group.mean()) * math.sqrt(n / (n - 1))
