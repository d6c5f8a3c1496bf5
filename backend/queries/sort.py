"""Tiers, and labels by hand."""

from backend.answers.agreement import agreement
from backend.answers.decision_files import (
    decision_formats,
    export_decisions,
    import_decisions,
)
from backend.answers.decisions import decide, human_labels
from backend.answers.queue import queue, queue_hints, queue_items
from backend.answers.routing import estimate_route_cost, route, tier_labels
from backend.answers.tier_check import labels_by_tier, start_experiment_by_tier, tier_check
from backend.answers.tiers import tier_evidence, tier_profile, tiers

__all__ = [
    "agreement",
    "decide",
    "decision_formats",
    "estimate_route_cost",
    "export_decisions",
    "human_labels",
    "import_decisions",
    "labels_by_tier",
    "queue",
    "queue_hints",
    "queue_items",
    "route",
    "start_experiment_by_tier",
    "tier_check",
    "tier_evidence",
    "tier_labels",
    "tier_profile",
    "tiers",
]
