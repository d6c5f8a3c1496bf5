"""How an answer is evaluated: looked for, or computed.

An answer is one function made of memoized calls. While *looking*, a call whose result is not on
disk raises `Missing`, so nothing heavy ever runs; while *computing*, the same call computes. Mood,
device and progress travel in a context variable, so that no signature repeats them. Outside of both
moods a memoized call computes on the CPU and reports to nobody, as any function would.

    with run.looking("cpu"):                # pages, terminals, notebooks
        answer(study)                       # or Missing
    with run.computing("cpu", progress):    # the worker
        answer(study)                       # the same, computed
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from backend.schema import Job, NotFoundError, Progress

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Ask:
    """How what is missing is asked for: `submit` gives the job that computes it, a new one where
    there is none; `live` the one that is under way, if there is."""

    submit: Callable[[], Job]
    live: Callable[[], Job | None]


class Missing(NotFoundError):
    """A result that a look did not find: whoever looks asks for it to be computed. `ask` says how;
    None where it is the job of the answer looked for that computes it."""

    def __init__(self, name: str, ask: Ask | None = None) -> None:
        super().__init__(f"{name} has not been computed.", "Start it and wait for it.")
        self.name = name
        self.ask = ask


def in_order(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    report: Callable[[int], None],
    _workers: int = 1,
) -> list[Result]:
    """`function` of one item after the other; as `executor.Executor.each`."""
    results: list[Result] = []
    for item in items:
        report(len(results))
        results.append(function(item))
    return results


@dataclass(frozen=True)
class Run:
    """How memoized calls behave now. `gaps` are what a look passed over, results that would improve
    the answer; None unless this is a look. `each` is how blocks are run."""

    device: str = "cpu"
    progress: Progress = field(default_factory=Progress)
    each: Callable[..., list[Any]] = in_order
    gaps: list[Missing] | None = None
    is_job: bool = False

    @property
    def looks(self) -> bool:
        return self.gaps is not None


_current: contextvars.ContextVar[Run] = contextvars.ContextVar("run", default=Run())  # noqa: B039


def current() -> Run:
    """The mood that memoized calls are in."""
    return _current.get()


@contextlib.contextmanager
def _entered(run: Run) -> Generator[Run]:
    token = _current.set(run)
    try:
        yield run
    finally:
        _current.reset(token)


def looking(device: str | None = None) -> contextlib.AbstractContextManager[Run]:
    """Within it a memoized call only finds what was computed on a device (the run's own, unless one
    is given); `Missing` where there is nothing."""
    return _entered(Run(device or current().device, gaps=[]))


def computing(
    device: str, progress: Progress, each: Callable[..., list[Any]] = in_order
) -> contextlib.AbstractContextManager[Run]:
    """Within it a memoized call computes on a device and reports its progress."""
    return _entered(Run(device, progress, each, is_job=True))


# ---------------------------------------------------------------- progress


def report(done: float, total: float, message: str, unit: str = "") -> None:
    """Work units done of how many; raises `Cancelled` where the job is no longer wanted."""
    current().progress.report(done, total, message, unit)


def check() -> None:
    """For work that has nothing to report yet: raises `Cancelled` where the job is not wanted any
    more, or gives way to a more urgent one."""
    current().progress.check()


_within: contextvars.ContextVar[list[float] | None] = contextvars.ContextVar("within", default=None)


@contextlib.contextmanager
def timing(work: str) -> Generator[None]:
    """Tells the progress how long this took by itself, in seconds: without what within it is timed
    too, and so is no work of every call, as the loading of a model."""
    outer, inner = _within.get(), list[float]()
    token = _within.set(inner)
    started = time.perf_counter()
    try:
        yield
    finally:
        _within.reset(token)
    seconds = time.perf_counter() - started
    if outer is not None:
        outer.append(seconds)
    current().progress.computed(work, max(0.0, seconds - sum(inner)))  # those in threads overlap


def reporting(progress: Progress) -> contextlib.AbstractContextManager[Run]:
    """Within it, reports go to another receiver."""
    return _entered(replace(current(), progress=progress))


@dataclass(frozen=True)
class Within(Progress):
    """The progress of a step within work that counts `total` units, `offset` of them before the
    step. Without a total the work reports itself: the step's reports are not shown, but they are
    occasions to notice that the job was cancelled."""

    work: Progress
    offset: int = 0
    total: int = 0

    def report(self, done: float, total: float, message: str, unit: str = "") -> None:
        if self.total:
            self.work.report(self.offset + done, self.total, message, unit)
        else:
            self.work.check()

    def check(self) -> None:
        self.work.check()

    def milestone(self) -> None:
        self.work.milestone()

    def began(self) -> None:
        self.work.began()

    def computed(self, name: str, seconds: float) -> None:
        self.work.computed(name, seconds)


@dataclass(frozen=True)
class Block(Within):
    """The progress of one block of `each`; `begun`: whether anything was computed in it."""

    begun: threading.Event = field(default_factory=threading.Event)

    def began(self) -> None:
        self.begun.set()
        super().began()


# ---------------------------------------------------------------- answers made of parts


def optional(function: Callable[..., Result], *args: object) -> Result | None:
    """A result that an answer is useful without: None where a look does not find it, and then the
    answer is provisional."""
    try:
        return function(*args)
    except Missing as missing:
        _note(missing)
        return None


def best(*answers: Callable[[], Result]) -> Result:
    """The last of several answers, each better than the one before. Computing makes them in order,
    so the first is there early; a look gives the best that is there, provisional if not the last.

    Raises:
        Missing: a look finds none.
    """
    if not current().looks:
        return _in_turn(answers)
    missing = Missing("nothing was asked for")
    for answer in reversed(answers):
        try:
            return answer()
        except Missing as error:
            missing = error
            _note(error)
    raise missing


def _in_turn(answers: Sequence[Callable[[], Result]]) -> Result:
    """The last answer, those between the best that is there and it computed first."""
    there = (number for number in reversed(range(len(answers))) if _is_there(answers[number]))
    for answer in answers[next(there, -1) + 1 : -1]:
        answer()
        current().progress.milestone()
    return answers[-1]()


def _is_there(answer: Callable[[], object]) -> bool:
    with looking():
        try:
            answer()
        except Missing:
            return False
    return True


def _note(missing: Missing) -> None:
    gaps = current().gaps
    if gaps is None:
        raise missing
    gaps.append(missing)


def each(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    message: str,
    unit: str = "blocks",
    workers: int = 1,
) -> list[Result]:
    """`function` of every item, in order, as the run's executor does it (`executor.Executor.each`);
    `workers`: how many wait for others at once."""
    listed = list(items)
    if current().looks:
        return [function(item) for item in listed]
    outer, engine = current().progress, current().each
    cached: list[Item] = []  # whose results were on disk

    def tell(done: int) -> None:
        outer.skip(min(len(cached), done))
        outer.report(done, len(listed), message, unit)

    def step(item: Item) -> Result:
        block = Block(outer)
        with reporting(block):
            result = function(item)
        if not block.begun.is_set():
            cached.append(item)
        return result

    with reporting(Within(outer)):
        return engine(step, listed, tell, workers)
