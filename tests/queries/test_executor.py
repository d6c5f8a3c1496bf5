"""The contract of every executor; the local one keeps it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from backend import run
from backend.schema import Cancelled, Progress
from backend.store import jobs
from backend.store.executor import Executor, Local, Request


@pytest.fixture(params=[Local], ids=lambda kind: kind.__name__)
def executor(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Executor:
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(jobs, "launch", lambda device: None)
    return request.param()


REQUEST = Request("toy", "small", {"count": 3}, "toy:3", priority=4, title="Toys")


def test_a_request_is_a_job_that_says_what_it_is(executor: Executor) -> None:
    job = executor.submit(REQUEST, "cpu")
    assert (job.query, job.study, job.arguments) == ("toy", "small", '{"count": 3}')
    assert (job.state, job.device, job.title) == ("queued", "cpu", "Toys")


def test_requests_of_one_key_share_a_job(executor: Executor) -> None:
    first = executor.submit(REQUEST, "cpu")
    assert executor.submit(REQUEST, "cpu").id == first.id
    assert executor.submit(Request("toy", "small", {"count": 4}, "toy:4"), "cpu").id != first.id


def test_a_live_job_is_one_that_waits_or_runs(executor: Executor) -> None:
    assert executor.live(REQUEST.key) is None
    job = executor.submit(REQUEST, "cpu")
    assert executor.live(REQUEST.key) == job
    jobs.cancel(job.id)
    assert executor.live(REQUEST.key) is None


def test_an_ended_job_is_given_unless_it_ended_well(executor: Executor) -> None:
    job = executor.submit(REQUEST, "cpu")
    jobs.cancel(job.id)
    assert executor.submit(REQUEST, "cpu").state == "cancelled"
    restarted = executor.submit(replace(REQUEST, restart=True), "cpu")
    assert (restarted.state, restarted.id == job.id) == ("queued", False)
    job = restarted
    jobs.queue.change("UPDATE jobs SET state = 'done' WHERE id = ?", (job.id,))
    second = executor.submit(REQUEST, "cpu")
    assert second.state == "queued"
    assert second.id != job.id


@pytest.mark.parametrize("workers", [1, 3])
def test_blocks_come_back_in_order_in_the_mood_of_the_run(executor: Executor, workers: int) -> None:
    reports: list[int] = []

    def block(number: int) -> tuple[int, str]:
        return number * number, run.current().device

    with run.computing("a device", Progress()):
        results = executor.each(block, range(5), reports.append, workers)
    assert results == [(number * number, "a device") for number in range(5)]
    assert reports == sorted(reports)
    assert reports[0] == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_ends_the_rest_and_not_what_is_under_way(executor: Executor, workers: int) -> None:
    started, ended = [], []
    together = threading.Barrier(workers, timeout=10)

    def block(number: int) -> None:
        started.append(number)
        if number < workers:
            together.wait()
        if number == 0:
            raise ValueError("zero")
        time.sleep(0.02)
        ended.append(number)

    with pytest.raises(ValueError, match="zero"):
        executor.each(block, range(50), lambda done: None, workers)
    assert len(started) < 50
    assert set(ended) == set(started) - {0}


def test_a_report_may_cancel(executor: Executor) -> None:
    def report(done: int) -> None:
        if done == 2:
            raise Cancelled

    ended: list[int] = []
    with pytest.raises(Cancelled):
        executor.each(ended.append, range(9), report, 1)
    assert ended == [0, 1]
