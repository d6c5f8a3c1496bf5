"""Every query of the evaluations, asked of an empty cache: one job; computed, an answer without
one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from backend import query
from backend.evals.ce_bench import answers as ce_bench_answers
from backend.evals.ce_bench import sweep as ce_sweep
from backend.evals.expert_lens import answers as expert_lens_answers
from backend.evals.sage import answers as sage_answers
from backend.evals.sage.sites import Sizes
from backend.query import Query
from backend.schema import Job, Progress
from backend.store import jobs
from tests.conftest import SUBJECTS

STORIES = [
    {
        "story1": f"The <subject>{word}</subject> finds the {other} on day {day}.",
        "story2": f"On day {day} the <subject>{word}</subject> loses the {other}.",
        "subject": subject,
    }
    for subject, words in SUBJECTS.items()
    for day, (word, other) in enumerate(zip(words[:2], words[2:4], strict=True), 1)
]
CONCEPTS = "butter, spoon, kettle, apple, ladder, cider"


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)


@pytest.fixture
def stories(tmp_path: Path) -> str:
    path = tmp_path / "stories.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in STORIES))
    return str(path)


def compute(job: Job) -> None:
    """What the worker does with a job."""
    query.compute(job.query, job.study, json.loads(job.arguments), "cpu", Progress())
    jobs.cancel(job.id)  # so that it is nobody's answer any more


def answer_after_one_job(ask: Query[Any, Any], study: str, *arguments: Any) -> Any:
    """The answer, once its job has run; looking before asks for nothing."""
    assert ask.look(study, *arguments) is None
    assert jobs.recent() == []
    job = ask(study, *arguments)
    assert isinstance(job, Job)
    assert [each.id for each in jobs.recent()] == [job.id]
    compute(job)
    answer = ask(study, *arguments)
    assert not isinstance(answer, Job)
    if dataclasses.is_dataclass(answer):
        assert getattr(answer, "pending", None) is None
    assert [each.id for each in jobs.recent()] == [job.id]
    return answer


def test_ce_bench(small: str, stories: str) -> None:
    view = answer_after_one_job(ce_bench_answers.ce_bench, small, stories)
    assert view.subjects == tuple(SUBJECTS)
    assert not isinstance(ce_sweep.ce_sweep(small, stories), Job)  # the study lists no other


def test_one_subject_is_computed_by_the_job_of_the_whole(small: str, stories: str) -> None:
    job = ce_bench_answers.ce_subject(small, "kitchen", stories)
    assert isinstance(job, Job)
    assert job.query == "ce_bench"
    compute(job)
    assert not isinstance(ce_bench_answers.ce_subject(small, "kitchen", stories), Job)


def test_a_steered_text(small: str, stories: str) -> None:
    arguments = "kitchen", "The oven finds", 2.0, stories
    view = answer_after_one_job(ce_bench_answers.ce_steer, small, *arguments)
    assert (view.subject, view.strength) == ("kitchen", 2.0)


def test_ce_sweep(small: str, stories: str) -> None:
    table = answer_after_one_job(ce_sweep.ce_sweep, small, stories)
    assert set(table["reader"]) == {"sae", "random_topk"}


def test_expert_lens(small: str) -> None:
    view = answer_after_one_job(
        expert_lens_answers.expert_lens, small, "features", "corpus", CONCEPTS
    )
    assert view.width == 64
    one = expert_lens_answers.expert_concept(small, "butter", "features", "corpus", CONCEPTS)
    assert not isinstance(one, Job)  # its parts are those of the whole
    job = expert_lens_answers.experts_between(small, small, "features", "corpus", CONCEPTS)
    assert isinstance(job, Job)
    compute(job)
    row = expert_lens_answers.experts_between(small, small, "features", "corpus", CONCEPTS)
    assert isinstance(row, pl.DataFrame)
    assert row["n"][0] == 6


def test_one_concept_is_computed_by_the_job_of_all(small: str) -> None:
    first = expert_lens_answers.expert_concept(
        small, "butter", "features", "corpus", "butter, apple"
    )
    second = expert_lens_answers.expert_lens(small, "features", "corpus", "Butter;apple,,butter")
    assert isinstance(first, Job)
    assert isinstance(second, Job)
    assert (first.id, first.query) == (second.id, "expert_lens")
    other = expert_lens_answers.expert_lens(small, "maps", "corpus", "butter, apple")
    assert isinstance(other, Job)
    assert other.id != first.id


def test_sage(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sage_answers, "SIZES", Sizes(train=40, test=24))
    view = answer_after_one_job(sage_answers.sage, small)
    assert view.gates["task"].to_list() == list(sage_answers.TASKS)
    assert view.results is None  # a random model solves nothing


def test_roles_of_a_task_share_a_job(small: str) -> None:
    one, other = (sage_answers.sage(small, "ioi", role) for role in ("", "IO"))
    assert isinstance(one, Job)
    assert isinstance(other, Job)
    assert one.id == other.id
