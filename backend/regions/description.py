"""What each region is like: size, coherence, radius, neighbours, topics, and how much of it is
just a token.

Measures over members (tokens within θ of the exemplar that owns them); tokens in the gray zone
are counted but measured in nothing. After Rumbelow, *Exemplar Partitioning for Mechanistic
Interpretability* (2026).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import torch

from backend.corpus.contexts import Tokens
from backend.features.examples import most_lifted_topics
from backend.regions import partitioning
from backend.regions.leader import RESOLUTION
from backend.regions.shape import isolation, mean_distance, mean_vectors, quantiles
from backend.regions.token_share import attributes, explained, modes, nulls, spellings
from backend.regions.views import ATTRIBUTES, BANDS, REGIONS, MemberDraw
from backend.schema import Partition, TesseraError
from backend.store.memo import Entry, memoize

DRIVEN = 0.5  # explained share from which a region counts as driven by its token


@memoize("regions.description", version=2)
def describe(partition: Partition) -> dict[str, Any]:
    """Statistics of every region: `regions`, a table of `REGIONS` whose row number is the region;
    `members` [n] int32 token rows, region by region and nearest first, of which region r has
    `offsets[r]` to `offsets[r + 1]` ([K + 1] int64; n leaves out tokens beyond θ); `means`
    [K, width] float32, the unit mean direction of each region's members.

    With n unit members, the mean pairwise distance is n(1 - κ²)/(n - 1), exactly.
    """
    entry = partitioning.build_partition(partition)
    every = partitioning.points(partition.reading)
    theta, count = entry.value("theta"), len(entry.array("exemplar_tokens"))
    owner, distance = entry.array("owner"), entry.array("distance")
    inside = np.flatnonzero(distance <= theta)
    members = inside[np.lexsort((distance[inside], owner[inside]))].astype(np.int32)
    sizes = np.bincount(owner[members], minlength=count)
    offsets = np.append(0, np.cumsum(sizes))
    means = mean_vectors(every, np.where(distance <= theta, owner, -1), count)
    coherence = np.linalg.norm(means, axis=1)
    columns = {
        "region": np.arange(count),
        "token": entry.array("exemplar_tokens"),
        "size": sizes,
        "gray": np.bincount(
            owner[(distance > theta) & (distance <= entry.value("reach"))], minlength=count
        ),
        "share": sizes / len(owner),
        "coherence": coherence,
        "mean_distance": mean_distance(coherence, sizes),
        **_distances(entry, members, offsets),
        "isolation": isolation(torch.from_numpy(np.array(entry.array("exemplars")))),
        **most_lifted_topics(offsets, members, every.activations.tokens),
        **_explained(every.activations.tokens, owner, members, sizes, partition.spec.seed),
    }
    frame = pl.DataFrame(columns, schema=REGIONS)
    directions = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-300)
    return {
        "regions": frame.with_columns(pl.col(pl.Float64).fill_nan(None)),
        "members": members,
        "offsets": offsets,
        "means": directions.astype(np.float32),
    }


# ---------------------------------------------------------------- shape


def _distances(entry: Entry, members: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    owner, margin = entry.array("owner")[members], entry.array("margin")[members]
    distance = entry.array("distance")[members]
    sizes = np.diff(offsets)
    overlap = np.bincount(owner, entry.array("overlap")[members], minlength=len(sizes))
    return {
        "radius": quantiles(distance, offsets, 0.5),
        "radius_10": quantiles(distance, offsets, 0.1),
        "radius_90": quantiles(distance, offsets, 0.9),
        "margin": quantiles(margin[np.lexsort((margin, owner))], offsets, 0.5),
        "overlap": overlap / np.maximum(sizes, 1),
    }


# ---------------------------------------------------------------- what the members are


def _explained(
    tokens: Tokens, owner: np.ndarray, members: np.ndarray, sizes: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    values, spelled, owners = attributes(tokens), spellings(tokens), owner[members]
    chance = nulls(values, int(sizes.max()), seed)
    result: dict[str, np.ndarray] = {}
    for name in ATTRIBUTES:
        own = values[name][members]
        mode, count = modes(owners, own, len(sizes))
        if name in spelled:  # of the commonest word the commonest spelling
            same = own == mode[owners]
            mode, _ = modes(owners[same], spelled[name][members][same], len(sizes))
        share = count / np.maximum(sizes, 1)
        null, high = chance[name].shares_at(sizes)
        result |= {
            f"{name}_share": share,
            f"{name}_null": null,
            f"{name}_explained": explained(share, null),
            f"{name}_value": mode,
        }
        if name == "token":
            result["token_driven"] = (result["token_explained"] >= DRIVEN) & (share > high)
    return result


# ---------------------------------------------------------------- one region, on demand


def competitors(runner_up: np.ndarray, margin: np.ndarray) -> pl.DataFrame:
    """region, count, share, margin (median): the regions that come second for a region's
    members, commonest first."""
    frame = pl.DataFrame({"region": runner_up, "margin": margin})
    return (
        frame.filter(pl.col("region") >= 0)
        .group_by("region")
        .agg(pl.len().alias("count"), pl.col("margin").median())
        .sort("count", "region", descending=[True, False])
        .select("region", "count", (pl.col("count") / len(frame)).alias("share"), "margin")
    )


def bands(distances: np.ndarray, n: int = 4) -> pl.DataFrame:
    """band (1 is nearest), low, high, count: the range of members' distances in equal parts.

    The range begins at the nearest member that is not the exemplar itself; the exemplar and
    its exact repeats, at distance 0, count in the first band.
    """
    edges = _edges(distances, n)
    counts = np.bincount(_band_of(distances, edges), minlength=n)
    columns = np.arange(1, n + 1), edges[:-1], edges[1:], counts
    return pl.DataFrame(dict(zip(BANDS, columns, strict=True)), schema=BANDS)


def _edges(distances: np.ndarray, n: int) -> np.ndarray:
    apart = distances[distances > RESOLUTION]
    if not len(apart):
        return np.zeros(n + 1)
    return np.linspace(float(apart.min()), float(apart.max()), n + 1)


def _band_of(distances: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Index of the band of each distance; an edge belongs to the farther one, the last to the
    last."""
    if edges[0] == edges[-1]:
        return np.zeros(len(distances), dtype=np.int64)
    bands = np.searchsorted(edges, distances.astype(np.float64), side="right") - 1
    return np.clip(bands, 0, len(edges) - 2)


