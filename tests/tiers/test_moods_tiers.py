"""Queries of tiers and of labels by hand: looked for, they ask for one job after the other; when
these have run, they answer without one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from backend import queries, query
from backend.queue.words import Selection
from backend.schema import Job, Progress, Thresholds, TierSpec
from backend.tiers import windows
from backend.tiers.words import RoutePlan
from tests.helpers.decisions import decision
from tests.helpers.embedders import Words

SPEC = TierSpec(count=5, input=1, output=1, cross=5)
CROSS = Thresholds(2.0, 2.0, -1.0)  # all that is scored is cross
PLAN = RoutePlan(most=2)

Ask = Callable[[], object]


@pytest.fixture
def study(small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The study `small` with nothing computed, nobody to compute it, and nothing said."""
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    monkeypatch.setattr(windows.embedders, "load", lambda ref, device: Words())
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path / "annotations"))
    return small


def compute_shared(name: str, *asks: Ask) -> None:
    """Runs the one job, of the query `name`, that all of these ask for."""
    answers = [ask() for ask in (*asks, *asks)]
    jobs = [answer for answer in answers if isinstance(answer, Job)]
    assert len(jobs) == len(answers)
    assert {job.query for job in jobs} == {name}
    assert len({job.id for job in jobs}) == 1
    job = jobs[0]
    query.compute(job.query, job.study, json.loads(job.arguments), "cpu", Progress())
    queries.cancel(job.id)


def check_answered(*asks: Ask) -> None:
    for answer in (ask() for ask in asks):
        assert not isinstance(answer, Job)
        assert getattr(answer, "pending", None) is None


def test_queries_ask_for_one_job_after_the_other(study: str) -> None:
    by_tier: list[Ask] = [
        lambda: queries.tiers(study, SPEC),
        lambda: queries.tiers(study, SPEC, Thresholds(0.1)),  # thresholds are laid over ρ
        lambda: queries.tier_evidence(study, 20, SPEC),
        lambda: queries.tier_labels(study, SPEC),
        lambda: queries.queue(study, "Anna", Selection("cross"), SPEC, CROSS),
    ]

    def whole() -> object:
        return queries.queue(study, "Anna", Selection("all"))

    def route() -> object:
        return queries.route(study, SPEC, CROSS, PLAN)

    assert queries.tiers.look(study, SPEC) is None
    assert queries.tier_check.look(study, SPEC) is None
    assert queries.jobs() == [], "who only looks starts nothing"
    compute_shared("feature_statistics", whole, route, *by_tier)
    check_answered(whole)
    compute_shared("tiers", *by_tier)
    check_answered(*by_tier)
    compute_shared("route", route)
    check_answered(route)
    both = [decision(1, "a"), decision(1, "b", occurrence=1)]
    assert queries.decide(study, "Anna", both).refused == {}
    compute_shared("agreement", lambda: queries.agreement(study, "Anna"))
    check_answered(lambda: queries.agreement(study, "Anna"))
