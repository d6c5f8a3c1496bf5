"""The worker: a process that runs queued jobs one after the other, all of a device, or, beside that
one, those that are short (the light worker).

It keeps the models it has loaded, so the next job finds them. It ends when nothing was queued for
a while, when told to (SIGTERM), and after it ran out of memory; a job it leaves is queued again.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
import uuid
from collections import deque
from collections.abc import Callable, Generator
from pathlib import Path
from typing import IO, Any

import tenacity

from backend import settings
from backend.schema import Cancelled, Job, Progress, StoreError, TesseraError
from backend.store import jobs, launch, queue, rates, upkeep
from backend.store.queue import Lane

log = logging.getLogger("tessera.worker")

# query, study, arguments, device, progress
Compute = Callable[[str, str, dict[str, Any], str, Progress], None]
# loads what questions about a study need on a device; False where that has no room for it
Warm = Callable[[str, str], bool]

POLL = 0.25  # seconds between looks into the queue
BEAT = 2.0  # seconds between heartbeats
ASK = 0.2  # least seconds between looks whether the job is cancelled
LIGHT_IDLE = 0.1  # of a worker's idle time, after which a light one ends that stands beside none
WRITE = 0.3  # least seconds between writes of progress
WINDOW = 20.0  # seconds over which the rate is taken
SETTLE = (0.5, 2.0, 8.0)  # seconds between tries to write how a job ended
NICE, NICE_LIGHT = 10, 2  # below the pages, which have to stay responsive


class _Stopped(BaseException):
    """The process was told to end."""


class _GaveWay(Cancelled):
    """Something more urgent waits, or the job was paused; it goes on later."""


class _NoRoom(Exception):
    """There is too little memory for a light worker."""


def run(lane: Lane, compute: Compute, warm: Warm = lambda *_: True) -> None:
    """Works on the jobs of a lane until there are none; returns at once if another does.

    `compute` does what a job asks for, `warm` readies a light worker.

    Raises:
        StoreError: the cache cannot be written.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    faulthandler.enable()
    lock = _hold(lane)
    if lock is None:
        log.info("another worker serves %s", lane.name)
        return
    worker = f"{os.getpid()}-{uuid.uuid4().hex[:6]}"
    with lock:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _stop)
        try:
            os.nice(NICE_LIGHT if lane.light else NICE)
            queue.adopt(lane)
            if lane.light:
                _get_ready(lane, warm)
            else:
                queue.forget_old()
                upkeep.sweep_staging()
            queue.forget_launches(lane)
            _serve(lane, worker, compute)
        except _NoRoom:
            log.info("too little memory beside the other worker")
            return
        except _Stopped:
            queue.release(worker)
            log.info("told to end")
            return
    jobs.tend()  # what was queued after our last look, or waits for a process with free memory


def _hold(lane: Lane) -> IO[bytes] | None:
    """The lane's lock: handed down by `launch`, or taken by a worker started by hand."""
    path = launch.lock_path(lane)
    if sys.stdin is None or not path.exists() or not os.path.samestat(os.fstat(0), path.stat()):
        return launch.take_lock(lane)
    lock = os.fdopen(os.dup(0), "rb")
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)  # or processes that a task starts would hold it too
    return lock


def _stop(number: int, _frame: Any) -> None:
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    raise _Stopped(number)


def _get_ready(lane: Lane, warm: Warm) -> None:
    """Loads what questions about the study that the other worker is at need.

    Raises:
        _NoRoom: there is too little memory.
    """
    for job in queue.running(Lane(lane.device)):
        if not launch.has_memory(lane) or not warm(job.study, lane.device):
            raise _NoRoom


def _serve(lane: Lane, worker: str, compute: Compute) -> None:
    newest, idle_since = _newest_source(), time.monotonic()
    share = LIGHT_IDLE if lane.light else 1.0
    while time.monotonic() - idle_since <= share * settings.current().worker_idle:
        job = queue.claim(lane, worker)
        if job is None:
            if lane.light and queue.running(Lane(lane.device)):
                idle_since = time.monotonic()  # it is there for what may be asked meanwhile
            time.sleep(POLL)
            continue
        if _newest_source() > newest:
            queue.release(worker)
            log.info("the code has changed: another process goes on")
            return
        if not _work(job, worker, compute, lane.light):
            return
        idle_since = time.monotonic()
    log.info("idle")


def _newest_source() -> float:
    """When the code that computes was changed last: a worker must not answer with the code that it
    started with."""
    return max(path.stat().st_mtime for path in (settings.ROOT / "backend").rglob("*.py"))


# ---------------------------------------------------------------- one job


def _work(job: Job, worker: str, compute: Compute, light: bool = False) -> bool:
    """Runs a job and writes how it ended; False if this process had better be replaced."""
    log.info("%s: %s of %s begins", job.id, job.query, job.study)
    progress = RowProgress(job, worker)
    try:
        try:
            with _heartbeat(job.id, worker):
                compute(job.query, job.study, json.loads(job.arguments), job.device, progress)
        finally:
            _record(job, progress.tally)
    except _GaveWay:
        queue.release(worker)
    except Cancelled:
        _settle(job, worker, state="cancelled")
    except (Exception, SystemExit) as error:
        log.exception("%s failed", job.id)
        if light and is_out_of_memory(error):
            queue.hand_over(worker)
            return False
        trace = "".join(traceback.format_exception(error))
        _settle(job, worker, state="failed", error=explain(error), traceback=trace)
        return not is_out_of_memory(error)
    else:
        _settle(job, worker, state="done", done=progress.total)
        if progress.tally:  # else all of it was on disk
            took = job.seconds + time.time() - (job.started or time.time())
            _record(job, {job.query: (1, took)})
    log.info("%s ended", job.id)
    return True


