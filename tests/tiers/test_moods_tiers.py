"""Queries of tiers and of labels by hand: looked for, they ask for one job; when it has run, they
answer without one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend import queries, query
from backend.annotations.words import Selection
from backend.schema import Job, Progress, Thresholds, TierSpec
from backend.tiers.words import RoutePlan
from tests.helpers.decisions import decision

SPEC = TierSpec(count=5, input=1, output=1, cross=5)
CROSS = Thresholds(2.0, 2.0, -1.0)  # all that is scored is cross

# a query, the arguments after the study, and the jobs that it needs, one after the other
CASES: list[tuple[str, tuple[Any, ...], list[str]]] = [
    ("tiers", (SPEC,), ["features", "tiers"]),
    ("tier_evidence", (20, SPEC), ["features", "tiers"]),
    ("tier_labels", (SPEC,), ["features", "tiers"]),
    ("route", (SPEC, CROSS, RoutePlan(most=2)), ["features", "tiers", "route"]),
    ("queue", ("Anna", Selection("all")), ["features"]),
    ("queue", ("Anna", Selection("cross"), SPEC, CROSS), ["features", "tiers"]),
]


@pytest.fixture
def study(small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The study `small` with nothing computed, nobody to compute it, and nothing said."""
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path / "annotations"))
    return small


def work(ask: Callable[[], object]) -> list[str]:
    """The queries of the jobs that are run until there is an answer; each asked for once."""
    names: list[str] = []
    while isinstance(job := ask(), Job):
        assert job.query not in names, f"{job.query} has run, and is asked for again"
        again = ask()
        assert isinstance(again, Job)
        assert again.id == job.id, "who asks twice shares a job"
        names.append(job.query)
        query.compute(job.query, job.study, json.loads(job.arguments), "cpu", Progress())
        queries.cancel(job.id)
    return names


@pytest.mark.parametrize(("name", "arguments", "jobs"), CASES, ids=lambda value: str(value)[:24])
def test_a_query_asks_for_its_jobs_and_then_answers(
    study: str, name: str, arguments: tuple[Any, ...], jobs: list[str]
) -> None:
    ask = getattr(queries, name)
    assert ask.look(study, *arguments) is None
    assert work(lambda: ask(study, *arguments)) == jobs
    answer = ask(study, *arguments)
    assert getattr(answer, "pending", None) is None
    assert ask.look(study, *arguments) is not None


def test_other_thresholds_share_the_job_of_the_tiers(study: str) -> None:
    work(lambda: queries.features(study))
    one, other = (queries.tiers(study, SPEC, Thresholds(tau)) for tau in (0.1, 0.2))
    assert isinstance(one, Job)
    assert isinstance(other, Job)
    assert one.id == other.id


def test_labels_are_compared_by_one_job(study: str) -> None:
    work(lambda: queries.features(study))
    both = [decision(1, "a"), decision(1, "b", occurrence=1)]
    assert queries.decide(study, "Anna", both).refused == {}
    assert work(lambda: queries.agreement(study, "Anna")) == ["agreement"]


def test_looking_for_a_check_starts_nothing(study: str) -> None:
    assert queries.tier_check.look(study, SPEC) is None
    assert queries.jobs() == []
