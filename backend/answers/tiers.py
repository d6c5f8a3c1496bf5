"""Tiers of a study's features: ρ of their windows, the thresholds over it, and the evidence."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from backend import study as studies_on_disk
from backend.answers import features, passages, provenance, tasks
from backend.corpus.contexts import Tokens
from backend.features import tiers, windows
from backend.schema import (
    Job,
    NotFoundError,
    Study,
    TesseraError,
    Thresholds,
    Tier,
    TierSpec,
    Window,
)
from backend.store.memo import Entry
from backend.views import TierEvidence, TierTable, WindowText

NAMES = ("input", "output", "cross")
SIDES = (1, 2, 5, 10, 20)  # tokens on a side that may be asked for; 0 as said in TierSpec
QUANTILES = {"p5": 0.05, "median": 0.5, "p95": 0.95, "p99": 0.99}


# ---------------------------------------------------------------- ρ


@dataclass(frozen=True)
class Scores:
    """ρ of all features over the three windows of a spec, kept in memory."""

    spec: TierSpec
    peaks: Entry
    entries: tuple[Entry, Entry, Entry]

    @functools.cached_property
    def rho(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        name = "weighted" if self.spec.weighted else "plain"
        one, two, three = (np.asarray(entry.array(name)) for entry in self.entries)
        return one, two, three

    def assign(self, thresholds: Thresholds) -> np.ndarray:
        """[features] int8 `Tier`."""
        return tiers.assign(*self.rho, thresholds)


def check(spec: TierSpec) -> None:
    """Raises NotFoundError for what cannot be asked."""
    if spec.count not in windows.COUNTS:
        raise NotFoundError(
            f"Tiers cannot stand on {spec.count} examples.",
            f"Choose one of {', '.join(map(str, windows.COUNTS))}.",
        )
    for name in NAMES:
        value, least = getattr(spec, name), {"output": 1}.get(name, 0)
        if value != least and value not in SIDES:
            stops = sorted({least, *SIDES})
            raise NotFoundError(
                f"There is no {name} window of {value} tokens.",
                f"Choose one of {', '.join(map(str, stops))}.",
            )


def find(study: Study, spec: TierSpec) -> Scores | None:
    """None where they are not computed."""
    assert study.sae
    peaks = windows.peaks.find(study.model, study.site, study.corpus, study.sae)
    if peaks is None:
        return None
    entries = [windows.scores.find(*_arguments(study, peaks, w, spec)) for w in spec.windows]
    if any(entry is None for entry in entries):
        return None
    return _scores(peaks, spec, *(entry.digest for entry in entries if entry))


@functools.lru_cache(maxsize=8)
def _scores(peaks: Entry, spec: TierSpec, *digests: str) -> Scores:
    one, two, three = (entry for digest in digests if (entry := windows.scores.at(digest)))
    return Scores(spec, peaks, (one, two, three))


def _arguments(study: Study, peaks: Entry, window: Window, spec: TierSpec) -> tuple[Any, ...]:
    return peaks, study.model, study.corpus, study.embedder, window, spec.count


def find_or_job(study: Study, spec: TierSpec) -> Scores | Job:
    """Raises NotFoundError for a spec that cannot be asked."""
    check(spec)
    found = find(study, spec)
    if found is not None:
        return found
    read = features.find_or_job(study)
    if isinstance(read, Job):
        return read
    return tasks.ensure("tiers", study, f"{key(study)}:{spec}", tiers=asdict(spec))


def key(study: Study) -> str:
    """What tiers depend on apart from their spec."""
    assert study.sae
    return windows.peaks.digest(study.model, study.site, study.corpus, study.sae)


def compute(request: tasks.Request) -> None:
    """What the job does."""
    spec = TierSpec(**request.asked["tiers"])
    score(request, peaks_of(request), spec.windows, spec.count)


def peaks_of(request: tasks.Request) -> Entry:
    return request.run(windows.peaks, *request.site, request.sae)


def score(
    request: tasks.Request, peaks: Entry, some: tuple[Window, ...], count: int
) -> list[Entry]:
    """ρ over each window, computed where it is not known."""
    study = request.study
    where = peaks, study.model, study.corpus, study.embedder
    return [request.run(windows.scores, *where, window, count) for window in some]


# ---------------------------------------------------------------- tiers


def table(study: Study, spec: TierSpec, thresholds: Thresholds) -> TierTable | Job:
    scores = find_or_job(study, spec)
    if isinstance(scores, Job):
        return scores
    assigned = scores.assign(thresholds)
    named = f"tiers --study {study.name}"
    return TierTable(
        spec=spec,
        thresholds=thresholds,
        table=_rows(study, scores).with_columns(
            tier=pl.Series(assigned), margin=pl.Series(tiers.margin(*scores.rho, thresholds))
        ),
        counts=np.bincount(assigned, minlength=len(Tier)).tolist(),
        nulls=_nulls(scores),
        provenance=provenance.of(scores.entries[0], named),
    )


@functools.lru_cache(maxsize=4)
def _rows(study: Study, scores: Scores) -> pl.DataFrame:
    read = features.read_or_raise(study)
    columns = {name: pl.Series(rho) for name, rho in zip(NAMES, scores.rho, strict=True)}
    examples = np.asarray(scores.entries[0].array("examples"))
    cut = [np.asarray(entry.array("cut")) for entry in scores.entries]
    return read.table.select("feature", "top_token", "density").with_columns(
        **columns, examples=pl.Series(examples), cut=pl.Series(cut[0] + cut[1])
    )


@functools.lru_cache(maxsize=8)
def _nulls(scores: Scores) -> pl.DataFrame:
    """window, null, mean, p5, median, p95, p99, draws."""
    rows = []
    for name, entry in zip(NAMES, scores.entries, strict=True):
        for null in ("random", "shuffled"):
            drawn = np.asarray(entry.array(null))
            if len(drawn):
                ends = [float(np.quantile(drawn, at)) for at in QUANTILES.values()]
                rows.append((name, null, float(drawn.mean()), *ends, len(drawn)))
    names = ("window", "null", "mean", *QUANTILES, "draws")
    return pl.DataFrame(rows, schema=names, orient="row")


def numbers(study: Study, tier: Tier, spec: TierSpec, thresholds: Thresholds) -> np.ndarray | Job:
    """The features of a tier, nearest to its bounds first."""
    scores = find_or_job(study, spec)
    if isinstance(scores, Job):
        return scores
    found = np.flatnonzero(scores.assign(thresholds) == tier)
    margin = tiers.margin(*scores.rho, thresholds)[found]
    return found[np.argsort(margin, kind="stable")]


def profile(study: Study, spec: TierSpec, thresholds: Thresholds) -> pl.DataFrame:
    """study, layer, tier, count, share: tiers at every site of the same model that a study looks
    at with an SAE; count is null where they are not computed."""
    rows = []
    for other in _siblings(study):
        scores = find(other, spec)
        counts = [] if scores is None else np.bincount(scores.assign(thresholds), minlength=5)
        cells = [(int(count), float(count / sum(counts))) for count in counts] or [(None, None)] * 5
        rows += [(other.name, other.site.layer, int(t), *cells[t]) for t in Tier]
    names = ("study", "layer", "tier", "count", "share")
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None).sort(
        "layer", "study", "tier"
    )


def _siblings(study: Study) -> list[Study]:
    """Studies of the same model that have an SAE; broken ones are left out."""
    found = []
    for name in studies_on_disk.names():
        try:
            other = studies_on_disk.load(name)
        except TesseraError:
            continue
        if other.sae and other.model == study.model:
            found.append(other)
    return found


# ---------------------------------------------------------------- evidence


def evidence(study: Study, feature: int, spec: TierSpec) -> TierEvidence | Job:
    """The windows of a feature's examples, and where its ρ stand among what chance gives.

    Raises:
        NotFoundError: there is no such feature.
    """
    scores = find_or_job(study, spec)
    if isinstance(scores, Job):
        return scores
    read = features.read_or_raise(study)
    read.column(feature)
    rows = np.asarray(scores.peaks.array("rows"))[feature, : spec.count]
    rows = rows[rows >= 0]
    parts = zip(NAMES, spec.windows, scores.entries, scores.rho, strict=True)
    return TierEvidence(
        feature=feature,
        rho=pl.DataFrame(
            [_standing(name, entry, float(rho[feature])) for name, _, entry, rho in parts],
            schema={"window": pl.String, "rho": pl.Float64, "below": pl.Float64},
            orient="row",
        ),
        examples=tuple(_window_texts(read.tokens, int(row), spec.windows) for row in rows),
        strengths=tuple(np.asarray(scores.peaks.array("values"))[feature, : len(rows)].tolist()),
    )


def _standing(name: str, entry: Entry, rho: float) -> tuple[str, float | None, float | None]:
    """Its ρ, and the share of random sets of windows that are below it."""
    null = np.asarray(entry.array("random"))
    if np.isnan(rho) or not len(null):
        return name, None, None
    return name, rho, float(np.searchsorted(null, rho) / len(null))


def _window_texts(tokens: Tokens, row: int, some: tuple[Window, ...]) -> tuple[WindowText, ...]:
    at = np.array([row])
    return tuple(
        WindowText(
            row,
            windows.texts(tokens, at, window)[0],
            bool(windows.is_cut(tokens, at, window)[0]),
            passages.piece_at(tokens, row),
        )
        for window in some
    )
