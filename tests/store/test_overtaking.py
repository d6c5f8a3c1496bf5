"""What is short does not wait for what is long: it overtakes it, or a light worker takes it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from backend.schema import Cancelled, Job
from backend.store import jobs, launch, queue, worker
from tests.store.conftest import CPU, LIGHT, ended, is_gone, pids, submit, until


@pytest.fixture
def roomy(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache on a machine with memory for a light worker."""
    monkeypatch.setenv("TESSERA_LIGHT_GB", "0")
    return cache


def claimed(lane: queue.Lane = CPU) -> Job:
    job = queue.claim(lane, f"worker of {lane.name}")
    assert job is not None
    return job


def gives_way(job: Job) -> bool:
    try:
        worker.RowProgress(job, f"worker of {CPU.name}").check()
    except worker._GaveWay:
        return True
    return False


def light_pids(cache: Path) -> list[int]:
    return pids(cache, "pids-light.txt")


def with_light_worker(cache: Path) -> Job:
    """A long job at work, and a light worker that is ready."""
    long = submit(chunks=2000, seconds=0.05, priority=queue.LONG)
    until(lambda: jobs.get(long.id).state == "running")

    def is_ready() -> bool:
        jobs.tend()
        return launch.has_free_light_worker("cpu")

    until(is_ready)
    assert len(light_pids(cache)) == 1
    return long


# ---------------------------------------------------------------- real workers


@pytest.mark.slow
def test_a_light_worker_answers_beside_a_long_job_that_goes_on(roomy: Path) -> None:
    long = with_light_worker(roomy)
    before = jobs.get(long.id)
    short = ended(submit(name="short", priority=queue.SHORT))
    after = jobs.get(long.id)
    assert short.state == "done"
    assert short.worker.startswith(f"{light_pids(roomy)[0]}-")
    assert (after.state, after.started) == ("running", before.started), "it did not give way"
    assert len(pids(roomy)) == 1


@pytest.mark.slow
def test_what_kills_a_light_worker_is_done_by_the_other(roomy: Path) -> None:
    with_light_worker(roomy)
    read = submit(name="read", seconds=30.0, priority=queue.SHORT)
    until(lambda: jobs.get(read.id).state == "running")
    os.kill(light_pids(roomy)[0], signal.SIGKILL)
    until(lambda: is_gone(light_pids(roomy)[0]))
    jobs.tend()
    handed = jobs.get(read.id)
    assert (handed.light, handed.attempts) == (False, 1)
    until(lambda: jobs.get(read.id).worker.startswith(f"{pids(roomy)[0]}-"))
    jobs.cancel(read.id)


@pytest.mark.slow
def test_where_memory_is_short_the_long_job_gives_way(cache: Path) -> None:
    long = submit(chunks=2000, seconds=0.05, priority=queue.LONG)
    until(lambda: jobs.get(long.id).state == "running")
    assert ended(submit(name="short", priority=queue.SHORT)).state == "done"
    assert jobs.get(long.id).state in ("queued", "running")
    assert light_pids(cache) == []


# ---------------------------------------------------------------- who goes first


@pytest.mark.usefixtures("cache", "no_worker")
@pytest.mark.parametrize(
    ("running", "waiting", "overtakes"),
    [
        (queue.LONG, queue.SHORT, True),
        (queue.LONG, queue.PAGE, True),
        (queue.PAGE, queue.SHORT, True),
        (0, queue.LONG, False),
        (queue.PAGE, queue.PAGE, False),
        (queue.PAGE, queue.LONG, False),
        (queue.SHORT, queue.SHORT + 5, False),
    ],
)
def test_a_job_gives_way_to_what_is_shorter_and_to_nothing_else(
    running: int, waiting: int, overtakes: bool
) -> None:
    submit(name="running", priority=running)
    job = claimed()
    other = submit(name="waiting", priority=waiting)
    assert gives_way(job) == overtakes
    if overtakes:
        queue.release(job.worker)
        following = claimed()
        assert following.id == other.id
        assert not gives_way(following), "or the two would take turns for ever"


@pytest.mark.usefixtures("cache", "no_worker")
def test_a_light_worker_takes_what_is_short_and_nothing_else() -> None:
    submit(name="long", priority=queue.PAGE)
    assert queue.next_of(LIGHT) is None
    short = submit(name="short", priority=queue.SHORT)
    job = claimed(LIGHT)
    assert job.id == short.id
    queue.hand_over(job.worker)
    assert queue.next_of(LIGHT) is None, "it ran out of memory there"
    job = claimed()
    assert job.id == short.id


@pytest.mark.usefixtures("cache", "no_worker")
def test_what_a_person_puts_first_goes_next_and_short_questions_before_it() -> None:
    submit(name="running", priority=queue.PAGE)
    job = claimed()
    first, second = (submit(name=name, priority=queue.LONG) for name in ("first", "second"))
    jobs.run_next(second.id)
    assert gives_way(job)
    queue.release(job.worker)
    assert [each.id for each in jobs.active()] == [second.id, job.id, first.id]
    following = claimed()
    assert following.id == second.id
    assert not gives_way(following)
    submit(name="read", priority=queue.SHORT)
    assert gives_way(following)


# ---------------------------------------------------------------- pausing


@pytest.mark.usefixtures("cache", "no_worker")
def test_a_paused_job_stops_and_waits_until_it_is_resumed() -> None:
    submit(name="running")
    job = claimed()
    jobs.pause(job.id)
    assert gives_way(job)
    queue.release(job.worker)
    assert queue.next_of(CPU) is None
    assert jobs.get(job.id).state == "queued"
    other = submit(name="other")
    assert [each.id for each in jobs.active()] == [other.id, job.id]
    jobs.pause(job.id, paused=False)
    assert claimed().id == job.id, "it keeps its place"


@pytest.mark.usefixtures("cache", "no_worker")
def test_what_has_ended_is_not_paused_and_what_was_cancelled_ends() -> None:
    submit(name="running")
    job = claimed()
    cancelled = jobs.cancel(job.id)
    assert (cancelled.state, bool(cancelled.cancel)) == ("running", True)
    assert not jobs.pause(job.id).paused
    with pytest.raises(Cancelled):
        worker.RowProgress(job, job.worker).check()
    worker._settle(job, job.worker, state="cancelled")
    assert not jobs.pause(job.id).paused
    assert jobs.run_next(job.id).state == "cancelled"
    assert jobs.cancel(job.id).state == "cancelled"


@pytest.mark.usefixtures("cache", "no_worker")
def test_a_job_that_gave_way_says_how_long_it_ran_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    for module in (jobs.time, queue.time, worker.time):
        monkeypatch.setattr(module, "time", lambda: clock[0])
    submit(name="running")
    job = claimed()
    clock[0] += 30
    queue.release(job.worker)
    clock[0] += 500
    job = claimed()
    clock[0] += 12
    worker._settle(job, job.worker, state="done")
    assert jobs.get(job.id).seconds == pytest.approx(42)
