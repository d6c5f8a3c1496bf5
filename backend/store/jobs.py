"""Durable jobs: long work that a worker process does while pages show how far it is.

A job is a query and its arguments. It survives the app, the worker and a restart; what a query
has computed is in the memo, so a job that is begun again goes on where it was. Identical live
requests, those of one key, share a job.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from backend.schema import Job, NotFoundError
from backend.store import queue
from backend.store.launch import launch


@dataclass(frozen=True)
class Request:
    """A query that somebody wants answered. Requests of one `key` share a job; of two that wait the
    one of higher `priority` runs first; `title` says what is computed; `restart`: a job that failed
    or was cancelled does not stand for it; `estimate` says how many seconds it will take."""

    query: str
    study: str
    arguments: dict[str, Any]  # JSON data
    key: str
    priority: int = 0
    title: str = ""
    restart: bool = False
    estimate: Callable[[], float | None] = lambda: None


# ---------------------------------------------------------------- asking


def get(job_id: str) -> Job:
    """One job; raises `NotFoundError` where there is none."""
    for job in queue.select("WHERE id = ?", (job_id,)):
        return job
    raise NotFoundError(
        f"There is no job {job_id!r}.", "It was cleared; open the page again to start it."
    )


def recent(limit: int = 50) -> list[Job]:
    """The latest jobs, newest first."""
    return queue.select("ORDER BY created DESC, rowid DESC LIMIT ?", (limit,))


def active() -> list[Job]:
    """Running jobs, then queued ones in the order in which they will run, paused ones last."""
    return queue.select(f"WHERE {queue.LIVE} ORDER BY state DESC, paused, {queue.ORDER}")


def before(priority: int, device: str) -> int:
    """How many jobs of a device would run before a new one of a priority."""
    return sum(
        job.device == device
        and not job.paused
        and (job.priority >= priority or (job.state == "running" and priority < queue.SHORT))
        and not (job.priority <= queue.LONG < priority)
        for job in active()
    )


def for_key(key: str) -> Job | None:
    """The live job of a key, else its latest, so that a page can show a failure."""
    return _first("key = ?", key)


def _first(condition: str, value: str) -> Job | None:
    order = f"ORDER BY {queue.LIVE} DESC, created DESC, rowid DESC LIMIT 1"
    return next(iter(queue.select(f"WHERE {condition} {order}", (value,))), None)


# ---------------------------------------------------------------- acting


def submit(request: Request, device: str) -> Job:
    """The live job of the request's key, queued if there is none; its device's worker is started.

    Raises:
        StoreError: the cache cannot be written.
        TypeError, ValueError: the arguments are no JSON.
    """
    values = {
        "id": uuid.uuid4().hex[:12],
        "key": request.key,
        "priority": request.priority,
        "expected": request.estimate(),
        "light": request.priority >= queue.SHORT,
        "query": request.query,
        "study": request.study,
        "arguments": json.dumps(request.arguments, sort_keys=True, allow_nan=False),
        "device": device,
        "created": time.time(),
        "title": request.title,
    }
    [job] = queue.change(
        f"INSERT INTO jobs ({', '.join(values)}) VALUES ({', '.join('?' * len(values))}) "
        f"ON CONFLICT (key) WHERE {queue.LIVE} "
        "DO UPDATE SET priority = max(priority, excluded.priority)",
        tuple(values.values()),
    )
    return _started(job)


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
    queue.change(  # ignored where its key lives already
        "UPDATE OR IGNORE jobs SET state = 'queued', cancel = 0, done = 0, total = 0, unit = '', "
        "message = '', rate = NULL, eta = NULL, created = ?, started = NULL, finished = NULL, "
        "heartbeat = NULL, attempts = 0, error = '', traceback = '', step = 0, first = 0, "
        "paused = 0 "
        f"WHERE id = ? AND NOT {queue.LIVE}",
        (time.time(), job_id),
    )
    return _started(_first("key = (SELECT key FROM jobs WHERE id = ?)", job_id) or get(job_id))


def run_next(job_id: str) -> Job:
    """Puts a waiting job before all others but short ones; what runs gives way to it, and goes on
    after it. One that is paused is resumed.

    Raises:
        NotFoundError: there is no such job.
        StoreError: the cache cannot be written.
    """
    get(job_id)
    queue.change(
        "UPDATE jobs SET first = ?, paused = 0 WHERE id = ? AND state = 'queued'",
        (time.time(), job_id),
    )
    return _started(get(job_id))


def pause(job_id: str, paused: bool = True) -> Job:
    """Keeps a job from running until it is resumed (`paused` False); one that runs stops after the
    block that it is in. A job that has ended stays as it is. Raises as `run_next`."""
    get(job_id)
    queue.change(
        f"UPDATE jobs SET paused = ? WHERE id = ? AND {queue.LIVE} AND NOT cancel", (paused, job_id)
    )
    return _started(get(job_id))


def tend() -> None:
    """Restarts a worker where jobs wait, or were left by a dead one. Cheap; called on each page.

    Raises:
        StoreError: the cache cannot be written.
    """
    for device in sorted({job.device for job in active()}):
        launch(device)


def _started(job: Job) -> Job:
    launch(job.device)
    return get(job.id)
