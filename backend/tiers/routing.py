"""Sending each tier to the cheapest method: counting for tier 1, a model for tier 2, people for
tier 3. What that asks for, the labels that it makes, and all that came of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from backend.annotations.hand_labels import labels_of
from backend.experiments import cost_estimates, workload
from backend.experiments.steps import ExperimentSteps
from backend.experiments.views import Quote
from backend.labels import label_search, writers
from backend.labels.explainers import COUNTERS
from backend.labels.subjects import Sampling, exact, features_of, models_of
from backend.query import lookup, query
from backend.schema import Plan, Study, Thresholds, Tier, TierSpec
from backend.store import queue
from backend.store.rates import Part
from backend.tiers import answers as tier_answers
from backend.tiers.words import RoutePlan

READING = "eleuther_acts_top5"  # the method of tier 2
# of tier 1: each side of the peak has its own, so that a label is of its tier's kind
COUNTING = {Tier.INPUT: COUNTERS["input"].name, Tier.OUTPUT: COUNTERS["output"].name}
EXPERIMENT = Plan(methods=(READING,), scorers=())
LABELS = pl.Schema(
    {"feature": pl.Int32}
    | dict.fromkeys(("method", "label", "writer", "failed"), pl.String)  # why `label` is empty
)


def numbers(study: Study, spec: TierSpec, thresholds: Thresholds, most: int) -> list[int]:
    """Features of tier 2 that can be labelled, those farthest from other tiers first: `most` of
    them, 0: all."""
    inside = tier_answers.of_tier(study, Tier.CROSS, spec, thresholds)[::-1]
    frequent = features_of(study).source.frequent()
    candidates = inside[np.isin(inside, frequent)].tolist()
    return candidates[:most] if most else candidates


@lookup
def estimate_route_cost(
    study: Study, spec: TierSpec, thresholds: Thresholds, plan: RoutePlan
) -> Quote:
    """What labelling tier 2 by a model asks for, at most.

    Raises:
        LlmError: no server is named, where one is to be asked.
    """
    return cost_estimates.of_labels(
        study, numbers(study, spec, thresholds, plan.most), READING, plan.who
    )


def _left(
    study: Study, spec: TierSpec, thresholds: Thresholds, plan: RoutePlan | None = None
) -> list[Part]:
    """The labels by counting and by a model that are not made yet."""
    plan, subject = plan or RoutePlan(), features_of(study)
    some = tuple(subject.testable(numbers(study, spec, thresholds, plan.most)))
    steps = ExperimentSteps(subject, EXPERIMENT, models_of(study, plan.who), some)
    return [*label_search.left_to_count(subject), *workload.left(steps)]


@query("Labels by tier", priority=queue.LONG, work=_left)
def route(
    study: Study, spec: TierSpec, thresholds: Thresholds, plan: RoutePlan | None = None
) -> pl.DataFrame:
    """Labels tier 1 by counting and tier 2 by a model, which is asked for no more than the plan
    allows: `LABELS`. What is labelled already is not asked again.

    Raises:
        LlmError: no server is named, or the cost is limited and prices are not known.
    """
    plan = plan or RoutePlan()
    # a worker with other settings than ours must not take another server for ours
    plan = replace(plan, who=exact(study, plan.who))
    models = models_of(study, plan.who)
    with (
        route.asking(study, spec, thresholds, plan),
        writers.limit_cost(models.writer, plan.calls, plan.cost),
    ):
        subject = features_of(study)
        counted = label_search.counted(subject, Sampling()).frame("labels")
        candidates = subject.testable(numbers(study, spec, thresholds, plan.most))
        labels = ExperimentSteps(subject, EXPERIMENT, models, tuple(candidates)).labels()
    assigned = tier_answers.correlations(study, spec).assign(thresholds)
    by_model = labels.filter(pl.col("failed") == "").with_columns(writer=pl.lit(""))
    by_model = _as_labels(by_model.rename({"text": "label"}))
    return pl.concat([_by_counting(counted, assigned), by_model])


# ---------------------------------------------------------------- what came of it


@query("Labels of the tiers", priority=queue.LONG)
def tier_labels(
    study: Study, spec: TierSpec | None = None, thresholds: Thresholds | None = None
) -> pl.DataFrame:
    """`LABELS`: by hand of any tier, and first; as far as they are made, by counting of tier 1, by
    the model of tier 2, whichever it was."""
    assigned = tier_answers.correlations(study, spec or TierSpec()).assign(
        thresholds or Thresholds()
    )
    subject = features_of(study)
    entry = label_search.counted.find(subject, Sampling())
    counted = entry.frame("labels") if entry else pl.DataFrame(schema=label_search.COUNTED)
    by_model = label_search.labels_by_models(subject)
    last = by_model.filter(method=READING).unique("number", keep="last")
    last = last.with_columns(failed=pl.lit(""))
    by_method = [_by_counting(counted, assigned), _routed(last, assigned, Tier.CROSS)]
    return pl.concat([_by_hand(study), *by_method])


def _by_counting(counted: pl.DataFrame, assigned: np.ndarray) -> pl.DataFrame:
    """`LABELS` of tier 1: of what is shared up to the peak for input features, after it for output
    features. A feature that shares nothing there has failed; its other side is not taken."""
    parts = [
        _routed(counted.filter(method=method), assigned, tier) for tier, method in COUNTING.items()
    ]
    return pl.concat(parts)


def _routed(labels: pl.DataFrame, assigned: np.ndarray, tier: Tier) -> pl.DataFrame:
    """Those of a tier's features, as `LABELS`."""
    inside = np.flatnonzero(assigned == tier).tolist()
    named = labels.rename({"number": "feature"}).with_columns(writer=pl.lit(""))
    return _as_labels(named.filter(pl.col("feature").is_in(inside)))


def _as_labels(frame: pl.DataFrame) -> pl.DataFrame:
    """`LABELS` of a table that has its columns."""
    return frame.cast({"feature": pl.Int32}).select(LABELS.names())


def _by_hand(study: Study) -> pl.DataFrame:
    """What people call features; those that no label fits have failed."""
    return _as_labels(labels_of(study).rename({"text": "label"}))
