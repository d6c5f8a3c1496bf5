"""Starting the one worker process of a device.

A worker holds `<cache>/worker-<device>.lock` for as long as it lives. Whoever starts one takes
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

from backend import settings
from backend.store import disk, queue

STARTS = 3  # without one worker coming up, after which we give up
PAUSE = 2.0  # seconds between those starts
LOG_BYTES = 1_000_000  # above which a log is put aside at the next start

_children: list[subprocess.Popen[bytes]] = []
_guard = threading.Lock()


def command(device: str) -> list[str]:
    """What runs a worker."""
    return [sys.executable, "-m", "backend", "worker", "--device", device]


def lock_path(device: str) -> Path:
    """What the worker of a device holds while it lives."""
    return settings.current().cache / f"worker-{device}.lock"


def take_lock(device: str) -> IO[bytes] | None:
    """The locked file of a device, to be closed by the caller; None where a worker lives.

    Not a lock of `disk`: that one is undone when its holder lets go, while this one lasts as long
    as any process has the file open, the worker that inherits it among them.

    Raises:
        StoreError: the cache cannot be written.
    """
    path = lock_path(device)
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
    """Starts a worker if none lives and a job waits; sees to what a dead one left.

    Raises:
        StoreError: the cache cannot be written.
    """
    _reap()
    lock = take_lock(device)
    if lock is None:
        return
    with lock:
        queue.adopt(device)
        if not queue.select("WHERE state = 'queued' AND device = ? LIMIT 1", (device,)):
            return
        count, last = queue.launches(device)
        if count >= STARTS:
            queue.fail_queued(
                device,
                f"The worker for {device} does not start. "
                f"Read the end of {queue.log_path(device).name} below, mend it, then retry.",
            )
            queue.forget_launches(device)
        elif count == 0 or time.time() - last >= PAUSE:
            queue.note_launch(device)
            _start(device, lock)


def _start(device: str, lock: IO[bytes]) -> None:
    now = settings.current()
    folders = {"TESSERA_CACHE": str(now.cache), "TESSERA_STUDIES": str(now.studies)}
    try:
        path = queue.log_path(device)
        if path.exists() and path.stat().st_size > LOG_BYTES:
            path.replace(path.with_suffix(".old.log"))
        with path.open("ab") as log:
            child = subprocess.Popen(
                command(device),
                stdin=lock,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # it outlives the app and its Ctrl-C
                cwd=settings.ROOT,
                env=os.environ | folders,
            )
    except OSError as error:
        raise disk.store_error(error) from error
    with _guard:
        _children.append(child)


def _reap() -> None:
    """Collects ended workers, which would stay as zombies."""
    with _guard:
        _children[:] = [child for child in _children if child.poll() is None]
