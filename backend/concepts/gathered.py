"""Where new texts of a concept lie in one region: within θ or not, owned or not, and how far from
its members, compared with how far these are from each other.

Every text is represented by its token nearest to the exemplar.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from backend.concepts.membership import with_nulls
from backend.regions.nearest import Nearest
from backend.statistics.correlation import percentile_ranks
from backend.statistics.intervals import Z, wilson

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)

NEAREST = pl.Schema(
    {
        "text": pl.Int32,
        "token": pl.Int64,  # the text's token nearest to the exemplar
        "distance": pl.Float64,  # to the exemplar
        "owner": pl.Int32,
        "margin": pl.Float64,
        "to_members": pl.Float64,  # mean distance; null without members
        "among_pairs": pl.Float64,  # share of the region's own pairs that are nearer; ties half
        "among_members": pl.Float64,  # share of members whose mean to the others is less
    }
)
QUANTILES = pl.Schema(
    {
        "level": pl.Float64,
        "to_members": pl.Float64,  # of the distances from each nearest token to each member
        "among_pairs": pl.Float64,  # where that lies among the region's own pairs
        "own": pl.Float64,  # of the distances between its members
        "margin": pl.Float64,  # of the nearest tokens
    }
)
# null where n is 0. `n` is what Wilson's interval takes as independent: texts, random tokens,
# pairs of members that share none
SHARES = pl.Schema(
    {"of": pl.String, "share": pl.Float64, "low": pl.Float64, "high": pl.Float64, "n": pl.Int64}
)
Row = tuple[str, float | None, float | None, float | None, int]


@dataclass(frozen=True)
class TextPlacement:
    """Where texts lie in one region: `nearest` of `NEAREST`, `quantiles` of `QUANTILES`, and
    `shares` of `SHARES`, whose rows are

    - `within`, `owned`: texts whose nearest token is within θ; is owned by the region
    - `pairs`: pairs of such a token and a member that are less than 2θ apart; `each`: tokens for
      which every member is. `random_pairs` and `random_each` are the same of random tokens
    - `own_pairs`: pairs of the region's own members that are

    Less than 2θ is no test: distance is no metric, two members can be `farthest(theta)` apart, more
    than 2θ below θ = 1, and above θ = .5 points at right angles pass. The token is the best of its
    text, random ones are not: read `nearest` beside it."""

    region: int
    texts: int
    tokens: int
    members: int
    nearest: pl.DataFrame
    quantiles: pl.DataFrame
    shares: pl.DataFrame


def farthest(theta: float) -> float:
    """How far apart two points within θ of a third can be: 4θ − 2θ², 2 from θ = 1 on. At angles φ
    on opposite sides, cos φ = 1 − θ, they are 1 − cos 2φ = 2 − 2(1 − θ)² apart."""
    return 4 * theta - 2 * theta**2 if theta < 1 else 2.0


def place_texts(
    points: np.ndarray,
    offsets: np.ndarray,
    near: Nearest,
    region: int,
    exemplar: np.ndarray,
    members: np.ndarray,
    theta: float,
    random: np.ndarray,
) -> TextPlacement:
    """Where the texts with `points` [N, width], cut by `offsets` and given to exemplars by `near`,
    lie in `region`, which has `exemplar` [width] and `members` [m, width] (a sample), beside
    tokens drawn at `random` [n, width]. All float32 unit vectors.

    Raises:
        ValueError: a text has no token.
    """
    rows = _nearest_rows(points @ exemplar, offsets)
    own = _apart(members, members)
    pairs = own[np.triu_indices(len(own), 1)]
    apart = _apart(points[rows], members)
    columns = {
        "text": np.arange(len(rows)),
        "token": rows,
        "distance": _apart(points[rows], exemplar[None])[:, 0],
        "owner": near.owner[rows],
        "margin": near.margin[rows].astype(np.float64),
        "to_members": _means(apart),
        "among_pairs": percentile_ranks(_means(apart), pairs),
        "among_members": percentile_ranks(_means(apart), _mean_to_others(own)),
    }
    nearest = with_nulls(columns, NEAREST)
    shares = [
        _share("within", nearest["distance"].to_numpy() <= theta, len(rows)),
        _share("owned", nearest["owner"].to_numpy() == region, len(rows)),
        *_below("", apart, 2 * theta),
        *_below("random_", _apart(random, members), 2 * theta),
        _share("own_pairs", pairs < 2 * theta, len(members) // 2),
    ]
    sizes = (len(rows), len(points), len(members))
    quantiles = _quantiles(apart, pairs, near.margin[rows])
    return TextPlacement(
        region, *sizes, nearest, quantiles, pl.DataFrame(shares, SHARES, orient="row")
    )


def _nearest_rows(similarity: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """[texts] row of the token most like the exemplar; of equals the first."""
    sizes = np.diff(offsets)
    if (sizes < 1).any():
        raise ValueError(f"text {int(np.argmin(sizes))} has no token")
    text = np.repeat(np.arange(len(sizes)), sizes)
    return np.lexsort((-similarity, text))[offsets[:-1]]


def _apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """[n, m] float64 distances."""
    return 1 - one.astype(np.float64) @ other.astype(np.float64).T


def _means(values: np.ndarray) -> np.ndarray:
    """[n] means of rows; NaN where they are empty."""
    columns = values.shape[1]
    return values.mean(axis=1) if columns else np.full(len(values), np.nan)


def _mean_to_others(own: np.ndarray) -> np.ndarray:
    """[m] row means of [m, m] without the diagonal; none for a single member."""
    if len(own) < 2:
        return np.empty(0)
    return (own.sum(axis=1) - np.diag(own)) / (len(own) - 1)


def _below(name: str, apart: np.ndarray, limit: float) -> list[Row]:
    near = apart < limit if apart.size else np.empty((0, 1), dtype=bool)
    parts = {"pairs": near.mean(axis=1), "each": near.all(axis=1)}
    return [_share(f"{name}{part}", shares, len(shares)) for part, shares in parts.items()]


def _share(name: str, counted: np.ndarray, n: int) -> Row:
    """A row of `SHARES`. Where what is counted is itself a share, Wilson's interval is too wide."""
    if not n:
        return name, None, None, None, 0
    share = float(counted.mean())
    low, high = wilson(share * n, n, Z)
    return name, share, float(low), float(high), n


def _quantiles(apart: np.ndarray, pairs: np.ndarray, margin: np.ndarray) -> pl.DataFrame:
    def at(values: np.ndarray) -> np.ndarray:
        return np.quantile(values, LEVELS) if values.size else np.full(len(LEVELS), np.nan)

    columns = {
        "level": np.array(LEVELS),
        "to_members": at(apart),
        "among_pairs": percentile_ranks(at(apart), pairs) if apart.size else at(apart),
        "own": at(pairs),
        "margin": at(margin.astype(np.float64)),
    }
    return with_nulls(columns, QUANTILES)
