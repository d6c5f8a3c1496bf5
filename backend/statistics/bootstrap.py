"""Bootstrap intervals: what is drawn again is what was drawn, prompts, subjects, words, concepts.

Plain resampling is scipy's, with its stream of random numbers. Where every resample is a row of
weights, one product gives a mean for all of them, and many means share their resamples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy  # its parts load when they are used

from backend.statistics.intervals import NOTHING, Ends

RESAMPLES = 2000


def percentile_interval(draws: np.ndarray) -> tuple[float, float]:
    """The middle 95% of draws."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def paired_draws(
    columns: tuple[np.ndarray, ...], statistic: Callable[..., np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """[RESAMPLES] a statistic of resampled rows. `columns` are arrays [n] of the same rows, two or
    more; `statistic` takes each of them and an `axis`."""
    result = scipy.stats.bootstrap(
        columns,
        statistic,
        n_resamples=RESAMPLES,
        paired=True,
        method="percentile",
        vectorized=True,
        rng=rng,
    )
    return result.bootstrap_distribution


def weighted_mean(values: np.ndarray, weights: np.ndarray, seed: int = 0) -> Ends:
    """Weighted mean of `values` [n] and its interval, values resampled with their weights; no
    interval of a single value."""

    def mean(some: np.ndarray, weight: np.ndarray, axis: int) -> np.ndarray:
        return np.average(some, axis=axis, weights=weight)

    value = float(np.average(values, weights=weights))
    if len(values) < 2:
        return value, None, None
    draws = paired_draws((values, weights), mean, np.random.default_rng(seed))
    return value, *percentile_interval(draws)


def grouped_mean(
    values: np.ndarray, group_of: np.ndarray, seed: int | list[int]
) -> tuple[float, float, float]:
    """Mean of `values` [n] where they are finite, and its interval over groups resampled whole;
    NaN ends where there are fewer than two groups, NaN throughout where nothing is finite."""
    finite = np.isfinite(values)
    if not finite.any():
        return np.nan, np.nan, np.nan
    value = float(values[finite].mean())
    names, group = np.unique(group_of[finite], return_inverse=True)
    if len(names) < 2:
        return value, np.nan, np.nan

    def mean(sums: np.ndarray, counts: np.ndarray, axis: int) -> np.ndarray:
        return sums.sum(axis=axis) / counts.sum(axis=axis)

    columns = np.bincount(group, values[finite]), np.bincount(group)
    return value, *percentile_interval(paired_draws(columns, mean, np.random.default_rng(seed)))


# ---------------------------------------------------------------- resamples as weights


def weight_rows(n: int, seed: int = 0) -> np.ndarray:
    """[1 + RESAMPLES, n] weights that sum to 1: all as they are, then resamples."""
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    return np.concatenate([np.ones((1, n)), counts]) / n


def mean_of_rows(values: np.ndarray, weights: np.ndarray) -> tuple[float, float, float]:
    """Mean of `values` [n] with its interval; `weights` as `weight_rows` gives them."""
    return _of_rows(weights @ values)


def _of_rows(draws: np.ndarray) -> tuple[float, float, float]:
    return float(draws[0]), *percentile_interval(draws[1:])


def ratio_of_means(
    top: np.ndarray, bottom: np.ndarray, weights: np.ndarray, folded: bool = False
) -> Ends:
    """Mean of `top` [n] over mean of `bottom` [n] with its interval; `folded`, 1 − |that|. None
    where the interval of the denominator holds 0, since then the ratio can be anything."""
    above, below = weights @ top, weights @ bottom
    low, high = percentile_interval(below[1:])
    if not low * high > 0:
        return NOTHING
    ratio = above / below
    return _of_rows(1 - np.abs(ratio) if folded else ratio)


def pair_weights(
    one: np.ndarray, other: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """How often each pair of items is in a resample, [RESAMPLES, pairs] each: of pairs, and of
    items, where a pair counts as often as both of its items together. `one` and `other` [pairs]
    are the items of each pair."""
    pairs, items = len(one), np.union1d(one, other)
    of_pairs = rng.multinomial(pairs, np.full(pairs, 1 / pairs), size=RESAMPLES)
    of_items = rng.multinomial(len(items), np.full(len(items), 1 / len(items)), size=RESAMPLES)
    places = np.searchsorted(items, one), np.searchsorted(items, other)
    return of_pairs, of_items[:, places[0]] * of_items[:, places[1]]


def wider_interval(several: list[np.ndarray]) -> tuple[float | None, float | None]:
    """The interval of the bootstrap whose interval is the wider; none where fewer than half the
    resamples of one of them have a value."""
    finite = [part[np.isfinite(part)] for part in several if np.isfinite(part).mean() > 0.5]
    ends = [percentile_interval(part) for part in finite]
    if len(ends) < len(several):
        return None, None
    return max(ends, key=lambda pair: pair[1] - pair[0])
