"""Do regions mean something beyond the tokens of one partition? They are compared with the model's
output along segments, with the corpus partitioned again, and with features."""

from __future__ import annotations

import numpy as np
import polars as pl

from backend.concepts import rivals, stability
from backend.concepts.boundaries import PATHS, boundary_tests
from backend.concepts.results import SEED, Stop
from backend.concepts.robustness import VARIATIONS, repeat_partition
from backend.concepts.views import REPEATS, Robustness, StableRegions
from backend.query import command_of, query
from backend.regions import matching, partitioning
from backend.regions.partitioned import spec_key, spec_of
from backend.schema import Partition, Study
from backend.statistics.intervals import share_interval
from backend.store import queue
from backend.store.rates import Part

PAIRS, STEPS = 120, 33  # of prompts, and of α
GOOD = 0.5  # F1 from which the paper calls a region a feature's


# ---------------------------------------------------------------- stable regions


@query("Prompts patched along segments", priority=queue.LONG - 1, key=spec_key)
def stable_regions(study: Study, p: Stop = None, k: Stop = None) -> StableRegions:
    """Whether the model's output changes where regions end (arXiv 2409.17113)."""
    spec = spec_of(study, p, k)
    partition = study.cut(spec)
    paths = stability.interpolate_prompts(partition, PAIRS, STEPS, SEED)
    directions = {
        "exemplars": rivals.directions(partition, "exemplar", SEED),
        "coreset": rivals.directions(partition, "coreset", SEED),
    }
    arrays = {name: np.asarray(paths.array(name)) for name in PATHS}
    centre = partitioning.centre(partition.reading).array("centre")
    return StableRegions(
        pairs=len(arrays["sharpness"]),
        apart=np.asarray(paths.array("apart")),
        sharpness=arrays["sharpness"],
        **boundary_tests(arrays, directions, centre, SEED),
        provenance=paths.provenance(command_of("stable_regions", study, p=spec.p, k=spec.k)),
    )


# ---------------------------------------------------------------- robustness, and features


def _left(study: Study, p: Stop = None, k: Stop = None) -> list[Part]:
    """The partitions that are not made again yet."""
    partition = study.cut(spec_of(study, p, k))
    missing = [how for how in VARIATIONS if repeat_partition.find(partition, how, SEED) is None]
    like = {partitioning.build_partition.work(partition): 3.0}  # most of those are previews
    return [Part(repeat_partition.name, len(missing), like)] if missing else []


@query("The corpus partitioned again", priority=queue.LONG - 1, key=spec_key, work=_left)
def robustness(study: Study, p: Stop = None, k: Stop = None) -> Robustness:
    """The corpus partitioned again in another order, with another θ and from half of its documents;
    and how well features match the regions."""
    spec = spec_of(study, p, k)
    partition = study.cut(spec)
    repeats = {how: repeat_partition(partition, how, SEED) for how in VARIATIONS}
    rows = [
        {"how": VARIATIONS[how], "regions": entry.value("regions"), **row}
        for how, entry in repeats.items()
        for row in entry.frame("measures").iter_rows(named=True)
    ]
    f1 = _best_f1(study, partition)
    return Robustness(
        measures=pl.DataFrame(rows, REPEATS),
        regions=repeats["order"].value("study_regions"),
        f1=f1,
        good=None if f1 is None else share_interval(int((f1 >= GOOD).sum()), len(f1)),
        provenance=repeats["half"].provenance(command_of("robustness", study, p=spec.p, k=spec.k)),
    )


def _best_f1(study: Study, partition: Partition) -> np.ndarray | None:
    """[K] best F1 of each region over features; None where nobody has matched them."""
    entry = matching.match.find(partition, study.sae) if study.sae else None
    if entry is None:
        return None
    best = entry.frame("by_region").group_by("region").agg(pl.col("f1").max())
    f1 = np.zeros(len(partitioning.build_partition(partition).array("exemplar_tokens")))
    f1[best["region"].to_numpy()] = best["f1"].to_numpy()
    return f1
