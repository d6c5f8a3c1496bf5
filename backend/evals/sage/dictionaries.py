"""Dictionaries at one place: supervised by the attributes of a task, or sparse codes. Pure arrays.

A supervised dictionary says x ≈ mean + Σ_a u_{a=v}; each u is centred, so that the mean is the mean
of the train activations.

- `means`: u_{a=v} = E[x | a = v] − E[x], each attribute by itself.
- `squares`: all u together, by least squares on one-hot attributes. Their columns are dependent
  where two attributes say the same in part; the solution of least norm is taken, which leaves the
  reconstruction as it is and shares out what cannot be told apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Supervised:
    """`mean` [width]; `parts`, [values, width] of each attribute; a value that no train prompt has
    is NaN."""

    mean: np.ndarray
    parts: tuple[np.ndarray, ...]

    def rebuild(self, codes: np.ndarray) -> np.ndarray:
        """[n, width] from `codes` [n, A]."""
        return self.mean + sum(u[codes[:, index]] for index, u in enumerate(self.parts))

    def change(self, old: np.ndarray, new: np.ndarray, attributes: list[int]) -> np.ndarray:
        """[n, width] u of the new values less u of the old, `codes` [n, A] each."""
        return sum(
            (
                self.parts[index][new[:, index]] - self.parts[index][old[:, index]]
                for index in attributes
            ),
            np.zeros((len(old), len(self.mean))),
        )


def means(x: np.ndarray, codes: np.ndarray, sizes: list[int]) -> Supervised:
    """Conditional means of `x` [n, width]."""
    mean, parts = x.mean(axis=0), []
    for index, size in enumerate(sizes):
        hot = np.eye(size)[codes[:, index]]
        with np.errstate(invalid="ignore"):
            parts.append((hot.T @ x) / hot.sum(axis=0)[:, None] - mean)
    return Supervised(mean, tuple(parts))


def squares(x: np.ndarray, codes: np.ndarray, sizes: list[int]) -> Supervised:
    """Least squares of `x` [n, width] on all attributes together."""
    mean = x.mean(axis=0)
    hot = np.concatenate(
        [np.eye(size)[codes[:, index]] for index, size in enumerate(sizes)], axis=1
    )
    share = hot.mean(axis=0)
    solution = np.linalg.lstsq(hot - share, x - mean, rcond=None)[0]
    solution[share == 0] = np.nan
    parts = []
    for block in np.split(np.arange(len(share)), np.cumsum(sizes)[:-1]):
        parts.append(solution[block] - share[block] @ np.nan_to_num(solution[block]))
    return Supervised(mean, tuple(parts))


def nearest(fit: Supervised, x: np.ndarray, attribute: int) -> np.ndarray:
    """[n] the value whose mean + u is nearest to each of `x`: how well an attribute can be read."""
    points = fit.mean + fit.parts[attribute]
    return np.nanargmin(((x[:, None] - points[None]) ** 2).sum(axis=2), axis=1)


# ---------------------------------------------------------------- sparse codes


@dataclass(frozen=True)
class Coded:
    """x ≈ offset + Σ values · rows[features]; `features` and `values` [n, k], −1 and 0 where fewer
    are active."""

    rows: np.ndarray
    offset: np.ndarray
    features: np.ndarray
    values: np.ndarray

    def rebuild(self) -> np.ndarray:
        """[n, width]."""
        return self.offset + np.einsum("nk,nkd->nd", self.values, self.rows[self.features])

    def active(self) -> np.ndarray:
        """[n, features of the dictionary] bool."""
        active = np.zeros((len(self.features), len(self.rows) + 1), dtype=bool)
        np.put_along_axis(active, self.features, True, axis=1)  # −1 is the last column
        return active[:, :-1]

    def value_of(self, features: np.ndarray) -> np.ndarray:
        """[n] the activation of one feature in each row, 0 where it is silent."""
        return (self.values * (self.features == features[:, None])).sum(axis=1)


def project(x: np.ndarray, offset: np.ndarray, rows: np.ndarray, features: np.ndarray) -> Coded:
    """Least squares of `x` [n, width] less the offset on the rows of given `features` [n, k]."""
    base = np.where((features >= 0)[..., None], rows[features], 0).astype(np.float64)
    values = np.einsum("nd,ndk->nk", x - offset, np.linalg.pinv(base))
    return Coded(rows, offset, features, np.where(features >= 0, values, 0))


def random_rows(count: int, width: int, seed: int) -> np.ndarray:
    """[count, width] unit vectors, even over directions."""
    rows = np.random.default_rng(seed).standard_normal((count, width))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def pursue(x: np.ndarray, offset: np.ndarray, rows: np.ndarray, like: np.ndarray) -> Coded:
    """The rows that `x` [n, width] less the offset projects on most, as many as `like` [n, k] has
    features, and least squares on them."""
    size = (like >= 0).sum(axis=1)
    order = np.argsort(-np.abs((x - offset) @ rows.T), axis=1)[:, : like.shape[1]]
    features = np.where(np.arange(order.shape[1]) < size[:, None], order, -1)
    return project(x, offset, rows, features)


# ---------------------------------------------------------------- edits of a few features


def edits(old: Coded, new: Coded, target: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """[sizes, n, width] changes of at most so many features towards `target` [n, width], what the
    counterfactual's activation has over the prompt's.

    A feature is changed from its value in `old` to that in `new`. Greedy: the one next that brings
    the activation nearest; none that takes it farther.
    """
    changes = np.zeros((len(sizes), *target.shape))
    for row in range(len(target)):
        changes[:, row] = _edited(old, new, target[row], row, sizes)
    return changes


def _edited(
    old: Coded, new: Coded, target: np.ndarray, row: int, sizes: tuple[int, ...]
) -> np.ndarray:
    shift: dict[int, float] = {}
    for coded, sign in ((old, -1.0), (new, 1.0)):
        for feature, value in zip(coded.features[row], coded.values[row], strict=True):
            if feature >= 0:
                shift[int(feature)] = shift.get(int(feature), 0.0) + sign * float(value)
    if not shift:
        return np.zeros((len(sizes), len(target)))
    vectors = old.rows[list(shift)] * np.array(list(shift.values()))[:, None]
    gram, left = vectors @ vectors.T, vectors @ target
    free, total, sums = np.ones(len(vectors), dtype=bool), np.zeros(len(target)), []
    for step in range(max(sizes)):
        gain = np.where(free, 2 * left - gram.diagonal(), -np.inf)
        best = int(gain.argmax())
        if gain[best] > 0:
            free[best] = False
            left = left - gram[best]
            total = total + vectors[best]
        if step + 1 in sizes:
            sums.append(total)
    return np.array(sums)
