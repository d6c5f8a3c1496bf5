"""What the pages Experiment and Compare ask: experiments that were made here or imported."""

from __future__ import annotations

from typing import Any

import polars as pl

from backend.annotations.hand_labels import labels_of
from backend.experiments import exchange, runs
from backend.experiments.steps import ExperimentSteps, judged_texts
from backend.experiments.views import Comparison, Experiment, Judgement, Run
from backend.labels.kinds import SCORERS
from backend.labels.subjects import setting_of
from backend.labels.trials import Trial
from backend.query import lookup
from backend.schema import Job, NotFoundError, Plan, Study


@lookup
def experiments(study: Study) -> list[Run]:
    """Experiments of a study, those under way first, then newest first."""
    return [*(runs.list_runs(study) if study.sae else []), *exchange.list_imports()]


@lookup
def experiment(study: Study, run: str) -> Experiment | Job:
    """What an experiment came to: labels, scores, means, differences, distances, controls; its job
    where it has not ended well."""
    return (exchange if run.startswith(runs.IMPORTED) else runs).view(study, run)


@lookup
def experiment_so_far(study: Study, run: str) -> Experiment:
    """The labels that an experiment under way has so far, as `experiment` shows one that ended."""
    return runs.so_far(study, run)


@lookup
def comparison(study: Study, run: str, feature: int, scorer: str = "detection") -> Comparison:
    """One feature's labels side by side, with all their scores; where a judge was asked, on the
    excerpts they were judged by. Of an experiment under way, as far as it is.

    Raises:
        NotFoundError: no such experiment, or no such feature or scorer in it.
    """
    imported = run.startswith(runs.IMPORTED)
    source = exchange.view(study, run) if imported else runs.labelled(study, run)
    labels = source.labels.filter(pl.col("feature") == feature)
    _check(source.plan, source.labels, feature, scorer)
    valid = labels.filter(pl.col("failed") == "")
    scores = source.scores.filter((pl.col("feature") == feature) & (pl.col("of") != "shuffled"))
    items: tuple[Judgement, ...] = ()
    maximum, train = 0.0, ""
    if isinstance(source, runs.Results):
        steps = runs.steps_of(study, source.plan, source.models)
        texts = [each for each in judged_texts(labels, source.plan) if each[2] != "shuffled"]
        scores = scores if len(scores) else steps.known_scores(texts)
        trial = _trial(steps, feature, scorer)
        items = _judgements(trial, _verdicts(steps, valid, scorer))
        maximum, train = trial.evidence.maximum, trial.evidence.how
    return Comparison(
        feature=feature,
        scorer=scorer,
        labels=labels,
        methods=tuple(valid["method"]),
        items=items,
        judged=SCORERS[scorer].is_judged,
        scores=scores,
        maximum=maximum,
        train=train,
        human=labels_of(study).filter(feature=feature),
    )


def _check(plan: Plan, labels: pl.DataFrame, feature: int, scorer: str) -> None:
    """Raises NotFoundError where an experiment has no such feature or scorer."""
    if feature not in labels["feature"]:
        raise NotFoundError(
            f"The experiment has no label of feature {feature}.", "Choose one from its list."
        )
    if plan.scorers and scorer not in plan.scorers:
        raise NotFoundError(
            f"The experiment was not judged by {scorer}.",
            f"It was by {', '.join(plan.scorers)}.",
        )


def _trial(steps: ExperimentSteps, feature: int, scorer: str) -> Trial:
    """The excerpts that a label of the feature is judged by; an embedder reads those of
    detection."""
    scorer = scorer if SCORERS[scorer].is_judged else "detection"
    setting = setting_of(steps.plan, scorer)
    return steps.subject.trial(feature, "", steps.sampling, setting)


def _verdicts(steps: ExperimentSteps, valid: pl.DataFrame, scorer: str) -> list[pl.DataFrame]:
    """What the judge said of each label; no rows where it was not asked yet."""
    if not SCORERS[scorer].is_judged:
        return []
    entries = [
        steps.find_judgement((feature, text, scorer))
        for feature, text in valid.select("feature", "text").iter_rows()
    ]
    return [entry.frame("verdicts") if entry else pl.DataFrame() for entry in entries]


def _judgements(trial: Trial, verdicts: list[pl.DataFrame]) -> tuple[Judgement, ...]:
    def cell(frame: pl.DataFrame, place: int, column: str) -> Any:
        return frame[column][place] if len(frame) else None

    return tuple(
        Judgement(
            pieces=tuple(pieces),
            values=tuple(values.tolist()) if true else (0.0,) * len(pieces),
            text=text,
            fires=bool(true),
            answers=tuple(cell(frame, place, "answer") for frame in verdicts),
            probabilities=tuple(cell(frame, place, "probability") for frame in verdicts),
        )
        for place, ((pieces, values), true, text) in enumerate(
            zip(trial.cuts, trial.truth, trial.question.texts, strict=True)
        )
    )
