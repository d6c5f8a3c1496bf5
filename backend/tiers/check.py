"""Is the protocol any good? Tiers against features of known kind, a second opinion, themselves on
other examples and windows, and the scores of labels."""

from __future__ import annotations

import functools
import itertools
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import polars as pl

from backend import run
from backend.experiments import runs
from backend.features import logits
from backend.labels.subjects import features_of
from backend.query import action, lookup, query
from backend.schema import Job, Plan, Study, Thresholds, Tier, TierSpec, Window
from backend.statistics import estimates
from backend.statistics.agreement import f1_scores
from backend.statistics.bootstrap import RESAMPLES, percentile_interval
from backend.statistics.intervals import mean_interval
from backend.store import queue
from backend.store.memo import Entry, memoize
from backend.tiers import answers as tier_answers
from backend.tiers import planted, second_opinion, windows
from backend.tiers.answers import Correlations, correlations_of
from backend.tiers.assignment import agreement, assign
from backend.tiers.views import KINDS, OPINION, SEPARATION, STABILITY, TIER, TierCheck, named
from backend.tiers.windows import PeakSet
from backend.tiers.words import COUNTS, PER_TIER

METHODS = ("token_frequency", "eleuther_acts_top5")
SAMPLE = 400  # features that are scored with other windows
GRID = (*planted.INPUTS, *planted.OUTPUTS, *planted.CROSSES)


# ---------------------------------------------------------------- the check


@query("A check of the tiers", priority=queue.LONG - 1, key=tier_answers.spec_key)
def tier_check(
    study: Study, spec: TierSpec | None = None, thresholds: Thresholds | None = None
) -> TierCheck:
    """Tiers against features of known kind, a second opinion, and themselves on other examples."""
    spec, thresholds = spec or TierSpec(), thresholds or Thresholds()
    scores, peak_set = tier_answers.correlations(study, spec), tier_answers.peaks_of(study)
    # windows and τ are chosen on the first planted set, and judged on the second
    first, second = (
        replace(peak_set, peaks=planted.plant(study.model, study.corpus, which)) for which in (0, 1)
    )
    best = best_windows(first, spec.weighted)
    kinds, assigned = _kinds(second), correlations_of(second, spec).assign(thresholds)
    return TierCheck(
        spec=TierSpec(**best.value("spec")),
        thresholds=Thresholds(**best.value("thresholds")),
        f1=float(best.value("f1")),
        confusion=planted.confusion(kinds, assigned),
        kinds=_f1s(kinds, assigned),
        separation=_separation(second, spec.weighted),
        stability=_stability(scores, first, thresholds),
        opinion=_opinions(study, scores.assign(thresholds)),
    )


def _kinds(peak_set: PeakSet) -> np.ndarray:
    return peak_set.peaks.frame("planted")["kind"].to_numpy()


def _rho(peak_set: PeakSet, window: Window, count: int, weighted: bool) -> np.ndarray:
    entry = windows.scores(peak_set, window, count)
    return np.asarray(entry.array("weighted" if weighted else "plain"))


@memoize("tiers.chosen_windows", version=1)
def best_windows(first: PeakSet, weighted: bool) -> dict[str, Any]:
    """Windows and thresholds of highest F1 on the first planted set: `spec`, `thresholds`, `f1`."""
    run.report(0, 1, "Choosing windows and thresholds")
    scored = {
        (window, count): _rho(first, window, count, weighted) for window in GRID for count in COUNTS
    }
    return asdict(planted.choose(_kinds(first), scored, weighted))


@memoize("tiers.feature_sample", version=1)
def sample(peaks: Entry, count: int) -> dict[str, Any]:
    """The peaks of some features at random of those with most examples: `features` [n], ascending,
    and their `rows` and `values` as in `windows.peaks`."""
    run.report(0, 1, "Drawing features")
    rows = np.asarray(peaks.array("rows"))
    full = np.flatnonzero((rows >= 0).all(axis=1))
    some = np.sort(np.random.default_rng(3).choice(full, min(count, len(full)), replace=False))
    return {"features": some, "rows": rows[some], "values": np.asarray(peaks.array("values"))[some]}


def variants(spec: TierSpec) -> tuple[TierSpec, ...]:
    """The spec, and the same with one thing changed."""
    others = [
        *(replace(spec, count=count) for count in COUNTS),
        *(replace(spec, input=-window.first) for window in planted.INPUTS),
        *(replace(spec, output=window.last) for window in planted.OUTPUTS),
        *(replace(spec, cross=0 if w.whole else w.last) for w in planted.CROSSES),
    ]
    return tuple(dict.fromkeys([spec, *others]))


# ---------------------------------------------------------------- tables


def _f1s(kinds: np.ndarray, assigned: np.ndarray) -> pl.DataFrame:
    """`KINDS`: 95% of resamples of the planted features, kind by kind."""
    rng = np.random.default_rng(0)
    draws = np.concatenate(
        [
            rng.choice(np.flatnonzero(kinds == kind), (RESAMPLES, planted.EACH))
            for kind in planted.KINDS
        ],
        axis=1,
    )
    true, predicted = kinds[draws], assigned[draws]
    rows = []
    for tier in planted.KINDS:
        hits = ((true == tier) & (predicted == tier)).sum(axis=1)
        totals = (predicted == tier).sum(axis=1), (true == tier).sum(axis=1)
        ends = percentile_interval(f1_scores(hits, *totals))
        rows.append((tier.title, planted.f1(kinds, assigned, tier), *ends))
    return pl.DataFrame(rows, schema=KINDS, orient="row")


