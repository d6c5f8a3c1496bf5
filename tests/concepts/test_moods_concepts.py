"""Each query of concepts in its two moods: a look asks for one job, the job makes the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend import query
from backend.concepts import answers as concept_answers
from backend.concepts import choices as concept_choices
from backend.concepts import reader_answers, stability_answers
from backend.concepts import results as concept_results
from backend.schema import Job, Progress
from backend.store import jobs
from tests.conftest import sentences

OF_SET = [  # whole once the set's job is done
    concept_results.concept_set,
    reader_answers.concept_aurocs,
    reader_answers.mean_aurocs,
    concept_answers.membership,
    concept_answers.purity_coverage,
]


@pytest.fixture(scope="module")
def cold(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The study `small` with nothing computed, and nobody to compute it but these tests."""
    root = tmp_path_factory.mktemp("cold")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESSERA_STUDIES", str(world / "studies"))
        patch.setenv("TESSERA_CACHE", str(root / "cache"))
        patch.setenv("TESSERA_ANNOTATIONS", str(root / "annotations"))
        patch.setattr("backend.store.jobs.launch", lambda device: None)
        yield "small"


def work(answer: Any) -> None:
    """What a worker does with the job that an answer is or asks for."""
    job = answer if isinstance(answer, Job) else answer.pending
    query.compute(job.query, job.study, json.loads(job.arguments), "cpu", Progress())
    jobs.cancel(job.id)


def assert_whole(answer: object) -> None:
    assert not isinstance(answer, Job)
    assert answer is not None
    assert getattr(answer, "pending", None) is None


def test_all_questions_of_a_set_share_one_job_that_answers_them(cold: str) -> None:
    before = len(jobs.recent())
    waiting = [ask(cold) for ask in (*OF_SET, concept_answers.gray_zone)]
    first = waiting[0]
    assert isinstance(first, Job)
    assert first.query == "concept_set"
    assert all(isinstance(job, Job) and job.id == first.id for job in waiting)
    assert len(jobs.recent()) == before + 1
    work(first)
    for ask in OF_SET:
        assert_whole(ask(cold))
    assert len(jobs.recent()) == before + 1


def test_new_texts_are_looked_for_by_a_job_of_their_own(cold: str) -> None:
    if isinstance(answer := concept_results.concept_set(cold), Job):
        work(answer)
    job = concept_answers.new_text_membership(cold)
    assert isinstance(job, Job)
    assert job.query == "new_text_membership"
    work(job)
    assert_whole(concept_answers.new_text_membership(cold))


def test_a_gray_zone_is_shown_as_far_as_it_is_there_and_starts_nothing_by_a_look(
    cold: str,
) -> None:
    if isinstance(answer := concept_results.concept_set(cold), Job):
        work(answer)
    before = len(jobs.recent())
    shown = concept_answers.gray_zone.look(cold)
    assert shown is not None
    assert shown.table["read"].to_list() == [True, False]
    assert shown.pending is None
    assert len(jobs.recent()) == before
    shown = concept_answers.gray_zone(cold)
    other = concept_answers.gray_zone(cold, concept="orchard", p=10.0)
    assert not isinstance(shown, Job)
    assert not isinstance(other, Job)
    assert shown.pending is not None
    assert other.pending == shown.pending, "one job serves all concepts"
    assert shown.pending.query == "gray_zone"
    work(shown)
    shown = concept_answers.gray_zone(cold)
    assert_whole(shown)
    assert not isinstance(shown, Job)
    assert shown.table["read"].to_list() == [True, True]


@pytest.mark.parametrize("ask", [stability_answers.stable_regions, stability_answers.robustness])
def test_long_work_on_a_partition_is_one_job_that_no_look_starts(cold: str, ask: Any) -> None:
    before = len(jobs.recent())
    assert ask.look(cold) is None
    assert len(jobs.recent()) == before
    job = ask(cold)
    assert isinstance(job, Job)
    assert ask(cold, p=10.0, k=1.0) == job, "p and k of the study, given or not"
    assert len(jobs.recent()) == before + 1
    work(job)
    assert_whole(ask(cold))
    assert_whole(ask.look(cold))


def test_a_small_set_of_ones_own_is_read_before_a_large_one(cold: str) -> None:
    texts = [
        "\n".join(sentences(topic, 100 + n, 2) for n in range(8))
        for topic in ("harbour", "kitchen")
    ]
    own = concept_choices.keep_concept("boats", *texts)
    large = concept_results.concept_set(cold, p=20.0)
    small = concept_results.concept_set(cold, own, p=20.0)
    assert isinstance(large, Job)
    assert isinstance(small, Job)
    assert [job.id for job in jobs.active()] == [small.id, large.id]
    assert small.title == "Your concept, read and scored"
    assert large.title == "A concept set, read and scored"
    for job in (large, small):
        jobs.cancel(job.id)
