"""One SQLite file whose content cannot be made again, shared by processes and threads.

What a transaction wrote is on disk when it returns. Tables are made and changed by the scripts in
`migrations/`, where they are not of this code's revision yet; a file of a later one is left alone,
and so is a damaged one.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.event import listens_for
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError

from backend.schema import StoreError
from backend.store import disk

T = TypeVar("T")
Work = Callable[[Connection], T]

REVISIONS = ("", "0001", "0002")  # of the tables, "" before there were any; the last is this code's
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


def read(file: Path, work: Work[T], empty: T) -> T:
    """What `work` reads, or `empty` where there is no file: reading makes none.

    Raises:
        StoreError: the file cannot be read.
    """
    with _store_errors(file):
        return _run(file, "BEGIN", work) if file.exists() else empty


def write(file: Path, work: Work[T]) -> T:
    """What `work` returns, as one transaction that no other process writes in between; what it
    wrote outlasts this process and this machine's power.

    Raises:
        StoreError: the disk is full, the file cannot be written, is damaged, of a newer Tessera,
            or stays locked. Nothing of the transaction is kept then.
    """
    with _store_errors(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        return _run(file, "BEGIN IMMEDIATE", work)


# ---------------------------------------------------------------- connections


def _run(file: Path, begin: str, work: Work[T]) -> T:
    with _transaction(file, begin) as connection:
        if _is_newest(connection, file):
            return work(connection)
    _upgrade(file)
    with _transaction(file, begin) as connection:
        return work(connection)


@contextmanager
def _transaction(file: Path, begin: str) -> Iterator[Connection]:
    with engine(file).begin() as connection:
        connection.exec_driver_sql(begin)
        yield connection


@cache
def engine(file: Path) -> Engine:
    """Connections to a file for any thread, as many as are asked for at once. They begin no
    transaction by themselves, and end where the file was moved, replaced or given other rights."""
    options = {"timeout": BUSY, "isolation_level": None}
    address = URL.create("sqlite", database=str(file))
    pool = create_engine(address, connect_args=options, max_overflow=-1)

    @listens_for(pool, "connect")
    def on_connect(raw: Any, record: Any) -> None:
        raw.execute("PRAGMA synchronous = FULL")
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


# ---------------------------------------------------------------- revisions


def _is_newest(connection: Connection, file: Path) -> bool:
    """Whether the tables are those of this code. Raises StoreError where they are of a later."""
    revision = ""
    try:
        revision = (
            connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() or ""
        )
    except OperationalError as error:
        if "no such table" not in str(error.orig):
            raise
    if revision not in REVISIONS:
        raise StoreError(
            f"{file} was made by a newer Tessera; nothing was changed in it.",
            "Update Tessera, or set TESSERA_ANNOTATIONS to another folder.",
        )
    return revision == REVISIONS[-1]


def _upgrade(file: Path) -> None:
    """Makes the tables, or brings them to the newest revision: one process does, in one
    transaction, and the others wait for it."""
    from backend.store import migrations  # alembic takes long to import

    lock, end = file.with_suffix(".lock"), time.monotonic() + BUSY

    def waiting() -> None:
        if time.monotonic() > end:
            raise _locked_error(file)

    lock.touch()  # where that fails, the error names this folder and not the cache
    with disk.locked(lock, waiting), engine(file).begin() as connection:
        _enter_wal(connection, waiting)
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        if not _is_newest(connection, file):
            migrations.upgrade(connection)


def _enter_wal(connection: Connection, waiting: Callable[[], None]) -> None:
    """SQLite does not wait for others before it changes the mode, so we ask again."""
    while True:
        try:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            return
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF not in LOCKED:
                raise
        waiting()
        time.sleep(RETRY)


# ---------------------------------------------------------------- errors


@contextmanager
def _store_errors(file: Path) -> Iterator[None]:
    """Errors of the disk and of the file become a StoreError; bugs stay what they are."""
    try:
        yield
    except (DBAPIError, OSError) as error:
        explained = _explained(error, file)
        if explained is None:
            raise
        engine(file).dispose()  # a file opened for reading alone stays so, whatever is mended
        _align(file)
        raise explained from error


def _align(file: Path) -> None:
    """Gives the files beside a database its rights: SQLite makes them as it finds the database, and
    those made beside a read-only one would bar it when it is read-only no more."""
    with suppress(OSError):
        mode = file.stat().st_mode
        for part in (Path(f"{file}-shm"), Path(f"{file}-wal")):
            part.chmod(mode)


def _explained(error: Exception, file: Path) -> StoreError | None:
    """`error` with its remedy; None for a bug."""
    cause = getattr(error, "orig", error)
    code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    full = code == sqlite3.SQLITE_FULL or getattr(cause, "errno", None) in disk.FULL
    if full or (code == sqlite3.SQLITE_IOERR and disk.is_spent(file.parent)):
        return StoreError(
            f"The disk that holds {file} is full; what was kept before stays.",
            "Free space, or move the folder to another disk and name it in TESSERA_ANNOTATIONS, "
            "then say it again.",
        )
    if code in LOCKED:
        return _locked_error(file)
    if code in DAMAGED:
        return StoreError(
            f"{file} is damaged ({cause}); nothing was changed in it.",
            "Put a backup in its place, or move it away to begin anew; keep the damaged file: "
            "`sqlite3 annotations.sqlite .recover` may find most of it.",
        )
    if code in BARRED or isinstance(cause, OSError):
        return StoreError(
            f"{file} cannot be opened or written: {cause}.",
            "Check that the folder exists and can be written, or set TESSERA_ANNOTATIONS to "
            "another.",
        )
    return None


def _locked_error(file: Path) -> StoreError:
    return StoreError(
        f"Another process has held {file} for {BUSY:.0f} seconds.",
        "Try again; if it lasts, end what has the file open.",
    )
