"""What a disk can do to us: locks between processes, durable writes, and errors a person can
act on. Shared by the memo and the jobs; knows nothing of either."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from backend import settings
from backend.schema import StoreError

FULL = (errno.ENOSPC, errno.EDQUOT)
POLL = 0.05  # seconds between tries for a lock


# ---------------------------------------------------------------- errors


def is_full(error: Exception) -> bool:
    """Whether `error` says that there is no room, in any of the ways libraries say it."""
    number = getattr(error, "errno", None)
    if number is not None:
        return number in FULL
    if "os error 28" in str(error):  # ENOSPC as polars and safetensors word it
        return True
    # numpy says only how little it wrote
    return isinstance(error, OSError) and is_spent(settings.current().cache)


def is_at_fault(error: Exception) -> bool:
    """Whether the cache's disk caused `error`, rather than the code or another disk."""
    if is_full(error):
        return True
    name = getattr(error, "filename", None)
    return isinstance(name, str | Path) and Path(name).is_relative_to(settings.current().cache)


def is_spent(folder: Path) -> bool:
    """Whether the disk of a folder has no room left, whatever an error calls itself."""
    try:
        return shutil.disk_usage(folder).free < 1 << 20
    except OSError:
        return False


def store_error(error: Exception) -> StoreError:
    """`error`, raised by the disk that holds the cache, with its remedy."""
    cache = settings.current().cache
    if is_full(error):
        return StoreError(
            f"The disk that holds {getattr(error, 'filename', None) or cache} is full; "
            "what was finished is kept.",
            "Free space, or set TESSERA_CACHE to a folder on another disk, and start again.",
        )
    reason = getattr(error, "strerror", None) or error
    return StoreError(
        f"{reason} ({getattr(error, 'filename', None) or cache}).",
        "Check that the folder exists and can be written, or set TESSERA_CACHE to another.",
    )


# ---------------------------------------------------------------- locks


def try_lock(path: Path) -> IO[bytes] | None:
    """The locked file, to be closed by the caller, or None where another holder has it.

    A process that dies lets go of its locks, so none is ever stale.

    Raises:
        StoreError: the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            file = path.open("ab")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                return None
            if is_file(file.fileno(), path):
                return file
            file.close()  # its holder removed it as we took it
    except OSError as error:
        raise store_error(error) from error


def is_file(handle: int, path: Path) -> bool:
    """Whether an open handle is the file now found at `path`."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """One holder of `path` at a time, over threads and processes; the file goes with the lock.
    `waiting` is called again and again until it is our turn, and may raise."""
    while (file := try_lock(path)) is None:
        waiting()
        time.sleep(POLL)
    with released(file, path):
        yield


@contextlib.contextmanager
def released(file: IO[bytes], path: Path) -> Iterator[None]:
    """Removes and releases a lock at the end."""
    with file:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


# ---------------------------------------------------------------- durability


def fsync(folder: Path, files: bool = True) -> None:
    """Forces a folder, and the files in it, to the disk."""
    for path in [*(folder.iterdir() if files else ()), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
