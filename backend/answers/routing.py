"""Sending each tier to the cheapest method: counting for tier 1, a model for tier 2, people for
tier 3. What that asks for, the job that does it, and the labels that came of it."""

from __future__ import annotations

import functools
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from backend.answers import decision_files, labelling, meaning, quotes, runs, tasks, tiers
from backend.answers.running import Running
from backend.answers.subjects import Sampling, Subject, features_of, models_of, tools_of
from backend.labels import evidence
from backend.labels.costs import Cap
from backend.models.device import pick_device
from backend.schema import Job, NotFoundError, Plan, Study, Thresholds, Tier, TierSpec
from backend.store import jobs
from backend.views import Quote

METHODS = {1: "token_frequency", 2: "eleuther_acts_top5"}
PLAN = Plan(methods=(METHODS[2],), scorers=())


def numbers(study: Study, spec: TierSpec, thresholds: Thresholds, most: int) -> list[int]:
    """Features of tier 2 that can be labelled, those farthest from other tiers first: `most` of
    them, 0: all."""
    found = tiers.numbers(study, Tier.CROSS, spec, thresholds)
    if isinstance(found, Job):
        raise NotFoundError("The tiers are not computed yet.", "Wait for their job.")
    may = set(features_of(study).source.frequent().tolist())
    chosen = [number for number in found[::-1].tolist() if number in may]
    return chosen[:most] if most else chosen


def quote(study: Study, spec: TierSpec, thresholds: Thresholds, who: str, most: int) -> Quote:
    """What labelling tier 2 by a model asks for, at most."""
    return quotes.of_labels(study, numbers(study, spec, thresholds, most), METHODS[2], who)


def start(
    study: Study, spec: TierSpec, thresholds: Thresholds, who: str, most: int, cap: Cap
) -> Job:
    """The job that labels tiers 1 and 2; what is labelled already is not asked again."""
    tools = tools_of(study, who, "cpu", cap)
    asked: dict[str, Any] = {
        "numbers": numbers(study, spec, thresholds, most),
        "who": who,
        "models": [tools.writer.name, tools.judge.name],
        "cap": asdict(cap),
    }
    key = f"route:{tiers.key(study)}:{spec}:{thresholds}:{who}:{most}:{cap}"
    device, priority = pick_device(study.device), tasks.PRIORITY["route"]
    return jobs.submit("route", study.name, asked, device, key, priority)


def compute(request: tasks.Request) -> None:
    """What the job does."""
    asked, study = request.asked, request.study
    of = features_of(study)
    meaning.counted(of, Sampling(), progress=request.progress)
    tools = runs.checked(study, asked, request.device)
    models = models_of(study, tools)
    may = [number for number in asked["numbers"] if _can(of, number)]
    Running(of, PLAN, models, tools, request.device, request.progress, tuple(may)).labels()


def _can(of: Subject, number: int) -> bool:
    try:
        of.draw(number, Sampling())
    except evidence.TooFewError:
        return False
    return True


# ---------------------------------------------------------------- what came of it


def labels(study: Study, assigned: np.ndarray) -> pl.DataFrame:
    """feature, method, label, writer: by hand of any tier, and first; by counting of tier 1, by the
    model of tier 2."""
    of = features_of(study)
    entry = meaning.counted.find(of, Sampling())
    counted = entry.frame("labels") if entry else pl.DataFrame(schema=meaning.LABELS)
    asked = _asked(of, tuple(labelling.explain.stored()))
    parts = [
        counted.filter(pl.col("number").is_in(_of(assigned, Tier.INPUT, Tier.OUTPUT))),
        asked.filter(
            pl.col("number").is_in(_of(assigned, Tier.CROSS)) & (pl.col("method") == METHODS[2])
        ).unique("number", keep="last"),
    ]
    routed = pl.concat(parts).select(
        pl.col("number").cast(pl.Int32).alias("feature"), "method", "label", writer=pl.lit("")
    )
    return pl.concat([_by_hand(study), routed])


def _by_hand(study: Study) -> pl.DataFrame:
    """What people call features; of those that no label fits, that."""
    return decision_files.labels_of(study).select(
        pl.col("feature").cast(pl.Int32),
        "method",
        pl.when(pl.col("failed") == "").then("text").otherwise("failed").alias("label"),
        "writer",
    )


@functools.lru_cache(maxsize=2)
def _asked(of: Subject, stored: tuple[str, ...]) -> pl.DataFrame:
    del stored  # only tells apart what was labelled since
    return meaning.asked(of)


def _of(assigned: np.ndarray, *some: Tier) -> list[int]:
    return np.flatnonzero(np.isin(assigned, some)).tolist()
