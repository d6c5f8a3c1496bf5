"""Sending each tier to the cheapest method: counting for tier 1, a model for tier 2, people for
tier 3. What that asks for, the labels that it makes, and all that came of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from backend.annotations.hand_labels import labels_of
from backend.experiments import cost_estimates
from backend.experiments.steps import ExperimentSteps
from backend.experiments.views import Quote
from backend.labels import label_search, writers
from backend.labels.subjects import Sampling, exact, features_of, models_of
from backend.query import lookup, query
from backend.schema import Plan, Study, Thresholds, Tier, TierSpec
from backend.store import queue
from backend.tiers import answers as tier_answers
from backend.tiers.words import RoutePlan

COUNTING, READING = "token_frequency", "eleuther_acts_top5"  # the methods of tiers 1 and 2
EXPERIMENT = Plan(methods=(READING,), scorers=())
LABELS = pl.Schema(
    {"feature": pl.Int32, "method": pl.String, "label": pl.String, "writer": pl.String}
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


@query("Labels by tier", priority=queue.LONG)
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
    by_model = labels.filter(pl.col("failed") == "").select(
        pl.col("feature").cast(pl.Int32), "method", label="text", writer=pl.lit("")
    )
    return pl.concat([_routed(counted, _tier_1(assigned)), by_model])


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
    counted = entry.frame("labels") if entry else pl.DataFrame(schema=label_search.LABELS)
    by_model = label_search.labels_by_models(subject)
    cross = np.flatnonzero(assigned == Tier.CROSS)
    last = by_model.filter(method=READING).unique("number", keep="last")
    return pl.concat([_by_hand(study), _routed(counted, _tier_1(assigned)), _routed(last, cross)])


def _tier_1(assigned: np.ndarray) -> np.ndarray:
    return np.flatnonzero(np.isin(assigned, (Tier.INPUT, Tier.OUTPUT)))


def _routed(labels: pl.DataFrame, inside: np.ndarray) -> pl.DataFrame:
    """Those of some features, as `LABELS`."""
    return labels.filter(pl.col("number").is_in(inside.tolist())).select(
        pl.col("number").cast(pl.Int32).alias("feature"), "method", "label", writer=pl.lit("")
    )


def _by_hand(study: Study) -> pl.DataFrame:
    """What people call features; of those that no label fits, that."""
    return labels_of(study).select(
        pl.col("feature").cast(pl.Int32),
        "method",
        pl.when(pl.col("failed") == "").then("text").otherwise("failed").alias("label"),
        "writer",
    )
