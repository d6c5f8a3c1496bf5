"""How well regions, rivals and readers tell the concepts of a set apart."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from backend.answers import provenance, tasks
from backend.concept_views import AnyRegion, ConceptsView
from backend.concepts import judged, rivals, scores, supervised
from backend.concepts.judged import CONTRASTS
from backend.corpus import concept_sets
from backend.corpus.concept_sets import ConceptSet
from backend.labels import estimates
from backend.regions import partition, statistics
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
RESAMPLES = 2000
SMALL = 100_000  # bytes of a file that somebody waits for
PLACED = ("exemplar", "kmeans", "coreset")  # whose parts tokens are given to
LEVELS = (0.6, 0.7, 0.8, 0.9)


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

    @functools.cached_property
    def set(self) -> ConceptSet:
        return ConceptSet(self.texts)

    @functools.cached_property
    def partition(self) -> Entry:
        return partition.partition.get(*self.where, self.spec)

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
    parts = (scored, tables, placed)
    if not (readers and meanings and all(all(part.values()) for part in parts)):
        return None
    whole = ({kind: entry for kind, entry in part.items() if entry} for part in parts)
    held, judged_, put = whole
    return Held(study, spec, ref, texts, held, judged_, readers, put, meanings)


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


def view(held: Held, name: str) -> ConceptsView:
    """The set itself."""
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
        provenance=provenance.of(
            held.scored["exemplar"], f"concept_set --study {held.study.name} --name {name}"
        ),
    )


READERS = pl.Schema(
    {"method": pl.String, "of": pl.Int64, "column": pl.Int64}
    | dict.fromkeys(("train", "value", "low", "high"), pl.Float64)
    | dict.fromkeys(("positives", "negatives"), pl.Int64)
    | dict.fromkeys(("best", "null_mean", "null_high"), pl.Float64)
)


def any_region(held: Held, concept: int, contrast: str) -> AnyRegion:
    """How well every direction tells one concept from a contrast."""
    aurocs = {
        kind: np.asarray(table.array(contrast)[concept]) for kind, table in held.tables.items()
    }
    shares = [
        (kind, len(found), *(float(np.mean(found > level)) for level in LEVELS))
        for kind, found in aurocs.items()
        if not np.isnan(found).any()
    ]
    names = ["method", "of", *(f"above {level:.1f}" for level in LEVELS)]
    return AnyRegion(
        readers=pl.DataFrame(_readers(held, concept, contrast), schema=READERS, orient="row"),
        aurocs=aurocs,
        shares=pl.DataFrame(shares, schema=names, orient="row"),
    )


def _readers(held: Held, concept: int, contrast: str) -> list[tuple[Any, ...]]:
    """Rows of `READERS`: text length and those fitted to the concept first."""
    positive = held.set.of(concept, "test")[0]
    other = judged.against(held.set, concept, contrast)
    rows: list[tuple[Any, ...]] = []
    # the strongest of more tokens is stronger: what length alone tells, no direction needs to
    fitted = {"length": np.diff(held.set.offsets)}
    fitted |= {name: held.readers.array(name)[concept] for name in supervised.READERS}
    for name, given in fitted.items():
        found = estimates.auroc(given[positive], given[other])
        ends = found.value, found.low, found.high
        rows.append((name, 1, -1, None, *ends, len(positive), len(other), None, None, None))
    for kind, table in held.tables.items():
        read = judged.chosen(held.set, table, held.scores[kind], concept, contrast)
        ends = read.test.value, read.test.low, read.test.high
        counted = read.positives, read.negatives
        best = None if np.isnan(read.best) else read.best
        known = (best, *read.null) if contrast == "negative" else (best, None, None)
        width = held.scores[kind].shape[1]
        rows.append((kind, width, read.column, read.train, *ends, *counted, *known))
    return rows


def over_concepts(held: Held) -> pl.DataFrame:
    """method, contrast, mean, low, high, concepts, positives, negatives: AUROC on test texts, mean
    over concepts with its t interval; gain, gain_low, gain_high: the same of what it has over as
    many random activations, concept by concept. Against hard negatives, of which a concept has few,
    each text counts alike: concepts weigh by them, and the interval is a bootstrap over concepts.
    """
    rows = []
    for contrast in CONTRASTS:
        tables = [
            pl.DataFrame(_readers(held, concept, contrast), schema=READERS, orient="row")
            for concept in range(len(held.set.concepts))
        ]
        whole = pl.concat(tables).filter(pl.col("value").is_not_null())
        control = whole.filter(pl.col("method") == "coreset")["value"].to_numpy()
        for (method,), part in whole.group_by("method", maintain_order=True):
            values, weights = part["value"].to_numpy(), part["negatives"].to_numpy()
            ends = [_mean(found, weights, contrast) for found in (values, values - control)]
            counted = len(part), int(part["positives"].sum()), int(weights.sum())
            rows.append((method, contrast, *ends[0], *counted, *ends[1]))
    names = ["method", "contrast", "mean", "low", "high", "concepts", "positives", "negatives"]
    gains = ["gain", "gain_low", "gain_high"]
    return pl.DataFrame(rows, schema=names + gains, orient="row", infer_schema_length=None)


def _mean(
    values: np.ndarray, weights: np.ndarray, contrast: str
) -> tuple[float | None, float | None, float | None]:
    return _weighted(values, weights) if contrast == "hard" else estimates.mean_of(values)


def _weighted(
    values: np.ndarray, weights: np.ndarray
) -> tuple[float | None, float | None, float | None]:
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    means = np.average(values[drawn], axis=1, weights=weights[drawn])
    low, high = np.quantile(means, [0.025, 0.975])
    return float(np.average(values, weights=weights)), float(low), float(high)
