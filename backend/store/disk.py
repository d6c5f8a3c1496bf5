"""What a disk can do to us: locks between processes, durable writes, and errors a person can
act on. Shared by the memo and the jobs; knows nothing of either."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Generator
from pathlib import Path

from filelock import FileLock, Timeout

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


@contextlib.contextmanager
def locked(
    path: Path, timeout: float = -1, waiting: Callable[[], object] = lambda: None
) -> Generator[None]:
    """One holder of `path` at a time, over threads and processes; the file goes with the lock. A
    process that dies lets go of its locks, so none is ever stale. `waiting` is called again and
    again until it is our turn, and may raise.

    Raises:
        Timeout: another holder has it for `timeout` seconds (-1: we wait for ever).
        StoreError: the file cannot be made.
    """

    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout, POLL, cancel_check=lambda: bool(waiting()))
    except Timeout:
        raise
    except OSError as error:
        raise store_error(error) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while we hold it: who waits then locks a new file
        lock.release()


# ---------------------------------------------------------------- durability


def fsync(folder: Path, files: bool = True) -> None:
    """Forces a folder, and the files in it, to the disk."""
    for path in [*(folder.iterdir() if files else ()), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
