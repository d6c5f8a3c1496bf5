"""The shape of regions: mean vectors, spread, distance between exemplars, quantiles by group."""

from __future__ import annotations

import numpy as np
import torch

from backend.regions.points import Points

ROWS = 1024  # exemplars compared with all others at once


def mean_vectors(every: Points, owner: np.ndarray, count: int) -> np.ndarray:
    """[count, width] float64 mean of each region's points, renormalised in float64; a token
    whose `owner` is negative belongs to none. Reads the points once, chunk by chunk."""
    sums = torch.zeros(count, len(every.centre), dtype=torch.float64)
    sizes = np.bincount(owner[owner >= 0], minlength=count)
    for first, points in every.steps("Measuring regions"):
        regions = owner[first : first + len(points)]
        rows = torch.from_numpy(np.flatnonzero(regions >= 0))
        exact = points.cpu()[rows].double()
        exact /= torch.linalg.vector_norm(exact, dim=1, keepdim=True)
        sums.index_add_(0, torch.from_numpy(regions.astype(np.int64))[rows], exact)
    return sums.numpy() / np.maximum(sizes, 1)[:, None]


def mean_distance(coherence: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Mean of 1 - cosine over all pairs of n unit vectors whose mean has length κ:
    n(1 - κ²)/(n - 1); NaN for a single vector."""
    pairs = np.where(sizes > 1, sizes - 1.0, np.nan)
    return np.maximum(sizes * (1 - coherence**2) / pairs, 0)


def isolation(exemplars: torch.Tensor) -> np.ndarray:
    """[K] distance of each exemplar to the nearest other; NaN for a single one."""
    nearest = np.full(len(exemplars), np.nan)
    if len(exemplars) == 1:
        return nearest
    for start in range(0, len(exemplars), ROWS):
        similarity = exemplars[start : start + ROWS] @ exemplars.T
        own = torch.arange(len(similarity))
        similarity[own, own + start] = -torch.inf
        nearest[start : start + ROWS] = 1 - similarity.amax(dim=1).double().numpy()
    return nearest


def quantiles(values: np.ndarray, offsets: np.ndarray, q: float) -> np.ndarray:
    """[groups] the q-quantile, linear between neighbours, of each group of values; groups lie
    one after another from `offsets`, sorted inside. NaN for an empty group."""
    sizes = np.diff(offsets)
    place = offsets[:-1] + q * np.maximum(sizes - 1, 0)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, np.maximum(offsets[1:] - 1, low))
    padded = np.append(values, np.nan).astype(np.float64)
    low, high = np.minimum(low, len(values)), np.minimum(high, len(values))
    values_at = padded[low] + (place - low) * (padded[high] - padded[low])
    return np.where(sizes > 0, values_at, np.nan)
