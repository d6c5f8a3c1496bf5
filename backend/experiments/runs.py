"""Experiments of a study: starting one, what it came to, and its labels side by side."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import polars as pl
from pydantic import TypeAdapter

from backend.experiments import experiment
from backend.experiments.views import Experiment, Run
from backend.labels import steps as label_steps
from backend.labels import writers
from backend.labels.subjects import (
    Models,
    Sampling,
    Subject,
    exact,
    features_of,
    models_of,
    sampling_of,
    wordings_of,
)
from backend.query import action, query
from backend.schema import Job, NotFoundError, Plan, Study
from backend.store import jobs, queue
from backend.store.memo import Entry, canonical

IMPORTED = "import-"  # begins the names of experiments taken from files

read_plan = TypeAdapter(Plan).validate_python
read_models = TypeAdapter(Models).validate_python


# ---------------------------------------------------------------- running


def _subject(study: Study) -> Subject:
    """The study's features, whether they are computed or not."""
    return Subject(study.reading, study.require_sae())


def run_digest(
    study: Study, plan: Plan, who: str = "own", calls: int = 0, cost: float = 0.0
) -> str:
    """The name of an experiment; what it may cost is no part of it."""
    del calls, cost
    return experiment.run.digest(_subject(study), plan, models_of(study, who), wordings_of(plan))


@query("A labelling experiment", priority=queue.LONG, key=run_digest)
def run_experiment(
    study: Study, plan: Plan, who: str = "own", calls: int = 0, cost: float = 0.0
) -> Experiment:
    """What an experiment comes to; one that ended early goes on where it was. `calls` and `cost`
    that it may not exceed; 0: no limit."""
    experiment.check(plan)
    who = exact(study, who)
    models = models_of(study, who)
    with (
        run_experiment.asking(study, plan, who, calls, cost),
        writers.limit_cost(models.writer, calls, cost),
    ):
        entry = experiment.run(features_of(study), plan, models, wordings_of(plan))
    return _view(study, Results(entry, plan, models))


@action
def start_experiment(
    study: Study, plan: Plan, who: str = "own", calls: int = 0, cost: float = 0.0
) -> str:
    """Starts an experiment, or goes on with one that stopped: its name. `calls` and `cost` that it
    may not exceed; 0: no limit.

    Raises:
        LlmError: no server is named, or the cost is capped and prices are not known.
        NotFoundError: the plan names what there is not.
    """
    experiment.check(plan)
    who = exact(study, who)
    name = run_digest(study, plan, who)
    with writers.limit_cost(models_of(study, who).writer, calls, cost):  # or it is told now
        if experiment.run.open(name) is None:
            run_experiment.start(study, plan, who, calls, cost)
    return name


# ---------------------------------------------------------------- what it came to


@dataclass(frozen=True)
class Results:
    """An experiment that ended, and by what plan and models."""

    entry: Entry
    plan: Plan
    models: Models

    @property
    def run(self) -> str:
        return self.entry.digest

    @property
    def labels(self) -> pl.DataFrame:
        return self.entry.frame("labels")

    @property
    def scores(self) -> pl.DataFrame:
        return self.entry.frame("scores")

    @property
    def sampling(self) -> Sampling:
        return sampling_of(self.plan, self.models.embedder)

    @property
    def features(self) -> list[int]:
        return sorted(set(self.labels["feature"].to_list()))

    def texts_at_peaks(self, subject: Subject, feature: int) -> list[dict[str, Any]]:
        """Rows of `label_steps.verbalize`; none where no verbalizer was asked."""
        which = feature, self.sampling.train, self.models.verbalizer
        entry = label_steps.verbalize.find(subject, *which)
        return entry.frame("texts").to_dicts() if entry else []


def results(run: str) -> Results | None:
    """An experiment by its name; None where it has not ended."""
    entry = experiment.run.open(run)
    if entry is None:
        return None
    arguments = entry.recipe()["arguments"]
    return Results(entry, read_plan(arguments["plan"]), read_models(arguments["models"]))


def finished(run: str) -> Results:
    """An experiment that ended; raises NotFoundError."""
    if run.startswith(IMPORTED):
        raise NotFoundError(
            "This experiment was imported, and its folder holds no verdicts.",
            "Choose one that was made here; its labels and scores are on the page Experiment.",
        )
    ended = results(run)
    if ended is None and _job(run) is None:
        raise _unknown(run)
    if ended is None:
        raise NotFoundError("This experiment has not ended.", "Wait for it, or start it again.")
    return ended


def _unknown(run: str) -> NotFoundError:
    return NotFoundError(
        f"There is no experiment {run[:12]} of this study.",
        "Choose one from the list, or start one on Experiment.",
    )


def list_runs(study: Study) -> list[Run]:
    """Experiments of the study: those that ended well, newest first, after those that are
    under way or stopped early."""
    return [*_under_way(study), *sorted(_ended(study), key=lambda run: -run.created)]


def _under_way(study: Study) -> list[Run]:
    """Those whose jobs have not ended well."""
    runs: dict[str, Run] = {}
    for job in jobs.recent(200):
        if job.query != run_experiment.entry.name or job.study != study.name or job.state == "done":
            continue
        arguments = run_experiment.entry.decode(json.loads(job.arguments))
        models = models_of(study, arguments["who"])
        name = run_digest(study, **arguments)
        # a study that has changed since has other experiments
        if _job(name) is not None and name not in runs and experiment.run.open(name) is None:
            who = models.writer.name, models.judge.name
            runs[name] = Run(name, arguments["plan"], *who, created=job.created)
    return list(runs.values())


def _job(run: str) -> Job | None:
    return jobs.for_key(f"{run_experiment.entry.name}:{run}")


def _ended(study: Study) -> list[Run]:
    subject = canonical(_subject(study))
    runs = []
    for ended in filter(None, map(results, experiment.run.stored())):
        recipe = ended.entry.recipe()
        if recipe["arguments"]["subject"] == subject:
            who = ended.models.writer.name, ended.models.judge.name
            runs.append(Run(ended.run, ended.plan, *who, created=recipe["created"], done=True))
    return runs


def view(study: Study, run: str) -> Experiment | Job:
    """An experiment, or its latest job where it has not ended well.

    Raises:
        NotFoundError: there is none of that name.
    """
    job = _job(run)  # before its result: what is done by now has one
    ended = results(run)
    if ended is not None:
        return _view(study, ended)
    if job is None or job.study != study.name or job.state == "done":  # done, and evicted
        raise _unknown(run)
    return job


def _view(study: Study, ended: Results) -> Experiment:
    entry = ended.entry
    return Experiment(
        run=ended.run,
        plan=ended.plan,
        writer=ended.models.writer.name,
        judge=ended.models.judge.name,
        labels=ended.labels,
        scores=ended.scores,
        **experiment.summary(ended.scores),
        distances=entry.frame("distances"),
        controls=entry.frame("controls"),
        known=entry.frame("known"),
        provenance=entry.provenance(f"experiment --study {study.name} --run {ended.run}"),
    )
