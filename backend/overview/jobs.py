"""Jobs, and waiting for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from backend.query import action, lookup
from backend.schema import Job, ModelError
from backend.store import jobs as job_store
from backend.store import memo

Answer = TypeVar("Answer")


@lookup
def jobs(limit: int = 50) -> list[Job]:
    """What runs, ran and failed, newest first. Restarts a worker that has died."""
    job_store.tend()
    return job_store.recent(limit)


@lookup
def live_jobs() -> list[Job]:
    """What runs, then what waits in the order in which it will run, then what is paused. Restarts a
    worker that has died."""
    job_store.tend()
    return job_store.active()


@lookup
def job(id: str) -> Job:
    """One job."""
    return job_store.get(id)


@action
def cancel(id: str) -> Job:
    """Stops a job before its next step; what was finished is kept."""
    return job_store.cancel(id)


@action
def retry(id: str) -> Job:
    """Starts a failed or cancelled job again, from where it was."""
    return job_store.retry(id)


@action
def run_next(id: str) -> Job:
    """Puts a waiting job before all others but short ones; what runs gives way to it."""
    return job_store.run_next(id)


@action
def pause(id: str) -> Job:
    """Keeps a job from running until it is resumed; what was finished is kept."""
    return job_store.pause(id)


@action
def resume(id: str) -> Job:
    """Lets a paused job run again, from where it was."""
    return job_store.pause(id, paused=False)


@lookup
def outdated_results() -> tuple[int, float]:
    """How many results in the cache are of an earlier version of Tessera, and their gigabytes.
    What is asked for is computed anew; they are deleted when space is needed."""
    entries = memo.outdated()
    return len(entries), sum(entry.size for entry in entries) / 1e9


def wait(ask: Callable[[], Answer | Job], seconds: float = 7200.0) -> Answer:
    """Asks until the answer is no job any more.

    Raises:
        ModelError: the job failed or was cancelled, or time is up.
    """
    until = time.monotonic() + seconds
    while isinstance(answer := ask(), Job):
        if answer.state in ("failed", "cancelled") or time.monotonic() > until:
            raise ModelError(
                f"{answer.title or answer.query} of {answer.study} {answer.state}: {answer.error}",
                "Mend what it names, then ask again, or press Retry on the page Jobs.",
            )
        job_store.tend()
        time.sleep(0.5)
    return answer
