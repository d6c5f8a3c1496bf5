"""Which exemplars the straight line between two activations passes, exactly.

A point's norm does not change which exemplar is nearest, so along a + α(b − a) the similarity to
an exemplar may be replaced by a product that is linear in α. The nearest exemplars are then the
upper envelope of K lines, and no sampling is needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


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


def _steepest(among: np.ndarray, slope: np.ndarray) -> int:
    """Of lines that meet, the one that is highest from there on."""
    return int(among[np.argmax(slope[among])])
