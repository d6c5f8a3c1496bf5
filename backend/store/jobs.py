"""Durable jobs: long work that a worker process does while pages show how far it is.

A job is a query and its arguments. It survives the app, the worker and a restart; what a query
has computed is in the memo, so a job that is begun again goes on where it was. Identical live
requests, those of one key, share a job.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from typing import Any

from backend.schema import Job, NotFoundError
from backend.store import queue
from backend.store.launch import launch

# ---------------------------------------------------------------- asking


def get(job_id: str) -> Job:
    """One job; raises `NotFoundError` where there is none."""
    found = queue.select("WHERE id = ?", (job_id,))
    if not found:
        raise NotFoundError(
            f"There is no job {job_id!r}.", "It was cleared; open the page again to start it."
        )
    return found[0]


def recent(limit: int = 50) -> list[Job]:
    """The latest jobs, newest first."""
    return queue.select("ORDER BY created DESC, rowid DESC LIMIT ?", (limit,))


def active() -> list[Job]:
    """Running jobs, then queued ones in the order in which they will run."""
    return queue.select(f"WHERE {queue.LIVE} ORDER BY state DESC, priority DESC, created, rowid")


def for_key(key: str) -> Job | None:
    """The live job of a key, else its latest, so that a page can show a failure."""
    order = f"ORDER BY {queue.LIVE} DESC, created DESC, rowid DESC LIMIT 1"
    found = queue.select(f"WHERE key = ? {order}", (key,))
    return found[0] if found else None


# ---------------------------------------------------------------- acting


def submit(
    query: str,
    study: str,
    arguments: dict[str, Any],
    device: str,
    key: str,
    priority: int = 0,
    title: str = "",
) -> Job:
    """The live job of `key`, queued if there is none; its device's worker is started.

    Raises:
        StoreError: the cache cannot be written.
        TypeError, ValueError: the arguments are no JSON.
    """
    text = json.dumps(arguments, sort_keys=True, allow_nan=False)
    row = (uuid.uuid4().hex[:12], key, priority, query, study, text, device, time.time(), title)

    def put(connection: sqlite3.Connection) -> str:
        live = _live(connection, key)
        if live is None:
            connection.execute(
                "INSERT INTO jobs (id, key, priority, query, study, arguments, device, created, "
                "title) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            return row[0]
        raised = "UPDATE jobs SET priority = max(priority, ?) WHERE id = ?"
        connection.execute(raised, (priority, live))
        return live

    return _started(queue.database().write(put))


def cancel(job_id: str) -> Job:
    """Cancels a queued job at once; a running one ends at its next report of progress.

    A job that has ended stays as it is.

    Raises:
        NotFoundError: there is no such job.
        StoreError: the cache cannot be written.
    """
    job = get(job_id)
    queue.change(
        "UPDATE jobs SET cancel = 1, "
        "finished = CASE state WHEN 'queued' THEN ? END, "
        "state = CASE state WHEN 'queued' THEN 'cancelled' ELSE state END "
        f"WHERE id = ? AND {queue.LIVE}",
        (time.time(), job_id),
    )
    launch(job.device)  # if its worker is dead, this ends it
    return get(job_id)


def retry(job_id: str) -> Job:
    """Queues a job that has ended again, or gives the live job of its key.

    Raises:
        NotFoundError: there is no such job.
        StoreError: the cache cannot be written.
    """
    get(job_id)

    def put(connection: sqlite3.Connection) -> str:
        key = connection.execute("SELECT key FROM jobs WHERE id = ?", (job_id,)).fetchone()[0]
        live = _live(connection, key)
        if live is None:
            connection.execute(
                "UPDATE jobs SET state = 'queued', cancel = 0, done = 0, total = 0, unit = '', "
                "message = '', rate = NULL, eta = NULL, created = ?, started = NULL, "
                "finished = NULL, heartbeat = NULL, attempts = 0, error = '', traceback = '' "
                "WHERE id = ?",
                (time.time(), job_id),
            )
        return live or job_id

    return _started(queue.database().write(put))


def clear_finished() -> int:
    """Forgets the jobs that have ended; how many those were."""
    if not recent(1):
        return 0
    return queue.change(f"DELETE FROM jobs WHERE NOT {queue.LIVE}")


def tend() -> None:
    """Restarts a worker where jobs wait, or were left by a dead one. Cheap; called on each page.

    Raises:
        StoreError: the cache cannot be written.
    """
    for device in sorted({job.device for job in active()}):
        launch(device)


def _live(connection: sqlite3.Connection, key: str) -> str | None:
    found = connection.execute(f"SELECT id FROM jobs WHERE key = ? AND {queue.LIVE}", (key,))
    row = found.fetchone()
    return row[0] if row else None


def _started(job_id: str) -> Job:
    launch(get(job_id).device)
    return get(job_id)
