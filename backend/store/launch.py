"""Starting the worker processes of a device: one for all jobs, and beside it, while it is at work
and memory is free, a light one for short questions.

A worker holds `<cache>/worker-<lane>.lock` for as long as it lives. Whoever starts one takes
the lock first and hands it down as the child's standard input, so there is no moment in which two
could start, and none in which a worker that is still loading looks dead.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import psutil

from backend import settings
from backend.store import disk, queue
from backend.store.queue import Lane

STARTS = 3  # without one worker coming up, after which we give up
PAUSE = 2.0  # seconds between those starts
SETTLED = 3.0  # seconds of work after which a worker's memory says what its model takes
REST = 60.0  # seconds after which a light worker that found too little memory is tried again
BUSY = 2.0  # seconds of one question after which a light worker takes no other for the moment
LOG_BYTES = 1_000_000  # above which a log is put aside at the next start

_children: list[subprocess.Popen[bytes]] = []
_guard = threading.Lock()


def command(lane: Lane) -> list[str]:
    """What runs a worker."""
    light = ["--light"] if lane.light else []
    return [sys.executable, "-m", "backend", "worker", "--device", lane.device, *light]


def lock_path(lane: Lane) -> Path:
    """What the worker of a lane holds while it lives."""
    return settings.current().cache / f"worker-{lane.name}.lock"


def take_lock(lane: Lane) -> IO[bytes] | None:
    """The locked file of a lane, to be closed by the caller; None where a worker lives.

    Not a lock of `disk`: that one is undone when its holder lets go, while this one lasts as long
    as any process has the file open, the worker that inherits it among them.

    Raises:
        StoreError: the cache cannot be written.
    """
    path = lock_path(lane)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise disk.store_error(error) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def launch(device: str) -> None:
    """Starts the workers that are needed and do not live; sees to what dead ones left.

    Raises:
        StoreError: the cache cannot be written.
    """
    _reap()
    for lane in (Lane(device), Lane(device, light=True)):
        lock = take_lock(lane)
        if lock is not None:
            with lock:
                queue.adopt(lane)
                if _is_needed(lane):
                    _try_start(lane, lock)


def _is_needed(lane: Lane) -> bool:
    """A worker is where a job waits; a light one beside one that has begun something that is not
    short, where memory is free."""
    if not lane.light:
        return queue.next_of(lane) is not None
    settled = time.time() - SETTLED
    at_work = [job for job in queue.running(Lane(lane.device)) if not job.light]
    return any((job.started or settled) <= settled for job in at_work) and has_memory(lane)


def has_memory(lane: Lane) -> bool:
    """Whether as much is free as the settings say, and as the other worker of the device uses: it
    may have loaded the same model."""
    used = [memory_of(job.worker) for job in queue.running(Lane(lane.device))]
    needed = max(settings.current().light_gb * 1e9, *used, 0)
    return psutil.virtual_memory().available >= needed


def memory_of(worker: str) -> int:
    """Bytes that a worker holds; 0 where it has just ended."""
    try:
        return psutil.Process(int(worker.partition("-")[0])).memory_info().rss
    except (psutil.Error, ValueError):
        return 0


def _try_start(lane: Lane, lock: IO[bytes]) -> None:
    count, last = queue.launches(lane)
    if lane.light:
        if count == 0 or time.time() - last >= REST:
            queue.note_launch(lane)
            _start(lane, lock)
    elif count >= STARTS:
        queue.fail_queued(
            lane,
            f"The worker for {lane.name} does not start. "
            f"Read the end of {queue.log_path(lane).name} below, mend it, then retry.",
        )
        queue.forget_launches(lane)
    elif count == 0 or time.time() - last >= PAUSE:
        queue.note_launch(lane)
        _start(lane, lock)


def has_free_light_worker(device: str) -> bool:
    """Whether a light worker is ready, and not at a question that takes it longer."""
    lane = Lane(device, light=True)
    lock = take_lock(lane)
    if lock is not None:
        lock.close()
        return False
    late = time.time() - BUSY
    at_work = [job for job in queue.running(lane) if (job.started or late) <= late]
    return queue.launches(lane)[0] == 0 and not at_work


def _start(lane: Lane, lock: IO[bytes]) -> None:
    now = settings.current()
    own = {"TESSERA_CACHE": str(now.cache), "TESSERA_STUDIES": str(now.studies)}
    if lane.light:  # half of the cores: the other worker is at work
        own["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // 2))
    try:
        path = queue.log_path(lane)
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".old.log"))
        with path.open("ab") as log:
            child = subprocess.Popen(
                command(lane),
                stdin=lock,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # it outlives the app and its Ctrl-C
                cwd=settings.ROOT,
                env=os.environ | own,
            )
    except OSError as error:
        raise disk.store_error(error) from error
    with _guard:
        _children.append(child)


def _reap() -> None:
    """Collects ended workers, which would stay as zombies."""
    with _guard:
        _children[:] = [child for child in _children if child.poll() is None]
