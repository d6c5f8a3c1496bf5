"""The job queue: one row per job in a file of the cache, and what a worker does to its row.

Each device has two lanes. The worker of the first takes any job; that of the second, the light
worker, which runs only beside the first, takes short ones. A worker holds the lock of its lane
while it lives, so a row that is `running` while that lock is free was left by a dead one. A worker
writes only to a row it still holds.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from backend import settings
from backend.schema import Job
from backend.store.database import Database

Parameters = tuple[Any, ...] | dict[str, Any]

RETENTION = 30 * 86400.0  # seconds for which ended jobs are listed
DEATHS = 3  # after so many the job fails
LOG_LINES = 40  # of the worker's log shown with a job that killed it
LONG = 5  # priority of what takes long, up to which a job gives way to all others;
PAGE = 40  # of what a page waits for some minutes, which gives way to what is short;
SHORT = 45  # of what a person waits for, from which on a light worker may take it
LIVE = "state IN ('queued', 'running')"
WAITS = "state = 'queued' AND NOT paused"
# the more urgent of two jobs has the greater one: what is short, then what a person put first
URGENCY = f"({{0}}.priority >= {SHORT}, {{0}}.first, {{0}}.priority > {LONG})"
ORDER = f"priority >= {SHORT} DESC, first DESC, priority DESC, created, rowid"
VERSION = 3  # of the tables: part of the name, so that another Tessera on this cache keeps its own
COLUMNS = ", ".join(field.name for field in dataclasses.fields(Job))
TABLES = f"""
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    key TEXT NOT NULL,
    priority INTEGER NOT NULL,
    worker TEXT NOT NULL DEFAULT '',
    cancel INTEGER NOT NULL DEFAULT 0,
    query TEXT NOT NULL,
    study TEXT NOT NULL,
    arguments TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'queued',
    device TEXT NOT NULL,
    done REAL NOT NULL DEFAULT 0,
    total REAL NOT NULL DEFAULT 0,
    unit TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '',
    rate REAL,
    eta REAL,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    heartbeat REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    traceback TEXT NOT NULL DEFAULT '',
    title TEXT NOT NULL DEFAULT '',
    milestones INTEGER NOT NULL DEFAULT 0,
    light INTEGER NOT NULL DEFAULT 0,
    lane TEXT NOT NULL DEFAULT '',
    first REAL NOT NULL DEFAULT 0,
    paused INTEGER NOT NULL DEFAULT 0,
    step INTEGER NOT NULL DEFAULT 0,
    seconds REAL NOT NULL DEFAULT 0,
    expected REAL
);
CREATE UNIQUE INDEX one_live_job_per_key ON jobs (key) WHERE {LIVE};
CREATE INDEX jobs_by_state ON jobs (state, device);
CREATE INDEX jobs_by_age ON jobs (created);
CREATE TABLE launches (lane TEXT PRIMARY KEY, count INTEGER NOT NULL, last REAL NOT NULL);
CREATE TABLE rates (
    work TEXT NOT NULL,
    study TEXT NOT NULL,
    device TEXT NOT NULL,
    units REAL NOT NULL,
    seconds REAL NOT NULL,
    ended REAL NOT NULL
);
CREATE INDEX rates_by_work ON rates (work, device, ended)
"""


@dataclass(frozen=True)
class Lane:
    """What one worker process serves: a device, all its jobs or those that are short."""

    device: str
    light: bool = False

    @property
    def name(self) -> str:
        return f"{self.device}-light" if self.light else self.device


def database() -> Database:
    """The file that holds the jobs of this cache."""
    path = settings.current().cache / f"jobs-{VERSION}.sqlite"
    return Database(path, "TESSERA_CACHE", ("0", str(VERSION)), _version, _make, replaceable=True)


def _version(connection: Connection) -> str:
    return str(connection.exec_driver_sql("PRAGMA user_version").scalar())


def _make(connection: Connection) -> None:
    for statement in (*TABLES.split(";"), f"PRAGMA user_version = {VERSION}"):
        connection.exec_driver_sql(statement)


def log_path(lane: Lane) -> Path:
    """What workers of a lane print."""
    return settings.current().cache / f"worker-{lane.name}.log"


def select(rest: str, parameters: Parameters = ()) -> list[Job]:
    """Jobs by what follows FROM in SQL; none where no job was ever submitted."""
    statement = f"SELECT {COLUMNS} FROM jobs {rest}"
    return database().read(lambda connection: _jobs(connection, statement, parameters), [])


def change(statement: str, parameters: Parameters = ()) -> list[Job]:
    """Runs one statement that writes to jobs; those that it changed, as they are then."""
    statement = f"{statement} RETURNING {COLUMNS}"
    return database().write(lambda connection: _jobs(connection, statement, parameters))


def _jobs(connection: Connection, statement: str, parameters: Parameters) -> list[Job]:
    return [Job(*row) for row in connection.exec_driver_sql(statement, parameters)]


# ---------------------------------------------------------------- a worker and its row


def next_of(lane: Lane) -> Job | None:
    """The most urgent job that waits and that a worker of the lane may take."""
    waits = f"WHERE {WAITS} AND device = ? AND light >= ? ORDER BY {ORDER} LIMIT 1"
    return next(iter(select(waits, (lane.device, lane.light))), None)


def claim(lane: Lane, worker: str) -> Job | None:
    """Takes the most urgent job that waits, the oldest of those, in one step."""
    if next_of(lane) is None:
        return None
    now = time.time()
    claimed = change(
        "UPDATE jobs SET state = 'running', worker = ?, lane = ?, started = ?, heartbeat = ? "
        f"WHERE id = (SELECT id FROM jobs WHERE {WAITS} AND device = ? AND light >= ? "
        f"ORDER BY {ORDER} LIMIT 1)",
        (worker, lane.name, now, now, lane.device, lane.light),
    )
    return claimed[0] if claimed else None


def update(job_id: str, worker: str, **columns: Any) -> bool:
    """Sets columns of the row that `worker` holds; False where it holds it no more."""
    values = columns | {"heartbeat": time.time()}
    names = ", ".join(f"{name} = ?" for name in values)
    row = "WHERE id = ? AND worker = ? AND state = 'running'"
    return bool(change(f"UPDATE jobs SET {names} {row}", (*values.values(), job_id, worker)))


def is_wanted(job_id: str, worker: str) -> bool:
    """Whether `worker` still holds the job and nobody cancelled it."""
    row = "WHERE id = ? AND worker = ? AND state = 'running' AND NOT cancel"
    return bool(select(row, (job_id, worker)))


def is_outranked(job_id: str, by_light: bool) -> bool:
    """Whether a running job is to give way: it was paused, or a more urgent one waits; `by_light`:
    one that is short too, where no light worker takes it."""
    waits = (
        f"SELECT 1 FROM jobs AS other WHERE {WAITS} AND other.device = mine.device "
        f"AND other.light <= ? AND {URGENCY.format('other')} > {URGENCY.format('mine')}"
    )
    outranked = f"AS mine WHERE id = ? AND (paused OR EXISTS ({waits}))"
    return bool(select(outranked, (job_id, by_light)))


def running(lane: Lane) -> list[Job]:
    """What the worker of a lane is at."""
    return select("WHERE state = 'running' AND lane = ?", (lane.name,))


def release(worker: str) -> None:
    """Puts what `worker` holds back into the queue: it was told to end, or gives way."""
    change(
        "UPDATE jobs SET state = 'queued', rate = NULL, eta = NULL, "
        "seconds = seconds + ? - started WHERE state = 'running' AND worker = ?",
        (time.time(), worker),
    )


def hand_over(worker: str) -> None:
    """As `release`, to a worker of the first lane: the light one has too little memory."""
    change("UPDATE jobs SET light = 0 WHERE state = 'running' AND worker = ?", (worker,))
    release(worker)


def adopt(lane: Lane) -> None:
    """Queues what a dead worker left running; to be called with the lane's lock held.

    A job that was cancelled is cancelled now; one that killed its worker three times fails. What
    killed a light worker is none of its work any more.
    """
    if not select("WHERE state = 'running' AND lane = ? LIMIT 1", (lane.name,)):
        return
    fails = "NOT cancel AND attempts + 1 >= :deaths"
    change(
        "UPDATE jobs SET attempts = attempts + NOT cancel, rate = NULL, eta = NULL, "
        "light = light AND NOT :light, seconds = seconds + max(0, heartbeat - started), "
        f"finished = CASE WHEN cancel OR {fails} THEN :now END, "
        f"error = CASE WHEN {fails} THEN :error ELSE error END, "
        f"traceback = CASE WHEN {fails} THEN :log ELSE traceback END, "
        f"state = CASE WHEN cancel THEN 'cancelled' WHEN {fails} THEN 'failed' ELSE 'queued' END "
        "WHERE state = 'running' AND lane = :lane",
        {
            "deaths": DEATHS,
            "now": time.time(),
            "error": "The worker died three times (often out of memory). "
            "Free memory and disk, or use a smaller corpus or another device, then retry; "
            f"the end of {log_path(lane).name} is below.",
            "log": log_tail(lane),
            "light": lane.light,
            "lane": lane.name,
        },
    )


def log_tail(lane: Lane) -> str:
    """The last lines that workers of a lane printed."""
    try:
        lines = log_path(lane).read_text(errors="replace").splitlines()
    except OSError as error:
        return f"No log: {error}"
    return "\n".join(lines[-LOG_LINES:])


def forget_old() -> None:
    """Deletes the rows of jobs that ended a month ago."""
    change(f"DELETE FROM jobs WHERE NOT {LIVE} AND created < ?", (time.time() - RETENTION,))


# ---------------------------------------------------------------- starts of workers


def note_launch(lane: Lane) -> None:
    """Counts a start of a worker."""
    _on_launches(
        "INSERT INTO launches VALUES (?, 1, ?) ON CONFLICT (lane) "
        "DO UPDATE SET count = count + 1, last = excluded.last",
        (lane.name, time.time()),
    )


def forget_launches(lane: Lane) -> None:
    """A worker is ready for work, or its failure was told."""
    _on_launches("DELETE FROM launches WHERE lane = ?", (lane.name,))


def _on_launches(statement: str, parameters: tuple[Any, ...]) -> None:
    database().write(lambda connection: connection.exec_driver_sql(statement, parameters))


def launches(lane: Lane) -> tuple[int, float]:
    """Starts since a worker was last ready, and when the last was (Unix seconds)."""

    def read(connection: Connection) -> tuple[int, float]:
        statement = "SELECT count, last FROM launches WHERE lane = ?"
        row = connection.exec_driver_sql(statement, (lane.name,)).first()
        return (row[0], row[1]) if row else (0, 0.0)

    return database().read(read, (0, 0.0))


def fail_queued(lane: Lane, error: str) -> None:
    """Ends all jobs that wait for a worker of a lane: nothing can run them."""
    change(
        "UPDATE jobs SET state = 'failed', finished = ?, error = ?, traceback = ? "
        f"WHERE {WAITS} AND device = ? AND light >= ?",
        (time.time(), error, log_tail(lane), lane.device, lane.light),
    )
