"""Tiers, and labels by hand."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from backend import study as studies_on_disk
from backend.answers import agreement as agreement_answers
from backend.answers import (
    decision_files,
    decisions,
    routing,
    runs,
)
from backend.answers import queue as queue_answers
from backend.answers import tier_check as tier_checks
from backend.answers import tiers as tier_answers
from backend.labels.costs import Cap
from backend.queries.asked import numbers_of, sae_of
from backend.schema import (
    Job,
    Thresholds,
    TierSpec,
)
from backend.views import (
    Agreement,
    Decided,
    Hint,
    Queue,
    QueueItem,
    Quote,
    Taken,
    TierCheck,
    TierEvidence,
    TierTable,
)

# ---------------------------------------------------------------- tiers


def tiers(
    study: str, spec: TierSpec | None = None, thresholds: Thresholds | None = None
) -> TierTable | Job:
    """All features with their correlation scores and tiers, and what chance would give."""
    loaded = studies_on_disk.load(study)
    sae_of(loaded)
    return tier_answers.table(loaded, spec or TierSpec(), thresholds or Thresholds())


def tier_evidence(study: str, feature: int, spec: TierSpec | None = None) -> TierEvidence | Job:
    """The windows that a feature's correlation scores stand on."""
    loaded = studies_on_disk.load(study)
    sae_of(loaded)
    return tier_answers.evidence(loaded, feature, spec or TierSpec())


def tier_profile(
    study: str, spec: TierSpec | None = None, thresholds: Thresholds | None = None
) -> pl.DataFrame:
    """Tiers of every study of the same model, by layer: study, layer, tier, count, share."""
    loaded = studies_on_disk.load(study)
    return tier_answers.profile(loaded, spec or TierSpec(), thresholds or Thresholds())


def tier_labels(
    study: str, spec: TierSpec | None = None, thresholds: Thresholds | None = None
) -> pl.DataFrame | Job:
    """Labels by hand, and those that routing has made so far: feature, method, label, writer."""
    loaded = studies_on_disk.load(study)
    sae_of(loaded)
    scores = tier_answers.find_or_job(loaded, spec or TierSpec())
    if isinstance(scores, Job):
        return scores
    return routing.labels(loaded, scores.assign(thresholds or Thresholds()))


def route_quote(
    study: str, spec: TierSpec, thresholds: Thresholds, who: str = "own", most: int = 0
) -> Quote:
    """What labelling tier 2 by a model asks for, at most; `most` features, 0: all."""
    return routing.quote(studies_on_disk.load(study), spec, thresholds, who, most)


def route(
    study: str,
    spec: TierSpec,
    thresholds: Thresholds,
    who: str = "own",
    most: int = 0,
    calls: int = 0,
    cost: float = 0.0,
) -> Job:
    """Labels tier 1 by counting and tier 2 by a model. `calls` and `cost` that it may not exceed;
    0: no limit."""
    cap = Cap(calls=calls or None, cost=cost or None)
    return routing.start(studies_on_disk.load(study), spec, thresholds, who, most, cap)


def tier_check(
    study: str,
    spec: TierSpec | None = None,
    thresholds: Thresholds | None = None,
    ask: bool = True,
) -> TierCheck | Job | None:
    """Tiers against features of known kind, a second opinion, and themselves on other examples;
    None where it is not computed and not asked for."""
    loaded = studies_on_disk.load(study)
    sae_of(loaded)
    return tier_checks.view(loaded, spec or TierSpec(), thresholds or Thresholds(), ask)


def start_by_tier(
    study: str, spec: TierSpec, thresholds: Thresholds, each: int = 15, who: str = "own"
) -> str:
    """Starts an experiment on as many features of each tier: its name."""
    loaded = studies_on_disk.load(study)
    sae_of(loaded)
    plan = tier_checks.plan_by_tier(loaded, spec, thresholds, each)
    return runs.start(loaded, plan, who, Cap())


def labels_by_tier(
    study: str, run: str, spec: TierSpec | None = None, thresholds: Thresholds | None = None
) -> pl.DataFrame | Job:
    """An experiment's label scores by the tiers of its features."""
    loaded = studies_on_disk.load(study)
    sae_of(loaded)
    found = spec or TierSpec(), thresholds or Thresholds()
    return tier_checks.labels_by_tier(loaded, run, *found)


# ---------------------------------------------------------------- labels by hand


def queue(
    study: str,
    person: str,
    tier: str = "obscure",
    order: str = "margin",
    seed: int = 0,
    only: str = "",
    history: bool = True,
    spec: TierSpec | None = None,
    thresholds: Thresholds | None = None,
) -> Queue | Job:
    """What a person is to label next: features of a tier, or `only` some (numbers, by commas)."""
    loaded = studies_on_disk.load(study)
    sae_of(loaded)
    tiers_by = spec or TierSpec(), thresholds or Thresholds()
    asked = queue_answers.Asked(tier, order, seed, numbers_of(only), *tiers_by)
    return queue_answers.queue(loaded, person, asked, history)


def queue_items(study: str, features: Sequence[int]) -> list[QueueItem]:
    """What labels of some features are to be made from."""
    return queue_answers.items(studies_on_disk.load(study), features)


def queue_hints(study: str, feature: int) -> tuple[Hint, ...]:
    """What methods and a verbalizer say of a feature, as far as it is known."""
    return queue_answers.hints(studies_on_disk.load(study), feature)


def decide(study: str, person: str, events: Sequence[object]) -> Decided:
    """Keeps decisions of a person, undone and redone ones too; gives which of them are on disk
    now, and why others are refused. Each has a `uid` that its sender makes: sent twice, it is
    kept once."""
    return queue_answers.decide(studies_on_disk.load(study), person, events)


def agreement(study: str, person: str) -> Agreement | Job:
    """How much alike a person's two labels of the same feature are, by the study's embedder."""
    return agreement_answers.agreement(studies_on_disk.load(study), person)


def human_labels(study: str) -> pl.DataFrame:
    """The current decisions of everybody: person, feature, occurrence, action, label, tags, …"""
    return decisions.human_labels(studies_on_disk.load(study))


def export_decisions(study: str, format: str) -> bytes:
    """Labels made by hand: all events as JSONL ("events"), or the current labels as jsonl, csv,
    parquet or neuronpedia (zip)."""
    return decision_files.export(studies_on_disk.load(study), format)


def take_decisions(study: str, person: str, data: bytes, format: str, file: str = "") -> Taken:
    """Takes in labels or events from a file, which `file` is the name of; what is known already is
    not doubled."""
    return decision_files.take(studies_on_disk.load(study), person, data, format, file)
