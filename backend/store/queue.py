"""The job queue: one row per job in a file of the cache, and what a worker does to its row.

A worker holds the lock of its device while it lives, so a row that is `running` while that lock
is free was left by a dead one. A worker writes only to a row it still holds.
"""

from __future__ import annotations

import dataclasses
import time
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
LONG = 5  # priority up to which a job goes back into the queue,
SHORT = 45  # while one of this priority or more waits; what it has computed is in the memo
LIVE = "state IN ('queued', 'running')"
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
    milestones INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX one_live_job_per_key ON jobs (key) WHERE {LIVE};
CREATE INDEX jobs_by_state ON jobs (state, device);
CREATE INDEX jobs_by_age ON jobs (created);
CREATE TABLE launches (device TEXT PRIMARY KEY, count INTEGER NOT NULL, last REAL NOT NULL)
"""


def database() -> Database:
    """The file that holds the jobs of this cache."""
    path = settings.current().cache / f"jobs-{VERSION}.sqlite"
    return Database(path, "TESSERA_CACHE", ("0", str(VERSION)), _version, _make, replaceable=True)


def _version(connection: Connection) -> str:
    return str(connection.exec_driver_sql("PRAGMA user_version").scalar())


def _make(connection: Connection) -> None:
    for statement in (*TABLES.split(";"), f"PRAGMA user_version = {VERSION}"):
        connection.exec_driver_sql(statement)


def log_path(device: str) -> Path:
    """What workers of a device print."""
    return settings.current().cache / f"worker-{device}.log"


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


def claim(device: str, worker: str) -> Job | None:
    """Takes the queued job of highest priority, the oldest of those, in one step."""
    if not select("WHERE state = 'queued' AND device = ? LIMIT 1", (device,)):
        return None
    now = time.time()
    claimed = change(
        "UPDATE jobs SET state = 'running', worker = ?, started = ?, heartbeat = ? "
        "WHERE id = (SELECT id FROM jobs WHERE state = 'queued' AND device = ? "
        "ORDER BY priority DESC, created, rowid LIMIT 1)",
        (worker, now, now, device),
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


def is_outranked(job_id: str) -> bool:
    """Whether the job is a long one, and somebody waits for a short one."""
    waits = "SELECT 1 FROM jobs WHERE state = 'queued' AND device = mine.device AND priority >= ?"
    long = f"AS mine WHERE id = ? AND priority BETWEEN 1 AND ? AND EXISTS ({waits})"
    return bool(select(long, (job_id, LONG, SHORT)))


def release(worker: str) -> None:
    """Puts what `worker` holds back into the queue: it was told to end, or gives way."""
    change("UPDATE jobs SET state = 'queued' WHERE state = 'running' AND worker = ?", (worker,))


def adopt(device: str) -> None:
    """Queues what a dead worker left running; to be called with the device's lock held.

    A job that was cancelled is cancelled now; one that killed its worker three times fails.
    """
    if not select("WHERE state = 'running' AND device = ? LIMIT 1", (device,)):
        return
    fails = "NOT cancel AND attempts + 1 >= :deaths"
    change(
        "UPDATE jobs SET attempts = attempts + NOT cancel, rate = NULL, eta = NULL, "
        f"finished = CASE WHEN cancel OR {fails} THEN :now END, "
        f"error = CASE WHEN {fails} THEN :error ELSE error END, "
        f"traceback = CASE WHEN {fails} THEN :log ELSE traceback END, "
        f"state = CASE WHEN cancel THEN 'cancelled' WHEN {fails} THEN 'failed' ELSE 'queued' END "
        "WHERE state = 'running' AND device = :device",
        {
            "deaths": DEATHS,
            "now": time.time(),
            "error": "The worker died three times (often out of memory). "
            "Free memory and disk, or use a smaller corpus or another device, then retry; "
            f"the end of {log_path(device).name} is below.",
            "log": log_tail(device),
            "device": device,
        },
    )


def log_tail(device: str) -> str:
    """The last lines that workers of a device printed."""
    try:
        lines = log_path(device).read_text(errors="replace").splitlines()
    except OSError as error:
        return f"No log: {error}"
    return "\n".join(lines[-LOG_LINES:])


def forget_old() -> None:
    """Deletes the rows of jobs that ended a month ago."""
    change(f"DELETE FROM jobs WHERE NOT {LIVE} AND created < ?", (time.time() - RETENTION,))


# ---------------------------------------------------------------- starts of workers


def note_launch(device: str) -> None:
    """Counts a start of a worker."""
    _on_launches(
        "INSERT INTO launches VALUES (?, 1, ?) ON CONFLICT (device) "
        "DO UPDATE SET count = count + 1, last = excluded.last",
        (device, time.time()),
    )


def forget_launches(device: str) -> None:
    """A worker did start, or its failure was told."""
    _on_launches("DELETE FROM launches WHERE device = ?", (device,))


def _on_launches(statement: str, parameters: tuple[Any, ...]) -> None:
    database().write(lambda connection: connection.exec_driver_sql(statement, parameters))


def launches(device: str) -> tuple[int, float]:
    """Starts since a worker last came up, and when the last was (Unix seconds)."""

    def read(connection: Connection) -> tuple[int, float]:
        statement = "SELECT count, last FROM launches WHERE device = ?"
        row = connection.exec_driver_sql(statement, (device,)).first()
        return (row[0], row[1]) if row else (0, 0.0)

    return database().read(read, (0, 0.0))


def fail_queued(device: str, error: str) -> None:
    """Ends all queued jobs of a device: nothing can run them."""
    change(
        "UPDATE jobs SET state = 'failed', finished = ?, error = ?, traceback = ? "
        "WHERE state = 'queued' AND device = ?",
        (time.time(), error, log_tail(device), device),
    )
