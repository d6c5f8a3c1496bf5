"""A concept set, with all that is computed of it: texts, scores of regions and rivals, readers."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from backend.answers import provenance, tasks
from backend.concept_views import ConceptsView
from backend.concepts import covers, judged, rivals, scores, supervised
from backend.corpus import concept_sets
from backend.corpus.concept_sets import ConceptSet
from backend.regions import partitioning, statistics
from backend.schema import (
    ConceptRef,
    CorpusRef,
    Job,
    ModelRef,
    PartitionSpec,
    Site,
    Study,
)
from backend.store.memo import Entry

SEED = 0  # of rivals
SMALL = 100_000  # bytes of a file that somebody waits for
PLACED = ("exemplar", "kmeans", "coreset")  # whose parts tokens are given to


# ---------------------------------------------------------------- the job


def compute(request: tasks.Request) -> None:
    """What the job does: reads the texts, cuts the corpus in other ways, scores and places all."""
    ref = ConceptRef(**request.asked["set"])
    site, spec, seed = request.site, request.spec, SEED
    concept_sets.read(request.study.model, request.study.corpus, ref, progress=request.progress)
    request.run(statistics.describe, *site, spec)
    texts = concept_sets.read.get(request.study.model, request.study.corpus, ref)
    for kind in rivals.DIRECTIONS:
        found = request.run(scores.strongest, *site, ref, spec, kind, seed)
        judged.judged(texts, found, progress=request.progress)
    request.run(supervised.readers, *site, ref)
    if request.study.sae is not None:
        found = request.run(scores.firing, *site, ref, request.sae)
        judged.judged(texts, found, progress=request.progress)
        request.run(covers.covers, *site, ref, request.sae)
    for kind in PLACED:
        request.run(scores.places, *site, ref, spec, kind, seed)
    request.run(rivals.meanings, texts, request.study.embedder)


@dataclass(frozen=True)
class Held:
    """Everything that the page is made of, computed already."""

    study: Study
    spec: PartitionSpec
    ref: ConceptRef
    texts: Entry
    scored: dict[str, Entry]  # by kind of direction, and "sae"
    tables: dict[str, Entry]
    readers: Entry
    placed: dict[str, Entry]
    meanings: Entry
    covers: Entry | None  # where the study has an SAE

    @functools.cached_property
    def set(self) -> ConceptSet:
        return ConceptSet(self.texts)

    @functools.cached_property
    def partition(self) -> Entry:
        return partitioning.build_partition.get(*self.where, self.spec)

    @property
    def where(self) -> tuple[ModelRef, Site, CorpusRef]:
        return self.study.model, self.study.site, self.study.corpus

    @property
    def theta(self) -> float:
        return float(self.partition.value("theta"))

    @functools.cached_property
    def scores(self) -> dict[str, np.ndarray]:
        return {kind: np.asarray(entry.array("scores")) for kind, entry in self.scored.items()}

    def concept(self, name: str) -> int:
        """The number of a concept; "" stands for the first."""
        return self.set.find(name) if name else 0


def find(study: Study, spec: PartitionSpec, ref: ConceptRef) -> Held | None:
    """All results, or None where one is missing."""
    where = study.model, study.site, study.corpus
    texts = concept_sets.read.find(study.model, study.corpus, ref)
    if texts is None or statistics.describe.find(*where, spec) is None:
        return None
    scored = {
        kind: scores.strongest.find(*where, ref, spec, kind, SEED) for kind in rivals.DIRECTIONS
    }
    if study.sae is not None:
        scored["sae"] = scores.firing.find(*where, ref, study.sae)
    tables = {
        kind: judged.judged.find(texts, entry) if entry else None for kind, entry in scored.items()
    }
    placed = {kind: scores.places.find(*where, ref, spec, kind, SEED) for kind in PLACED}
    readers = supervised.readers.find(*where, ref)
    meanings = rivals.meanings.find(texts, study.embedder)
    covered = covers.covers.find(*where, ref, study.sae) if study.sae else None
    parts = (scored, tables, placed)
    if study.sae is not None and covered is None:
        return None
    if not (readers and meanings and all(all(part.values()) for part in parts)):
        return None
    whole = ({kind: entry for kind, entry in part.items() if entry} for part in parts)
    held, judged_, put = whole
    return Held(study, spec, ref, texts, held, judged_, readers, put, meanings, covered)


def find_or_job(study: Study, spec: PartitionSpec, ref: ConceptRef) -> Held | Job:
    """All results, or the job that makes them."""
    found = _found(study, spec, ref)
    if found is not None:
        return found
    key = f"{ref.kind}:{ref.digest}:{ref.path}:{ref.seed}"
    partition_key = statistics.describe.digest(study.model, study.site, study.corpus, spec)
    small = ref.kind == "file" and Path(ref.path).stat().st_size < SMALL
    task = "concept" if small else "concepts"
    return tasks.ensure(task, study, f"{partition_key}:{key}", set=asdict(ref), spec=asdict(spec))


_kept: dict[tuple[Study, PartitionSpec, ConceptRef], Held] = {}


def _found(study: Study, spec: PartitionSpec, ref: ConceptRef) -> Held | None:
    """As `find`; what is whole is kept in memory, for the last few sets."""
    key = study, spec, ref
    if key not in _kept and (found := find(study, spec, ref)) is not None:
        if len(_kept) >= 3:
            _kept.pop(next(iter(_kept)))
        _kept[key] = found
    return _kept.get(key)


# ---------------------------------------------------------------- what the page shows


def view(held: Held, name: str, command: str) -> ConceptsView:
    """The set itself; `command` asks for it."""
    found = held.set
    kinds = ("positive", "negative", "hard")
    rows = [
        {
            f"{split}_{kind}": len(part)
            for split in ("train", "test")
            for kind, part in zip(kinds, found.of(concept, split), strict=True)
        }
        for concept in range(len(found.concepts))
    ]
    return ConceptsView(
        name=name,
        concepts=pl.concat([found.concepts, pl.DataFrame(rows)], how="horizontal"),
        texts=len(found.offsets) - 1,
        tokens=len(found.tokens),
        dropped=found.dropped,
        windowed=int(held.texts.value("windowed")),
        regions=len(held.partition.array("exemplar_tokens")),
        theta=held.theta,
        provenance=provenance.of(held.scored["exemplar"], command),
    )
