"""What is shown of features by tier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from backend.schema import Thresholds, Tier, TierSpec
from backend.store.views import Provenance

TIER = pl.Enum([tier.title for tier in Tier])  # by name, in the order of `Tier`
TIER_TABLE = pl.Schema(
    {
        "feature": pl.Int32,
        "top_token": pl.String,
        "density": pl.Float64,
        **dict.fromkeys(("input", "output", "cross"), pl.Float32),  # ρ
        "examples": pl.Int32,
        "cut": pl.Int32,  # windows that a context's end cuts
        "tier": TIER,
        "margin": pl.Float32,  # to the nearest τ
    }
)
NULLS = pl.Schema(
    {"window": pl.String, "null": pl.String}  # random, shuffled
    | dict.fromkeys(("mean", "p5", "median", "p95", "p99"), pl.Float64)
    | {"draws": pl.Int64}
)
RHO = pl.Schema({"window": pl.String, "rho": pl.Float64, "below": pl.Float64})
PROFILE = pl.Schema(
    {"study": pl.String, "layer": pl.Int64, "tier": TIER, "count": pl.Int64} | {"share": pl.Float64}
)
_ENDS = {"low": pl.Float64, "high": pl.Float64}
CONFUSION = pl.Schema(
    {"kind": TIER, "tier": TIER, "count": pl.Int64, "of": pl.Int64, "share": pl.Float64} | _ENDS
)
KINDS = pl.Schema({"tier": TIER, "f1": pl.Float64} | _ENDS)
# whether each window tells features on a topic from those at random
SEPARATION = pl.Schema({"window": pl.String, "count": pl.Int64, "auroc": pl.Float64} | _ENDS)
STABILITY = pl.Schema(
    {"changed": pl.String, "to": pl.String}
    | {"same": pl.Float64, "kappa": pl.Float64, "n": pl.Int64}
)
# mean scores with 95% intervals
OPINION = pl.Schema(
    {"tier": TIER, "features": pl.Int64}
    | {f"{side}{end}": pl.Float64 for side in ("input", "output") for end in ("", "_low", "_high")}
)


def named(assigned: np.ndarray) -> pl.Series:
    """`TIER` of each `Tier`."""
    return pl.Series("tier", TIER.categories, dtype=TIER).gather(assigned.astype(np.uint32))


@dataclass(frozen=True)
class TierTable:
    """All features by tier."""

    spec: TierSpec
    thresholds: Thresholds
    table: pl.DataFrame  # TIER_TABLE
    counts: dict[str, int]  # by the name of the tier
    nulls: pl.DataFrame  # NULLS
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
    """What a feature's ρ stand on. `examples`: of each, its windows of input, output and cross;
    `strengths`, its activation."""

    feature: int
    rho: pl.DataFrame  # RHO; `below`: share of random sets that are
    examples: tuple[tuple[WindowText, ...], ...]
    strengths: tuple[float, ...]


@dataclass(frozen=True)
class TierCheck:
    """Whether tiers are any good. `spec`, `thresholds`, `f1`: what is best on one planted set; all
    else is of the other."""

    spec: TierSpec
    thresholds: Thresholds
    f1: float
    confusion: pl.DataFrame  # CONFUSION
    kinds: pl.DataFrame  # KINDS
    separation: pl.DataFrame  # SEPARATION
    stability: pl.DataFrame  # STABILITY
    opinion: pl.DataFrame  # OPINION
