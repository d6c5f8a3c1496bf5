"""Experiments of a study: starting one, what it came to, and its labels side by side."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import polars as pl
from pydantic import TypeAdapter

from backend.experiments import experiment, workload
from backend.experiments.steps import ExperimentSteps
from backend.experiments.views import TABLES, Experiment, Run
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
from backend.labels.tables import LABELS, SCORES
from backend.query import action, query
from backend.run import Missing
from backend.schema import Job, NotFoundError, Plan, Study
from backend.store import jobs, queue
from backend.store.memo import Entry, canonical
from backend.store.rates import Part
from backend.store.views import Provenance

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


def _left(
    study: Study, plan: Plan, who: str = "own", calls: int = 0, cost: float = 0.0
) -> list[Part]:
    """What a run has still to label and to judge."""
    if experiment.run.open(run_digest(study, plan, who, calls, cost)) is not None:
        return []
    subject, models = features_of(study), models_of(study, exact(study, who))
    numbers = tuple(experiment.sample(subject, plan))
    steps = ExperimentSteps(subject, plan, models, numbers)
    return [*workload.calibration(steps), *workload.left(steps)]


@query("A labelling experiment", priority=queue.LONG, key=run_digest, work=_left)
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
    return _view(study, Results(entry.digest, plan, models, entry))


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
    """An experiment, and by what plan and models: its entry where it has ended, else the tables as
    far as they are."""

    run: str
    plan: Plan
    models: Models
    found: Entry | dict[str, pl.DataFrame]

    @property
    def entry(self) -> Entry:
        """Of an experiment that has ended."""
        assert isinstance(self.found, Entry)
        return self.found

    def _table(self, name: str) -> pl.DataFrame:
        return self.found.frame(name) if isinstance(self.found, Entry) else self.found[name]

    @property
    def labels(self) -> pl.DataFrame:
        return self._table("labels")

    @property
    def scores(self) -> pl.DataFrame:
        return self._table("scores")

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
    plan, models = read_plan(arguments["plan"]), read_models(arguments["models"])
    return Results(entry.digest, plan, models, entry)


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


def labelled(study: Study, run: str) -> Results:
    """An experiment that ended, or the labels that one under way has so far (its scores are those
    of `under_way.scores_of`).

    Raises:
        NotFoundError: there is none of that name, or it was imported.
    """
    job = None if run.startswith(IMPORTED) else _job(run)  # before its result, as in `view`
    if job is None or experiment.run.open(run) is not None:
        return finished(run)
    plan, models = arguments_of(study, job)
    try:
        labels = steps_of(study, plan, models).known_labels()
    except Missing:  # it reads the features first
        labels = pl.DataFrame(schema=LABELS)
    tables_so_far = {"labels": labels, "scores": pl.DataFrame(schema=SCORES)}
    return Results(run, plan, models, tables_so_far)


def arguments_of(study: Study, job: Job) -> tuple[Plan, Models]:
    """The plan and the models of an experiment's job."""
    arguments = run_experiment.entry.decode(json.loads(job.arguments))
    return arguments["plan"], models_of(study, arguments["who"])


def steps_of(study: Study, plan: Plan, models: Models) -> ExperimentSteps:
    """The steps of an experiment on the study's features."""
    subject = features_of(study)
    return ExperimentSteps(subject, plan, models, tuple(experiment.sample(subject, plan)))


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
            runs[name] = Run(name, arguments["plan"], *who, created=job.created, job=_job(name))
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


def so_far(study: Study, run: str) -> Experiment:
    """An experiment with the labels that there are, before it is judged.

    Raises:
        NotFoundError: there is none of that name.
    """
    known, job = labelled(study, run), _job(run)
    empty = {name: pl.DataFrame(schema=schema) for name, schema in TABLES.items()}
    command = f"experiment_so_far --study {study.name} --run {run}"
    return Experiment(
        run=run,
        plan=known.plan,
        writer=known.models.writer.name,
        judge=known.models.judge.name,
        **empty | {"labels": known.labels},
        provenance=Provenance(
            "under way", run, "{}", (), "", 0.0, job.created if job else 0.0, command
        ),
    )


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
