"""How fast all regions are read for a concept set.

    python -m benchmarks.concepts [--full] [--json]

- `auroc_gemm_ratio`: seconds of the bare products of 720 texts of up to 128 points with 5,000
  directions, over the seconds of the AUROC of all of these for ten concepts, products, strongest
  tokens and ranks included; the two by turns, block by block. Median of rounds;
- `rank_share`: what ranking takes of it;
- `auroc_columns_per_s`: AUROC of columns of 72 texts, ties as scikit-learn has them.
"""

from __future__ import annotations

import statistics

import numpy as np
import torch

from backend.concepts import scores
from backend.statistics import ranking
from benchmarks.report import Figure, alternated, main, seconds_of

TEXTS, LONGEST, REGIONS, WIDTH, CONCEPTS = 720, 128, 5000, 640, 10
BLOCK = 72  # texts measured at a time


def draw_case(seed: int = 0) -> tuple[torch.Tensor, np.ndarray, torch.Tensor]:
    """Points, where texts begin, and directions."""
    rng = np.random.default_rng(seed)
    offsets = np.append(0, np.cumsum(rng.integers(LONGEST // 2, LONGEST + 1, TEXTS)))
    points, directions = (
        torch.nn.functional.normalize(
            torch.from_numpy(rng.normal(size=(rows, WIDTH)).astype(np.float32)), dim=1
        )
        for rows in (int(offsets[-1]), REGIONS)
    )
    return points, offsets, directions


def read(points: torch.Tensor, offsets: np.ndarray, transposed: torch.Tensor) -> np.ndarray:
    """[texts, regions] as `scores.strongest_along` does it, of points in memory."""
    best = torch.full((len(offsets) - 1, transposed.shape[1]), -torch.inf)
    for start in range(0, len(points), scores.ROWS):
        scores.raise_to_strongest(
            points[start : start + scores.ROWS] @ transposed, start, offsets, best
        )
    return best.numpy()


def rank_all(responses: np.ndarray) -> None:
    """AUROC of every region for ten concepts, each of a tenth of the texts against as many."""
    for concept in range(CONCEPTS):
        positive = np.arange(concept, TEXTS, 2 * CONCEPTS)
        ranking.aurocs(responses[positive], responses[(positive + CONCEPTS) % TEXTS])


def measure(full: bool) -> tuple[int, list[Figure]]:
    points, offsets, directions = draw_case()
    transposed = directions.T.contiguous()
    responses = read(points, offsets, transposed)

    def bare(low: int, high: int) -> None:
        part = points[offsets[low] : offsets[high]]
        for start in range(0, len(part), scores.ROWS):
            _ = part[start : start + scores.ROWS] @ transposed

    def whole(low: int, high: int) -> None:
        part = points[offsets[low] : offsets[high]]
        read(part, offsets[low : high + 1] - offsets[low], transposed)

    cuts = [(low, low + BLOCK) for low in range(0, TEXTS, BLOCK)]
    ratios, shares, ranks = [], [], []
    for _ in range(7 if full else 3):
        products, strongest = alternated(
            (lambda cut=cut: bare(*cut), lambda cut=cut: whole(*cut)) for cut in cuts
        )
        rank = seconds_of(lambda: rank_all(responses))
        ratios.append(products / (strongest + rank))
        shares.append(rank / (strongest + rank))
        ranks.append(rank)
    ratio, share, rank = (statistics.median(each) for each in (ratios, shares, ranks))
    return len(points), [
        Figure("auroc_gemm_ratio", ratio, "×", 0.7, ratio >= 0.7),
        Figure("rank_share", share, "", None, True),
        Figure("auroc_columns_per_s", CONCEPTS * REGIONS / rank, "/s", None, True),
    ]


if __name__ == "__main__":
    main("concepts", measure)
