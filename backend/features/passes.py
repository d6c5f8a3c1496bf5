"""Compiled passes over the codes of all features, each a few numbers per feature. Codes come by
feature: `offsets` [features + 1] into `rows` and `values`, rows ascending within a feature."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True)
def strongest(offsets: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Place of the first highest value of each feature (0 where there is none), and the mean."""
    place = np.zeros(len(offsets) - 1, dtype=np.int64)
    mean = np.zeros(len(offsets) - 1)
    for feature in range(len(place)):
        first, last = offsets[feature], offsets[feature + 1]
        best, total = first, 0.0
        for index in range(first, last):
            total += values[index]
            if values[index] > values[best]:
                best = index
        if last > first:
            place[feature], mean[feature] = best, total / (last - first)
    return place, mean


@numba.njit(cache=True)
def runs(offsets: np.ndarray, rows: np.ndarray, label_of: np.ndarray) -> np.ndarray:
    """How many labels a feature's tokens have, of labels that ascend with the token."""
    counts = np.zeros(len(offsets) - 1, dtype=np.int64)
    for feature in range(len(counts)):
        before = -1
        for index in range(offsets[feature], offsets[feature + 1]):
            label = label_of[rows[index]]
            if label != before:
                counts[feature] += 1
                before = label
    return counts


@numba.njit(cache=True)
def commonest(
    offsets: np.ndarray, rows: np.ndarray, label_of: np.ndarray, labels: int
) -> tuple[np.ndarray, np.ndarray]:
    """The commonest label of each feature's tokens (-1: none; of several the lowest), its count."""
    best = np.full(len(offsets) - 1, -1, dtype=np.int64)
    most = np.zeros(len(best), dtype=np.int64)
    counts = np.zeros(labels, dtype=np.int64)
    for feature in range(len(best)):
        for index in range(offsets[feature], offsets[feature + 1]):
            counts[label_of[rows[index]]] += 1
        for index in range(offsets[feature], offsets[feature + 1]):
            label = label_of[rows[index]]
            count = counts[label]
            if count > most[feature] or (
                count == most[feature] and count and label < best[feature]
            ):
                best[feature], most[feature] = label, count
            counts[label] = 0
    return best, most


@numba.njit(cache=True)
def most_lifted(
    offsets: np.ndarray, rows: np.ndarray, label_of: np.ndarray, prior: np.ndarray, support: int
) -> tuple[np.ndarray, np.ndarray]:
    """The label whose share of a feature's tokens exceeds its prior most, of those on `support`
    tokens or more (-1: none), and its count."""
    best = np.full(len(offsets) - 1, -1, dtype=np.int64)
    most = np.zeros(len(best), dtype=np.int64)
    counts = np.zeros(len(prior), dtype=np.int64)
    for feature in range(len(best)):
        counts[:] = 0
        highest = 0.0
        for index in range(offsets[feature], offsets[feature + 1]):
            counts[label_of[rows[index]]] += 1
        for label in range(len(prior)):
            if counts[label] >= support and counts[label] / prior[label] > highest:
                highest = counts[label] / prior[label]
                best[feature], most[feature] = label, counts[label]
    return best, most


@numba.njit(cache=True)
def highest_of_runs(
    offsets: np.ndarray, rows: np.ndarray, values: np.ndarray, label_of: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Of each feature's highest value under each label, the `most` highest: [features, most] rows
    (-1: none) and values, highest first, of equal ones the earlier. Labels ascend with the row."""
    peak_rows = np.full((len(offsets) - 1, most), -1, dtype=np.int64)
    height = np.zeros((len(offsets) - 1, most), dtype=np.float32)
    for feature in range(len(peak_rows)):
        index, last = offsets[feature], offsets[feature + 1]
        while index < last:
            best, label = index, label_of[rows[index]]
            while index < last and label_of[rows[index]] == label:
                if values[index] > values[best]:
                    best = index
                index += 1
            place = most
            while place > 0 and (
                peak_rows[feature, place - 1] < 0 or values[best] > height[feature, place - 1]
            ):
                place -= 1
            for later in range(most - 1, place, -1):
                peak_rows[feature, later] = peak_rows[feature, later - 1]
                height[feature, later] = height[feature, later - 1]
            if place < most:
                peak_rows[feature, place], height[feature, place] = rows[best], values[best]
    return peak_rows, height
