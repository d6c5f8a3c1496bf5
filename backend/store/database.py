"""SQLite files shared by processes and threads, each call to them one transaction.

Tables are made and changed where they are not of this code's revision yet. What can be made again,
the list of jobs, is set aside where it is damaged or of another revision, and begun anew. What
cannot, the events of people, is on the disk when a call returns, and left alone where we cannot
read it.
"""

from __future__ import annotations

import functools
import logging
import os
import sqlite3
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import tenacity
from filelock import Timeout
from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.event import listens_for
from sqlalchemy.exc import DatabaseError, DBAPIError, DisconnectionError

from backend.schema import StoreError
from backend.store import disk, upkeep

log = logging.getLogger("tessera.store")

T = TypeVar("T")
Work = Callable[[Connection], T]

BUSY = 10.0  # seconds to wait for another writer
RETRY = 0.02  # seconds
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
BARRED = (
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
)


class OtherRevisionError(Exception):
    """The tables are of a revision that this code does not know."""


@dataclass(frozen=True)
class Database:
    """The file at `path`, in the folder that the environment's `variable` names.

    `revisions` of its tables begin with that of a file without tables and end with this code's;
    `revision` reads a file's, `upgrade` brings it to the last. `replaceable`: its content can be
    made again.
    """

    path: Path
    variable: str
    revisions: tuple[str, ...]
    revision: Callable[[Connection], str]
    upgrade: Callable[[Connection], None]
    replaceable: bool = False

    def read(self, work: Work[T], empty: T) -> T:
        """What `work` reads, or `empty` where there is no file: reading makes none.

        Raises:
            StoreError: the file cannot be read.
        """
        with self._store_errors():
            return self._retried("BEGIN", work) if self.path.exists() else empty

    def write(self, work: Work[T]) -> T:
        """What `work` returns, as one transaction that no other process writes in between.

        Raises:
            StoreError: the disk is full, the file cannot be written, stays locked or, unless it is
                replaceable, is damaged or of a newer Tessera. Nothing of the transaction is kept.
        """
        with self._store_errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            return self._retried("BEGIN IMMEDIATE", work)

    def _retried(self, begin: str, work: Work[T]) -> T:
        try:
            return self._run(begin, work)
        except (DatabaseError, OtherRevisionError) as error:
            if not self.replaceable or not _is_damage(error):
                raise
            self._set_aside(error)
        return self._run(begin, work)

    def _run(self, begin: str, work: Work[T]) -> T:
        with self._transaction(begin) as connection:
            if self._is_newest(connection):
                return work(connection)
        self._make_tables()
        with self._transaction(begin) as connection:
            return work(connection)

    @contextmanager
    def _transaction(self, begin: str) -> Generator[Connection]:
        with engine(self.path, self.replaceable).begin() as connection:
            connection.exec_driver_sql(begin)
            yield connection

    def _is_newest(self, connection: Connection) -> bool:
        revision = self.revision(connection)
        if revision not in self.revisions:
            raise OtherRevisionError(f"revision {revision} of its tables")
        return revision == self.revisions[-1]

    def _make_tables(self) -> None:
        """One process makes or upgrades them, in one transaction, and the others wait for it."""
        with self._locked(), engine(self.path, self.replaceable).begin() as connection:
            _enter_wal(connection)
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            if not self._is_newest(connection):
                self.upgrade(connection)

    @contextmanager
    def _locked(self) -> Generator[None]:
        lock = self.path.with_suffix(".lock")
        lock.touch()  # where that fails, the error names this folder and not the cache
        with disk.locked(lock, timeout=BUSY):
            yield

    # ------------------------------------------------------------ damage and other errors

    def _set_aside(self, error: Exception) -> None:
        """Moves a file away, unless another process did so first."""
        with self._locked():
            if self._is_sound():
                return
            folder = self.path.parent / upkeep.DAMAGED / f"{self.path.stem}-{uuid.uuid4().hex[:6]}"
            log.warning("%s is damaged (%s): set aside in %s", self.path, error, folder)
            folder.mkdir(parents=True)
            for suffix in ("-wal", "-shm", ""):  # the file itself last: others look for it
                with suppress(FileNotFoundError):
                    Path(f"{self.path}{suffix}").rename(folder / f"{self.path.name}{suffix}")

    def _is_sound(self) -> bool:
        try:
            with self._transaction("BEGIN") as connection:
                self._is_newest(connection)
                return connection.exec_driver_sql("PRAGMA quick_check").scalar() == "ok"
        except (DatabaseError, OtherRevisionError) as error:
            return not _is_damage(error)

    @contextmanager
    def _store_errors(self) -> Generator[None]:
        """Errors of the disk and of the file become a StoreError; bugs stay what they are."""
        try:
            yield
        except (DBAPIError, OSError, OtherRevisionError) as error:
            explained = self._explained(error)
            if explained is None:
                raise
            # a file opened for reading alone stays so, whatever is mended
            engine(self.path, self.replaceable).dispose()
            _align(self.path)
            raise explained from error

    def _explained(self, error: Exception) -> StoreError | None:
        """`error` with its remedy; None for a bug."""
        cause, code = getattr(error, "orig", error), _code(error)
        full = code == sqlite3.SQLITE_FULL or getattr(cause, "errno", None) in disk.FULL
        if full or (code == sqlite3.SQLITE_IOERR and disk.is_spent(self.path.parent)):
            problem = f"The disk that holds {self.path} is full; what was kept before stays."
            remedy = (
                "Free space, or move the folder to another disk and name it in "
                f"{self.variable}, then try again."
            )
        elif code in LOCKED or isinstance(cause, Timeout):
            problem = f"Another process has held {self.path} for {BUSY:.0f} seconds."
            remedy = "Try again; if it lasts, end what has the file open."
        elif isinstance(error, OtherRevisionError):
            problem = f"{self.path} was made by a newer Tessera; nothing was changed in it."
            remedy = f"Update Tessera, or set {self.variable} to another folder."
        elif code in DAMAGED:
            problem = f"{self.path} is damaged ({cause}); nothing was changed in it."
            remedy = (
                "Put a backup in its place, or move it away to begin anew; keep the damaged file: "
                f"`sqlite3 {self.path.name} .recover` may find most of it."
            )
        elif code in BARRED or isinstance(cause, OSError):
            problem = f"{self.path} cannot be opened or written: {cause}."
            remedy = (
                "Check that the folder exists and can be written, or set "
                f"{self.variable} to another."
            )
        else:
            return None
        return StoreError(problem, remedy)


