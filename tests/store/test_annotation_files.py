"""What people say is kept on bad disks, in bad files, and by several at once."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.event import listens_for
from sqlalchemy.exc import OperationalError

from backend.schema import StoreError
from backend.store import annotations, database, disk
from tests.store.conftest import (
    add,
    contents,
    go,
    new,
    raw,
    release,
    started,
    stored_events,
    stranger,
    values,
    write_old,
)

pytestmark = pytest.mark.usefixtures("folder")

# ---------------------------------------------------------------- bad disks and bad files


@pytest.mark.parametrize("use", [add, stored_events])
def test_a_folder_that_cannot_be_written_is_told(public: Path, use: Any) -> None:
    add("kept")
    release()
    before = contents(public)
    with stranger(public), pytest.raises(StoreError, match="cannot be opened or written") as caught:
        use()
    assert str(public) in caught.value.problem
    assert "TESSERA_ANNOTATIONS" in caught.value.remedy
    assert "TESSERA_CACHE" not in str(caught.value)
    assert contents(public) == before
    add("then")
    assert values() == ["kept", "then"]


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_that_cannot_be_made_or_used_is_told(
    public: Path, exists: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exists:
        monkeypatch.setenv("TESSERA_ANNOTATIONS", str(public / "further" / "down"))
    with stranger(public):
        assert stored_events() == []
        with pytest.raises(StoreError, match="cannot be opened or written") as caught:
            add()
    assert "TESSERA_CACHE" not in str(caught.value)
    assert list(public.iterdir()) == []


def test_an_old_database_that_cannot_be_written_is_told_and_stays(public: Path) -> None:
    public.rmdir()
    write_old(2)
    before = contents(public)
    with stranger(public), pytest.raises(StoreError, match="cannot be opened or written"):
        stored_events()
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
    for use in (add, stored_events):
        with pytest.raises(StoreError, match="is damaged") as caught:
            use()
        assert "backup" in caught.value.remedy
    release()
    assert annotations.path().read_bytes() == broken
    annotations.path().write_bytes(whole)
    assert len(stored_events()) == 200, "once a backup is in its place"


def test_a_full_disk_is_told_and_keeps_what_was_there() -> None:
    add("before")

    @listens_for(database.engine(annotations.path(), False), "connect")
    def small(raw: Any, _record: Any) -> None:
        raw.execute("PRAGMA max_page_count = 20")

    release()
    with pytest.raises(StoreError, match="is full") as caught:
        annotations.add_all([new("fits"), new("x" * 1_000_000)])
    assert "TESSERA_ANNOTATIONS" in caught.value.remedy
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
    assert stored_events() == []
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


@pytest.mark.slow
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
        assert [e.value for e in stored_events() if e.person == name] == list(range(200))
    assert len(stored_events()) == 400 + 3 * old


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
    output, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL
    return output.split()


def check_all_is_there(names: list[str]) -> None:
    events = stored_events()
    assert {*names} <= {event.uid for event in events}
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    threes = [event.value for event in events]
    assert threes.count(3) % 3 == 0, "all or none"
    with raw() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def writer() -> subprocess.Popen[str]:
    return started(WRITES, "vote", "study", "run", "child")


@pytest.mark.slow
def test_a_killed_process_loses_nothing_that_it_said_was_kept() -> None:
    chance, names = random.Random(0), []
    following = writer()
    for _ in range(50):
        process, following = following, writer()
        names += killed(process, chance.uniform(0.0, 0.2))
        check_all_is_there(names)
        if chance.random() < 0.5:
            release()  # the next to open the file finds what a dead process left
    following.kill()
    following.communicate()
    assert names, "not one lived long enough to keep an event"


@pytest.mark.slow
def test_a_process_killed_while_it_takes_a_database_over_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(1)
    for number in range(10):
        monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path / str(number)))
        write_old(2)
        check_all_is_there(killed(writer(), chance.uniform(0.0, 0.3)))
        assert [event.uid for event in stored_events()[:2]] == ["old-1", "old-2"]
        release()
