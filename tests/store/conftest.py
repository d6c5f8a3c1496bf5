"""Jobs with toy workers, and events in a folder of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend import settings
from backend.schema import Job
from backend.store import annotations, database, jobs, launch
from backend.store.annotations import Event, New
from backend.store.jobs import Request
from backend.store.queue import Lane
from tests.helpers import toy_worker

OLD = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    made REAL NOT NULL,
    person TEXT NOT NULL,
    kind TEXT NOT NULL,
    study TEXT NOT NULL,
    subject TEXT NOT NULL,
    value TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_by_kind ON events (study, kind, subject)
"""  # as it was before there were revisions
OLD_INSERT = (
    "INSERT INTO events (made, person, kind, study, subject, value) "
    "VALUES (?, 'me', 'vote', 'study', 'run', ?)"
)
NOBODY = 65534


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where events are kept; empty at first."""
    path = tmp_path / "annotations"
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(path))
    yield path
    release()


def release() -> None:
    """Closes the file, as the end of the process does."""
    database.engine(annotations.path(), False).dispose()


def add(value: Any = 1, uid: str = "") -> Event:
    return annotations.add("vote", "study", "run", "me", value, uid)


def new(value: Any = 1, uid: str = "", person: Any = "me") -> New:
    return New(uid, person, "vote", "study", "run", value)


def stored_events() -> list[Event]:
    return annotations.of_study("study", ["vote"])


def values() -> list[Any]:
    return [event.value for event in stored_events()]


def raw() -> contextlib.closing[sqlite3.Connection]:
    """The file without the store."""
    return contextlib.closing(sqlite3.connect(annotations.path(), isolation_level=None))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def started(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that waits for the word to run code, and imports what it needs meanwhile."""
    ready = "import sys\nfrom backend.store import annotations\nprint(flush=True)\ninput()\n"
    return subprocess.Popen(
        [sys.executable, "-c", ready + code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=settings.ROOT,
    )


def go(process: subprocess.Popen[str]) -> None:
    """Gives the word, once the process waits for it."""
    assert process.stdin
    assert process.stdout
    process.stdout.readline()
    process.stdin.write("go\n")
    process.stdin.flush()


def write_old(rows: int) -> None:
    annotations.path().parent.mkdir(parents=True)
    with raw() as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(OLD)
        connection.executemany(OLD_INSERT, [(float(row), f'{{"é": {row}}}') for row in range(rows)])


@contextlib.contextmanager
def stranger(folder: Path, mode: int = 0o555) -> Iterator[None]:
    """As somebody who may read a folder and not write to it: root may, so root is someone else."""
    folder.chmod(mode)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(NOBODY)
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everybody may look into, whose parents too."""
    with tempfile.TemporaryDirectory() as name:
        monkeypatch.setenv("TESSERA_ANNOTATIONS", name)
        yield Path(name)
        release()


# ---------------------------------------------------------------- jobs

PATIENCE = 120.0


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache whose workers run toy tasks and are gone at the end."""
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path))
    monkeypatch.setenv("TESSERA_WORKER_IDLE", "60")
    monkeypatch.setattr(launch, "command", toy_worker.command)
    monkeypatch.setenv("TESSERA_LIGHT_GB", "1e9")  # no light worker, unless a test wants one
    monkeypatch.setattr(launch, "PAUSE", 0.0)
    monkeypatch.setattr(launch, "SETTLED", 0.0)
    monkeypatch.setattr(launch, "_children", [])  # workers of other tests are theirs to end
    yield tmp_path
    for pid in [*pids(tmp_path), *pids(tmp_path, "pids-light.txt")]:
        if not is_gone(pid):
            os.kill(pid, signal.SIGKILL)
    for child in launch._children:  # one that has not said its name yet would idle for a minute
        child.kill()
    until(lambda: all(child.wait() is not None for child in launch._children))
    launch._reap()


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs stay queued: the test itself plays the worker."""
    monkeypatch.setattr(jobs, "launch", lambda _device: None)


def pids(cache: Path, name: str = "pids.txt") -> list[int]:
    """Of every worker that was ever started, in order; light ones have a file of their own."""
    path = cache / name
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


CPU, LIGHT = Lane("cpu"), Lane("cpu", light=True)
