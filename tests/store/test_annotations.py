"""What people say is kept: through doubles, crashes, old files, bad disks, and each other."""

from __future__ import annotations

import time
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from backend.schema import StoreError
from backend.store import annotations, migrations
from backend.store.annotations import New
from tests.store.conftest import (
    OLD,
    OLD_INSERT,
    add,
    contents,
    kept,
    new,
    raw,
    release,
    started,
    values,
    write_old,
)

pytestmark = pytest.mark.usefixtures("folder")


# ---------------------------------------------------------------- what is said is what is read


@pytest.mark.parametrize(
    "said",
    [
        "plain",
        "שלום עולם · Ελληνικά · 中文字 · हिन्दी · 🙂👩‍👩‍👧",
        "quotes ' \" and \\ and \x00 and \x07 and \u2028",
        "half a character: \ud83d",
        "x" * 100_000,
        "字" * 100_000,
        {"item": 7, "answers": [1, 0, None], "deep": {"é": [True, 0.1, "", 2**60]}},
        None,
    ],
    ids=lambda said: str(said)[:8].encode("ascii", "replace").decode(),
)
def test_what_is_said_is_read_again(said: Any) -> None:
    before = time.time()
    event = annotations.add("vote", "stúdy 🙂", "run", "Zoë", said)
    assert annotations.events("vote", "stúdy 🙂", "run") == [event]
    release()
    assert annotations.of_study("stúdy 🙂", ["vote"]) == [event]
    assert (event.value, event.person, event.kind, event.subject) == (said, "Zoë", "vote", "run")
    assert before <= event.made <= time.time()
    assert (event.id, len(event.uid)) == (1, 32)


def test_events_are_found_by_kind_study_and_subject_oldest_first() -> None:
    for study in ("one", "two"):
        for kind in ("vote", "guess", "note"):
            for subject in ("a", "b"):
                annotations.add(kind, study, subject, "me", [study, kind, subject])
    assert [e.value for e in annotations.events("guess", "two", "a")] == [["two", "guess", "a"]]
    found = annotations.of_study("one", ["note", "vote"])
    assert [e.value[1:] for e in found] == [[k, s] for k in ("vote", "note") for s in "ab"]
    assert annotations.of_study("one", ["note", "vote"], after=found[1].id) == found[2:]
    assert annotations.of_study("one", ["note"], after=found[-1].id) == []
    assert annotations.of_study("one", []) == annotations.of_study("none", ["vote"]) == []


def test_reading_makes_no_file(folder: Path) -> None:
    assert annotations.events("vote", "study", "run") == kept() == annotations.add_all([]) == []
    assert not folder.exists()


def test_an_event_sent_twice_is_kept_once() -> None:
    first = add("first", uid="a")
    assert annotations.add("guess", "other", "thing", "you", "second", uid="a") == first
    assert kept() == [first]
    sent = [new("b", "b"), new("again", "a"), new("c", "c"), new("b again", "b")]
    told = annotations.add_all(sent)
    assert [event.value for event in told] == ["b", "first", "c", "b"]
    assert values() == ["first", "b", "c"]


def test_the_sender_may_say_when_it_was_made() -> None:
    event = New("", "me", "vote", "study", "run", 1, made=12.5)
    assert annotations.add_all([event, new()])[0].made == 12.5
    assert kept()[1].made > 1e9


def test_more_events_at_once_than_sqlite_takes_names() -> None:
    told = annotations.add_all([new(number) for number in range(33_000)])
    assert [event.value for event in told] == list(range(33_000))


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (new({1, 2}), TypeError),
        (new(person=None), IntegrityError),
        (new(person="half \ud83d"), UnicodeEncodeError),
    ],
)
def test_of_several_events_all_are_kept_or_none(bad: New, error: type[Exception]) -> None:
    add("before")
    with pytest.raises(error):
        annotations.add_all([new("one"), bad, new("three")])
    assert values() == ["before"]
    annotations.add_all([new("one"), new("three")])
    assert values() == ["before", "one", "three"]


UIDS = st.sampled_from([*"abcdef", "é", "🙂", "a b", "\x00", "'"])


@given(st.lists(st.lists(UIDS, max_size=6), max_size=12))
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_events_are_each_kept_once_and_in_first_order(batches: list[list[str]]) -> None:
    study = f"study {time.monotonic_ns()}"
    named = [[f"{uid} of {study}" for uid in batch] for batch in batches]
    for batch in named:
        if len(batch) == 1:
            told = [annotations.add("vote", study, "run", "me", batch[0], uid=batch[0])]
        else:
            told = annotations.add_all([New(u, "me", "vote", study, "run", u) for u in batch])
        assert [event.value for event in told] == batch
    found = annotations.of_study(study, ["vote"])
    assert [event.uid for event in found] == list(dict.fromkeys(chain(*named)))
    assert [event.id for event in found] == sorted({event.id for event in found})


# ---------------------------------------------------------------- revisions


def tables() -> tuple[list[Any], ...]:
    """Columns, indexes and revision."""
    with raw() as connection:
        asked = (
            "SELECT name, type, pk FROM pragma_table_info('events')",
            "SELECT name FROM pragma_index_list('events') ORDER BY 1",
            "SELECT version_num FROM alembic_version",
        )
        return tuple(connection.execute(question).fetchall() for question in asked)


def test_the_revisions_are_those_of_the_scripts() -> None:
    scripts = ScriptDirectory.from_config(migrations.config()).walk_revisions()
    assert ["", *reversed([script.revision for script in scripts])] == list(annotations.REVISIONS)


@pytest.mark.parametrize("rows", [0, 3])
def test_a_database_of_before_there_were_revisions_is_taken_over(rows: int, folder: Path) -> None:
    write_old(rows)
    found = annotations.events("vote", "study", "run")
    assert [(e.uid, e.id) for e in found] == [(f"old-{n}", n) for n in range(1, rows + 1)]
    assert [(e.made, e.value) for e in found] == [(float(n), {"é": n}) for n in range(rows)]
    assert add("later").id == rows + 1
    assert kept()[:-1] == found
    taken_over = tables()
    release()
    annotations.path().rename(folder / "other")
    add()
    assert tables() == taken_over


def test_a_tessera_of_before_there_were_names_may_go_on_adding() -> None:
    add("new")
    with raw() as connection:
        connection.executescript(OLD)
        connection.executemany(OLD_INSERT, [(1.0, '"old"'), (2.0, '"old"')])
    assert [event.uid for event in kept()[1:]] == ["old-2", "old-3"]


def test_a_newer_database_is_refused_and_left_as_it_is(folder: Path) -> None:
    add()
    with raw() as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    release()
    before = contents(folder)
    for use in (add, kept):
        with pytest.raises(StoreError, match="made by a newer Tessera") as told:
            use()
        assert "TESSERA_ANNOTATIONS" in told.value.remedy
    release()
    assert contents(folder) == before


def test_nothing_runs_where_the_tables_are_of_this_revision(folder: Path) -> None:
    code = "annotations.events('vote', 'study', 'run'); print('alembic' in sys.modules)"
    add()
    assert started(code).communicate("go\n")[0] == "\nFalse\n"
    assert {path.suffix for path in folder.iterdir()} <= {".sqlite", ".sqlite-wal", ".sqlite-shm"}


def test_each_commit_waits_for_the_disk() -> None:
    def pragmas(connection: Connection) -> list[Any]:
        asked = ("journal_mode", "synchronous", "busy_timeout")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked]

    for _ in range(2):
        add()
        assert annotations.database().read(pragmas, []) == ["wal", 2, 10_000]
        release()
