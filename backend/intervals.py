"""Confidence intervals of shares."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def wilson(k: ArrayLike, n: ArrayLike, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """Wilson score interval (low, high) of the share k/n; arrays broadcast.

    The default `z` is for 95%. Where n is 0 nothing is known: the interval is 0 to 1.
    Source: Wilson, *Probable Inference* (1927).
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
