"""What a terminal says while an answer is computed: one line on stderr, as git and pip do."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from backend.output import span
from backend.schema import Job
from backend.store import jobs

EVERY = 10.0  # seconds between lines where stderr is a file or a pipe
CLEAR = "\r\033[K"


def unfinished(answer: Any) -> Job | None:
    """The job that an answer still waits for: the answer itself, what it comes with as `pending`,
    or that of one of its parts. None for an answer that is whole."""
    if isinstance(answer, Job) or answer is None:
        return answer
    if not dataclasses.is_dataclass(answer):
        return None
    parts = (getattr(answer, field.name) for field in dataclasses.fields(answer))
    return next((job for job in map(unfinished, parts) if job), None)


def whole(ask: Callable[[], Any]) -> Callable[[], Any]:
    """Asks as `ask` does, and gives the job where the answer is not whole."""

    def ask_whole() -> Any:
        answer = ask()
        return unfinished(answer) or answer

    return ask_whole


class Follower:
    """Says how far a job is. On a terminal the line is written over itself; elsewhere there is a
    new one every ten seconds. `quiet`: nothing is said."""

    def __init__(self, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._next = 0.0

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *_: object) -> None:
        if self._next and self._stream.isatty() and not self._quiet:
            print(CLEAR, end="", file=self._stream, flush=True)

    def __call__(self, job: Job) -> None:
        now = time.monotonic()
        if self._quiet or now < self._next:
            return
        line = progress_line(job)
        if self._stream.isatty():
            self._next = now
            width = shutil.get_terminal_size().columns - 1
            print(f"{CLEAR}{line[:width]}", end="", file=self._stream, flush=True)
        else:
            self._next = now + EVERY
            print(line, file=self._stream, flush=True)

    def say(self, words: str) -> None:
        """A line that stays."""
        if not self._quiet:
            print(words, file=self._stream, flush=True)


def progress_line(job: Job) -> str:
    """What a job computes and how far it is: `Regions: Reading activations 75/100 chunks, 2.3
    chunks/s, 14 s left`."""
    if job.state == "queued":
        return f"{job.title or job.query}: {_place(job)}"
    steps = f" {job.done:,.0f}/{job.total:,.0f} {job.unit}".rstrip() if job.total > 1 else ""
    parts = [f"{job.message or 'Starting'}{steps}"]
    if job.rate:
        parts.append(f"{job.rate:,.{0 if job.rate >= 10 else 1}f} {job.unit or 'steps'}/s")
    if job.eta is not None:
        parts.append(f"{span(job.eta)} left")
    return f"{job.title or job.query}: {', '.join(parts)}"


def _place(job: Job) -> str:
    line = [each.id for each in jobs.active() if each.device == job.device]
    before = line.index(job.id) if job.id in line else 0
    return f"waiting, {before} before it" if before else "waiting for the worker"