def _record(job: Job, tally: rates.Tally) -> None:
    try:
        rates.record(job, tally)
    except StoreError as error:  # estimates are worth less than the work
        log.warning("%s: no rates: %s", job.id, error)


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(StoreError),
    wait=tenacity.wait_chain(*map(tenacity.wait_fixed, SETTLE)),
    stop=tenacity.stop_after_attempt(1 + len(SETTLE)),
    before_sleep=tenacity.before_sleep_log(log, logging.WARNING),
    reraise=True,
)
def _settle(job: Job, worker: str, **columns: Any) -> None:
    """Writes how a job ended, again if the disk is full or the file locked for a moment."""
    now = time.time()
    seconds = job.seconds + now - (job.started or now)
    queue.update(job.id, worker, **columns, finished=now, seconds=seconds, rate=None, eta=None)


def explain(error: BaseException) -> str:
    """What a person reads of an exception: what is wrong and, where we know, what to do."""
    if isinstance(error, TesseraError):
        return str(error)
    named = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if is_out_of_memory(error):
        return (
            f"Out of memory ({named}). "
            "Close other programs, or use a smaller corpus or another device, then retry."
        )
    return named


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, numpy or torch on any device could not allocate."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
    )


@contextlib.contextmanager
def _heartbeat(job_id: str, worker: str) -> Generator[None]:
    """Writes the time to the row every two seconds, however long the work is silent."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            try:
                queue.update(job_id, worker)
            except StoreError as error:  # the next beat may get through
                log.warning("%s: no heartbeat: %s", job_id, error)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=1)


# ---------------------------------------------------------------- progress


class RowProgress(Progress):
    """Writes progress to the job's row; raises `Cancelled` when the job is no longer wanted."""

    def __init__(self, job: Job, worker: str) -> None:
        self.job_id = job.id
        self.device = job.device
        self.worker = worker
        self._milestones = 0
        self.total = self._cached = 0.0
        self.tally: rates.Tally = {}
        self._message: str | None = None
        self._asked = self._written = float("-inf")
        self._meter = Meter()

    def computed(self, name: str, seconds: float) -> None:
        calls, before = self.tally.get(name, (0, 0.0))
        self.tally[name] = calls + 1, before + seconds

    def skip(self, count: float) -> None:
        self._cached = float(count)

    def report(self, done: float, total: float, message: str, unit: str = "") -> None:
        self.check()
        now = time.monotonic()
        done, total = float(done), float(total)  # SQLite takes no numpy numbers
        self.total = total
        cached, self._cached = self._cached, 0.0
        rate, eta = self._meter.read(now, done, total, message, cached)
        try:
            # a new phase is told at once, since it may be silent for long
            if message != self._message or now - self._written >= WRITE:
                self._message, self._written = message, now
                columns = {"done": done, "total": total, "message": message, "unit": unit}
                columns["step"] = self._meter.phases
                queue.update(self.job_id, self.worker, **columns, rate=rate, eta=eta)
        except StoreError as error:  # the work is worth more than its progress bar
            log.warning("%s: no progress: %s", self.job_id, error)

    def milestone(self) -> None:
        self._milestones += 1
        with contextlib.suppress(StoreError):  # the page looks again when the job is done
            queue.update(self.job_id, self.worker, milestones=self._milestones)

    def check(self) -> None:
        now = time.monotonic()
        if now - self._asked < ASK:
            return
        self._asked = now
        try:
            if not queue.is_wanted(self.job_id, self.worker):
                raise Cancelled
            if queue.is_outranked(self.job_id, by_light=False):
                raise _GaveWay
            by_short = queue.is_outranked(self.job_id, by_light=True)
            if by_short and not launch.has_free_light_worker(self.device):
                raise _GaveWay
        except StoreError as error:
            log.warning("%s: cannot look whether it is wanted: %s", self.job_id, error)


class Meter:
    """Work units per second over the last 20 seconds of a phase, and the seconds left. What was on
    disk already is no work: it counts neither as done in a time nor as left."""

    def __init__(self) -> None:
        self._messages: set[str] = set()
        self._message: str | None = None
        self._samples: deque[tuple[float, float]] = deque()  # (seconds, computed)

    @property
    def phases(self) -> int:
        """Kinds of phases begun so far: two may take turns."""
        return len(self._messages)

    def read(
        self, now: float, done: float, total: float, message: str, cached: float = 0
    ) -> tuple[float | None, float | None]:
        """(rate, seconds left), each None until it is known. A new message is a new phase."""
        samples, computed = self._samples, done - cached
        if message != self._message or (samples and computed < samples[-1][1]):
            self._messages.add(message)
            self._message = message
            samples.clear()
        if len(samples) > 1 and now - samples[-2][0] < ASK:
            samples.pop()  # enough samples to last the window
        samples.append((now, computed))
        while len(samples) > 2 and samples[1][0] <= now - WINDOW:
            samples.popleft()
        seconds, work = now - samples[0][0], computed - samples[0][1]
        if seconds < ASK or work <= 0:
            return None, None
        rate = work / seconds
        return rate, max(total - done, 0.0) / rate
