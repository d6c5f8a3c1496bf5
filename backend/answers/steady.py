"""Do regions mean something beyond the tokens they were made of? Set against the model's output
along segments, against themselves made again, and against features."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import polars as pl

from backend.answers import provenance, tasks
from backend.answers.concepts import SEED
from backend.concept_views import Again, Stable
from backend.concepts import rivals, robustness, stability
from backend.concepts.boundaries import tests
from backend.regions import matching, partitioning
from backend.schema import Job, PartitionSpec, Study
from backend.statistics.intervals import wilson

PAIRS, STEPS = 120, 33  # of prompts, and of α
GOOD = 0.5  # F1 from which the paper calls a region a feature's


# ---------------------------------------------------------------- stable regions


def patch(request: tasks.Request) -> None:
    """What the job does: patches prompts along segments; a coreset to compare with."""
    request.run(stability.interpolate, *request.site, request.spec, PAIRS, STEPS, SEED)
    request.run(rivals.rival, *request.site, request.spec, "coreset", SEED)


def stable(study: Study, spec: PartitionSpec, ask: bool) -> Stable | Job | None:
    """None where it is not computed and nobody asks for it."""
    where = study.model, study.site, study.corpus, spec
    read = stability.interpolate.find(*where, PAIRS, STEPS, SEED)
    control = rivals.rival.find(*where, "coreset", SEED)
    if read is None or control is None:
        key = stability.interpolate.digest(*where, PAIRS, STEPS, SEED)
        return tasks.ensure("stability", study, key, spec=asdict(spec)) if ask else None
    made, centre = partitioning.build_partition.get(*where), partitioning.centre.get(*where[:3])
    found = tests(
        ends=read.array("ends"),
        sharpness=read.array("sharpness"),
        steepest=read.array("steepest"),
        next=read.array("next"),
        exemplars=made.array("exemplars"),
        coreset=control.array("directions"),
        centre=centre.array("centre"),
        seed=SEED,
    )
    return Stable(
        pairs=len(read.array("sharpness")),
        apart=np.asarray(read.array("apart")),
        sharpness=np.asarray(read.array("sharpness")),
        boundaries=found.boundaries,
        sharper=found.sharpness,
        prediction=found.prediction,
        provenance=provenance.of(read, f"stable --study {study.name}"),
    )


# ---------------------------------------------------------------- made again, and features


def repeat(request: tasks.Request) -> None:
    """What the job does: the partition in three other ways."""
    for how in robustness.WAYS:
        request.run(robustness.again, *request.site, request.spec, how, SEED)


def again(study: Study, spec: PartitionSpec, ask: bool) -> Again | Job | None:
    """None where it is not computed and nobody asks for it."""
    where = study.model, study.site, study.corpus, spec
    found = {how: robustness.again.find(*where, how, SEED) for how in robustness.WAYS}
    made = {how: entry for how, entry in found.items() if entry is not None}
    if len(made) < len(found):
        key = robustness.again.digest(*where, "order", SEED)
        return tasks.ensure("again", study, key, spec=asdict(spec)) if ask else None
    rows = []
    for how, entry in made.items():
        named = {"how": robustness.WAYS[how], "regions": entry.value("regions")}
        rows += [{**named, **row} for row in entry.frame("measures").iter_rows(named=True)]
    f1 = _best_f1(study, spec)
    return Again(
        measures=pl.DataFrame(rows),
        regions=made["order"].value("study_regions"),
        f1=f1,
        good=None if f1 is None else _share_good(f1),
        provenance=provenance.of(made["half"], f"again --study {study.name}"),
    )


def _best_f1(study: Study, spec: PartitionSpec) -> np.ndarray | None:
    """[K] best F1 of each region over features; None where they are not matched."""
    where = study.model, study.site, study.corpus, spec
    entry = matching.match.find(*where, study.sae) if study.sae else None
    if entry is None:
        return None
    best = entry.frame("by_region").group_by("region").agg(pl.col("f1").max())
    found = np.zeros(len(partitioning.build_partition.get(*where).array("exemplar_tokens")))
    found[best["region"].to_numpy()] = best["f1"].to_numpy()
    return found


def _share_good(f1: np.ndarray) -> tuple[float, float, float]:
    low, high = wilson((f1 >= GOOD).sum(), len(f1))
    return float((f1 >= GOOD).mean()), float(low), float(high)
