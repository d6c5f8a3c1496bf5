"""How near the partition comes to the speed of its matrix products, and whether it is exact.

    python -m benchmarks.partition [--full] [--json]

Reads the first activations of the demo study from the cache (and computes what is not there).

- `gemm_ratio` is the time of the bare float32 products of points with all exemplars known by
  then, over the time of the leader pass; above 1, since points that an early exemplar reaches are
  spared the rest;
- `assign_ratio` is the same for the Voronoi pass, which needs every product;
- `loop_ratio` is how much faster the leader pass is, as a partition runs it, than a numpy loop
  over points;
- `bf16_ratio` is `gemm_ratio` with a bfloat16 screen, so against the same float32 products;
  `bf16_gain` is what the screen gains over the leader pass without it;
- `identical` says that the leaders are those of that loop in float64.

The loop runs over a prefix of the points, or over all with --full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from backend import run
from backend.models.device import fast_bfloat16, pick_device
from backend.regions import partitioning
from backend.regions.leader import LeaderPass
from backend.regions.nearest import Assignment
from backend.schema import Progress
from backend.study import loading as studies
from benchmarks.report import Figure, alternated, main, median_ratio, seconds_of

TOKENS, PREFIX = 70_000, 40_000
PERCENTILE = 3.0  # gives more than 2,500 regions among so many tokens of the demo
BLOCK = 7_000  # points between turns
ROWS = 2_048  # points of a bare product

Pair = tuple[Callable[[], object], Callable[[], object]]


def demo_points(device: str) -> tuple[Tensor, float]:
    """[≥ 70,000, width] points of the demo, and θ."""
    study = studies.load("demo")
    parts, count = [], 0
    with run.computing(device, Progress()):
        curve = partitioning.thresholds(study.reading, [PERCENTILE], study.partition.seed)
        for _, part in partitioning.points(study.reading):
            parts.append(part)
            count += len(part)
            if count >= TOKENS:
                break
    return torch.cat(parts)[:TOKENS], float(curve.frame("curve")["theta"][0])


def leaders(points: Tensor, theta: float, screen: torch.dtype = torch.float32) -> LeaderPass:
    leader_pass = LeaderPass(points.shape[1], theta, device=points.device.type, screen=screen)
    leader_pass.feed(points)
    return leader_pass


def loop(points: np.ndarray, theta: float) -> list[int]:
    """The leader pass as one would write it first: point by point."""
    exemplars, rows = np.empty_like(points), []
    for row, point in enumerate(points):
        before = exemplars[: len(rows)]
        if not rows or (1 - before @ point).min() > theta:
            exemplars[len(rows)] = point
            rows.append(row)
    return rows


def leader_turns(
    points: Tensor, theta: float, reference: LeaderPass, screen: torch.dtype = torch.float32
) -> Iterator[Pair]:
    """Blocks of the bare float32 products, and of the leader pass that stands on them."""
    device = points.device.type
    leader_pass = LeaderPass(points.shape[1], theta, device=device, screen=screen)
    cells = points.new_empty(ROWS * reference.count)

    def products(begin: int, end: int) -> None:
        for start in range(begin, end, ROWS):
            block = points[start : min(start + ROWS, end)]
            count = int(np.searchsorted(reference.rows, start))
            out = cells[: len(block) * count].view(len(block), count)
            torch.mm(block, reference.exemplars[:count].T, out=out)

    for start in range(0, len(points), BLOCK):
        part = points[start : start + BLOCK]
        yield (
            lambda start=start, part=part: products(start, start + len(part)),
            lambda part=part: leader_pass.feed(part),
        )


def assign_turns(points: Tensor, theta: float, exemplars: Tensor) -> Iterator[Pair]:
    """Blocks of the bare products, and of the Voronoi pass that makes them."""
    assignment = Assignment(exemplars, theta)
    cells = points.new_empty(ROWS, len(exemplars))

    def products(part: Tensor) -> None:
        for block in part.split(ROWS):
            torch.mm(block, exemplars.T, out=cells[: len(block)])

    for part in points.split(BLOCK):
        yield lambda part=part: products(part), lambda part=part: assignment(part)


def screened(points: Tensor, theta: float, reference: LeaderPass) -> list[Figure]:
    """The pass with a bfloat16 screen, where the device multiplies it fast."""
    if not fast_bfloat16(points.device.type):
        note = "bfloat16 products are not fast on this device"
        return [Figure("bf16_ratio", None, "×", 1.8, None, note)]
    bf16 = torch.bfloat16
    ratio = median_ratio(lambda: alternated(leader_turns(points, theta, reference, bf16)))

    def both() -> tuple[float, float]:
        plain = seconds_of(lambda: leaders(points, theta))
        return plain, seconds_of(lambda: leaders(points, theta, bf16))

    return [
        Figure("bf16_ratio", ratio, "×", 1.8, ratio >= 1.8),
        Figure("bf16_gain", median_ratio(both), "×", None, True),
    ]


def looped(points: Tensor, theta: float) -> list[Figure]:
    """How much faster than a loop over points, and whether the outcome is that of one."""
    plain = points.cpu().numpy()
    screen = torch.bfloat16 if fast_bfloat16(points.device.type) else torch.float32
    fast = median_ratio(lambda: (seconds_of(lambda: leaders(points, theta, screen)), 1.0))
    ratio = seconds_of(lambda: loop(plain, theta)) / fast
    same = loop(plain.astype(np.float64), theta) == leaders(points, theta, screen).rows.tolist()
    return [
        Figure("loop_ratio", ratio, "×", 10.0, ratio >= 10),
        Figure("identical", same, "", True, same),
    ]


def measure(full: bool) -> tuple[int, list[Figure]]:
    device = pick_device(studies.load("demo").device)
    points, theta = demo_points(device)
    reference = leaders(points, theta)
    gemm = median_ratio(lambda: alternated(leader_turns(points, theta, reference)))
    assigned = median_ratio(lambda: alternated(assign_turns(points, theta, reference.exemplars)))
    return len(points), [
        Figure("regions", float(reference.count), "", None, True),
        Figure("gemm_ratio", gemm, "×", 0.85, gemm >= 0.85),
        Figure("assign_ratio", assigned, "×", None, True),
        *screened(points, theta, reference),
        *looped(points if full else points[:PREFIX], theta),
    ]


if __name__ == "__main__":
    main("partition", measure)
