"""Which exemplar each point is nearest to: the Voronoi pass of exemplar partitioning, on arrays.

Similarities are float32 matrix products, scanned in place. Where rounding leaves open which
exemplar is nearest, or on which side of θ one lies, float64 over the float32 vectors decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.regions.leader import CELLS, ROWS, epsilon, exact_distances

PADDING = -2.0  # stands for no similarity
STRIDE = 32  # exemplars of a group; the best three lie in the groups with the best three maxima


@dataclass(frozen=True)
class Nearest:
    """Where points lie among exemplars; all [n]. `distance` is to the nearest exemplar, `owner`;
    `margin` is how much farther `runner_up` is (0 and -1 where there is one exemplar only);
    `overlap` counts the exemplars within θ."""

    owner: np.ndarray  # int32
    distance: np.ndarray  # float32
    runner_up: np.ndarray  # int32
    margin: np.ndarray  # float32
    overlap: np.ndarray  # int32


def assign(points: Tensor, exemplars: Tensor, theta: float, reach: float = 0.0) -> Nearest:
    """As `Assignment`, for one batch of points."""
    return Assignment(exemplars, theta, reach)(points)


class Assignment:
    """Gives points [n, width] to exemplars [K, width], both float32 unit vectors on one device.

    Exact: ties go to the lower index, and `distance` lies on the side of `theta` and `reach`
    (default: theta) that float64 puts it on; both should be float32 values. A zero point is at
    distance 1 from all, within θ of none.
    """

    def __init__(self, exemplars: Tensor, theta: float, reach: float = 0.0) -> None:
        kind, count = exemplars.device.type, len(exemplars)
        self.exemplars = exemplars
        self.limits = (theta, reach or theta)
        self.error = epsilon(exemplars.shape[1])
        # similarities surely within θ, and those that may be
        self.floors = (1.0 - theta + self.error, 1.0 - theta - self.error)
        self.groups = max(3, -(-count // STRIDE))
        padding = exemplars.new_zeros(self.groups * STRIDE - count, exemplars.shape[1])
        self.padded = torch.cat([exemplars, padding])
        self.rows = max(1, min(ROWS[kind] // 2, CELLS[kind] // 4 // len(self.padded)))
        self.cells = exemplars.new_empty(2, self.rows, len(self.padded))

    def __call__(self, points: Tensor) -> Nearest:
        blocks = [self._block(block) for block in points.split(self.rows)]
        index, distance, overlap = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        margin = distance[:, 1] - distance[:, 0]
        if len(self.exemplars) == 1:
            index[:, 1], margin = -1, np.zeros(len(points))
        return Nearest(
            owner=index[:, 0].astype(np.int32),
            distance=self._rounded(distance[:, 0]),
            runner_up=index[:, 1].astype(np.int32),
            margin=margin.astype(np.float32),
            overlap=overlap.astype(np.int32),
        )

    def _block(self, block: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Indices and float64 distances of the nearest two [n, 2], and the overlap [n]."""
        similarity = self.cells[0, : len(block)]
        torch.mm(block, self.padded.T, out=similarity)
        similarity[:, len(self.exemplars) :] = PADDING
        values, index = (part.cpu().numpy() for part in self._best_three(similarity))
        distance = 1.0 - values.astype(np.float64)
        within, about = (self._count(similarity, floor) for floor in self.floors)
        blank = (block == 0).all(dim=1).cpu().numpy()
        index[blank], distance[blank], within[blank] = (0, 1, 2), 1.0, 0
        steps = np.diff(distance[:, : len(self.exemplars)], axis=1)
        open_rows = (within != about) | (steps <= 2 * self.error).any(axis=1)
        for limit in self.limits:
            open_rows |= np.abs(distance[:, 0] - limit) <= self.error
        rows = np.flatnonzero(open_rows & ~blank)
        if len(rows):
            retried_rows = torch.from_numpy(rows).to(block.device)
            second = distance[rows, min(1, len(self.exemplars) - 1)]
            settled = self._settled(block[retried_rows], similarity[retried_rows], second)
            index[rows, :2], distance[rows, :2], on_limit = settled
            within[rows] += on_limit
        return index[:, :2], distance[:, :2], within

    def _best_three(self, similarity: Tensor) -> tuple[Tensor, Tensor]:
        """The three largest similarities [n, 3] and their indices, ties in any order."""
        grouped = similarity.view(len(similarity), STRIDE, self.groups)
        groups = grouped.amax(dim=1).topk(3, dim=1).indices
        every = groups[:, None, :].expand(-1, STRIDE, -1)
        values, place = grouped.gather(2, every).flatten(1).topk(3, dim=1)
        group = groups.gather(1, place % 3)
        return values, place.div(3, rounding_mode="floor") * self.groups + group

    def _count(self, similarity: Tensor, floor: float) -> np.ndarray:
        """[n] how many similarities are at least `floor`."""
        marks = self.cells[1, : len(similarity)]
        torch.ge(similarity, floor, out=marks)
        return marks.sum(dim=1).cpu().numpy().astype(np.int64)

    def _settled(
        self, block: Tensor, similarity: Tensor, second: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """By float64: the nearest two, their distances, and how many of the exemplars whose
        float32 product is too close to θ to tell are within it. `second` [n] is the distance of
        the runner-up by float32."""
        limit = torch.from_numpy(second + 2 * self.error).float().to(block.device)
        is_near = similarity >= 1.0 - limit[:, None] - 1e-6
        unsure = (similarity < self.floors[0]) & (similarity >= self.floors[1])
        row, exemplar = torch.nonzero(is_near | unsure, as_tuple=True)
        exact = exact_distances(block[row], self.exemplars[exemplar])
        on_limit = unsure[row, exemplar].cpu().numpy() & (exact <= self.limits[0])
        row, exemplar = row.cpu().numpy(), exemplar.cpu().numpy()
        order = np.lexsort((exemplar, exact, row))
        first = np.searchsorted(row, np.arange(len(block)))  # `row` ascends, and so does row[order]
        best = order[np.column_stack([first, np.minimum(first + 1, len(order) - 1)])]
        counts = np.bincount(row[on_limit], minlength=len(block))
        return exemplar[best], exact[best], counts

    def _rounded(self, distance: np.ndarray) -> np.ndarray:
        """Distances in float32, none of which rounding has brought to within a limit."""
        result = np.maximum(distance, 0).astype(np.float32)
        for limit in self.limits:
            slipped = (distance > limit) & (result <= np.float32(limit))
            result[slipped] = np.nextafter(np.float32(limit), np.float32(np.inf))
        return result
