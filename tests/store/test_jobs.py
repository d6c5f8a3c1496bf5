"""Jobs, run by real worker processes on toy tasks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backend import settings
from backend.schema import NotFoundError
from backend.store import jobs, launch, queue
from backend.store.queue import Lane
from tests.helpers import toy_worker
from tests.store.conftest import (
    CPU,
    PATIENCE,
    ended,
    is_gone,
    pids,
    submit,
    until,
)

pytestmark = [pytest.mark.usefixtures("cache"), pytest.mark.slow]


# ---------------------------------------------------------------- how jobs end


def test_a_job_is_done_and_says_how_far_it_got(cache: Path) -> None:
    job = submit(chunks=3)
    assert job.state in ("queued", "running")
    done = ended(job)
    assert (done.state, done.query, done.study, done.error) == ("done", "count", "toy", "")
    assert (done.done, done.total, done.message, done.unit) == (3, 3, "Counting", "chunks")
    assert done.started
    assert done.finished
    assert done.created <= done.started <= done.finished
    assert done.attempts == 0
    assert (cache / "chunk-2").exists()


def test_failures_say_what_is_wrong_and_stay_to_be_seen() -> None:
    bug, mendable, unknown = (
        submit("fail", kind=kind) for kind in ("bug", "told", "never heard of")
    )
    failed = ended(bug)
    assert failed.state == "failed"
    assert failed.error == "ValueError: seven is not prime enough"
    assert "in fail" in failed.traceback
    assert ended(mendable).error == "The corpus is empty. Give it a text."
    assert ended(unknown).error == "KeyError: 'never heard of'"
    assert jobs.for_key("fail{'kind': 'bug'}") == failed

    second = jobs.retry(bug.id)
    assert (second.id, second.error, second.traceback) == (bug.id, "", "")
    assert ended(second).state == "failed"

    assert jobs.for_key("fail{'kind': 'never'}") is None
    with pytest.raises(NotFoundError, match="no job"):
        jobs.get("never")


def test_running_out_of_memory_is_named_and_the_next_job_gets_a_fresh_process(cache: Path) -> None:
    failed = ended(submit("fail", kind="memory"))
    assert failed.error.startswith("Out of memory (MemoryError)")
    assert "smaller corpus" in failed.error
    until(lambda: is_gone(pids(cache)[0]))
    assert ended(submit()).state == "done"
    assert len(pids(cache)) == 2


def test_a_worker_that_cannot_start_is_told_with_what_it_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = [sys.executable, "-c", "raise SystemExit('this interpreter is broken')"]
    monkeypatch.setattr(launch, "command", lambda _lane: broken)
    job = submit()

    def is_told() -> bool:
        jobs.tend()
        return jobs.get(job.id).state == "failed"

    until(is_told)
    assert "does not start" in jobs.get(job.id).error
    assert "this interpreter is broken" in jobs.get(job.id).traceback


# ---------------------------------------------------------------- cancelling and sharing


def test_queued_and_running_jobs_can_be_cancelled(cache: Path) -> None:
    running = submit(chunks=2000, seconds=0.02)
    until(lambda: jobs.get(running.id).done > 0)
    waiting = submit(name="never")
    assert [job.id for job in jobs.active()] == [running.id, waiting.id]
    assert jobs.cancel(waiting.id).state == "cancelled"
    jobs.cancel(running.id)
    cancelled = ended(running)
    assert (cancelled.state, cancelled.error) == ("cancelled", "")
    assert cancelled.done < cancelled.total
    assert jobs.cancel(running.id) == cancelled
    assert ended(submit(name="after")).state == "done"
    assert not (cache / "never-0").exists()
    assert len(pids(cache)) == 1


@pytest.mark.usefixtures("no_worker")
def test_identical_requests_share_a_job_and_the_urgent_goes_first() -> None:
    first = submit(key="a")
    assert submit(key="a").id == first.id
    urgent = submit(key="b", priority=5)
    assert len({first.id, urgent.id}) == 2
    assert [job.id for job in jobs.active()] == [urgent.id, first.id]
    submit(key="a", priority=9)
    claimed = queue.claim(CPU, "me")
    assert claimed is not None
    assert claimed.id == first.id
    assert submit(key="a").id == first.id, "a running job is shared too"
    assert queue.claim(Lane("cuda"), "me") is None, "another device's job"

    assert queue.update(first.id, "me", state="done")
    later = submit(key="a")
    assert later.id != first.id
    assert jobs.retry(first.id).id == later.id, "its key lives already"
    assert jobs.for_key("a") == jobs.get(later.id)


def test_two_submitters_at_once_start_one_worker_and_share_one_job(cache: Path) -> None:
    command = [*toy_worker.command(CPU), "submit"]
    submitters = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=settings.ROOT)
        for _ in range(3)
    ]
    ids = {submitter.communicate(timeout=PATIENCE)[0].strip() for submitter in submitters}
    assert len(ids) == 1
    assert ended(jobs.get(ids.pop())).state == "done"
    assert len(pids(cache)) == 1
    assert len(jobs.recent()) == 1


def test_a_second_worker_for_a_device_leaves_at_once(cache: Path) -> None:
    running = submit(chunks=500, seconds=0.05)
    until(lambda: (cache / "chunk-0").exists())
    by_hand = subprocess.run(
        toy_worker.command(CPU), stderr=subprocess.PIPE, text=True, cwd=settings.ROOT, check=True
    )
    assert "another worker serves cpu" in by_hand.stderr
    assert jobs.get(running.id).state == "running"


# ---------------------------------------------------------------- workers that end


def test_a_killed_job_goes_on_where_it_was(cache: Path) -> None:
    job = submit(chunks=12, seconds=0.1)
    done_chunks = cache / "ran.txt"
    until(lambda: done_chunks.exists() and "chunk-3" in done_chunks.read_text())
    os.kill(pids(cache)[0], signal.SIGKILL)
    until(lambda: is_gone(pids(cache)[0]))
    assert jobs.get(job.id).state == "running", "nobody has noticed yet"
    jobs.tend()
    done = ended(job)
    assert (done.state, done.attempts) == ("done", 1)
    assert len(pids(cache)) == 2
    ran = done_chunks.read_text().split()
    assert ran == [f"chunk-{chunk}" for chunk in range(12)], "each chunk is computed once"


def test_a_long_job_gives_way_to_a_short_one_and_goes_on(cache: Path) -> None:
    long = submit(chunks=12, seconds=0.3, priority=queue.LONG)
    ran = cache / "ran.txt"
    until(lambda: ran.exists() and "chunk-1" in ran.read_text())
    usual = submit(name="usual", chunks=1, seconds=0, priority=queue.LONG - 1)
    short = submit(name="short", chunks=1, seconds=0, priority=queue.SHORT)
    assert ended(short).state == ended(usual).state == "done"
    done = ended(long)
    assert (done.state, done.attempts) == ("done", 0)
    order = ran.read_text().split()
    assert order.index("short-0") < order.index("chunk-11") < order.index("usual-0")
    assert sorted(order) == sorted([*(f"chunk-{n}" for n in range(12)), "short-0", "usual-0"])
    assert len(pids(cache)) == 1


def test_a_job_that_kills_its_worker_three_times_fails(cache: Path) -> None:
    job = submit("die")

    def is_over() -> bool:
        jobs.tend()
        return jobs.get(job.id).state == "failed"

    until(is_over)
    assert "died three times (often out of memory)" in jobs.get(job.id).error
    assert "retry" in jobs.get(job.id).error
    assert len(pids(cache)) == 3


def test_cancelling_what_a_dead_worker_left_ends_it(cache: Path) -> None:
    job = submit(chunks=500, seconds=0.05)
    until(lambda: (cache / "chunk-0").exists())
    os.kill(pids(cache)[0], signal.SIGKILL)
    until(lambda: is_gone(pids(cache)[0]))
    assert jobs.cancel(job.id).state == "cancelled"


def test_a_worker_told_to_end_leaves_its_job_queued(cache: Path) -> None:
    job = submit(chunks=500, seconds=0.05)
    until(lambda: jobs.get(job.id).state == "running")
    until(lambda: (cache / "chunk-0").exists())
    os.kill(pids(cache)[0], signal.SIGTERM)
    until(lambda: is_gone(pids(cache)[0]))
    job = jobs.get(job.id)
    assert (job.state, job.attempts) == ("queued", 0)


def test_an_idle_worker_ends_and_the_next_job_starts_another(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_WORKER_IDLE", "0.3")
    assert ended(submit(name="one")).state == "done"
    until(lambda: is_gone(pids(cache)[0]))
    jobs.tend()
    assert len(pids(cache)) == 1, "nothing waits, so nothing starts"
    assert ended(submit(name="two")).state == "done"
    assert len(pids(cache)) == 2
