"""Where new texts of a concept lie in one region: within θ or not, owned or not, and how far from
its members, compared with how far these are from each other.

Every text is represented by its token nearest to the exemplar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch

from backend import run
from backend.concepts import scores
from backend.concepts.rivals import rows_of
from backend.concepts.views import NEAREST, QUANTILES, SHARES
from backend.regions import description, partitioning
from backend.regions.nearest import Assignment, Nearest
from backend.schema import ConceptRef, Partition
from backend.statistics.correlation import percentile_ranks
from backend.statistics.intervals import Z, wilson
from backend.store.memo import memoize

MEMBERS = 300  # of the region, that distances are measured to
RANDOM = 300  # tokens of the corpus, for comparison
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
Row = tuple[str, float | None, float | None, float | None, int]


@memoize("concepts.new_texts", version=1)
def new_text_distances(
    partition: Partition, region: int, ref: ConceptRef, concept: int
) -> dict[str, Any]:
    """`nearest`, `quantiles`, `shares` as in `place_texts`, of a concept's positive test texts and
    of its negative ones; `text` is their number in the set. `members`: how many were drawn."""
    sample = _sample_region(partition, region)
    exemplars = partitioning.build_partition(partition).array("exemplars")
    assign = Assignment(
        torch.from_numpy(np.array(exemplars)).to(run.current().device), sample.theta
    )
    texts, points = scores.text_points(partition.reading, ref)
    positive, negative, hard = texts.texts_of(concept, "test")
    parts = []
    for kind, texts_of_kind in (("positive", positive), ("negative", np.r_[negative, hard])):
        rows = np.sort(texts_of_kind)
        new = rows_of(points, np.flatnonzero(np.isin(texts.tokens.document_of, rows)))
        offsets = np.append(0, np.cumsum(np.diff(texts.offsets)[rows]))
        tables = place_texts(new.cpu().numpy(), offsets, assign(new), sample, kind)
        numbers = rows.astype(np.int32)[tables["nearest"]["text"].to_numpy()]
        tables["nearest"] = tables["nearest"].with_columns(text=pl.Series(numbers))
        parts.append(tables)
    tables = {name: pl.concat([part[name] for part in parts]) for name in parts[0]}
    return tables | {"members": len(sample.members)}


@dataclass(frozen=True)
class RegionSample:
    """A region with some of its members, beside tokens of the corpus drawn at random. All points
    are float32 unit vectors."""

    region: int
    theta: float
    exemplar: np.ndarray  # [width]
    members: np.ndarray  # [m, width]
    random: np.ndarray  # [n, width]


def _sample_region(partition: Partition, region: int) -> RegionSample:
    built, every = partitioning.build_partition(partition), partitioning.points(partition.reading)
    described, rng = description.describe(partition), np.random.default_rng(region)
    low, high = described.array("offsets")[region : region + 2]
    inside = described.array("members")[low:high]
    members = rng.choice(inside, min(MEMBERS, len(inside)), replace=False)
    random = rng.choice(len(every), min(RANDOM, len(every)), replace=False)
    points = (rows_of(every, np.sort(rows)).cpu().numpy() for rows in (members, random))
    return RegionSample(region, built.value("theta"), built.array("exemplars")[region], *points)


# ---------------------------------------------------------------- texts in a region


def farthest(theta: float) -> float:
    """How far apart two points within θ of a third can be: 4θ − 2θ², 2 from θ = 1 on. At angles φ
    on opposite sides, cos φ = 1 − θ, they are 1 − cos 2φ = 2 − 2(1 − θ)² apart."""
    return 4 * theta - 2 * theta**2 if theta < 1 else 2.0


def place_texts(
    points: np.ndarray, offsets: np.ndarray, near: Nearest, sample: RegionSample, kind: str
) -> dict[str, pl.DataFrame]:
    """Where texts lie in a region: `nearest` (`NEAREST`), `quantiles` (`QUANTILES`) and `shares`
    (`SHARES`) of texts of one kind. `points` [N, width] are float32 unit vectors, cut into texts by
    `offsets` and assigned to exemplars by `near`. Rows of `shares` are

    - `within`, `owned`: texts whose nearest token is within θ; is owned by the region
    - `pairs`: pairs of such a token and a member that are less than 2θ apart; `each`: tokens for
      which every member is. `random_pairs` and `random_each` are the same of random tokens
    - `own_pairs`: pairs of the region's own members that are

    Less than 2θ is no test: distance is no metric, two members can be `farthest(theta)` apart, more
    than 2θ below θ = 1, and above θ = .5 points at right angles pass. The token is the best of its
    text, random ones are not: read `nearest` beside it.

    Raises:
        ValueError: a text has no token.
    """
    rows = _nearest_rows(points @ sample.exemplar, offsets)
    own = _distances(sample.members, sample.members)
    pairs = own[np.triu_indices(len(own), 1)]
    apart = _distances(points[rows], sample.members)
    to_members = apart.mean(axis=1) if apart.shape[1] else np.full(len(apart), np.nan)
    distance = _distances(points[rows], sample.exemplar[None])[:, 0]
    limit = 2 * sample.theta
    nearest = {
        "text": np.arange(len(rows)),
        "token": rows,
        "distance": distance,
        "owner": near.owner[rows],
        "margin": near.margin[rows],
        "to_members": to_members,
        "among_pairs": percentile_ranks(to_members, pairs),
        "among_members": percentile_ranks(to_members, _mean_to_others(own)),
        "kind": kind,
    }
    shares = [
        _share("within", distance <= sample.theta, len(rows)),
        _share("owned", near.owner[rows] == sample.region, len(rows)),
        *_shares_below("", apart, limit),
        *_shares_below("random_", _distances(sample.random, sample.members), limit),
        _share("own_pairs", pairs < limit, len(sample.members) // 2),
    ]
    return {
        "nearest": pl.DataFrame(nearest, NEAREST, nan_to_null=True),
        "quantiles": _quantiles(apart, pairs, near.margin[rows], kind),
        "shares": pl.DataFrame([(*row, kind) for row in shares], SHARES, orient="row"),
    }


def _nearest_rows(similarity: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """[texts] row of the token most like the exemplar; of equals the first."""
    sizes = np.diff(offsets)
    if (sizes < 1).any():
        raise ValueError(f"text {int(np.argmin(sizes))} has no token")
    text = np.repeat(np.arange(len(sizes)), sizes)
    return np.lexsort((-similarity, text))[offsets[:-1]]


def _distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """[n, m] float64."""
    return 1 - one.astype(np.float64) @ other.astype(np.float64).T


def _mean_to_others(own: np.ndarray) -> np.ndarray:
    """[m] row means of [m, m] without the diagonal; none for a single member."""
    if len(own) < 2:
        return np.empty(0)
    return (own.sum(axis=1) - np.diag(own)) / (len(own) - 1)


def _shares_below(name: str, apart: np.ndarray, limit: float) -> list[Row]:
    near = np.asarray(apart < limit) if apart.size else np.empty((0, 1), dtype=bool)
    parts = {"pairs": np.mean(near, axis=1), "each": np.min(near, axis=1)}
    return [_share(f"{name}{part}", shares, len(shares)) for part, shares in parts.items()]


def _share(name: str, values: np.ndarray, n: int) -> Row:
    """A row of `SHARES`. Where what is counted is itself a share, Wilson's interval is too wide."""
    if not n:
        return name, None, None, None, 0
    share = float(values.mean())
    low, high = wilson(share * n, n, Z)
    return name, share, float(low), float(high), n


def _quantiles(apart: np.ndarray, pairs: np.ndarray, margin: np.ndarray, kind: str) -> pl.DataFrame:
    def quantiles(values: np.ndarray) -> np.ndarray:
        return np.quantile(values, LEVELS) if values.size else np.full(len(LEVELS), np.nan)

    to_members = quantiles(apart)
    columns = {
        "level": np.array(LEVELS),
        "to_members": to_members,
        "among_pairs": percentile_ranks(to_members, pairs) if apart.size else to_members,
        "own": quantiles(pairs),
        "margin": quantiles(margin.astype(np.float64)),
        "kind": kind,
    }
    return pl.DataFrame(columns, QUANTILES, nan_to_null=True)
