"""A finished partition in memory, or the job that makes it."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import polars as pl

from backend.answers import passages, tasks
from backend.corpus.contexts import Tokens
from backend.regions import partitioning, projection, statistics
from backend.schema import CorpusRef, Job, ModelRef, NotFoundError, PartitionSpec, Site, Study
from backend.store.memo import Entry


@dataclass(frozen=True)
class Partitioned:
    """A finished partition with everything that is read from it, kept in memory."""

    model: ModelRef
    site: Site
    corpus: CorpusRef
    spec: PartitionSpec
    entry: Entry
    described: Entry
    tokens: Tokens

    @property
    def arguments(self) -> tuple[ModelRef, Site, CorpusRef, PartitionSpec]:
        return self.model, self.site, self.corpus, self.spec

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
    def shares(self) -> tuple[float, float, float, float]:
        """Gray share, uncovered share, mean overlap, ambiguous share."""
        distance, overlap = self.distance, self.entry.array("overlap")
        outside = distance > self.theta
        uncovered = distance > float(self.entry.value("reach"))
        gray = float((outside & ~uncovered).mean())
        ambiguous = float((overlap > 1).mean())
        return gray, float(uncovered.mean()), float(overlap.mean()), ambiguous

    def members(self, region: int) -> np.ndarray:
        """Token rows of a region's members, nearest first."""
        first, last = self.described.array("offsets")[region : region + 2]
        return self.described.array("members")[first:last]

    def check(self, region: int) -> None:
        if not 0 <= region < len(self.regions):
            raise NotFoundError(
                f"There is no region {region} at p = {self.spec.p:g}, k = {self.spec.k:g}.",
                f"This partition has regions 0 to {len(self.regions) - 1}.",
            )


@functools.lru_cache(maxsize=6)
def _partitioned(
    digest: str, model: ModelRef, site: Site, corpus: CorpusRef, spec: PartitionSpec
) -> Partitioned:
    arguments = model, site, corpus, spec
    return Partitioned(
        *arguments,
        partitioning.build_partition.get(*arguments),
        statistics.describe.get(*arguments),
        passages.tokens_of(model, corpus),
    )


def find(study: Study, spec: PartitionSpec, corpus: CorpusRef | None = None) -> Partitioned | None:
    """The partition of a study's corpus, or of a part of it, if it is computed and whole."""
    arguments = study.model, study.site, corpus or study.corpus, spec
    for step in (partitioning.build_partition, statistics.describe):
        if step.find(*arguments) is None:
            return None
    if projection.layout.find(*arguments, "pca", spec.seed) is None:
        return None
    return _partitioned(statistics.describe.digest(*arguments), *arguments)


def find_or_job(study: Study, spec: PartitionSpec) -> tuple[Partitioned | None, Job | None]:
    """The partition of the whole corpus, or else of its beginning; and the job of what is
    missing. Where there is no partition yet, there is a job."""
    whole = find(study, spec)
    key = statistics.describe.digest(study.model, study.site, study.corpus, spec)
    if whole is not None:
        complete = projection.layout.find(*whole.arguments, "umap", spec.seed) is not None
        return whole, None if complete else job_of("regions", study, key, spec)
    job = job_of("regions", study, key, spec)
    beginning = tasks.preview_corpus(study.corpus)
    preview = find(study, spec, beginning) if beginning else None
    if preview is None and beginning is not None and job.state in ("queued", "running"):
        first = job_of("preview", study, key, spec)
        return None, first if first.state in ("queued", "running") else job
    return preview, job


def job_of(task: str, study: Study, key: str, spec: PartitionSpec) -> Job:
    return tasks.ensure(task, study, key, spec={"p": spec.p, "k": spec.k, "seed": spec.seed})
