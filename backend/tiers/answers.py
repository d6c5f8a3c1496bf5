"""Tiers of a study's features: ρ of their windows, the thresholds over it, and the evidence."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import polars as pl

from backend import run
from backend.corpus import passages
from backend.corpus.contexts import Tokens
from backend.features.answers import FeatureIndex, feature_index
from backend.query import key_of, lookup, query
from backend.schema import (
    NotFoundError,
    Study,
    TesseraError,
    Thresholds,
    Tier,
    TierSpec,
    Window,
    conform,
)
from backend.store import queue
from backend.store.memo import Entry
from backend.study import loading as studies
from backend.tiers import assignment, views, windows
from backend.tiers.assignment import Rho
from backend.tiers.windows import PeakSet
from backend.tiers.words import COUNTS, STOPS, WINDOWS

QUANTILES = (0.05, 0.5, 0.95, 0.99)  # of a null


# ---------------------------------------------------------------- ρ


@dataclass(frozen=True)
class Correlations:
    """ρ of all features over the three windows of a spec, kept in memory."""

    spec: TierSpec
    peaks: Entry
    entries: tuple[Entry, ...]  # of each window

    @functools.cached_property
    def rho(self) -> Rho:
        name = "weighted" if self.spec.weighted else "plain"
        return [np.asarray(entry.array(name)) for entry in self.entries]

    def assign(self, thresholds: Thresholds) -> np.ndarray:
        """[features] int8 `Tier`."""
        return assignment.assign(self.rho, thresholds)

    def margin(self, thresholds: Thresholds) -> np.ndarray:
        """[features] by how much ρ would have to change for another tier."""
        return assignment.margin(self.rho, thresholds)


_in_memory = functools.lru_cache(maxsize=8)(Correlations)


def check(spec: TierSpec) -> None:
    """Raises NotFoundError for what cannot be asked."""
    if spec.count not in COUNTS:
        raise NotFoundError(
            f"Tiers cannot stand on {spec.count} examples.",
            f"Choose one of {', '.join(map(str, COUNTS))}.",
        )
    for name, stops in STOPS.items():
        value = getattr(spec, name)
        if value not in stops:
            raise NotFoundError(
                f"There is no {name} window of {value} tokens.",
                f"Choose one of {', '.join(map(str, stops))}.",
            )


def correlations(study: Study, spec: TierSpec) -> Correlations:
    """ρ of the study's features. Where features are not read, the job is theirs; where only ρ are
    missing, it is that of the tiers.

    Raises:
        NotFoundError: a spec that cannot be asked.
        ModelError: the study names no SAE.
    """
    check(spec)
    feature_index(study)
    with tiers.asking(study, spec):
        return _correlations(study, spec)


def _correlations(study: Study, spec: TierSpec) -> Correlations:
    return correlations_of(peaks_of(study), spec)


def correlations_of(peak_set: PeakSet, spec: TierSpec) -> Correlations:
    """ρ of the features of a set."""
    entries = tuple(windows.scores(peak_set, window, spec.count) for window in spec.windows)
    return _in_memory(spec, peak_set.peaks, entries)


def peaks_of(study: Study) -> PeakSet:
    """The strongest peaks of the study's features."""
    peaks = windows.peaks(study.reading, study.require_sae())
    return PeakSet(peaks, study.model, study.corpus, study.embedder)


def spec_key(
    study: Study, spec: TierSpec | None = None, thresholds: Thresholds | None = None
) -> str:
    """The key of a job that computes for any thresholds, which are laid over ρ afterwards."""
    del thresholds
    return key_of(study, spec=spec or TierSpec())


# ---------------------------------------------------------------- tiers


@query("Correlation scores of features", priority=queue.LONG, key=spec_key)
def tiers(
    study: Study, spec: TierSpec | None = None, thresholds: Thresholds | None = None
) -> views.TierTable:
    """All features with their correlation scores and tiers, and what chance would give."""
    spec, thresholds = spec or TierSpec(), thresholds or Thresholds()
    scores = correlations(study, spec)
    assigned, margin = scores.assign(thresholds), scores.margin(thresholds)
    rows = _rows(scores, feature_index(study))
    counts = np.bincount(assigned, minlength=len(Tier))
    return views.TierTable(
        spec=spec,
        thresholds=thresholds,
        table=conform(rows.with_columns(views.named(assigned), margin=margin), views.TIER_TABLE),
        counts=dict(zip(views.TIER.categories, counts.tolist(), strict=True)),
        nulls=_nulls(scores),
        provenance=scores.entries[0].provenance(f"tiers --study {study.name}"),
    )


