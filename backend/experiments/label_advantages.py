"""What the labels of one feature or region have over their controls, as far as it is kept."""

from __future__ import annotations

from typing import Any

import polars as pl

from backend.experiments.single_labels import judged_of, known_labels, other_number
from backend.experiments.steps import ExperimentSteps
from backend.labels import evidence, explainers
from backend.labels.subjects import models_of, subject_of
from backend.labels.tables import SCORES
from backend.labels.views import ADVANTAGES
from backend.labels.words import LabelRequest
from backend.query import lookup
from backend.schema import NotFoundError, Plan, Study
from backend.statistics.intervals import Ends, difference_interval


@lookup
def label_advantages(study: Study, request: LabelRequest) -> pl.DataFrame:
    """`ADVANTAGES` of the labels of one feature or region, of those that were judged before (by
    `label_scores` or by an experiment with the same settings); nothing is computed."""
    return advantages(known_scores(study, request))


def known_scores(study: Study, request: LabelRequest) -> pl.DataFrame:
    """`tables.SCORES` of the labels, and of their controls, that `label_scores` would give, as far
    as they are kept."""
    subject = subject_of(study, request.kind, request.p, request.k)
    models = models_of(study, request.who)
    plan = Plan(
        methods=tuple(explainers.EXPLAINERS),
        split=request.split,
        negatives=request.negatives,
        seed=request.seed,
    )
    number = request.number
    steps = ExperimentSteps(subject, plan, models, (number,))
    try:
        own = known_labels(subject, (number,), plan, models)
        if not len(steps.known_scores(judged_of(own, plan, number))):
            return pl.DataFrame(schema=SCORES)  # as of most: nothing else is drawn
        other = known_labels(subject, (other_number(subject, number, plan.seed),), plan, models)
    except (evidence.TooFewError, NotFoundError):  # nothing to be judged by, or to compare with
        return pl.DataFrame(schema=SCORES)
    return steps.known_scores(judged_of(pl.concat([own, other]), plan, number))


def advantages(scores: pl.DataFrame) -> pl.DataFrame:
    """`ADVANTAGES` of `tables.SCORES`: one row for each text of a label and scorer, in their
    order; methods that gave the same label share one."""
    controls = {
        (row["method"], row["scorer"]): row
        for row in scores.filter(of="shuffled").iter_rows(named=True)
    }
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for row in scores.filter(of="label").iter_rows(named=True):
        key = row["label"], row["scorer"]
        if key in rows and rows[key]["control"] is not None:
            continue
        control = controls.get((row["method"], row["scorer"]))
        rows[key] = _advantage(row, control)
    return pl.DataFrame(list(rows.values()), schema=ADVANTAGES)


def _advantage(row: dict[str, Any], control: dict[str, Any] | None) -> dict[str, Any]:
    names = ("value", "low", "high")
    same = ("label", "scorer", "judge", "n", "failures", "chance", *names)
    theirs = _ends(control) if control else (None, None, None)
    difference = difference_interval(_ends(row), theirs)
    return {
        **{name: row[name] for name in same},
        **dict(zip((f"control_{name}" for name in names), theirs, strict=True)),
        "control": control["label"] if control else None,
        **dict(zip(("difference", "difference_low", "difference_high"), difference, strict=True)),
    }


def _ends(row: dict[str, Any]) -> Ends:
    return row["value"], row["low"], row["high"]
