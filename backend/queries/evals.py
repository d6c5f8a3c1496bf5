"""Benchmarks: CE-Bench, ExpertLens and SAGE, on a study's model and SAE."""

from __future__ import annotations

import polars as pl

from backend import study as studies_on_disk
from backend.answers import ce_bench as ce
from backend.answers import ce_sweep as ce_sweep_
from backend.answers import expert_lens as experts
from backend.answers import sage as truth
from backend.eval_views.ce_bench import CeBench, CeSteer, CeSubject
from backend.eval_views.expert_lens import ExpertConcept, ExpertLens
from backend.eval_views.sage import Sage
from backend.schema import Job


def ce_bench(study: str, pairs: str = "", ask: bool = True) -> CeBench | Job | None:
    """CE-Bench in its three definitions, with nulls and a control; `pairs` is "" for Tessera's own,
    a file, or a dataset of the hub. None where it is not computed and not asked for."""
    return ce.ce_bench(studies_on_disk.load(study), pairs, ask)


def ce_subject(
    study: str,
    subject: str = "",
    pairs: str = "",
    definition: str = "corrected",
    feature: int = -1,
) -> CeSubject:
    """The features that read one subject, and its stories valued by one of them."""
    return ce.ce_subject(studies_on_disk.load(study), pairs, subject, definition, feature)


def ce_steer(
    study: str, subject: str, prompt: str, strength: float = 0.5, pairs: str = "", ask: bool = True
) -> CeSteer | Job | None:
    """A prompt continued while features are moved towards a subject, beside controls."""
    return ce.ce_steer(studies_on_disk.load(study), pairs, subject, prompt, strength, ask)


def ce_sweep(study: str, pairs: str = "", ask: bool = True) -> pl.DataFrame | Job | None:
    """CE-Bench of the study's SAE and of all others that its file lists, beside their controls."""
    return ce_sweep_.ce_sweep(studies_on_disk.load(study), pairs, ask)


def ce_bench_releases(sae_regex: str, sae_block: str = ".*") -> pl.DataFrame:
    """SAEs in SAELens' registry whose release and id match, each as a whole."""
    return ce_sweep_.ce_bench_releases(sae_regex, sae_block)


def ce_bench_sweep(
    study: str, sae_regex: str, sae_block: str = ".*", pairs: str = "", ask: bool = True
) -> pl.DataFrame | Job | None:
    """CE-Bench of every SAE in the registry that matches and belongs to the study's model, and why
    the others do not."""
    loaded = studies_on_disk.load(study)
    return ce_sweep_.ce_bench_sweep(loaded, sae_regex, sae_block, pairs, ask)


def expert_lens(
    study: str,
    units: str = "maps",
    sentences: str = "corpus",
    concepts: str = "",
    ask: bool = True,
) -> ExpertLens | Job | None:
    """Units (of every linear map, or an SAE's features) that know a concept, and whether concepts
    are as alike by their experts as people find them. None as in `ce_bench`."""
    return experts.expert_lens(studies_on_disk.load(study), units, sentences, concepts, ask)


def expert_concept(
    study: str,
    concept: str = "",
    units: str = "maps",
    sentences: str = "corpus",
    concepts: str = "",
) -> ExpertConcept | Job:
    """The experts of one concept."""
    loaded = studies_on_disk.load(study)
    return experts.expert_concept(loaded, units, sentences, concepts, concept)


def experts_between(
    study: str, other: str, units: str = "maps", sentences: str = "corpus", concepts: str = ""
) -> pl.DataFrame | None:
    """Whether the likeness of concepts is that of another study; None where one is not computed."""
    first, second = (studies_on_disk.load(name) for name in (study, other))
    return experts.between(first, second, units, sentences, concepts)


def sage(study: str, task: str = "", role: str = "", ask: bool = True) -> Sage | Job | None:
    """An SAE against supervised dictionaries on a task that the model solves; "" is the hardest.
    None as in `ce_bench`."""
    return truth.sage(studies_on_disk.load(study), task, role, ask)


def measures(view: CeBench | ExpertLens | Sage) -> pl.DataFrame:
    """The headline numbers of an answer: measure, value, low, high, n, n_of, null, control."""
    if isinstance(view, CeBench):
        return ce.measures(view)
    return experts.measures(view) if isinstance(view, ExpertLens) else truth.measures(view)
