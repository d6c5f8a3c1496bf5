"""95% intervals of shares, means and correlations, and what a number of pairs could show.

Shares and correlations lie within bounds, so their intervals are not symmetric: Wilson's for
shares, Fisher's z for correlations. Means over features or concepts: Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import scipy  # its parts load when they are used
from numpy.typing import ArrayLike

Z = 1.959963984540054  # 97.5% of a normal distribution lie below
Ends = tuple[float | None, float | None, float | None]  # value, low, high
NOTHING: Ends = (None, None, None)


def wilson(k: ArrayLike, n: ArrayLike, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """Wilson score interval (low, high) of the share k/n; arrays broadcast.

    The default `z` is for 95%. Where n is 0 nothing is known: the interval is 0 to 1.
    Source: Wilson, *Probable Inference* (1927).

    `scipy.stats.binomtest` gives the same to 1e-15, but one share at a time, which takes 0.5 ms
    (thousands of regions stand in a table), and of whole numbers only (a tie is half a success).
    """
    successes, trials = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    some = np.maximum(trials, 1)
    share = successes / some
    middle = share + z**2 / (2 * some)
    half = z * np.sqrt(share * (1 - share) / some + z**2 / (4 * some**2))
    scale = 1 + z**2 / some
    low, high = (middle - half) / scale, (middle + half) / scale
    empty = trials == 0
    return np.where(empty, 0.0, np.maximum(low, 0)), np.where(empty, 1.0, np.minimum(high, 1))


def share_interval(k: float, n: int) -> Ends:
    """The share k/n and its Wilson interval; nothing of none."""
    if not n:
        return NOTHING
    low, high = wilson(k, n)
    return k / n, float(low), float(high)


def mean_interval(values: ArrayLike) -> Ends:
    """Mean and its 95% t interval; no interval of a single value, nothing of none."""
    numbers = np.asarray(values, dtype=np.float64)
    n = len(numbers)
    if n < 2:
        return (float(numbers[0]) if n else None), None, None
    mean, half = float(numbers.mean()), t_quantile(n) * float(numbers.std(ddof=1)) / math.sqrt(n)
    return mean, mean - half, mean + half


def t_quantile(n: int) -> float:
    """The 97.5% quantile of Student's t for the mean of `n` values."""
    return float(scipy.special.stdtrit(n - 1, 0.975))


def jackknife_half_width(
    statistic: Callable[[np.ndarray], float], group_of: np.ndarray
) -> float | None:
    """Half the 95% interval of a statistic of rows, from leaving out each group of rows in turn.
    None where there is one group only.

    `group_of` [rows] is the group of each row, such as its document; `statistic` is given the
    numbers of the rows that stay. Rows of one group need not be independent.
    """
    names = np.unique(group_of)
    n = len(names)
    if n < 2:
        return None
    values = np.array([statistic(np.flatnonzero(group_of != name)) for name in names])
    return t_quantile(n) * float(np.sqrt((n - 1) * values.var()))


def difference_interval(one: Ends, other: Ends) -> Ends:
    """One value less another, with the 95% interval that follows from theirs; nothing where either
    has none. Both ends are exact for independent values, and too wide for values of one sample
    that rise and fall together.

    Source: Zou and Donner, *Construction of confidence limits about effect measures* (2008).
    """
    (value, low, high), (less, least, most) = one, other
    if value is None or less is None:
        return NOTHING
    difference = value - less
    if low is None or high is None or least is None or most is None:
        return difference, None, None
    down, up = math.hypot(value - low, most - less), math.hypot(high - value, less - least)
    return difference, difference - down, difference + up


def fisher_interval(rho: float, half: float) -> tuple[float, float]:
    """The interval of a correlation, `half` being half its width on the scale of arctanh."""
    middle = np.arctanh(rho)
    return float(np.tanh(middle - half)), float(np.tanh(middle + half))


def smallest_difference(n: int, sd: float, power: float = 0.8) -> float:
    """The smallest true mean difference that `n` pairs would show at 95% (two-sided paired t test)
    with this power; `sd` is the standard deviation of the differences. Infinite below two pairs.

    Source: the noncentral t distribution, without approximation, as in statsmodels' TTestPower,
    which is not worth a dependency of its own.

    Raises:
        ValueError: `power` is not between 0.05 and 1, or `sd` is negative.
    """
    if not 0.05 < power < 1 or sd < 0:
        raise ValueError(f"power {power} or standard deviation {sd} cannot be")
    if n < 2:
        return math.inf
    edge = t_quantile(n)

    def missing(shift: float) -> float:
        t = scipy.special.nctdtr  # NaN in the far tail, where nothing is left
        return power - float(1 - t(n - 1, shift, edge) + np.nan_to_num(t(n - 1, shift, -edge)))

    shift = scipy.optimize.brentq(missing, 0.0, 20 + 3 * edge, xtol=1e-10)
    return float(shift) * sd / math.sqrt(n)
