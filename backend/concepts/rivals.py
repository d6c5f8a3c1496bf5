"""Other ways to cut the same tokens into as many parts as a partition has regions: spherical
k-means, and two controls, directions that are activations at random (a *coreset*) or nothing at all
(*random*). A partition that does no better than a coreset of its size has found nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend import run
from backend.corpus.concept_sets import ConceptSet
from backend.models import embedder as embedders
from backend.regions import description, partitioning
from backend.regions.nearest import Assignment
from backend.regions.points import Points
from backend.schema import EmbedderRef, Partition
from backend.store.memo import Entry, memoize

KINDS = ("kmeans", "coreset", "random")
SAMPLE = 60_000  # tokens that k-means is fitted on
CLUSTER = 5  # texts that HDBSCAN calls a cluster, at least
ROUNDS = 12  # of k-means; later ones move hardly any token


@memoize("concepts.rival_directions", version=1)
def rival_directions(partition: Partition, kind: str, seed: int) -> dict[str, Any]:
    """`directions` [K, width] float32 unit vectors, K being the partition's, and for k-means
    `moved`, the share of tokens that changed cluster in the last round."""
    built = partitioning.build_partition(partition)
    every = partitioning.points(partition.reading)
    count, width = built.array("exemplars").shape
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    if kind == "random":
        normal = torch.from_numpy(rng.normal(size=(count, width)).astype(np.float32))
        return {"directions": _unit(normal).numpy()}
    rows = np.sort(rng.choice(len(every), min(len(every), max(SAMPLE, count)), replace=False))
    sample = rows_of(every, rows if kind == "kmeans" else np.sort(rng.choice(rows, count, False)))
    if kind == "coreset":
        return {"directions": sample.cpu().numpy()}
    directions, moved_share = kmeans(sample, count, rng)
    return {"directions": directions.cpu().numpy(), "moved": moved_share}


def rows_of(every: Points, rows: np.ndarray) -> Tensor:
    """[n, width] the points of token rows, which ascend."""
    parts = []
    for first, points in every:
        low, high = np.searchsorted(rows, [first, first + len(points)])
        parts.append(points[torch.from_numpy(rows[low:high] - first).to(points.device)])
    return torch.cat(parts)


def kmeans(points: Tensor, count: int, rng: np.random.Generator) -> tuple[Tensor, float]:
    """Unit mean directions [count, width] after `ROUNDS` of Lloyd's algorithm by cosine, begun at
    points drawn at random, and the share of points that the last round moved. A cluster that loses
    all its points keeps its direction.

    scikit-learn's KMeans measures straight distance to means of any length, which gives other
    clusters, and moves empty clusters elsewhere."""
    directions = points[torch.from_numpy(rng.choice(len(points), count, replace=False))].clone()
    owner, moved_share = np.full(len(points), -1), 1.0
    for number in range(ROUNDS):
        run.report(number, ROUNDS, "Clustering by k-means", "rounds")
        before, owner = owner, Assignment(directions, 1.0)(points).owner
        moved_share = float((owner != before).mean())
        where = torch.from_numpy(owner.astype(np.int64)).to(points.device)
        sums = torch.zeros_like(directions).index_add_(0, where, points)
        nonempty = sums.norm(dim=1, keepdim=True) > 0
        directions = torch.where(nonempty, _unit(sums), directions)
    return directions, moved_share


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-30)


# ---------------------------------------------------------------- all by one name

# what stands for a region or its rival: the exemplar, the mean of the members, …
DIRECTIONS = ("exemplar", "mean", *KINDS)


def directions(partition: Partition, kind: str, seed: int) -> np.ndarray:
    """[K, width] float32 unit vectors of a kind of `DIRECTIONS`."""
    if kind == "exemplar":
        return partitioning.build_partition(partition).array("exemplars")
    if kind == "mean":
        return description.describe(partition).array("means")
    return rival_directions(partition, kind, seed).array("directions")


# ---------------------------------------------------------------- by what texts mean


@memoize("concepts.text_clusters", version=1)
def text_clusters(texts: Entry, embedder: EmbedderRef) -> dict[str, Any]:
    """`cluster` [texts] int32 of a concept set's texts, -1 where they are in none: HDBSCAN on
    sentence embeddings, which see no activation. Its clusters are as many as it finds."""
    device = run.current().device
    from sklearn.cluster import HDBSCAN  # takes a second to import

    run.report(0, 1, "Clustering texts by meaning")
    sentences = ConceptSet(texts).tokens.documents["text"].to_list()
    vectors = embedders.load(embedder, device).embed(sentences)
    clusters = HDBSCAN(min_cluster_size=min(CLUSTER, len(sentences)), copy=True)  # pyright: ignore
    return {"cluster": clusters.fit_predict(vectors).astype(np.int32)}
