"""Jobs, and waiting for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from backend.schema import (
    Job,
    ModelError,
)
from backend.store import jobs as job_store

Answer = TypeVar("Answer")


# ---------------------------------------------------------------- jobs


def jobs(limit: int = 50) -> list[Job]:
    """What runs, ran and failed, newest first. Restarts a worker that has died."""
    job_store.tend()
    return job_store.recent(limit)


def job(id: str) -> Job:
    """One job."""
    return job_store.get(id)


def cancel(id: str) -> Job:
    """Stops a job before its next chunk; what was finished is kept. A preview takes the map of
    the whole corpus with it, since they were asked for together."""
    cancelled = job_store.cancel(id)
    for other in job_store.active() if cancelled.query == "preview" else ():
        same = (other.study, other.arguments) == (cancelled.study, cancelled.arguments)
        if other.query == "regions" and same:
            job_store.cancel(other.id)
    return cancelled


def retry(id: str) -> Job:
    """Starts a failed or cancelled job again, from where it was."""
    return job_store.retry(id)


def wait(ask: Callable[[], Answer | Job], seconds: float = 7200.0) -> Answer:
    """Asks until the answer is no job any more.

    Raises:
        ModelError: the job failed or was cancelled, or time is up.
    """
    until = time.monotonic() + seconds
    while isinstance(answer := ask(), Job):
        if answer.state in ("failed", "cancelled") or time.monotonic() > until:
            raise ModelError(
                f"{answer.query} of {answer.study} {answer.state}: {answer.error}",
                "Mend what it names and retry the job.",
            )
        job_store.tend()
        time.sleep(0.5)
    return answer
