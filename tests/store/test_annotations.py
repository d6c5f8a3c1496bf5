"""What people say is kept: through doubles, crashes, old files, bad disks, and each other."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from sqlalchemy.event import listens_for
from sqlalchemy.exc import IntegrityError, OperationalError

from backend import settings
from backend.schema import StoreError
from backend.store import annotations, database, disk, migrations
from backend.store.annotations import Event, New

OLD = """
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
"""  # as it was before there were revisions
OLD_INSERT = (
    "INSERT INTO events (made, person, kind, study, subject, value) "
    "VALUES (?, 'me', 'vote', 'study', 'run', ?)"
)
NOBODY = 65534


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where events are kept; empty at first."""
    made = tmp_path / "annotations"
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(made))
    yield made
    release()


def release() -> None:
    """Closes the file, as the end of the process does."""
    database.engine(annotations.path(), False).dispose()


def add(value: Any = 1, uid: str = "") -> Event:
    return annotations.add("vote", "study", "run", "me", value, uid)


def new(value: Any = 1, uid: str = "", person: Any = "me") -> New:
    return New(uid, person, "vote", "study", "run", value)


def kept() -> list[Event]:
    return annotations.of_study("study", ["vote"])


def values() -> list[Any]:
    return [event.value for event in kept()]


def raw() -> contextlib.closing[sqlite3.Connection]:
    """The file without the store."""
    return contextlib.closing(sqlite3.connect(annotations.path(), isolation_level=None))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def started(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process that waits for the word to run code, and imports what it needs meanwhile."""
    ready = "import sys\nfrom backend.store import annotations\nprint(flush=True)\ninput()\n"
    return subprocess.Popen(
        [sys.executable, "-c", ready + code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=settings.ROOT,
    )


def go(process: subprocess.Popen[str]) -> None:
    """Gives the word, once the process waits for it."""
    assert process.stdin
    assert process.stdout
    process.stdout.readline()
    process.stdin.write("go\n")
    process.stdin.flush()


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


def write_old(rows: int) -> None:
    annotations.path().parent.mkdir(parents=True)
    with raw() as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(OLD)
        connection.executemany(OLD_INSERT, [(float(row), f'{{"é": {row}}}') for row in range(rows)])


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


# ---------------------------------------------------------------- bad disks and bad files


@contextlib.contextmanager
def stranger(folder: Path, mode: int = 0o555) -> Iterator[None]:
    """As somebody who may read a folder and not write to it: root may, so root is someone else."""
    folder.chmod(mode)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(NOBODY)
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everybody may look into, whose parents too."""
    with tempfile.TemporaryDirectory() as name:
        monkeypatch.setenv("TESSERA_ANNOTATIONS", name)
        yield Path(name)
        release()


@pytest.mark.parametrize("use", [add, kept])
def test_a_folder_that_cannot_be_written_is_told(public: Path, use: Any) -> None:
    add("kept")
    release()
    before = contents(public)
    with stranger(public), pytest.raises(StoreError, match="cannot be opened or written") as told:
        use()
    assert str(public) in told.value.problem
    assert "TESSERA_ANNOTATIONS" in told.value.remedy
    assert "TESSERA_CACHE" not in str(told.value)
    assert contents(public) == before
    add("then")
    assert values() == ["kept", "then"]


@pytest.mark.parametrize("made", [True, False])
def test_a_folder_that_cannot_be_made_or_used_is_told(
    public: Path, made: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not made:
        monkeypatch.setenv("TESSERA_ANNOTATIONS", str(public / "further" / "down"))
    with stranger(public):
        assert kept() == []
        with pytest.raises(StoreError, match="cannot be opened or written") as told:
            add()
    assert "TESSERA_CACHE" not in str(told.value)
    assert list(public.iterdir()) == []


def test_an_old_database_that_cannot_be_written_is_told_and_stays(public: Path) -> None:
    public.rmdir()
    write_old(2)
    before = contents(public)
    with stranger(public), pytest.raises(StoreError, match="cannot be opened or written"):
        kept()
    assert contents(public) == before


def test_a_read_only_file_is_told(public: Path) -> None:
    add("kept")
    release()
    annotations.path().chmod(0o444)
    with stranger(public, 0o777):
        with pytest.raises(StoreError, match="cannot be opened or written"):
            add()
        assert values() == ["kept"]
    annotations.path().chmod(0o644)
    assert add("then").id == 2, "without starting again"


@pytest.mark.parametrize("damage", ["garbled", "cut", "index"])
def test_a_damaged_file_is_told_and_left_as_it_is(folder: Path, damage: str) -> None:
    annotations.add_all([new("x" * 500) for _ in range(200)])
    release()
    whole = annotations.path().read_bytes()
    broken = {
        "garbled": b"no database " * 2000,
        "cut": whole[:6000],
        "index": whole[:4096] + b"\xff" * 40_000 + whole[44_096:],
    }[damage]
    annotations.path().write_bytes(broken)
    for use in (add, kept):
        with pytest.raises(StoreError, match="is damaged") as told:
            use()
        assert "backup" in told.value.remedy
    release()
    assert annotations.path().read_bytes() == broken
    annotations.path().write_bytes(whole)
    assert len(kept()) == 200, "once a backup is in its place"


def test_a_full_disk_is_told_and_keeps_what_was_there() -> None:
    add("before")

    @listens_for(database.engine(annotations.path(), False), "connect")
    def small(raw: Any, _record: Any) -> None:
        raw.execute("PRAGMA max_page_count = 20")

    release()
    with pytest.raises(StoreError, match="is full") as told:
        annotations.add_all([new("fits"), new("x" * 1_000_000)])
    assert "TESSERA_ANNOTATIONS" in told.value.remedy
    add("after")
    assert values() == ["before", "after"]


def test_a_disk_without_room_is_told_even_where_sqlite_calls_it_an_io_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cause = sqlite3.OperationalError("disk I/O error")
    cause.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE

    def fail(_connection: Connection) -> None:
        raise OperationalError("INSERT", None, cause)

    with pytest.raises(StoreError, match="cannot be opened or written"):
        annotations.database().write(fail)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _path: SimpleNamespace(free=0))
    with pytest.raises(StoreError, match="is full"):
        annotations.database().write(fail)


def test_a_file_that_stays_locked_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY", 0.2)
    add("before")
    with raw() as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="Another process has held"):
            add()
        assert values() == ["before"], "reading goes on"
        holder.execute("ROLLBACK")
    assert add("after").id == 2


