"""New texts of a concept in one region: the positives of a concept set's test texts, and its
negatives beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import torch

from backend import run
from backend.concepts import scores
from backend.concepts.gathered import TextPlacement, place_texts
from backend.concepts.rivals import rows_of
from backend.corpus.concept_sets import ConceptSet
from backend.regions import description, partitioning
from backend.regions.nearest import Assignment
from backend.regions.points import Points
from backend.schema import ConceptRef, Partition
from backend.store.memo import memoize

MEMBERS = 300  # of the region, that distances are measured to
RANDOM = 300  # tokens of the corpus that the same is said of
TABLES = ("nearest", "quantiles", "shares")


@memoize("concepts.new_texts", version=1)
def new_text_distances(
    partition: Partition, region: int, ref: ConceptRef, concept: int
) -> dict[str, Any]:
    """`nearest`, `quantiles`, `shares` as in `gathered.TextPlacement`, each with a column `kind`
    (positive or negative), and `members`, how many were drawn."""
    built = partitioning.build_partition(partition)
    exemplars = torch.from_numpy(np.array(built.array("exemplars"))).to(run.current().device)
    theta, members, random = built.value("theta"), *_drawn(partition, region)
    assign, exemplar = Assignment(exemplars, theta), exemplars[region].cpu().numpy()
    texts, points = scores.text_points(partition.reading, ref)

    def place(rows: np.ndarray) -> TextPlacement:
        new, offsets = _points_of(texts, points, rows)
        near = assign(new)
        array = new.cpu().numpy()
        return place_texts(array, offsets, near, region, exemplar, members, theta, random)

    positive, negative, hard = texts.texts_of(concept, "test")
    kinds = {"positive": positive, "negative": np.r_[negative, hard]}
    tables = [_tables(place, kind, np.sort(rows)) for kind, rows in kinds.items()]
    frames = {name: pl.concat([part[name] for part in tables]) for name in TABLES}
    return frames | {"members": len(members)}


def _drawn(partition: Partition, region: int) -> tuple[np.ndarray, np.ndarray]:
    """[m, width] points of members of a region, [n, width] of tokens of the corpus, at random."""
    described, every = description.describe(partition), partitioning.points(partition.reading)
    low, high = described.array("offsets")[region : region + 2]
    inside = described.array("members")[low:high]
    rng = np.random.default_rng(region)
    members = rng.choice(inside, min(MEMBERS, len(inside)), replace=False)
    random = rng.choice(len(every), min(RANDOM, len(every)), replace=False)
    one, other = (rows_of(every, np.sort(rows)).cpu().numpy() for rows in (members, random))
    return one, other


def _points_of(
    texts: ConceptSet, points: Points, rows: np.ndarray
) -> tuple[torch.Tensor, np.ndarray]:
    """[N, width] points of some texts, ascending, and where each text begins."""
    sizes = np.diff(texts.offsets)[rows]
    tokens = np.flatnonzero(np.isin(texts.tokens.document_of, rows))
    return rows_of(points, tokens), np.append(0, np.cumsum(sizes))


def _tables(
    place: Callable[[np.ndarray], TextPlacement], kind: str, rows: np.ndarray
) -> dict[str, pl.DataFrame]:
    """The tables of one kind of texts; `nearest` names these by their numbers in the set."""
    placement = place(rows)
    numbers = rows.astype(np.int32)[placement.nearest["text"].to_numpy()]
    nearest = placement.nearest.with_columns(text=pl.Series(numbers))
    parts = (nearest, placement.quantiles, placement.shares)
    labelled = (table.with_columns(kind=pl.lit(kind)) for table in parts)
    return dict(zip(TABLES, labelled, strict=True))
