"""The leader pass of exemplar partitioning, on arrays.

The method is Rumbelow, *Exemplar Partitioning for Mechanistic Interpretability* (2026): points
are unit vectors, distance is 1 - cosine, and a point becomes an exemplar where no exemplar so
far is within reach. A point is judged against earlier exemplars only, so whole blocks are
screened by matrix products; and one exemplar within reach is enough, so the oldest, which reach
most, are tried first, and points they reach are let go. Rounding could change a verdict near the
limit: what its bound leaves open is settled in float64, over the float32 vectors.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

RESOLUTION = 1e-5  # distances below this are rounding: float32 cannot tell such points apart
SAME = 1e-6  # of the centre's length: activations closer to it are at it
FIRST = 64  # rows of the first block; early blocks are all survivors, whose Gram is quadratic
ROWS = {"cpu": 4096, "mps": 4096, "cuda": 16384}  # rows of a block at most
TIER = 256  # exemplars tried first; then as many again as were tried so far, and so on
CELLS = {"cpu": 2**23, "mps": 2**24, "cuda": 2**28}  # similarities held at once
GRAM_SHARE = 0.05  # what the survivors' Gram may cost, of a block's products
EXACT_ROWS = 4096  # rows whose float64 products are formed at once


def epsilon(width: int, dtype: torch.dtype = torch.float32) -> float:
    """Bound on the error of a computed dot product of two unit vectors of `width` dimensions.

    Summation in float32 in any order errs by at most width * 2^-24. A narrower format adds the
    rounding of both factors, of the result, and of partial sums where a GPU splits them.
    """
    exact_input = dtype == torch.float32 and torch.get_float32_matmul_precision() == "highest"
    unit_roundoff = 0.0 if exact_input else torch.finfo(torch.bfloat16).eps / 2
    return 1.01 * width * 2.0**-24 + 4 * unit_roundoff + unit_roundoff**2 + 1e-7


def unit(activations: Tensor, centre: Tensor) -> Tensor:
    """[n, width] float32 unit vectors of activations less `centre`, on the centre's device.

    An activation that float32 cannot tell from the centre has no direction and becomes zero:
    its distance to all is 1.
    """
    points = activations.to(centre.device).float() - centre
    norms = torch.linalg.vector_norm(points, dim=1, keepdim=True)
    nowhere = norms <= SAME * torch.linalg.vector_norm(centre)
    return points.div_(norms.masked_fill_(nowhere, torch.inf))


def exact_distances(points: Tensor, exemplars: Tensor) -> np.ndarray:
    """[n] float64 distances of rows to rows; products of float32 values are exact in float64."""
    result = np.empty(len(points))
    for start in range(0, len(points), EXACT_ROWS):
        rows = slice(start, start + EXACT_ROWS)
        left, right = (part[rows].cpu().numpy().astype(np.float64) for part in (points, exemplars))
        result[rows] = 1.0 - (left * right).sum(axis=1)
    return result


class LeaderPass:
    """Finds exemplars in a stream of points; how the stream is cut does not change them.

    `reach` (θ, or kθ with a gray zone) is the distance beyond which from all exemplars a point
    becomes one. `screen` is the format of the first look; the verdicts are the same in any.
    """

    def __init__(
        self,
        width: int,
        reach: float,
        *,
        device: str = "cpu",
        screen: torch.dtype = torch.float32,
        largest: int = 0,
    ) -> None:
        if not RESOLUTION <= reach < 1:
            raise ValueError(f"reach is {reach}, not in [{RESOLUTION}, 1)")
        self.reach = reach
        self.screen = screen
        self.count = 0
        self.seen = 0
        self._kind = torch.device(device).type
        self._largest = largest or ROWS[self._kind]
        self._block = min(FIRST, self._largest)
        self._kept = torch.empty(1024, width, device=device)
        self._narrow = self._kept.to(screen)  # the same tensor where the format is the same
        self._cells: dict[torch.dtype, Tensor] = {}
        self._products = 0  # similarities computed for the last block
        self._rows: list[np.ndarray] = []

    @property
    def exemplars(self) -> Tensor:
        """[K, width] float32, in the order found."""
        return self._kept[: self.count]

    @property
    def rows(self) -> np.ndarray:
        """[K] int64: where in the stream each exemplar is."""
        return np.concatenate(self._rows) if self._rows else np.empty(0, dtype=np.int64)

    def feed(self, points: Tensor) -> None:
        """Reads the next points of the stream: [n, width] float32 unit vectors (or zero)."""
        start = 0
        while start < len(points):
            block = points[start : start + self._block]
            outside = self._outside(block)
            fresh = outside[self._leaders(block[outside])]
            self._append(block[fresh])
            self._rows.append(self.seen + fresh)
            self.seen += len(block)
            start += len(block)
            self._resize(len(block), len(outside))

    def _outside(self, block: Tensor) -> np.ndarray:
        """Rows of the block that no exemplar so far reaches."""
        self._products = 0
        outside, unsure = self._screened(block, self.screen)
        if self.screen != torch.float32 and len(unsure):
            more, left = self._screened(block[unsure], torch.float32)
            outside, unsure = np.append(outside, unsure[more]), unsure[left]
        if len(unsure):
            outside = np.append(outside, unsure[~self._reached(block[unsure])])
        return np.sort(outside)

    def _screened(self, points: Tensor, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
        """Rows that surely no exemplar reaches, and rows that rounding leaves open."""
        limit, error = 1.0 - self.reach, epsilon(points.shape[1], dtype)
        exemplars = self._kept if dtype == torch.float32 else self._narrow
        rows, best, left = np.arange(len(points)), np.full(len(points), -np.inf), points.to(dtype)
        tried = 0
        while tried < self.count and len(rows):
            room = max(1, CELLS[self._kind] // len(rows))
            width = min(self.count - tried, room, max(TIER, tried))
            similarity = self._buffer(len(rows), width, dtype)
            torch.mm(left, exemplars[tried : tried + width].T, out=similarity)
            best = np.maximum(best, similarity.amax(dim=1).cpu().double().numpy())
            tried, self._products = tried + width, self._products + similarity.numel()
            stay = np.flatnonzero(best <= limit + error)
            if len(stay) < len(rows):
                rows, best, left = rows[stay], best[stay], left[stay]
        return rows[best < limit - error], rows[best >= limit - error]

    def _reached(self, points: Tensor) -> np.ndarray:
        """[n] whether an exemplar is within reach, settled in float64."""
        reached = np.zeros(len(points), dtype=bool)
        floor = 1.0 - self.reach - epsilon(points.shape[1])
        step = max(1, CELLS[self._kind] // self.count)
        for start in range(0, len(points), step):
            part = points[start : start + step]
            near = part @ self.exemplars.T >= floor
            point, exemplar = torch.nonzero(near, as_tuple=True)
            within = exact_distances(part[point], self.exemplars[exemplar]) <= self.reach
            reached[start + point.cpu().numpy()[within]] = True
        return reached

    def _leaders(self, points: Tensor) -> np.ndarray:
        """Which of the points, walked in order, no earlier one of these leaders reaches."""
        gram = points @ points.T
        limit, error = 1.0 - self.reach, epsilon(points.shape[1])
        near = (gram >= limit).cpu().numpy()
        left, right = torch.nonzero((gram - limit).abs() <= error, as_tuple=True)
        if len(left):
            within = exact_distances(points[left], points[right]) <= self.reach
            near[left.cpu().numpy(), right.cpu().numpy()] = within
        alive = (gram.diagonal() > 0.5).cpu().numpy()  # a point without direction anchors nothing
        leaders = []
        for row in range(len(points)):
            if alive[row]:
                leaders.append(row)
                alive[row + 1 :] &= ~near[row, row + 1 :]
        return np.array(leaders, dtype=np.int64)

    def _append(self, points: Tensor) -> None:
        total = self.count + len(points)
        if total > len(self._kept):
            grown = self._kept.new_empty(max(total, 2 * len(self._kept)), points.shape[1])
            grown[: self.count] = self.exemplars
            same = self._narrow is self._kept
            self._kept, self._narrow = grown, grown if same else grown.to(self.screen)
        self._kept[self.count : total] = points
        self._narrow[self.count : total] = points.to(self.screen)
        self.count = total

    def _buffer(self, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        """[rows, columns] to write similarities into."""
        cells = self._cells.get(dtype)
        if cells is None or cells.numel() < rows * columns:
            cells = self._kept.new_empty(rows * columns, dtype=dtype)
            self._cells[dtype] = cells
        return cells[: rows * columns].view(rows, columns)

    def _resize(self, rows: int, survivors: int) -> None:
        """Sets the next block's rows: as many as the survivors' Gram allows."""
        affordable = GRAM_SHARE * self._products * rows / max(survivors, 1) ** 2
        rows_next = max(FIRST, int(min(2 * self._block, affordable)))
        self._block = min(rows_next, self._largest)
