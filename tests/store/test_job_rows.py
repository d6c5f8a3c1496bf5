"""The rows of jobs: progress in them, and what a bad disk does to them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from backend.schema import Cancelled, Job, StoreError
from backend.store import database, disk, jobs, queue, worker
from tests.store.conftest import (
    CPU,
    submit,
)

pytestmark = pytest.mark.usefixtures("cache")


# ---------------------------------------------------------------- progress


def test_rate_and_time_left_come_from_the_last_20_seconds_of_a_phase() -> None:
    meter = worker.Meter()
    assert meter.read(0.0, 0, 1000, "a") == (None, None)
    for second in range(1, 31):
        rate, remaining = meter.read(second, 10 * second, 1000, "a")
    assert (rate, remaining) == (pytest.approx(10), pytest.approx(70))
    for second in range(31, 61):
        rate, remaining = meter.read(second, 300 + 20 * (second - 30), 1000, "a")
    assert (rate, remaining) == (pytest.approx(20), pytest.approx(5)), "the slow start is forgotten"
    assert meter.read(61.0, 0, 50, "b") == (None, None), "a new phase is measured anew"
    assert meter.read(63.0, 10, 50, "b") == (pytest.approx(5), pytest.approx(8))


def test_what_was_on_disk_is_neither_counted_as_work_nor_as_time() -> None:
    meter = worker.Meter()
    for step in range(14):  # found, one after the other
        meter.read(0.01 * step, step, 24, "Judging", cached=step)
    assert meter.read(1.0, 14, 24, "Judging", cached=14) == (None, None)
    assert meter.read(8.0, 15, 24, "Judging", cached=14) == (
        pytest.approx(1 / 8, rel=0.1),
        pytest.approx(9 * 8, rel=0.1),
    )


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
    queue.claim(CPU, "me")
    progress = worker.RowProgress(job, "me")

    def report(seconds: float, done: float, message: str) -> Job:
        clock[0] = seconds
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
    queue.claim(CPU, "first")
    queue.adopt(CPU)
    queue.claim(CPU, "second")
    assert not queue.update(job.id, "first", state="done")
    with pytest.raises(Cancelled):
        worker.RowProgress(job, "first").report(1, 2, "Late")
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
    with pytest.raises(StoreError, match="Another process has held") as caught:
        submit(key="other")
    assert "Try again" in caught.value.remedy
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

    with pytest.raises(StoreError, match="is full") as caught:
        queue.database().write(overfill)
    assert "TESSERA_CACHE" in caught.value.remedy
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


# ---------------------------------------------------------------- code that changes


@pytest.mark.usefixtures("no_worker")
def test_a_worker_whose_code_has_changed_leaves_the_job_to_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = submit()
    times = iter([1.0, 2.0])
    monkeypatch.setattr(worker, "_newest_source", lambda: next(times))
    worker._serve(CPU, "old", lambda *_: pytest.fail("computed by old code"))
    assert jobs.get(job.id).state == "queued"
