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
_ENDS = {"failed": "failed", "cancelled": "was cancelled"}


@lookup
def jobs(limit: int = 50) -> list[Job]:
    """What runs, ran and failed, newest first. Restarts a worker that has died."""
    job_store.tend()
    return job_store.recent(limit)


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


@lookup
def outdated_results() -> tuple[int, float]:
    """How many results in the cache are of an earlier version of Tessera, and their gigabytes.
    What is asked for is computed anew; they are deleted when space is needed."""
    entries = memo.outdated()
    return len(entries), sum(entry.size for entry in entries) / 1e9


class UnansweredError(ModelError):
    """A job that was waited for failed or was cancelled."""


def wait(
    ask: Callable[[], Answer | Job],
    seconds: float = 7200.0,
    follow: Callable[[Job], None] | None = None,
) -> Answer:
    """Asks until the answer is no job any more; `follow` is told of the job twice a second. A job
    that had failed or was cancelled before is tried again: whoever waits wants the answer.

    Raises:
        UnansweredError: the job failed or was cancelled while it was waited for.
        ModelError: time is up.
    """
    began, until = time.time(), time.monotonic() + seconds
    while isinstance(answer := ask(), Job):
        name = f"{answer.title or answer.query} of {answer.study}"
        if answer.state in ("failed", "cancelled"):
            if (answer.finished or began) >= began:
                reason = f": {answer.error}" if answer.error else "."
                remedy = "Mend what it names, then ask again: it is tried anew."
                raise UnansweredError(f"{name} {_ENDS[answer.state]}{reason}", remedy)
            job_store.retry(answer.id)
        elif time.monotonic() > until:
            problem = f"{name} has not ended after {seconds:g} s."
            raise ModelError(problem, "The worker goes on with it: ask again.")
        if follow:
            follow(answer)
        job_store.tend()
        time.sleep(0.5)
    return answer
