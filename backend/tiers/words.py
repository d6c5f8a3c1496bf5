"""The words of tiers that backend and pages share: windows, what may be asked of them, the routes
that features are sent on. Imports nothing, so both sides may import it."""

from __future__ import annotations

from dataclasses import dataclass

WINDOWS = ("input", "output", "cross")
COUNTS = (5, 10, 20)  # examples that a correlation score may stand on
_SIDES = (1, 2, 5, 10, 20)
# tokens on a side of the peak that each window may hold; 0: the peak alone, or its whole context
STOPS = {"input": (0, *_SIDES), "output": _SIDES, "cross": (0, *_SIDES)}
TIERS = ("all", "input", "output", "cross", "obscure")  # that can be listed or queued
PER_TIER = 15  # features of each tier in an experiment by tier


@dataclass(frozen=True)
class RoutePlan:
    """Who labels tier 2, `own` model or `server`; of how many features (`most`), and how many
    calls and how much cost that may take: 0 is no limit."""

    who: str = "own"
    most: int = 0
    calls: int = 0
    cost: float = 0.0
