"""What the cache lists, keeps and evicts."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from backend.schema import NotFoundError
from backend.store import disk, memo, upkeep
from backend.store.memo import Entry
from tests.helpers.toy_memo import squares


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("TESSERA_CACHE", str(folder))
    monkeypatch.delenv("TESSERA_CACHE_GB", raising=False)
    upkeep._written.clear()
    return folder


def age(entry: Entry, hours: float) -> None:
    then = time.time() - hours * 3600
    os.utime(entry.folder / "recipe.json", (then, then))


def test_the_least_recently_used_goes_first_and_pins_stay() -> None:
    old, pinned, recent, fresh = (squares(1000 + size) for size in range(4))
    for hours, entry in enumerate((fresh, recent, pinned, old)):
        age(entry, hours + (hours > 0))
    age(recent, 9)
    assert recent.array("squares")[1] == 1, "reading counts as use"
    upkeep.pin(pinned.digest[:12])
    table = upkeep.entries()
    assert table["digest"].to_list()[:2] == [old.digest, pinned.digest]
    assert table["pinned"].to_list() == [False, True, False, False]
    total = sum(table["megabytes"].to_list()) / 1e3

    assert upkeep.evict(total) == []
    assert upkeep.evict(total * 0.9) == [old.digest]
    assert upkeep.evict(0) == [], "the rest is pinned or was used within the hour"
    upkeep.pin(pinned.digest, pinned=False)
    assert upkeep.evict(0) == [pinned.digest]
    assert set(upkeep.evict(0, in_use=0)) == {recent.digest, fresh.digest}
    assert upkeep.entries().height == 0
    with pytest.raises(NotFoundError, match="evicted"):
        fresh.array("squares")


def test_a_write_makes_room_but_never_at_its_own_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    old = squares(2000)
    age(old, 5)
    upkeep._written.clear()
    monkeypatch.setenv("TESSERA_CACHE_GB", "0.000001")
    new = squares(3000)
    assert squares.find(2000) is None
    assert squares.find(3000) == new


def test_a_long_extraction_looks_at_the_disk_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    monkeypatch.setattr(upkeep, "evict", lambda limit: looks.append(limit) or [])
    for size in range(20):
        squares(size)
    assert looks == [40]
    upkeep.evict_if_due(3_000_000_000)
    assert looks == [40, 40], "unless much was written"


def test_what_is_being_computed_or_just_read_is_not_evicted() -> None:
    entry = squares(10)
    age(entry, 3)
    with disk.locked(upkeep.lock_path(entry.digest)):
        assert upkeep.evict(0) == []
    stale = upkeep.stock()[0]
    assert squares.find(10) == entry, "somebody reads it after we looked"
    assert not upkeep._delete(stale)


def test_only_entries_are_listed_and_odd_ones_do_not_break_the_list(cache: Path) -> None:
    entry = squares(10)
    for other in ("models/converted", "staging/x-1-2", "damaged/y-1"):
        (cache / other).mkdir(parents=True)
        (cache / other / "recipe.json").write_text("{}")
    (cache / "half.way" / "empty").mkdir(parents=True)
    (cache / "jobs.sqlite").touch()
    assert upkeep.entries()["digest"].to_list() == [entry.digest]
    (entry.folder / "recipe.json").write_text("garbled")
    assert upkeep.entries().row(0, named=True)["seconds"] is None
    assert upkeep.entry_folder(entry.digest[:8]) == entry.folder
    for unknown in ("", "*", "conv"):
        with pytest.raises(NotFoundError, match="No cache entries begin"):
            upkeep.entry_folder(unknown)


def test_listing_survives_entries_that_vanish_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    evictable, current = squares(1), squares(2)
    folders = list(upkeep._folders())
    assert upkeep.evict(0, in_use=0)
    second = squares(2)
    monkeypatch.setattr(upkeep, "_folders", lambda: folders)
    assert {evictable.folder, current.folder} == set(folders)
    assert upkeep.entries()["digest"].to_list() == [second.digest]


def test_results_of_an_earlier_version_are_told_and_can_go(cache: Path) -> None:
    current, older, moved = squares(1), squares(2), squares(3)
    recipe = older.recipe() | {"version": 0}
    (older.folder / "recipe.json").write_text(json.dumps(recipe))
    (cache / "answers.toys.squares").mkdir()
    moved.folder.rename(cache / "answers.toys.squares" / moved.digest)
    assert {entry.digest for entry in memo.outdated()} == {older.digest, moved.digest}
    assert set(upkeep.delete(memo.outdated())) == {older.digest, moved.digest}
    assert memo.outdated() == []
    assert squares.find(1) == current
