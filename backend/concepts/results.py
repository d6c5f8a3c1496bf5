"""A concept set, with all that is computed of it: texts, scores of regions and rivals, readers."""

from __future__ import annotations

import functools
import shlex
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from backend.concepts import coverage as covers
from backend.concepts import ranked_units, rivals, scores, supervised
from backend.concepts.choices import choose
from backend.concepts.views import ConceptsView
from backend.corpus import concept_sets, concept_sources
from backend.corpus.concept_sets import ConceptSet
from backend.query import key_of, query
from backend.regions import description, partitioning
from backend.regions.partitioned import spec_of
from backend.schema import ConceptRef, Partition, PartitionSpec, Study
from backend.store import queue
from backend.store.memo import Entry

SEED = 0  # of rivals
SMALL = 100_000  # bytes of a set that somebody waits for
PLACED = ("exemplar", "kmeans", "coreset")  # kinds of directions that tokens are assigned to

Entries = dict[str, Entry]


@dataclass(frozen=True, eq=False)  # one object for the same entries, so it can be a cache's key
class ConceptResults:
    """Everything that the page of a concept set is made of.

    `strengths`, `unit_scores` are by kind of direction, and "sae" where the study has an SAE, as is
    `coverage`; `owners` are by the kinds in `PLACED`.
    """

    study: Study
    partition: Partition
    ref: ConceptRef
    texts: Entry
    build: Entry
    shape: Entry  # of regions, as `regions.statistics` describes them
    strengths: Entries
    unit_scores: Entries
    owners: Entries
    readers: Entry
    clusters: Entry  # of texts, by meaning
    coverage: Entry | None

    @functools.cached_property
    def set(self) -> ConceptSet:
        return ConceptSet(self.texts)

    @property
    def spec(self) -> PartitionSpec:
        return self.partition.spec

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
        values = {"study": self.study.name, **options}
        if concept is not None:
            values["concept"] = self.set.concepts["name"][concept]
        values |= {"p": f"{self.spec.p:g}", "k": f"{self.spec.k:g}"}
        words = (f"--{name} {shlex.quote(value)}" for name, value in values.items() if value)
        return " ".join((query, *words))


def concept_results(study: Study, ref: ConceptRef, spec: PartitionSpec) -> ConceptResults:
    """All that is computed of a resolved set, at a partition of the study; kept in memory."""
    partition, reading = study.cut(spec), study.reading
    texts = concept_sets.read(study.model, study.corpus, ref)
    entries = texts, partitioning.build_partition(partition), description.describe(partition)
    strengths = {
        kind: scores.strongest_similarities(partition, ref, kind, SEED)
        for kind in rivals.DIRECTIONS
    }
    coverage = None
    if study.sae is not None:
        strengths["sae"] = scores.feature_activations(reading, ref, study.sae)
        coverage = covers.feature_coverage(reading, ref, study.sae)
    units = {kind: ranked_units.unit_scores(texts, entry) for kind, entry in strengths.items()}
    owners = {kind: scores.token_owners(partition, ref, kind, SEED) for kind in PLACED}
    tables = tuple(tuple(part.items()) for part in (strengths, units, owners))
    readers = supervised.fitted_readers(reading, ref)
    clusters = rivals.text_clusters(texts, study.embedder)
    return _kept((study, partition, ref), entries, tables, (readers, clusters, coverage))


Table = tuple[tuple[str, Entry], ...]


@functools.lru_cache(maxsize=3)
def _kept(
    subject: tuple[Study, Partition, ConceptRef],
    entries: tuple[Entry, Entry, Entry],
    tables: tuple[Table, ...],
    rest: tuple[Entry, Entry, Entry | None],
) -> ConceptResults:
    strengths, units, owners = (dict(table) for table in tables)
    return ConceptResults(*subject, *entries, strengths, units, owners, *rest)


# ---------------------------------------------------------------- the set


def _title(arguments: dict[str, Any]) -> str:
    small = _is_small(arguments["name"])
    return "Your concept, read and scored" if small else "A concept set, read and scored"


def _priority(arguments: dict[str, Any]) -> int:
    """Somebody waits for a small set of their own; a large one gives way."""
    return queue.SHORT if _is_small(arguments["name"]) else queue.LONG


def _is_small(name: str) -> bool:
    size = concept_sources.size_of(choose(name))
    return size is not None and size < SMALL


def set_key(study: Study, name: str, p: float | None, k: float | None, **_other: Any) -> str:
    """The same for the same texts at the same partition, however they are named, and whichever of
    their concepts is asked about."""
    return key_of(study, ref=choose(name), spec=spec_of(study, p, k))


@query(_title, priority=_priority, key=set_key)
def concept_set(
    study: Study, name: str = "topics", p: float | None = None, k: float | None = None
) -> ConceptsView:
    """A concept set: its concepts and texts, and what was left out."""
    results = concept_results(study, choose(name), spec_of(study, p, k))
    texts = results.set
    return ConceptsView(
        name=name,
        concepts=pl.concat([texts.concepts, _counts(texts)], how="horizontal"),
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


def results_of(study: Study, name: str, p: float | None, k: float | None) -> ConceptResults:
    """All that is computed of a set by name; where something is missing, the job is that of the
    set."""
    with concept_set.asking(study, name, p, k):
        return concept_results(study, choose(name), spec_of(study, p, k))


def _counts(texts: ConceptSet) -> pl.DataFrame:
    """Numbers of texts of every concept: train_positive, train_negative, train_hard, test_…"""
    kinds = ("positive", "negative", "hard")
    rows = [
        {
            f"{split}_{kind}": len(part)
            for split in ("train", "test")
            for kind, part in zip(kinds, texts.texts_of(concept, split), strict=True)
        }
        for concept in range(len(texts.concepts))
    ]
    return pl.DataFrame(rows)
