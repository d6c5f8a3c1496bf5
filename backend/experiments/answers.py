"""What the pages Experiment and Compare ask: experiments that were made here or imported."""

from __future__ import annotations

import polars as pl

from backend.annotations.hand_labels import labels_of
from backend.experiments import exchange, runs
from backend.experiments.views import Comparison, Experiment, Judgement, Run
from backend.labels import steps as label_steps
from backend.labels.kinds import SCORERS
from backend.labels.subjects import features_of, setting_of
from backend.query import lookup
from backend.schema import Job, NotFoundError, Study


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
def comparison(study: Study, run: str, feature: int, scorer: str = "detection") -> Comparison:
    """One feature's labels side by side on the held-out excerpts they were judged by.

    Raises:
        NotFoundError: no such experiment, feature or scorer in it.
    """
    ended = runs.finished(run)
    labels = ended.labels.filter(pl.col("feature") == feature)
    if not len(labels) or scorer not in ended.plan.scorers or not SCORERS[scorer].is_judged:
        raise NotFoundError(
            f"The experiment did not judge feature {feature} by {scorer}.",
            f"Choose one of its features and of {', '.join(ended.plan.scorers)}.",
        )
    subject, setting = features_of(study), setting_of(ended.plan, scorer, ended.models.judge)
    trial = subject.trial(feature, "", ended.sampling, setting)
    valid = labels.filter(pl.col("failed") == "")
    verdicts = [
        label_steps.judge_label(subject, feature, text, ended.sampling, setting).frame("verdicts")
        for text in valid["text"]
    ]
    items = tuple(
        Judgement(
            pieces=tuple(pieces),
            values=tuple(values.tolist()) if true else (0.0,) * len(pieces),
            text=text,
            fires=bool(true),
            answers=tuple(frame["answer"][place] for frame in verdicts),
            probabilities=tuple(frame["probability"][place] for frame in verdicts),
        )
        for place, ((pieces, values), true, text) in enumerate(
            zip(trial.cuts, trial.truth, trial.question.texts, strict=True)
        )
    )
    scores = ended.scores.filter((pl.col("feature") == feature) & (pl.col("of") != "shuffled"))
    return Comparison(
        feature=feature,
        scorer=scorer,
        labels=labels,
        methods=tuple(valid["method"]),
        items=items,
        scores=scores,
        maximum=trial.evidence.maximum,
        train=trial.evidence.how,
        human=labels_of(study).filter(feature=feature),
    )
