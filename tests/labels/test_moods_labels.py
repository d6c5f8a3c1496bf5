"""Each query about labels asks for what is missing, once; what its jobs compute is its answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from backend import query
from backend.experiments import runs, single_labels
from backend.labels import label_search
from backend.labels.words import LabelRequest
from backend.query import Query
from backend.schema import Job, Plan, Progress
from backend.store import jobs

REQUEST = LabelRequest(0)  # a feature that fires often enough
PLAN = Plan(methods=("token_frequency",), scorers=("embedding",), features=3)
FEATURES = "feature_statistics"  # the job that reads them
CASES: dict[str, tuple[Query[Any, Any], tuple[Any, ...], list[str]]] = {
    "known": (single_labels.labels, (REQUEST,), [FEATURES]),
    "written": (single_labels.write_labels, (REQUEST, "baez"), [FEATURES, "write_labels"]),
    "scores": (
        single_labels.label_scores,
        (REQUEST, "token_frequency,logit_cascade"),
        [FEATURES, "label_scores"],
    ),
    "search": (label_search.search_labels, ("boats",), [FEATURES, "count_labels", "search_labels"]),
    "experiment": (runs.run_experiment, (PLAN,), [FEATURES, "run_experiment"]),
}


@pytest.fixture
def alone(small: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The study with an empty cache, and no worker."""
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    return small


def until_there(ask: Callable[[], object]) -> tuple[object, list[str]]:
    """The answer, and the queries of the jobs that were computed for it, one after the other."""
    names: list[str] = []
    while isinstance(answer := ask(), Job):
        assert ask() == answer, "asking again begins nothing new"
        assert answer.query not in names, "a job that ended is not asked for again"
        query.compute(answer.query, answer.study, json.loads(answer.arguments), "cpu", Progress())
        jobs.cancel(answer.id)  # nobody works on it
        names.append(answer.query)
    return answer, names


@pytest.mark.parametrize("case", CASES)
def test_what_is_missing_is_asked_for_once(alone: str, case: str) -> None:
    asked_for, arguments, jobs_expected = CASES[case]
    answer, names = until_there(lambda: asked_for(alone, *arguments))
    assert names == jobs_expected
    assert not isinstance(answer, Job)
    assert asked_for.look(alone, *arguments) is not None
    assert not [job for job in jobs.recent() if job.state == "queued"]


def test_an_experiment_is_started_under_its_name_and_again_where_it_failed(alone: str) -> None:
    name = runs.start_experiment(alone, PLAN)
    assert runs.start_experiment(alone, PLAN, calls=5) == name, "what it may cost is no part of it"
    (job,) = jobs.recent()
    jobs.cancel(job.id)
    assert runs.start_experiment(alone, PLAN, cost=2.0) == name
    fresh = jobs.recent()[0]
    assert fresh.id != job.id
    assert json.loads(fresh.arguments)["cost"] == 2.0