@functools.cache
def engine(file: Path, replaceable: bool) -> Engine:
    """Connections to a file for any thread, as many as are asked for at once. They begin no
    transaction by themselves. Those to what cannot be made again wait for the disk at each commit;
    they stay open, and end where the file was moved, replaced or given other rights."""

    def connect() -> sqlite3.Connection:
        # a published cache may be read-only, where a WAL file opens in no other way
        published = replaceable and file.exists() and not os.access(file.parent, os.W_OK)
        connection = sqlite3.connect(
            file.as_uri() + ("?immutable=1" if published else ""),
            timeout=BUSY,
            isolation_level=None,
            check_same_thread=False,
            uri=True,
        )
        connection.execute(f"PRAGMA synchronous = {'NORMAL' if replaceable else 'FULL'}")
        return connection

    if replaceable:
        return create_engine("sqlite://", creator=connect, poolclass=NullPool)
    pool = create_engine(f"sqlite:///{file}", creator=connect, max_overflow=-1)

    @listens_for(pool, "connect")
    def on_connect(_raw: Any, record: Any) -> None:
        record.info["file"] = _identity(file)

    @listens_for(pool, "checkout")
    def on_checkout(_raw: Any, record: Any, _proxy: Any) -> None:
        if record.info["file"] != _identity(file):
            raise DisconnectionError

    return pool


def _identity(file: Path) -> tuple[int, ...] | None:
    """What tells a file from another of that name, or from itself when others might write to it."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_mode, status.st_uid, status.st_gid


def _align(file: Path) -> None:
    """Gives the files beside a database its rights: SQLite makes them as it finds the database, and
    those made beside a read-only one would bar it when it is read-only no more."""
    with suppress(OSError):
        mode = file.stat().st_mode
        for part in (Path(f"{file}-shm"), Path(f"{file}-wal")):
            part.chmod(mode)


def _code(error: BaseException) -> int:
    cause = getattr(error, "orig", error)
    return getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _is_damage(error: Exception) -> bool:
    return isinstance(error, OtherRevisionError) or _code(error) in DAMAGED


def _enter_wal(connection: Connection) -> None:
    """SQLite does not wait for others before it changes the mode, so we ask again."""
    tries = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: _code(error) in LOCKED),
        stop=tenacity.stop_after_delay(BUSY),
        wait=tenacity.wait_fixed(RETRY),
        reraise=True,
    )
    tries(connection.exec_driver_sql, "PRAGMA journal_mode = WAL")
