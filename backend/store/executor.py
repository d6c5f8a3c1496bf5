"""Where work runs: one small interface, and this machine behind it.

`submit` hands a query with its arguments to whatever computes it and gives the job that a page can
follow; `each` runs a function over the blocks of one query. Everything above asks through this, so
that another engine can take the place of the local worker without a change there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from typing import Protocol, TypeVar

from backend import run
from backend.schema import Job
from backend.store import jobs
from backend.store.jobs import Request

Item = TypeVar("Item")
Result = TypeVar("Result")

POLL = 1.0  # seconds between reports while threads work


class Executor(Protocol):
    """What computes. `tests/queries/test_executor.py` is the contract of every implementation."""

    def submit(self, request: Request, device: str) -> Job:
        """The live job of the request's key, else its failed or cancelled one unless a restart
        is asked for, else a new one."""
        ...

    def live(self, key: str) -> Job | None:
        """The job of a key that waits or runs."""
        ...

    def each(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        report: Callable[[int], None],
        workers: int,
    ) -> list[Result]:
        """`function` of every item, in order; `report` is called with how many have ended, and
        may raise. `workers`: how many items wait for others at once. After an error what is
        under way still ends, so that replies that are paid for are kept; the rest is not begun."""
        ...


class Local:
    """This machine: one worker process for each device, blocks in order or in threads."""

    def submit(self, request: Request, device: str) -> Job:
        latest = jobs.for_key(request.key)
        ended = ("done", "failed", "cancelled") if request.restart else ("done",)
        if latest is not None and latest.state not in ended:
            return latest
        return jobs.submit(request, device)

    def live(self, key: str) -> Job | None:
        latest = jobs.for_key(key)
        return latest if latest is not None and latest.state in ("queued", "running") else None

    def each(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        report: Callable[[int], None],
        workers: int,
    ) -> list[Result]:
        if workers == 1:
            return run.in_order(function, items, report)
        pool = ThreadPoolExecutor(workers)
        try:
            # a thread does not inherit the mood
            futures = [pool.submit(copy_context().run, function, item) for item in items]
            waiting: set[Future[Result]] = set(futures)
            while waiting:
                report(len(items) - len(waiting))
                done, waiting = wait(waiting, timeout=POLL, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            return [future.result() for future in futures]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


LOCAL: Executor = Local()
