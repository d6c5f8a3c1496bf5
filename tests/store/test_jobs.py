"""Jobs, run by real worker processes on toy tasks."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from backend import settings
from backend.schema import Cancelled, Job, NotFoundError, StoreError
from backend.store import database, disk, jobs, launch, queue, worker
from backend.store.jobs import Request
from tests.helpers import toy_worker

PATIENCE = 120.0


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache whose workers run toy tasks and are gone at the end."""
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path))
    monkeypatch.setenv("TESSERA_WORKER_IDLE", "60")
    monkeypatch.setattr(launch, "command", toy_worker.command)
    monkeypatch.setattr(launch, "PAUSE", 0.0)
    monkeypatch.setattr(launch, "_children", [])  # workers of other tests are theirs to end
    yield tmp_path
    for pid in pids(tmp_path):
        if not is_gone(pid):
            os.kill(pid, signal.SIGKILL)
    until(lambda: all(child.wait() is not None for child in launch._children))
    launch._reap()


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs stay queued: the test itself plays the worker."""
    monkeypatch.setattr(jobs, "launch", lambda _device: None)


def pids(cache: Path) -> list[int]:
    """Of every worker that was ever started, in order."""
    path = cache / "pids.txt"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def is_gone(pid: int) -> bool:
    launch._reap()
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"waited in vain; jobs: {jobs.recent()}"
        time.sleep(0.03)


def ended(job: Job) -> Job:
    until(lambda: jobs.get(job.id).state not in ("queued", "running"))
    return jobs.get(job.id)


def submit(task: str = "count", key: str = "", priority: int = 0, **arguments: object) -> Job:
    if task == "count":
        arguments = {"chunks": 1, "seconds": 0.0} | arguments
    request = Request(task, "toy", arguments, key or f"{task}{arguments}", priority)
    return jobs.submit(request, "cpu")


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
    bug, told, unknown = (submit("fail", kind=kind) for kind in ("bug", "told", "never heard of"))
    failed = ended(bug)
    assert failed.state == "failed"
    assert failed.error == "ValueError: seven is not prime enough"
    assert "in fail" in failed.traceback
    assert ended(told).error == "The corpus is empty. Give it a text."
    assert ended(unknown).error == "KeyError: 'never heard of'"
    assert jobs.for_key("fail{'kind': 'bug'}") == failed

    again = jobs.retry(bug.id)
    assert (again.id, again.error, again.traceback) == (bug.id, "", "")
    assert ended(again).state == "failed"

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
    monkeypatch.setattr(launch, "command", lambda _device: broken)
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
    taken = queue.claim("cpu", "me")
    assert taken is not None
    assert taken.id == first.id
    assert submit(key="a").id == first.id, "a running job is shared too"
    assert queue.claim("cuda", "me") is None, "another device's job"

    assert queue.update(first.id, "me", state="done")
    later = submit(key="a")
    assert later.id != first.id
    assert jobs.retry(first.id).id == later.id, "its key lives already"
    assert jobs.for_key("a") == jobs.get(later.id)


def test_two_submitters_at_once_start_one_worker_and_share_one_job(cache: Path) -> None:
    command = [*toy_worker.command("cpu"), "submit"]
    submitters = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=settings.ROOT)
        for _ in range(3)
    ]
    told = {submitter.communicate(timeout=PATIENCE)[0].strip() for submitter in submitters}
    assert len(told) == 1
    assert ended(jobs.get(told.pop())).state == "done"
    assert len(pids(cache)) == 1
    assert len(jobs.recent()) == 1


def test_a_second_worker_for_a_device_leaves_at_once(cache: Path) -> None:
    running = submit(chunks=500, seconds=0.05)
    until(lambda: (cache / "chunk-0").exists())
    by_hand = subprocess.run(
        toy_worker.command("cpu"), stderr=subprocess.PIPE, text=True, cwd=settings.ROOT, check=True
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
    left = jobs.get(job.id)
    assert (left.state, left.attempts) == ("queued", 0)


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


# ---------------------------------------------------------------- progress


def test_rate_and_time_left_come_from_the_last_20_seconds_of_a_phase() -> None:
    meter = worker.Meter()
    assert meter.read(0.0, 0, 1000, "a") == (None, None)
    for second in range(1, 31):
        rate, left = meter.read(second, 10 * second, 1000, "a")
    assert (rate, left) == (pytest.approx(10), pytest.approx(70))
    for second in range(31, 61):
        rate, left = meter.read(second, 300 + 20 * (second - 30), 1000, "a")
    assert (rate, left) == (pytest.approx(20), pytest.approx(5)), "the slow start is forgotten"
    assert meter.read(61.0, 0, 50, "b") == (None, None), "a new phase is measured anew"
    assert meter.read(63.0, 10, 50, "b") == (pytest.approx(5), pytest.approx(8))


def test_many_quick_reports_give_the_rate_of_few_slow_ones() -> None:
    meter = worker.Meter()
    readings = [meter.read(i / 1000, i / 100, 1000, "a") for i in range(5000)]
    assert readings[-1][0] == pytest.approx(10, rel=0.05)
    assert len(meter._samples) <= worker.WINDOW / worker.ASK + 2


@pytest.mark.usefixtures("no_worker")
def test_progress_reaches_the_row_and_cancelling_reaches_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [100.0]
    monkeypatch.setattr(worker.time, "monotonic", lambda: clock[0])
    job = submit()
    queue.claim("cpu", "me")
    progress = worker.RowProgress(job.id, "me")

    def report(at: float, done: float, message: str) -> Job:
        clock[0] = at
        progress.report(done, 100, message, "tokens")
        return jobs.get(job.id)

    assert report(100.0, 0, "Reading").message == "Reading"
    assert report(100.1, 1, "Reading").done == 0, "too soon to be written"
    row = report(102.0, 20, "Reading")
    assert (row.done, row.rate, row.eta) == (20, pytest.approx(10), pytest.approx(8))
    row = report(102.1, 0, "Fitting")
    assert (row.message, row.rate, row.eta) == ("Fitting", None, None)
    jobs.cancel(job.id)
    with pytest.raises(Cancelled):
        report(103.0, 1, "Fitting")


@pytest.mark.usefixtures("no_worker")
def test_a_worker_that_lost_its_job_cannot_write_to_it() -> None:
    job = submit()
    queue.claim("cpu", "first")
    queue.adopt("cpu")
    queue.claim("cpu", "second")
    assert not queue.update(job.id, "first", state="done")
    with pytest.raises(Cancelled):
        worker.RowProgress(job.id, "first").report(1, 2, "Late")
    assert jobs.get(job.id).state == "running"


# ---------------------------------------------------------------- a bad disk


@pytest.mark.usefixtures("no_worker")
@pytest.mark.parametrize("damage", ["garbled", "cut", "foreign"])
def test_a_damaged_job_list_is_set_aside_and_a_new_one_made(cache: Path, damage: str) -> None:
    for number in range(50):
        submit(key=str(number))
    path = queue.database().path
    if damage == "foreign":
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
    else:
        whole = path.read_bytes()
        path.write_bytes(b"no database " * 2000 if damage == "garbled" else whole[:6000])
    assert jobs.recent() == []
    assert [file.name for file in cache.glob(f"damaged/jobs-*/{path.name}")] == [path.name]
    assert jobs.get(submit().id).state == "queued"


def test_reading_makes_no_file(cache: Path) -> None:
    assert jobs.recent() == jobs.active() == []
    assert jobs.for_key("a") is None
    jobs.tend()
    assert list(cache.iterdir()) == []


@pytest.mark.usefixtures("no_worker")
def test_a_locked_job_list_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submit()
    monkeypatch.setattr(database, "BUSY", 0.1)
    holder = sqlite3.connect(queue.database().path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="Another process has held") as told:
        submit(key="other")
    assert "Try again" in told.value.remedy
    assert len(jobs.recent()) == 1, "reading goes on"
    holder.execute("ROLLBACK")
    holder.close()
    submit(key="other")


@pytest.mark.usefixtures("no_worker")
def test_a_full_disk_is_told_and_keeps_what_was_there() -> None:
    job = submit()

    def overfill(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 20")
        connection.exec_driver_sql("UPDATE jobs SET error = ?", ("x" * 1_000_000,))

    with pytest.raises(StoreError, match="is full") as told:
        queue.database().write(overfill)
    assert "TESSERA_CACHE" in told.value.remedy
    assert jobs.get(job.id) == job


@pytest.mark.usefixtures("no_worker")
def test_a_disk_without_room_is_told_even_where_sqlite_calls_it_an_io_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    submit()
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE

    def fail(_connection: Connection) -> None:
        raise OperationalError("UPDATE", None, error)

    with pytest.raises(StoreError, match="cannot be opened or written"):
        queue.database().write(fail)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _path: SimpleNamespace(free=0))
    with pytest.raises(StoreError, match="is full"):
        queue.database().write(fail)


def test_a_cache_that_cannot_be_made_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (cache / "file").touch()
    monkeypatch.setenv("TESSERA_CACHE", str(cache / "file" / "cache"))
    assert jobs.recent() == []
    with pytest.raises(StoreError, match="TESSERA_CACHE"):
        submit()


@pytest.mark.usefixtures("no_worker")
def test_a_read_only_cache_shows_its_jobs_and_takes_no_more(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = submit()
    monkeypatch.setattr(database.os, "access", lambda _path, _mode: False)
    assert jobs.recent() == [job]
    with pytest.raises(StoreError, match="TESSERA_CACHE"):
        submit(key="other")
