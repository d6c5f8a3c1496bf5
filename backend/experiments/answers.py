"""What the pages Experiment and Compare ask: experiments that were made here or imported."""

from __future__ import annotations

from dataclasses import replace

from backend.annotations.hand_label_tables import labels_of
from backend.experiments import exchange, runs
from backend.experiments.views import Comparison, Experiment, Imported, Run
from backend.query import action, lookup
from backend.schema import Job, Study


@lookup
def experiments(study: Study) -> list[Run]:
    """Experiments of a study, those under way first, then newest first."""
    return [*(runs.listed(study) if study.sae else []), *exchange.listed()]


@lookup
def experiment(study: Study, run: str) -> Experiment | Job:
    """What an experiment came to: labels, scores, means, differences, distances, controls; its job
    where it has not ended well."""
    return exchange.view(run) if run.startswith(runs.IMPORTED) else runs.view(study, run)


@lookup
def comparison(study: Study, run: str, feature: int, scorer: str = "detection") -> Comparison:
    """One feature's labels side by side on the held-out excerpts they were judged by."""
    by_hand = labels_of(study).filter(feature=feature)
    return replace(runs.compare(study, run, feature, scorer), human=by_hand)


@lookup
def export_experiment(study: Study, run: str, format: str) -> bytes:
    """An experiment's labels as jsonl, csv, parquet or neuronpedia (zip), or all as baez (zip)."""
    return exchange.export(study, run, format)


@action
def import_experiment(data: bytes) -> Imported:
    """Keeps an experiment folder of the baez post, given as a zip."""
    return exchange.keep(data)
