"""What people say, as events that are only ever added: it cannot be computed again, so it lies
outside the cache, in one SQLite file of `TESSERA_ANNOTATIONS`. An event has a name that its sender
may choose (`uid`), so that one sent twice is kept once."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, column, select, table
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import OperationalError

from backend import settings
from backend.store.database import Database

REVISIONS = ("", "0001", "0002")  # "" before there were any; the last is this code's
COLUMNS = ("id", "made", "person", "kind", "study", "subject", "value", "uid")
EVENTS = table("events", *map(column, COLUMNS))
BATCH = 1000  # names asked for at once; SQLite takes no more than 32,766


@dataclass(frozen=True)
class New:
    """What one person says of one subject, to be kept: `value` is JSON data; `uid` "" stands for a
    new name, `made` (Unix seconds) 0 for now."""

    uid: str
    person: str
    kind: str
    study: str
    subject: str
    value: Any
    made: float = 0.0


@dataclass(frozen=True)
class Event(New):
    """What was kept; `id` grows from event to event."""

    id: int = 0


def path() -> Path:
    """The file; it is made by the first event."""
    return settings.current().annotations / "annotations.sqlite"


def database() -> Database:
    """The file with its tables, which the scripts in `migrations/` make and change."""
    return Database(path(), "TESSERA_ANNOTATIONS", REVISIONS, _revision, _upgrade)


def _revision(connection: Connection) -> str:
    try:  # one statement, since every transaction asks
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() or ""
    except OperationalError as error:
        if "no such table" in str(error.orig):
            return ""
        raise


def _upgrade(connection: Connection) -> None:
    from backend.store import migrations  # alembic takes long to import

    migrations.upgrade(connection)


# ---------------------------------------------------------------- reading and keeping


def add(kind: str, study: str, subject: str, person: str, value: Any, uid: str = "") -> Event:
    """Keeps an event; it is on disk when this returns. Where one of this `uid` was kept before,
    that one is returned and nothing is added.

    Raises:
        StoreError: it could not be kept.
    """
    return add_all([New(uid, person, kind, study, subject, value)])[0]


def add_all(events: Sequence[New]) -> list[Event]:
    """Keeps events in their order, all or none, as `add` does with each.

    Raises:
        StoreError: they could not be kept.
    """
    rows = [_row(event, time.time()) for event in events]
    uids = [row["uid"] for row in rows]

    def keep(connection: Connection) -> list[Event]:
        connection.execute(insert(EVENTS).on_conflict_do_nothing(index_elements=["uid"]), rows)
        by_uid: dict[str, Event] = {}
        for start in range(0, len(uids), BATCH):
            some = EVENTS.c.uid.in_(uids[start : start + BATCH])
            by_uid |= {event.uid: event for event in _select(connection, some)}
        return [by_uid[uid] for uid in uids]

    return database().write(keep) if rows else []


def events(kind: str, study: str, subject: str) -> list[Event]:
    """Events of a kind, oldest first.

    Raises:
        StoreError: the file cannot be read.
    """
    is_of_study, is_kind = EVENTS.c.study == study, EVENTS.c.kind == kind
    return _read(is_of_study, is_kind, EVENTS.c.subject == subject)


def of_study(study: str, kinds: Sequence[str], after: int = 0) -> list[Event]:
    """Events of a study that came after the one whose id is `after`, oldest first.

    Raises:
        StoreError: the file cannot be read.
    """
    is_of_study, is_kind = EVENTS.c.study == study, EVENTS.c.kind.in_(kinds)
    return _read(is_of_study, is_kind, EVENTS.c.id > after)


def _row(event: New, now: float) -> dict[str, Any]:
    fields = vars(event) | {"uid": event.uid or uuid.uuid4().hex, "made": event.made or now}
    return fields | {"value": _written(event.value)}


def _written(value: Any) -> str:
    """JSON that can be read by eye, unless it holds half a character, which is no UTF-8."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return text


def _read(*conditions: ColumnElement[bool]) -> list[Event]:
    return database().read(lambda connection: _select(connection, *conditions), [])


def _select(connection: Connection, *conditions: ColumnElement[bool]) -> list[Event]:
    rows = connection.execute(select(EVENTS).where(*conditions).order_by(EVENTS.c.id))
    return [Event(**_fields({**row})) for row in rows.mappings()]


def _fields(row: dict[str, Any]) -> dict[str, Any]:
    """Those of a row; a Tessera of before there were names may be running still and add some
    without."""
    return row | {"uid": row["uid"] or f"old-{row['id']}", "value": json.loads(row["value"])}
