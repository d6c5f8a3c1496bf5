"""Is the protocol any good? Tiers against features of known kind, a second opinion, themselves on
other examples and windows, and the scores of labels."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from backend.answers import runs, tasks, tiers
from backend.answers.subjects import Subject, features_of
from backend.answers.tiers import Scores
from backend.features import logits, opinion, planted, windows
from backend.features.examples import peaks
from backend.features.tiers import agreement, assign
from backend.labels.evidence import LEAST
from backend.schema import (
    CorpusRef,
    EmbedderRef,
    Job,
    ModelRef,
    NotFoundError,
    Plan,
    Progress,
    Study,
    Thresholds,
    Tier,
    TierSpec,
    Window,
)
from backend.statistics import estimates
from backend.statistics.agreement import f1_scores
from backend.statistics.bootstrap import RESAMPLES, percentile_interval
from backend.statistics.intervals import mean_interval
from backend.store.memo import Entry, memoize
from backend.views import Experiment, TierCheck

METHODS = ("token_frequency", "eleuther_acts_top5")
SAMPLE = 400  # features that are scored with other windows
TIERS = (Tier.INPUT, Tier.OUTPUT, Tier.CROSS, Tier.OBSCURE)
GRID = (*planted.INPUTS, *planted.OUTPUTS, *planted.CROSSES)


# ---------------------------------------------------------------- the job


def compute(request: tasks.Request) -> None:
    """What the job does: planted features, both opinions, a sample scored in other ways."""
    spec = TierSpec(**request.asked["tiers"])
    tiers.compute(request)
    for which in (0, 1):
        found = planted.plant(*_corpus(request.study), which, progress=request.progress)
        for count in windows.COUNTS:
            tiers.score(request, found, tuple(dict.fromkeys((*GRID, *spec.windows))), count)
    request.run(chosen, *_corpus(request.study), request.study.embedder, spec.weighted)
    some = sample(tiers.peaks_of(request), SAMPLE, progress=request.progress)
    for other in variants(spec):
        tiers.score(request, some, other.windows, other.count)
    request.run(opinion.reads, *request.site, request.sae)
    width = len(tiers.peaks_of(request).array("rows"))
    where = request.study.model, request.study.site, request.sae
    request.blocks(width, logits.BLOCK, "Reading output scores", (opinion.writes, *where))


def _corpus(study: Study) -> tuple[ModelRef, CorpusRef]:
    return study.model, study.corpus


@memoize("tiers.chosen_windows", version=1)
def chosen(
    model: ModelRef,
    corpus: CorpusRef,
    embedder: EmbedderRef,
    weighted: bool,
    *,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """Windows and thresholds of highest F1 on the first planted set: `spec`, `thresholds`, `f1`."""
    progress.report(0, 1, "Choosing windows and thresholds")
    found = planted.plant(model, corpus, 0, progress=progress)
    how = {"device": device, "progress": progress}
    name = "weighted" if weighted else "plain"
    scored = {
        (window, count): np.asarray(
            windows.scores(found, model, corpus, embedder, window, count, **how).array(name)
        )
        for window in GRID
        for count in windows.COUNTS
    }
    best = planted.choose(_kinds(found), scored, weighted)
    return {"spec": asdict(best.spec), "thresholds": asdict(best.thresholds), "f1": best.f1}


@memoize("tiers.feature_sample", version=1)
def sample(found: Entry, count: int, *, progress: Progress) -> dict[str, Any]:
    """The peaks of some features at random of those with most examples: `features` [n], ascending,
    and their `rows` and `values` as in `windows.peaks`."""
    progress.report(0, 1, "Drawing features")
    rows = np.asarray(found.array("rows"))
    full = np.flatnonzero((rows >= 0).all(axis=1))
    some = np.sort(np.random.default_rng(3).choice(full, min(count, len(full)), replace=False))
    return {
        "features": some,
        "rows": rows[some],
        "values": np.asarray(found.array("values"))[some],
    }


def variants(spec: TierSpec) -> tuple[TierSpec, ...]:
    """The spec, and the same with one thing changed."""
    others = [
        *(replace(spec, count=count) for count in windows.COUNTS),
        *(replace(spec, input=-window.first) for window in planted.INPUTS),
        *(replace(spec, output=window.last) for window in planted.OUTPUTS),
        *(replace(spec, cross=0 if w.whole else w.last) for w in planted.CROSSES),
    ]
    return tuple(dict.fromkeys([spec, *others]))


# ---------------------------------------------------------------- what the page shows


def view(study: Study, spec: TierSpec, thresholds: Thresholds, ask: bool) -> TierCheck | Job | None:
    """None where it is not computed and nobody asks for it."""
    scores = tiers.find_or_job(study, spec)
    if isinstance(scores, Job):
        return scores
    held = _held(study, spec, scores)
    if held is None:
        if not ask:
            return None
        return tasks.ensure("tier_check", study, f"{tiers.key(study)}:{spec}", tiers=asdict(spec))
    assigned = scores.assign(thresholds)
    read = np.asarray(held.reads.array("score"))
    written = np.concatenate([np.asarray(entry.array("score")) for entry in held.writes])
    return TierCheck(
        spec=TierSpec(**held.chosen.value("spec")),
        thresholds=Thresholds(**held.chosen.value("thresholds")),
        f1=float(held.chosen.value("f1")),
        confusion=planted.confusion(_kinds(held.second), held.sort(spec, thresholds)),
        kinds=_f1s(_kinds(held.second), held.sort(spec, thresholds)),
        separation=_separation(held, spec.weighted),
        stability=_stability(held, spec, thresholds, scores),
        opinion=_opinions(assigned, read, written),
    )


@dataclass(frozen=True)
class _Held:
    """Everything that a check is made of, computed already."""

    study: Study
    chosen: Entry
    first: Entry
    second: Entry
    some: Entry
    reads: Entry
    writes: tuple[Entry, ...]

    def rho(self, peaks: Entry, window: Window, count: int, weighted: bool) -> np.ndarray:
        study = self.study
        where = peaks, study.model, study.corpus, study.embedder, window, count
        return np.asarray(windows.scores.get(*where).array("weighted" if weighted else "plain"))

    def sort(
        self, spec: TierSpec, thresholds: Thresholds, peaks: Entry | None = None
    ) -> np.ndarray:
        """Tiers of the second planted set, or of other peaks."""
        of = peaks or self.second
        one, other, cross = (
            self.rho(of, window, spec.count, spec.weighted) for window in spec.windows
        )
        return assign(one, other, cross, thresholds)

    def suited(self, spec: TierSpec) -> Thresholds:
        """The τ that are best for a spec on the first planted set."""
        one, other, cross = (
            self.rho(self.first, window, spec.count, spec.weighted) for window in spec.windows
        )
        return planted.suited(_kinds(self.first), one, other, cross)


def _held(study: Study, spec: TierSpec, scores: Scores) -> _Held | None:
    best = chosen.find(*_corpus(study), study.embedder, spec.weighted)
    plants = [planted.plant.find(*_corpus(study), which) for which in (0, 1)]
    some = sample.find(scores.peaks, SAMPLE)
    assert study.sae
    read = opinion.reads.find(study.model, study.site, study.corpus, study.sae)
    blocks = range(-(-len(np.asarray(scores.peaks.array("rows"))) // logits.BLOCK))
    written = [opinion.writes.find(study.model, study.site, study.sae, block) for block in blocks]
    if not (best and all(plants) and some and read and all(written)):
        return None
    first, second = (entry for entry in plants if entry)
    held = _Held(study, best, first, second, some, read, tuple(e for e in written if e))
    needed = [(second, spec), *((some, other) for other in variants(spec))]
    for found, one in needed:
        for window in one.windows:
            where = found, study.model, study.corpus, study.embedder, window, one.count
            if windows.scores.find(*where) is None:
                return None
    return held


def _kinds(found: Entry) -> np.ndarray:
    return found.frame("planted")["kind"].to_numpy()


def _f1s(kinds: np.ndarray, found: np.ndarray) -> pl.DataFrame:
    """tier, f1, low, high: 95% of resamples of the planted features, kind by kind."""
    rng = np.random.default_rng(0)
    drawn = np.concatenate(
        [rng.choice(np.flatnonzero(kinds == kind), (RESAMPLES, planted.EACH)) for kind in TIERS],
        axis=1,
    )
    true, said = kinds[drawn], found[drawn]
    rows = []
    for tier in TIERS:
        both = ((true == tier) & (said == tier)).sum(axis=1)
        either = (said == tier).sum(axis=1), (true == tier).sum(axis=1)
        ends = percentile_interval(f1_scores(both, *either))
        rows.append((int(tier), planted.f1(kinds, found, tier), *ends))
    return pl.DataFrame(rows, schema=["tier", "f1", "low", "high"], orient="row")


def _separation(held: _Held, weighted: bool) -> pl.DataFrame:
    """window, count, auroc, low, high: how well each window tells the planted features on a topic
    from those at random, in the second set."""
    kinds = _kinds(held.second)
    rows = []
    for window in planted.CROSSES:
        for count in windows.COUNTS:
            rho = held.rho(held.second, window, count, weighted)
            found = estimates.auroc(rho[kinds == Tier.CROSS], rho[kinds == Tier.OBSCURE])
            rows.append((window.words, count, found.value, found.low, found.high))
    return pl.DataFrame(rows, schema=["window", "count", "auroc", "low", "high"], orient="row")


def _stability(held: _Held, spec: TierSpec, thresholds: Thresholds, scores: Scores) -> pl.DataFrame:
    """changed, to, same, kappa, n: how many of a sample keep their tier when one thing changes; τ
    then is what suits the change best on the first planted set."""
    numbers = np.asarray(held.some.array("features"))
    usual = held.sort(spec, thresholds, held.some)
    halves = _halves(scores, thresholds, numbers)
    rows = [("count", "every second one against the others", *halves)]
    for other in variants(spec)[1:]:
        found = held.sort(other, held.suited(other), held.some)
        same, kappa = agreement(usual, found)
        (name,) = (n for n, value in asdict(other).items() if value != getattr(spec, n))
        rows.append((name, str(getattr(other, name)), same, kappa, len(numbers)))
    return pl.DataFrame(rows, schema=["changed", "to", "same", "kappa", "n"], orient="row")


def _halves(
    scores: Scores, thresholds: Thresholds, numbers: np.ndarray
) -> tuple[float, float, int]:
    found = []
    for half in ("odd", "even"):
        one, other, cross = (np.asarray(entry.array(half))[numbers] for entry in scores.entries)
        found.append(assign(one, other, cross, thresholds))
    return *agreement(*found), len(numbers)


def _opinions(assigned: np.ndarray, read: np.ndarray, written: np.ndarray) -> pl.DataFrame:
    """tier, features, and mean input and output score with 95% intervals: input, input_low,
    input_high, output, …"""
    rows = []
    for tier in TIERS:
        inside = (assigned == tier) & np.isfinite(read)
        means = (mean_interval(score[inside].tolist()) for score in (read, written))
        rows.append((int(tier), int(inside.sum()), *(end for mean in means for end in mean)))
    names = [f"{side}{end}" for side in ("input", "output") for end in ("", "_low", "_high")]
    return pl.DataFrame(rows, schema=["tier", "features", *names], orient="row")


# ---------------------------------------------------------------- labels by tier


def plan_by_tier(study: Study, spec: TierSpec, thresholds: Thresholds, each: int) -> Plan:
    """An experiment on as many features of each tier, at random of those that can be tested.

    Raises:
        NotFoundError: the tiers are not computed.
    """
    scores = tiers.find(study, spec)
    if scores is None:
        raise NotFoundError("The tiers are not computed yet.", "Wait for their job.")
    of = features_of(study)
    assigned, rng = scores.assign(thresholds), np.random.default_rng(5)
    chosen: list[int] = []
    for tier in TIERS:
        inside = np.intersect1d(np.flatnonzero(assigned == tier), of.source.frequent())
        tested = (n for n in rng.permutation(inside).tolist() if _contexts(of, n) >= LEAST)
        chosen += itertools.islice(tested, each)
    return Plan(METHODS, features=len(chosen), among=tuple(sorted(chosen)))


def _contexts(of: Subject, number: int) -> int:
    return len(peaks(of.source.column(number), of.tokens)[0])


def labels_by_tier(
    study: Study, run: str, spec: TierSpec, thresholds: Thresholds
) -> pl.DataFrame | Job:
    """tier, method, scorer, of, mean, low, high, features: an experiment's scores by the tiers of
    its features."""
    scores = tiers.find_or_job(study, spec)
    if isinstance(scores, Job):
        return scores
    found = runs.view(study, run)
    if not isinstance(found, Experiment):
        return found
    assigned = scores.assign(thresholds)
    valued = pl.col("scorer").str.ends_with("_auroc") & pl.col("value").is_not_null()
    table = found.scores.filter(valued)
    table = table.with_columns(tier=pl.Series(assigned[table["feature"].to_numpy()]))
    rows = []
    for key, part in table.group_by("tier", "method", "scorer", "of", maintain_order=True):
        mean, low, high = mean_interval(part["value"].to_list())
        rows.append((*key, mean, low, high, part["feature"].n_unique()))
    names = ("tier", "method", "scorer", "of", "mean", "low", "high", "features")
    return pl.DataFrame(rows, schema=names, orient="row").sort("scorer", "method", "tier", "of")