def sample(
    members: np.ndarray, distances: np.ndarray, draw: MemberDraw, n: int = 4
) -> tuple[np.ndarray, str]:
    """Some of a region's members beside its exemplar, nearest first, and how they were drawn; by
    `band 1` to `band n` at random within one of `bands`.

    Raises:
        TesseraError: there is no such draw.
    """
    kind, names = draw.kind, [f"band {band}" for band in range(1, n + 1)]
    if kind not in ("closest", "farthest", "random", *names):
        raise TesseraError(
            f"Members cannot be drawn by {kind!r}.",
            f"Use closest, farthest, random, or {names[0]} to {names[-1]}.",
        )
    order = np.argsort(distances, kind="stable")
    whole = f"{len(members):,} members beside the exemplar"
    if kind in ("closest", "farthest"):
        first = 0 if kind == "closest" else max(0, len(order) - draw.count)
        ends = slice(first, first + draw.count)
        return members[order[ends]], f"The {len(order[ends])} {kind} of {whole}."
    if kind != "random":
        edges = _edges(distances, n)
        band = names.index(kind)
        order = order[_band_of(distances[order], edges) == band]
        limits = f"at distance {edges[band]:.3f} to {edges[band + 1]:.3f}"
        whole = f"the {len(order):,} of {whole} in {kind} ({limits})"
    places = np.random.default_rng(draw.seed).permutation(len(order))[: draw.count]
    rows = members[order[np.sort(places)]]
    return rows, f"{len(rows)} drawn at random (seed {draw.seed}) from {whole}."