@functools.lru_cache(maxsize=4)
def _rows(scores: Correlations, index: FeatureIndex) -> pl.DataFrame:
    columns = {name: pl.Series(rho) for name, rho in zip(WINDOWS, scores.rho, strict=True)}
    examples = np.asarray(scores.entries[0].array("examples"))
    inward, outward, _ = (np.asarray(entry.array("cut")) for entry in scores.entries)
    return index.table.select("feature", "top_token", "density").with_columns(
        **columns, examples=pl.Series(examples), cut=pl.Series(inward + outward)
    )


@functools.lru_cache(maxsize=8)
def _nulls(scores: Correlations) -> pl.DataFrame:
    """`NULLS`."""
    rows = []
    for name, entry in zip(WINDOWS, scores.entries, strict=True):
        for null in ("random", "shuffled"):
            draws = np.asarray(entry.array(null))
            if len(draws):
                ends = [float(np.quantile(draws, quantile)) for quantile in QUANTILES]
                rows.append((name, null, float(draws.mean()), *ends, len(draws)))
    return pl.DataFrame(rows, schema=views.NULLS, orient="row")


def of_tier(study: Study, tier: Tier, spec: TierSpec, thresholds: Thresholds) -> np.ndarray:
    """The features of a tier, nearest to its bounds first."""
    scores = correlations(study, spec)
    numbers = np.flatnonzero(scores.assign(thresholds) == tier)
    return numbers[np.argsort(scores.margin(thresholds)[numbers], kind="stable")]


@lookup
def tier_profile(
    study: Study, spec: TierSpec | None = None, thresholds: Thresholds | None = None
) -> pl.DataFrame:
    """study, layer, tier, count, share: tiers of every study of the same model, by layer. Where
    they are not computed, nobody asks for them here and count is null."""
    spec, thresholds = spec or TierSpec(), thresholds or Thresholds()
    rows = []
    for other in _siblings(study):
        scores = run.optional(_correlations, other, spec)
        counts = [] if scores is None else np.bincount(scores.assign(thresholds), minlength=5)
        cells = [(int(count), float(count / sum(counts))) for count in counts] or [(None, None)] * 5
        rows += [(other.name, other.site.layer, t.title, *cells[t]) for t in Tier]
    return pl.DataFrame(rows, schema=views.PROFILE, orient="row").sort("layer", "study", "tier")


def _siblings(study: Study) -> list[Study]:
    """Studies of the same model that have an SAE; broken ones are left out."""
    siblings = []
    for name in studies.names():
        try:
            other = studies.load(name)
        except TesseraError:  # its own page says what is wrong with it
            continue
        if other.sae and other.model == study.model:
            siblings.append(other)
    return siblings


# ---------------------------------------------------------------- evidence


@query("Windows of a feature", priority=queue.SHORT)
def tier_evidence(study: Study, feature: int, spec: TierSpec | None = None) -> views.TierEvidence:
    """The windows of a feature's examples, and where its ρ stand among what chance gives."""
    spec = spec or TierSpec()
    scores, index = correlations(study, spec), feature_index(study)
    index.column(feature)  # raises where there is no such feature
    rows = np.asarray(scores.peaks.array("rows"))[feature, : spec.count]
    rows = rows[rows >= 0]
    parts = zip(WINDOWS, scores.entries, scores.rho, strict=True)
    return views.TierEvidence(
        feature=feature,
        rho=pl.DataFrame(
            [_standing(name, entry, float(rho[feature])) for name, entry, rho in parts],
            schema=views.RHO,
            orient="row",
        ),
        examples=tuple(_window_texts(index.tokens, int(row), spec.windows) for row in rows),
        strengths=tuple(np.asarray(scores.peaks.array("values"))[feature, : len(rows)].tolist()),
    )


def _standing(name: str, entry: Entry, rho: float) -> tuple[str, float | None, float | None]:
    """Its ρ, and the share of random sets of windows that are below it."""
    null = np.asarray(entry.array("random"))
    if np.isnan(rho) or not len(null):
        return name, None, None
    return name, rho, float(np.searchsorted(null, rho) / len(null))


def _window_texts(
    tokens: Tokens, row: int, some: tuple[Window, ...]
) -> tuple[views.WindowText, ...]:
    rows = np.array([row])
    return tuple(
        views.WindowText(
            row,
            windows.texts(tokens, rows, window)[0],
            bool(windows.is_cut(tokens, rows, window)[0]),
            passages.piece_at(tokens, row),
        )
        for window in some
    )
