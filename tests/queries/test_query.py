"""The registry: a query looks, asks for the job that computes it, and answers after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from backend import query as registry
from backend import run
from backend.query import compute, lookup, query
from backend.schema import Job, NotFoundError, Plan, Progress, Study, TesseraError
from backend.store import jobs
from tests.helpers.toy_memo import killed, ran, squares


@dataclass(frozen=True)
class Squares:
    values: tuple[float, ...]
    more: int | None = None
    pending: Job | None = None


@pytest.fixture(autouse=True)
def apart(small: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No worker starts, and what a test registers is forgotten."""
    monkeypatch.setattr(jobs, "launch", lambda device: None)
    before = registry.registered()
    yield
    registry._registry.clear()
    registry._registry.update(before)


def work(job: Job) -> None:
    """What the worker does for a job."""
    compute(job.query, job.study, json.loads(job.arguments), job.device, Progress())
    jobs.queue.change("UPDATE jobs SET state = 'done' WHERE id = ?", (job.id,))


def asked(answer: object) -> Job:
    assert isinstance(answer, Job)
    return answer


# ---------------------------------------------------------------- one definition


def test_what_is_missing_is_one_job_and_then_the_answer(small: str) -> None:
    @query("Squares", priority=7)
    def toy_squares(study: Study, count: int, shift: float = 0.0) -> Squares:
        return Squares(tuple(squares(count, shift).array("squares").tolist()))

    assert toy_squares.look(small, 3) is None
    job = asked(toy_squares(small, 3))
    assert asked(toy_squares(small, count=3, shift=0.0)).id == job.id
    assert asked(toy_squares(small, 4)).id != job.id
    assert (job.title, job.study, json.loads(job.arguments)) == (
        "Squares",
        small,
        {"count": 3, "shift": 0.0},
    )
    assert ran("squares") == 0
    work(job)
    assert toy_squares(small, 3) == toy_squares.look(small, 3) == Squares((0.0, 1.0, 4.0))


def test_an_answer_without_a_part_comes_with_the_job_of_that_part(small: str) -> None:
    @query("Squares")
    def toy_parts(study: Study) -> Squares:
        more = run.optional(squares, 5)
        return Squares((), more.value("count") if more else None)

    first = toy_parts(small)
    assert isinstance(first, Squares)
    assert first.more is None
    work(asked(first.pending))
    assert toy_parts(small) == Squares((), 5)


def test_a_part_that_is_another_answer_is_asked_for_once(small: str) -> None:
    @query("The whole")
    def toy_whole(study: Study) -> int:
        return squares(6).value("count")

    @query("A part")
    def toy_row(study: Study, row: int) -> float:
        toy_whole.part(study)
        return float(squares(6).array("squares")[row])

    @query("A part that the answer is useful without")
    def toy_rows(study: Study) -> Squares:
        return Squares((), run.optional(toy_whole.part, study))

    jobs_asked = [toy_whole(small), toy_row(small, 1), toy_row(small, 2)]
    rows = toy_rows(small)
    assert isinstance(rows, Squares)
    assert len({asked(job).id for job in [*jobs_asked, rows.pending]}) == 1
    work(asked(jobs_asked[1]))
    assert (toy_whole(small), toy_row(small, 2)) == (6, 4.0)
    assert toy_rows(small) == Squares((), 6)


def test_a_failed_job_is_shown_and_not_begun_again(small: str) -> None:
    @query("Squares")
    def toy_failed(study: Study) -> int:
        return squares(3).value("count")

    job = asked(toy_failed(small))
    jobs.queue.change("UPDATE jobs SET state = 'failed' WHERE id = ?", (job.id,))
    assert asked(toy_failed(small)).state == "failed"


def test_dataclasses_survive_the_job(small: str) -> None:
    @query("A plan")
    def toy_plan(study: Study, plan: Plan, names: tuple[str, ...] = ()) -> int:
        assert isinstance(plan.methods, tuple)
        return squares(plan.features).value("count")

    plan = Plan(methods=("a", "b"), features=2, window=None)
    work(asked(toy_plan(small, plan, ("x",))))
    assert toy_plan(small, plan, ("x",)) == 2


def test_a_study_that_changed_is_another_job(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @query("Squares")
    def toy_study(study: Study) -> int:
        return squares(9).value("count")

    one = asked(toy_study(small))
    loaded = registry.studies.load(small)
    other = replace(loaded, partition=replace(loaded.partition, seed=1))
    assert toy_study.start(other).id != one.id


# ---------------------------------------------------------------- what can go wrong


def test_two_queries_of_one_name_are_refused_and_both_are_named() -> None:
    @lookup
    def toy_twice() -> int:
        return 1

    def again() -> None:
        @lookup
        def toy_twice() -> int:
            return 2

    with pytest.raises(ValueError, match=r"named toy_twice: .*refused.*and .*again"):
        again()


def test_a_job_of_a_query_that_is_gone_ends_with_the_nearest_name(small: str) -> None:
    @lookup
    def toy_regions() -> int:
        return 1

    with pytest.raises(NotFoundError, match=r"no query 'toy_region'. Did you mean toy_regions"):
        compute("toy_region", small, {}, "cpu", Progress())


@pytest.mark.parametrize("arguments", [{}, {"count": "many"}, {"count": 3, "colour": "red"}])
def test_a_job_with_other_arguments_ends_with_a_clear_error(
    small: str, arguments: dict[str, Any]
) -> None:
    @query("Squares")
    def toy_arguments(study: Study, count: int) -> int:
        return squares(count).value("count")

    with pytest.raises(TesseraError, match="does not take these arguments"):
        compute("toy_arguments", small, arguments, "cpu", Progress())


def test_an_answer_that_stays_missing_fails_instead_of_being_asked_for_ever(small: str) -> None:
    @query("Never there")
    def toy_never(study: Study) -> int:
        if run.current().looks:
            raise run.Missing("toy.never")
        return 1

    with pytest.raises(TesseraError, match=r"toy.never is missing though toy_never was computed"):
        work(asked(toy_never(small)))


def test_a_worker_that_died_between_steps_goes_on_after_them(small: str) -> None:
    @query("Two steps")
    def toy_steps(study: Study, broken: bool = True) -> int:
        first = squares(11).value("count")
        if broken and not run.current().looks and ran("killed") == 0:
            raise KeyboardInterrupt  # the process ends here
        return first + squares(12).value("count")

    job = asked(toy_steps(small))
    with pytest.raises(KeyboardInterrupt):
        work(job)
    assert ran("squares") == 1
    work(replace(job, arguments=json.dumps({"broken": False})))
    assert ran("squares") == 2, "the first step was kept"
    assert toy_steps(small) == 23
    assert killed.stored() == []