def test_tables_that_stay_in_the_making_are_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY", 0.2)
    with disk.locked(folder / "annotations.lock"), pytest.raises(StoreError, match="has held"):
        add()
    assert add().id == 1


def test_a_file_moved_away_while_it_is_open_is_not_written_to(folder: Path, tmp_path: Path) -> None:
    add("moved")
    folder.rename(tmp_path / "aside")
    assert kept() == []
    add("here")
    assert values() == ["here"]
    folder.rename(tmp_path / "second")
    (tmp_path / "aside").rename(folder)
    assert values() == ["moved"]


# ---------------------------------------------------------------- several at once


def test_threads_lose_nothing() -> None:
    threads = [
        threading.Thread(target=lambda: [add(number) for number in range(25)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(values()) == sorted(list(range(25)) * 8)


ADDS = """
for number in range(200):
    annotations.add("vote", "study", "run", sys.argv[1], number)
"""


@pytest.mark.parametrize("old", [False, True], ids=["new", "taken over"])
def test_two_processes_that_begin_at_once_lose_nothing(old: bool) -> None:
    if old:
        write_old(3)
    processes = [started(ADDS, name) for name in ("a", "b")]
    for process in processes:
        go(process)
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    for name in ("a", "b"):
        assert [e.value for e in kept() if e.person == name] == list(range(200))
    assert len(kept()) == 400 + 3 * old


WRITES = """
import itertools, os
for count in itertools.cycle((1, 3)):
    news = [annotations.New("", "child", "vote", "study", "run", count) for _ in range(count)]
    kept = annotations.add_all(news) if count > 1 else [annotations.add(*sys.argv[1:], count)]
    os.write(1, "".join(event.uid + "\\n" for event in kept).encode())
"""


def killed(process: subprocess.Popen[str], after: float) -> list[str]:
    """Names of the events that a process said it kept in so many seconds before it was killed."""
    go(process)
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    said, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL
    return said.split()


def check_all_is_there(said: list[str]) -> None:
    found = kept()
    assert {*said} <= {event.uid for event in found}
    assert [event.id for event in found] == list(range(1, len(found) + 1))
    threes = [event.value for event in found]
    assert threes.count(3) % 3 == 0, "all or none"
    with raw() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def writer() -> subprocess.Popen[str]:
    return started(WRITES, "vote", "study", "run", "child")


@pytest.mark.slow
def test_a_killed_process_loses_nothing_that_it_said_was_kept() -> None:
    chance, said = random.Random(0), []
    following = writer()
    for _ in range(50):
        process, following = following, writer()
        said += killed(process, chance.uniform(0.0, 0.2))
        check_all_is_there(said)
        if chance.random() < 0.5:
            release()  # the next to open the file finds what a dead process left
    following.kill()
    following.communicate()
    assert said, "not one lived long enough to keep an event"


@pytest.mark.slow
def test_a_process_killed_while_it_takes_a_database_over_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(1)
    for number in range(10):
        monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path / str(number)))
        write_old(2)
        check_all_is_there(killed(writer(), chance.uniform(0.0, 0.3)))
        assert [event.uid for event in kept()[:2]] == ["old-1", "old-2"]
        release()
