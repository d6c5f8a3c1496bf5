"""How far two assignments, sets or descriptions of the same things agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def cohen_kappa(one: np.ndarray, other: np.ndarray) -> float:
    """Cohen's κ of two assignments [n], agreement less what chance gives; NaN where nothing is
    assigned, or all is assigned alike, so that chance gives all."""
    from sklearn.metrics import cohen_kappa_score  # takes a second to import

    if len(np.union1d(one, other)) < 2:
        return float("nan")
    return float(cohen_kappa_score(one, other))


def f1_scores(hits: ArrayLike, called: ArrayLike, positives: ArrayLike) -> np.ndarray:
    """2·hits / (called + positives) of counts, 0 where there is neither; arrays broadcast.

    scikit-learn's `f1_score` takes labels, one pair of assignments at a time; here the counts of
    thousands of features or resamples are one matrix product.
    """
    total = np.add(called, positives)
    twice = np.multiply(2.0, hits)
    return np.divide(twice, total, out=np.zeros(np.shape(total)), where=total > 0)


def constant_f1(prior: float) -> float:
    """F1 of calling everything positive: a larger part comes nearer to it, whatever it holds."""
    return 2 * prior / (1 + prior)


def jaccard(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """[n, m] both over either, of the sets that rows of [n, units] and [m, units] bool are; NaN
    where both are empty. One matrix product; scikit-learn counts pair by pair."""
    both = (one.astype(np.float32) @ other.astype(np.float32).T).astype(np.float64)
    return _over_either(both, one.sum(axis=1), other.sum(axis=1))


def chance_jaccard(one: np.ndarray, other: np.ndarray, units: int) -> np.ndarray:
    """[n, m] the Jaccard of sets of these sizes [n], [m], of as many units as expected in
    common."""
    return _over_either(one[:, None] * other[None] / units, one, other)


def _over_either(both: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    either = one[:, None] + other[None] - both
    return np.divide(both, either, out=np.full(both.shape, np.nan), where=either > 0)


def cosines(rows: np.ndarray) -> np.ndarray:
    """[n, n] float64 cosines of the rows of [n, width]; 0 with a row of zeros."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.where(norms > 0, norms, 1)
    return (unit @ unit.T).astype(np.float64)
