"""A finished partition in memory, and the stages by which a study's first map comes."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from backend.corpus import passages
from backend.corpus.contexts import Tokens
from backend.query import key_of
from backend.regions import description, partitioning, projection
from backend.schema import ModelRef, NotFoundError, Partition, PartitionSpec, Study
from backend.store.memo import Entry

# of the corpus, that maps stand on while the rest is read: each costs a small part of the next
PREVIEWS = (4_000, 16_000, 40_000, 130_000)


@dataclass(frozen=True)
class Partitioned:
    """A finished partition with everything that is read from it."""

    partition: Partition
    entry: Entry
    described: Entry
    plane: Entry  # a first layout
    tokens: Tokens

    @property
    def model(self) -> ModelRef:
        return self.partition.reading.model

    @functools.cached_property
    def regions(self) -> pl.DataFrame:
        return self.described.frame("regions")

    @functools.cached_property
    def theta(self) -> float:
        return float(self.entry.value("theta"))

    @functools.cached_property
    def owner(self) -> np.ndarray:
        return self.entry.array("owner")

    @functools.cached_property
    def distance(self) -> np.ndarray:
        return self.entry.array("distance")

    @functools.cached_property
    def shares(self) -> dict[str, float]:
        """The gray, uncovered and ambiguous shares and the mean overlap, as in `RegionMap`."""
        distance, overlap = self.distance, self.entry.array("overlap")
        uncovered = distance > float(self.entry.value("reach"))
        return {
            "gray": float(((distance > self.theta) & ~uncovered).mean()),
            "uncovered": float(uncovered.mean()),
            "overlap": float(overlap.mean()),
            "ambiguous": float((overlap > 1).mean()),
        }

    def members(self, region: int) -> np.ndarray:
        """Token rows of a region's members, nearest first."""
        first, last = self.described.array("offsets")[region : region + 2]
        return self.described.array("members")[first:last]

    def check(self, region: int) -> None:
        """Raises NotFoundError where there is no such region."""
        spec = self.partition.spec
        if not 0 <= region < len(self.regions):
            raise NotFoundError(
                f"There is no region {region} at p = {spec.p:g}, k = {spec.k:g}.",
                f"This partition has regions 0 to {len(self.regions) - 1}.",
            )


def partitioned(partition: Partition) -> Partitioned:
    """A partition with its statistics and a first layout, kept in memory."""
    tokens = passages.tokens_of(partition.reading.model, partition.reading.corpus)
    built, described = partitioning.build_partition(partition), description.describe(partition)
    return _partitioned(partition, built, described, projection.layout(partition, "pca"), tokens)


_partitioned = functools.lru_cache(maxsize=6)(Partitioned)


def stages(study: Study, spec: PartitionSpec) -> list[Partition]:
    """The partitions that are computed one after the other: of more and more of the corpus."""
    whole, total = study.cut(spec), study.corpus.tokens
    beginnings = [
        Partition(replace(whole.reading, corpus=replace(study.corpus, tokens=count)), spec)
        for count in PREVIEWS
        if not total or 2 * count <= total
    ]
    return [*beginnings, whole]


def settled(study: Study, partition: Partition) -> Partition:
    """A partition of the beginning of a corpus that has no more tokens is that of all of it."""
    corpus = partition.reading.corpus
    if not corpus.tokens or corpus == study.corpus:
        return partition
    count = len(passages.tokens_of(partition.reading.model, corpus))
    return study.cut(partition.spec) if count < corpus.tokens else partition


def spec_key(study: Study, p: float | None = None, k: float | None = None, **arguments: Any) -> str:
    """The key of a job about a partition: the same whether the study's p and k are named or not."""
    return key_of(study, spec=spec_of(study, p, k), **arguments)


def spec_of(study: Study, p: float | None, k: float | None) -> PartitionSpec:
    """The study's spec with p and k where they are given.

    Raises:
        TesseraError: p or k cannot be used.
    """
    own = study.partition
    spec = replace(own, p=own.p if p is None else float(p), k=own.k if k is None else float(k))
    partitioning.check_spec(spec)
    return spec
