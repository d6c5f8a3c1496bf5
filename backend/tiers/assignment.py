"""Tiers of features by their correlation scores (the score-then-label protocol of the baez post).

ρ_in ≥ τ_in or ρ_out ≥ τ_out: tier 1, input or output by what exceeds its τ more; else
ρ_cross ≥ τ_cross: tier 2, cross; else tier 3, obscure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from backend.schema import Thresholds, Tier
from backend.statistics.agreement import cohen_kappa

Rho = Sequence[np.ndarray]  # [features] of the input, the output and the cross window


def assign(rho: Rho, thresholds: Thresholds) -> np.ndarray:
    """[features] int8 `Tier` from three ρ; NaN is below every τ, all three NaN is unscored."""
    inward, outward, cross = rho
    over_in, over_out = inward - thresholds.input, outward - thresholds.output
    with np.errstate(invalid="ignore"):
        first = np.where(np.nan_to_num(over_out, nan=-9) > np.nan_to_num(over_in, nan=-9), 2, 1)
        rest = np.where(cross >= thresholds.cross, Tier.CROSS, Tier.OBSCURE)
        tier = np.where((over_in >= 0) | (over_out >= 0), first, rest)
    unknown = np.isnan(inward) & np.isnan(outward) & np.isnan(cross)
    return np.where(unknown, Tier.UNSCORED, tier).astype(np.int8)


def agreement(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Share of features that two assignments give the same tier, and Cohen's κ (chance-corrected);
    those unscored in either are left out. NaN where nothing is left."""
    both = (one != Tier.UNSCORED) & (other != Tier.UNSCORED)
    a, b = one[both], other[both]
    if not len(a):
        return float("nan"), float("nan")
    return float((a == b).mean()), cohen_kappa(a, b)


def margin(rho: Rho, thresholds: Thresholds) -> np.ndarray:
    """[features] by how much ρ would have to change for another tier (1, 2 or 3); NaN where
    nothing is scored."""
    inward, outward, cross = rho
    first = np.fmax(inward - thresholds.input, outward - thresholds.output)
    second = np.abs(cross - thresholds.cross)
    return np.where(first >= 0, first, np.fmin(-first, second))
