"""New texts of a concept in one region: the positives of a concept set's test texts, and its
negatives beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import torch

from backend import run
from backend.concepts import scores
from backend.concepts.gathered import Gathered, gathered
from backend.concepts.rivals import rows_of
from backend.regions import partitioning, statistics
from backend.regions.nearest import Assignment
from backend.schema import ConceptRef, Partition
from backend.store.memo import memoize

MEMBERS = 300  # of the region, that distances are measured to
RANDOM = 300  # tokens of the corpus that the same is said of


@memoize("concepts.new_texts", version=1)
def fresh(partition: Partition, region: int, ref: ConceptRef, concept: int) -> dict[str, Any]:
    """`nearest`, `quantiles`, `shares` as in `gathered.Gathered`, each with a column `kind`
    (positive or negative), and `members`, how many were drawn."""
    device = run.current().device
    made = partitioning.build_partition(partition)
    described = statistics.describe(partition)
    rng, theta = np.random.default_rng(region), made.value("theta")
    low, high = described.array("offsets")[region : region + 2]
    inside = described.array("members")[low:high]
    every = partitioning.points(partition.reading)
    drawn = rng.choice(inside, min(MEMBERS, len(inside)), replace=False)
    random = rng.choice(len(every), min(RANDOM, len(every)), replace=False)
    members, others = (rows_of(every, np.sort(rows)).cpu().numpy() for rows in (drawn, random))
    found, fresh_points = scores.points(partition.reading, ref)
    positive, negative, hard = found.of(concept, "test")
    exemplars = torch.from_numpy(np.array(made.array("exemplars"))).to(device)
    assign = Assignment(exemplars, theta)
    frames: dict[str, list[pl.DataFrame]] = {"nearest": [], "quantiles": [], "shares": []}
    for kind, texts in (("positive", positive), ("negative", np.r_[negative, hard])):
        sizes = np.diff(found.offsets)[np.sort(texts)]
        rows = np.flatnonzero(np.isin(found.tokens.document_of, texts))
        points = rows_of(fresh_points, rows)
        offsets = np.append(0, np.cumsum(sizes))
        near, exemplar = assign(points), exemplars[region].cpu().numpy()
        part: Gathered = gathered(
            points.cpu().numpy(),
            offsets,
            near,
            region,
            exemplar,
            members,
            made.value("theta"),
            others,
        )
        named = np.sort(texts).astype(np.int32)
        for name in frames:
            table: pl.DataFrame = getattr(part, name)
            if name == "nearest":
                table = table.with_columns(text=pl.Series(named[table["text"].to_numpy()]))
            frames[name].append(table.with_columns(kind=pl.lit(kind)))
    return {name: pl.concat(parts) for name, parts in frames.items()} | {"members": len(members)}
