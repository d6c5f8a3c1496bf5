"""What people say, as events that are only ever added: it cannot be computed again, so it lies
outside the cache, in one SQLite file of `TESSERA_ANNOTATIONS`."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend import settings
from backend.schema import StoreError

SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY,
    made REAL NOT NULL,
    person TEXT NOT NULL,
    kind TEXT NOT NULL,
    study TEXT NOT NULL,
    subject TEXT NOT NULL,
    value TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_by_kind ON events (study, kind, subject)
"""
BUSY = 10.0  # seconds to wait for another writer


@dataclass(frozen=True)
class Event:
    """What one person said of one subject; `made` in Unix seconds, `value` JSON data."""

    made: float
    person: str
    kind: str
    study: str
    subject: str
    value: Any


def path() -> Path:
    """The file; it is made by the first event."""
    return settings.current().annotations / "annotations.sqlite"


def add(kind: str, study: str, subject: str, person: str, value: Any) -> None:
    """Keeps an event; it is on disk when this returns.

    Raises:
        StoreError: it could not be kept.
    """
    row = (time.time(), person, kind, study, subject, json.dumps(value, ensure_ascii=False))
    try:
        path().parent.mkdir(parents=True, exist_ok=True)
        with _opened() as connection:
            connection.executescript(SCHEMA)
            connection.execute(
                "INSERT INTO events (made, person, kind, study, subject, value) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                row,
            )
            connection.commit()
    except (sqlite3.Error, OSError) as error:
        raise _explained(error) from error


def events(kind: str, study: str, subject: str) -> list[Event]:
    """Events of a kind, oldest first. Raises StoreError where the file cannot be read."""
    if not path().exists():
        return []
    ask = (
        "SELECT made, person, kind, study, subject, value FROM events "
        "WHERE kind = ? AND study = ? AND subject = ? ORDER BY id"
    )
    try:
        with _opened() as connection:
            rows = connection.execute(ask, (kind, study, subject)).fetchall()
    except sqlite3.Error as error:
        raise _explained(error) from error
    return [Event(*row[:5], value=json.loads(row[5])) for row in rows]


@contextmanager
def _opened() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path(), timeout=BUSY)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        yield connection


def _explained(error: Exception) -> StoreError:
    return StoreError(
        f"What you said could not be kept or read: {error}.",
        f"Check that {path().parent} can be written and its disk has room, then say it again.",
    )
