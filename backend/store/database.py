"""One SQLite file whose content can be made again, shared by processes and threads.

Each call opens, uses and closes the file, so no connection crosses a thread or outlives a
replaced file. A corrupt file, or one of another version, is set aside and a new one made.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from backend.schema import StoreError
from backend.store import disk, upkeep

log = logging.getLogger("tessera.jobs")

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

BUSY = 10.0  # seconds to wait for another process's transaction
CORRUPT = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class _OtherVersionError(sqlite3.DatabaseError):
    """The tables are those of another version."""


@dataclass(frozen=True)
class Database:
    """The file at `path` with the tables of `schema` (SQL), marked with its `version`."""

    path: Path
    schema: str
    version: int

    def read(self, work: Work[T], empty: T) -> T:
        """What `work` reads, or `empty` where there is no file: reading makes none.

        Raises:
            StoreError: the file cannot be read.
        """
        if not self.path.exists():
            return empty
        return self._retried(work, "BEGIN")

    def write(self, work: Work[T]) -> T:
        """What `work` returns, as one transaction that no other process writes in between.

        Raises:
            StoreError: the disk is full, the file cannot be written, or stays locked.
        """
        return self._retried(work, "BEGIN IMMEDIATE")

    def _retried(self, work: Work[T], begin: str) -> T:
        try:
            return self._run(work, begin)
        except sqlite3.DatabaseError as error:
            if not _is_corrupt(error):
                raise self._explained(error) from error
            self._set_aside(str(error))
        try:
            return self._run(work, begin)
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error

    def _run(self, work: Work[T], begin: str) -> T:
        with self._opened() as connection:
            found = _version(connection)
            if found == 0:
                self._make()
            elif found != self.version:
                raise _OtherVersionError(f"made by version {found} of its tables")
            connection.execute(begin)
            result = work(connection)
            connection.execute("COMMIT")
            return result

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """A connection without implicit transactions; what is not committed is undone."""
        folder = self.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk.store_error(error) from error
        # a published cache may be read-only, where a WAL database opens in no other way
        read_only = self.path.exists() and not os.access(folder, os.W_OK)
        uri = self.path.as_uri() + ("?immutable=1" if read_only else "")
        connection = sqlite3.connect(uri, timeout=BUSY, isolation_level=None, uri=True)
        try:
            connection.execute("PRAGMA synchronous=NORMAL")
            yield connection
        finally:
            connection.close()

    # ------------------------------------------------------------ making and replacing

    def _make(self) -> None:
        """Makes the tables; one process does, the others wait for it."""
        with disk.locked(upkeep.lock_path(self.path.name)), self._opened() as connection:
            if _version(connection) != 0:
                return
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(
                f"BEGIN IMMEDIATE; {self.schema}; PRAGMA user_version={self.version}; COMMIT"
            )

    def _set_aside(self, why: str) -> None:
        """Moves a corrupt file away, unless another process was first."""
        with disk.locked(upkeep.lock_path(self.path.name)):
            if self._is_sound():
                return
            name = f"{self.path.stem}-{uuid.uuid4().hex[:6]}"
            aside = self.path.parent / upkeep.DAMAGED / name
            log.warning("%s is damaged (%s): set aside in %s", self.path, why, aside)
            try:
                aside.mkdir(parents=True)
                for suffix in (
                    "-wal",
                    "-shm",
                    "",
                ):  # the file itself last: it is what others look for
                    with contextlib.suppress(FileNotFoundError):
                        Path(f"{self.path}{suffix}").rename(aside / f"{self.path.name}{suffix}")
            except OSError as error:
                raise disk.store_error(error) from error

    def _is_sound(self) -> bool:
        try:
            with self._opened() as connection:
                found = _version(connection)
                checked = connection.execute("PRAGMA quick_check").fetchone()[0]
        except sqlite3.DatabaseError as error:
            return not _is_corrupt(error)
        return checked == "ok" and found in (0, self.version)

    def _explained(self, error: sqlite3.DatabaseError) -> Exception:
        """`error` with its remedy; a bug stays what it is."""
        code = _code(error)
        if not isinstance(error, sqlite3.OperationalError) and not _is_corrupt(error):
            return error
        full = code == sqlite3.SQLITE_IOERR and disk.is_spent(self.path.parent)
        if code == sqlite3.SQLITE_FULL or full:
            return disk.store_error(OSError(errno.ENOSPC, "full", str(self.path)))
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreError(
                f"Another process has held {self.path} for {BUSY:.0f} seconds.",
                "Try again; if it lasts, end what has the file open.",
            )
        if code == sqlite3.SQLITE_ERROR:
            return error
        return StoreError(
            f"{self.path} cannot be used: {error}.",
            "Check that the folder exists and can be written, or set TESSERA_CACHE to another.",
        )


def _version(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA user_version").fetchone()[0]


def _code(error: sqlite3.DatabaseError) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _is_corrupt(error: sqlite3.DatabaseError) -> bool:
    return isinstance(error, _OtherVersionError) or _code(error) in CORRUPT