def _separation(second: PeakSet, weighted: bool) -> pl.DataFrame:
    """`SEPARATION` of the second planted set."""
    kinds = _kinds(second)
    rows = []
    for window in planted.CROSSES:
        for count in COUNTS:
            rho = _rho(second, window, count, weighted)
            area = estimates.auroc(rho[kinds == Tier.CROSS], rho[kinds == Tier.OBSCURE])
            rows.append((window.words, count, area.value, area.low, area.high))
    return pl.DataFrame(rows, schema=SEPARATION, orient="row")


def _stability(scores: Correlations, first: PeakSet, thresholds: Thresholds) -> pl.DataFrame:
    """`STABILITY`: how many of a sample keep their tier when one thing changes; τ
    then is what suits the change best on the first planted set."""
    spec, some = scores.spec, replace(first, peaks=sample(scores.peaks, SAMPLE))
    features = np.asarray(some.peaks.array("features"))
    usual = correlations_of(some, spec).assign(thresholds)
    halves = _halves(scores, thresholds, features)
    rows = [("count", "every second one against the others", *halves)]
    for other in variants(spec)[1:]:
        best = planted.best_thresholds(_kinds(first), correlations_of(first, other).rho)
        changed = correlations_of(some, other).assign(best)
        same, kappa = agreement(usual, changed)
        (name,) = (n for n, value in asdict(other).items() if value != getattr(spec, n))
        rows.append((name, str(getattr(other, name)), same, kappa, len(features)))
    return pl.DataFrame(rows, schema=STABILITY, orient="row")


def _halves(
    scores: Correlations, thresholds: Thresholds, features: np.ndarray
) -> tuple[float, float, int]:
    odd, even = (
        assign([np.asarray(entry.array(half))[features] for entry in scores.entries], thresholds)
        for half in ("odd", "even")
    )
    return *agreement(odd, even), len(features)


def _opinions(study: Study, assigned: np.ndarray) -> pl.DataFrame:
    """`OPINION` of every tier."""
    sae, blocks = study.require_sae(), range(-(-len(assigned) // logits.BLOCK))
    input_scores = np.asarray(second_opinion.reads(study.reading, sae).array("score"))
    write_block = functools.partial(second_opinion.writes, study.model, study.site, sae)
    parts = run.each(write_block, blocks, "Reading output scores")
    output_scores = np.concatenate([np.asarray(entry.array("score")) for entry in parts])
    rows = []
    for tier in planted.KINDS:
        inside = (assigned == tier) & np.isfinite(input_scores)
        means = (mean_interval(score[inside].tolist()) for score in (input_scores, output_scores))
        rows.append((tier.title, int(inside.sum()), *(end for mean in means for end in mean)))
    return pl.DataFrame(rows, schema=OPINION, orient="row")


# ---------------------------------------------------------------- labels by tier


@action
def start_experiment_by_tier(
    study: Study, spec: TierSpec, thresholds: Thresholds, each: int = PER_TIER, who: str = "own"
) -> str:
    """Starts an experiment on as many features of each tier: its name.

    Raises:
        NotFoundError: the tiers are not computed.
    """
    plan = plan_by_tier(study.name, spec, thresholds, each)
    return runs.start_experiment(study.name, plan, who)


@lookup
def plan_by_tier(
    study: Study, spec: TierSpec, thresholds: Thresholds, each: int = PER_TIER
) -> Plan:
    """The plan of an experiment on as many features of each tier, at random of those that can be
    tested.

    Raises:
        NotFoundError: the tiers are not computed.
    """
    subject = features_of(study)
    assigned = tier_answers.correlations(study, spec).assign(thresholds)
    rng = np.random.default_rng(5)
    among: list[int] = []
    for tier in planted.KINDS:
        inside = np.intersect1d(np.flatnonzero(assigned == tier), subject.source.frequent())
        order = rng.permutation(inside).tolist()
        among += itertools.islice(subject.testable(order), each)
    return Plan(METHODS, features=len(among), among=tuple(sorted(among)))


@query("Label scores by tier", priority=queue.LONG)
def labels_by_tier(
    study: Study, run: str, spec: TierSpec | None = None, thresholds: Thresholds | None = None
) -> pl.DataFrame | Job:
    """tier, method, scorer, of, mean, low, high, features: an experiment's scores by the tiers of
    its features; its job where it has not ended."""
    assigned = tier_answers.correlations(study, spec or TierSpec()).assign(
        thresholds or Thresholds()
    )
    is_shown = pl.col("scorer").str.ends_with("_auroc") & pl.col("value").is_not_null()
    experiment = runs.view(study, run)
    if isinstance(experiment, Job):
        return experiment
    table = experiment.scores.filter(is_shown)
    table = table.with_columns(named(assigned[table["feature"].to_numpy()]))
    rows = []
    for key, part in table.group_by("tier", "method", "scorer", "of", maintain_order=True):
        mean, low, high = mean_interval(part["value"].to_list())
        rows.append((*key, mean, low, high, part["feature"].n_unique()))
    names = ("tier", "method", "scorer", "of", "mean", "low", "high", "features")
    frame = pl.DataFrame(rows, schema=names, orient="row", schema_overrides={"tier": TIER})
    return frame.sort("scorer", "method", "tier", "of")
