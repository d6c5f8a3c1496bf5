"""What is shown of features by tier. Every table's columns are given beside it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from backend.schema import Thresholds, TierSpec
from backend.store.views import Provenance


@dataclass(frozen=True)
class TierTable:
    """All features by tier. `table`: feature, top_token, density, input, output, cross (ρ),
    examples, cut (windows that a context's end cuts), tier (`Tier`), margin (to the nearest τ).
    `nulls`: window, null (random, shuffled), mean, p5, median, p95, p99,
    draws."""

    spec: TierSpec
    thresholds: Thresholds
    table: pl.DataFrame
    counts: list[int]  # of each Tier
    nulls: pl.DataFrame
    provenance: Provenance


@dataclass(frozen=True)
class WindowText:
    """One window around a peak."""

    token: int  # the peak's token row
    text: str
    cut: bool  # by the end of the context
    peak: str  # the token


@dataclass(frozen=True)
class TierEvidence:
    """What a feature's ρ stand on. `rho`: window, rho, below (share of random sets below it);
    `examples`: of each, its windows of input, output and cross; `strengths`, its activation."""

    feature: int
    rho: pl.DataFrame
    examples: tuple[tuple[WindowText, ...], ...]
    strengths: tuple[float, ...]


@dataclass(frozen=True)
class TierCheck:
    """Whether tiers are any good. `spec`, `thresholds`, `f1`: what is best on one planted set; all
    else is of the other. `confusion`: kind, tier, count, of, share, low, high. `kinds`: tier, f1,
    low, high. `separation`: window, count, auroc, low, high (on a topic or at random?).
    `stability`: changed, to, same, kappa, n. `opinion`: tier, features, mean input and output
    score with low and high."""

    spec: TierSpec
    thresholds: Thresholds
    f1: float
    confusion: pl.DataFrame
    kinds: pl.DataFrame
    separation: pl.DataFrame
    stability: pl.DataFrame
    opinion: pl.DataFrame
