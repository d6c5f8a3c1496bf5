"""A concept set, with all that is computed of it: texts, scores of regions and rivals, readers."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from backend.concepts import ranked_units, rivals, scores, supervised
from backend.concepts.choices import choose
from backend.concepts.views import CONCEPTS, ConceptsView
from backend.corpus import concept_sets, concept_sources
from backend.corpus.concept_sets import ConceptSet
from backend.query import command_of, key_of, query
from backend.regions import description, partitioning
from backend.regions.partitioned import spec_of
from backend.schema import ConceptRef, Partition, Study, conform
from backend.store import queue
from backend.store.memo import Entry

SEED = 0  # of rivals
SMALL = 100_000  # bytes of a set that somebody waits for
PLACED = ("exemplar", "kmeans", "coreset")  # kinds of directions that tokens are assigned to

Stop = float | None  # p or k; None: the study's
Entries = dict[str, Entry]


@dataclass(frozen=True)
class ConceptResults:
    """Everything that the page of a concept set is made of; study, partition and set decide it.

    `strengths`, `unit_scores` are by kind of direction, and "sae" where the study has an SAE, as is
    `coverage`; `owners` are by the kinds in `PLACED`.
    """

    study: Study
    partition: Partition
    ref: ConceptRef
    texts: Entry
    build: Entry
    shape: Entry  # of regions, as `regions.statistics` describes them
    strengths: Entries = field(compare=False)
    unit_scores: Entries = field(compare=False)
    owners: Entries = field(compare=False)
    readers: Entry
    clusters: Entry  # of texts, by meaning
    coverage: Entry | None

    @functools.cached_property
    def set(self) -> ConceptSet:
        return ConceptSet(self.texts)

    @functools.cached_property
    def theta(self) -> float:
        return float(self.build.value("theta"))

    @functools.cached_property
    def scores(self) -> dict[str, np.ndarray]:
        """[texts, units] by kind of direction."""
        return {kind: np.asarray(entry.array("scores")) for kind, entry in self.strengths.items()}

    def concept(self, name: str) -> int:
        """The number of a concept; "" stands for the first.

        Raises:
            NotFoundError: there is none of that name.
        """
        return self.set.number_of(name) if name else 0

    def command(self, query: str, concept: int | None = None, **options: str) -> str:
        """The command line that asks the same of this set and partition."""
        name, spec = "", self.partition.spec
        if concept is not None:
            name = self.set.concepts["name"][concept]
        return command_of(query, self.study, **options, concept=name, p=spec.p, k=spec.k)


def concept_results(study: Study, name: str, p: Stop, k: Stop) -> ConceptResults:
    """All that is computed of a set, at a partition of the study."""
    partition, reading, ref = study.cut(spec_of(study, p, k)), study.reading, choose(name)
    texts = concept_sets.read(study.model, study.corpus, ref)
    build, shape = partitioning.build_partition(partition), description.describe(partition)
    strengths = {
        kind: scores.strongest_similarities(partition, ref, kind, SEED)
        for kind in rivals.DIRECTIONS
    }
    coverage = None
    if study.sae is not None:
        strengths["sae"] = scores.feature_activations(reading, ref, study.sae)
        coverage = scores.feature_coverage(reading, ref, study.sae)
    units = {kind: ranked_units.unit_scores(texts, entry) for kind, entry in strengths.items()}
    owners = {kind: scores.token_owners(partition, ref, kind, SEED) for kind in PLACED}
    readers = supervised.fitted_readers(reading, ref)
    clusters = rivals.text_clusters(texts, study.embedder)
    entries = texts, build, shape, strengths, units, owners, readers, clusters, coverage
    return _shared(ConceptResults(study, partition, ref, *entries))


@functools.lru_cache(maxsize=3)
def _shared(results: ConceptResults) -> ConceptResults:
    """One object for equal results, which keeps what it has read."""
    return results


# ---------------------------------------------------------------- the set


def _title(arguments: dict[str, Any]) -> str:
    small = _is_small(arguments["name"])
    return "Your concept, read and scored" if small else "A concept set, read and scored"


def _priority(arguments: dict[str, Any]) -> int:
    """Somebody waits for a small set of their own; a large one gives way."""
    return queue.PAGE if _is_small(arguments["name"]) else queue.LONG


def _is_small(name: str) -> bool:
    size = concept_sources.size_of(choose(name))
    return size is not None and size < SMALL


def set_key(study: Study, name: str, p: Stop, k: Stop, **_other: Any) -> str:
    """The same for the same texts at the same partition, however they are named, and whichever of
    their concepts is asked about."""
    return key_of(study, ref=choose(name), spec=spec_of(study, p, k))


@query(_title, priority=_priority, key=set_key)
def concept_set(study: Study, name: str = "topics", p: Stop = None, k: Stop = None) -> ConceptsView:
    """A concept set: its concepts and texts, and what was left out."""
    results = concept_results(study, name, p, k)
    texts = results.set
    counts = pl.DataFrame([_counts(texts, concept) for concept in range(len(texts.concepts))])
    return ConceptsView(
        name=name,
        concepts=conform(pl.concat([texts.concepts, counts], how="horizontal"), CONCEPTS),
        texts=len(texts.offsets) - 1,
        tokens=len(texts.tokens),
        dropped=texts.dropped,
        windowed=texts.windowed,
        regions=len(results.build.array("exemplar_tokens")),
        theta=results.theta,
        provenance=results.strengths["exemplar"].provenance(
            results.command("concept_set", name=name)
        ),
    )


def results_of(
    study: Study, name: str, concept: str, p: Stop, k: Stop
) -> tuple[ConceptResults, int]:
    """All that is computed of a set, and the number of a concept; where something is missing, the
    job is that of the set."""
    with concept_set.asking(study, name, p, k):
        results = concept_results(study, name, p, k)
    return results, results.concept(concept)


def _counts(texts: ConceptSet, concept: int) -> dict[str, int]:
    return {
        f"{split}_{kind}": len(part)
        for split in concept_sets.SPLITS
        for kind, part in zip(concept_sets.KINDS, texts.texts_of(concept, split), strict=True)
    }
