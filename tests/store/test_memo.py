"""The disk memo: whole entries or none, one computation, and bad disks."""

from __future__ import annotations

import errno
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from backend import run
from backend.schema import Cancelled, NotFoundError, Progress, StoreError
from backend.store import disk, entry, upkeep
from backend.store.memo import memoize
from tests.helpers.toy_memo import SPAWN, killed, ran, slow, spawn, squares


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("TESSERA_CACHE", str(folder))
    monkeypatch.delenv("TESSERA_CACHE_GB", raising=False)
    upkeep._written.clear()
    return folder


def visible(cache: Path) -> list[str]:
    """Files of the cache that a reader could come across, and what is left in staging."""
    return [str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file()]


# ---------------------------------------------------------------- results


def test_arrays_tensors_tables_and_values_come_back_as_they_were() -> None:
    array = np.asfortranarray(np.random.default_rng(0).normal(size=(3, 4)))
    tensor = torch.randn(4, 3, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16).T
    table = pl.DataFrame(
        {"text": ["a", "é", None], "n": [1, 2, 3]}, schema_overrides={"n": pl.Int8}
    )

    @memoize("toy.everything", version=1)
    def everything() -> dict[str, Any]:
        return {
            "array": array,
            "empty": np.zeros((0, 4), dtype=np.int32),
            "tensor": tensor,
            "table": table,
            "share": 0.25,
            "growth": [[1, 2], [3, 4]],
        }

    result = everything()
    np.testing.assert_array_equal(result.array("array"), array)
    assert isinstance(result.array("array"), np.memmap)
    assert result.array("empty").shape == (0, 4)
    assert result.tensor("tensor").dtype == torch.bfloat16
    assert torch.equal(result.tensor("tensor"), tensor)
    assert result.frame("table").equals(table)
    assert result.frame("table").schema == table.schema
    assert ("array" in result, "table" in result) == (True, False)
    assert (result.value("share"), result.value("growth")) == (0.25, [[1, 2], [3, 4]])


def test_a_result_is_computed_once_and_says_how() -> None:
    assert squares.find(4) is None
    with run.looking(), pytest.raises(NotFoundError, match="has not been computed"):
        squares(4)
    loaded = squares(4)
    assert squares(4) == squares.find(4) == loaded
    assert ran("squares") == 1
    recipe = loaded.recipe()
    assert recipe["arguments"] == {"count": 4, "shift": 0.0}
    assert (recipe["device"], recipe["digest"]) == ("cpu", loaded.digest)
    assert recipe["libraries"]["numpy"] == np.__version__
    assert recipe["seconds"] >= 0
    assert set(recipe["files"]) == {"squares.npy", "values.json"}


def test_what_one_device_computed_answers_for_no_other() -> None:
    """Sums differ in their last bits from device to device, and so does all that follows."""
    on_cpu = squares(4)
    with run.looking("cuda"), pytest.raises(run.Missing):
        squares(4)
    with run.computing("cuda", Progress()):
        on_gpu = squares(4)
    assert ran("squares") == 2
    assert on_gpu.recipe()["device"] == "cuda"
    with run.looking("cuda"):
        assert squares(4) == on_gpu
    with run.looking("cpu"):
        assert squares(4) == squares.find(4) == on_cpu
    assert squares(4) == on_cpu


def test_blocks_written_to_the_folder_are_part_of_the_entry() -> None:
    @memoize("toy.blocks", version=1)
    def blocks(size: int, *, folder: Path = Path()) -> dict[str, Any]:
        out = np.lib.format.open_memmap(folder / "x.npy", mode="w+", dtype=np.int32, shape=(size,))
        out[:] = np.arange(size)
        return {"size": size}

    assert blocks(5).array("x").tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (np.array([object()]), ValueError),
        (pl.DataFrame({"x": [object()]}), pl.exceptions.ComputeError),
        (object(), TypeError),
        (float("nan"), ValueError),
    ],
    ids=["array", "table", "value", "nan"],
)
def test_objects_are_never_pickled_and_leave_nothing(
    cache: Path, value: object, error: type[Exception]
) -> None:
    @memoize("toy.bad", version=1)
    def bad() -> dict[str, Any]:
        return {"value": value}

    with pytest.raises(error):
        bad()
    assert visible(cache) == []


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize("name", ["squares.npy", "values.json", "recipe.json"])
@pytest.mark.parametrize("how", ["cut", "garbled", "gone", "other"])
def test_a_damaged_entry_is_set_aside_and_computed_again(cache: Path, name: str, how: str) -> None:
    path = squares(100).folder / name
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "other":
        path.write_bytes(b'["not", "ours"]')
    else:
        path.write_bytes(content[:-7] if how == "cut" else b"\xff\x00" + content[2:])
    assert squares.find(100) is None
    assert len(list(cache.glob("damaged/*"))) == 1
    assert squares(100).array("squares")[3] == 9
    assert ran("squares") == 2


def test_verify_names_entries_that_rotted_since_they_were_read() -> None:
    good, bad = squares(3), squares(4)
    path = bad.folder / "squares.npy"
    before = path.stat()
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert squares.find(4) is not None, "same size and time: taken on trust within a process"
    assert entry.verify() == [bad.digest]
    assert squares.find(4) is None
    assert squares.find(3) == good


@pytest.mark.slow
def test_a_process_killed_while_writing_leaves_nothing_visible(cache: Path) -> None:
    process = spawn("killed")
    process.join(200)
    assert process.exitcode == -signal.SIGKILL
    assert killed.find() is None
    assert upkeep.entries().height == 0
    assert len(list(cache.glob("staging/*"))) == 1
    upkeep.sweep_staging()
    assert visible(cache) == []
    assert killed().array("block").tolist() == [2] * 9


def test_sweeping_spares_what_is_being_written(cache: Path) -> None:
    @memoize("toy.swept_in_the_middle", version=1)
    def swept_in_the_middle(*, folder: Path = Path()) -> dict[str, Any]:
        np.save(folder / "x.npy", np.arange(3))
        upkeep.sweep_staging()
        return {}

    assert swept_in_the_middle().array("x").tolist() == [0, 1, 2]
    assert list(cache.glob("staging/*")) == []


def test_a_failing_function_leaves_nothing_and_its_error_is_its_own(cache: Path) -> None:
    @memoize("toy.failing", version=1)
    def failing(kind: str, *, folder: Path = Path()) -> dict[str, Any]:
        np.save(folder / "x.npy", np.arange(3))
        raise {"cancel": Cancelled(), "net": ConnectionError("no network")}[kind]

    with pytest.raises(Cancelled):
        failing("cancel")
    with pytest.raises(ConnectionError, match="no network"):
        failing("net")
    assert visible(cache) == []


# ---------------------------------------------------------------- many processes


@pytest.mark.slow
def test_threads_and_processes_that_want_one_result_compute_it_once() -> None:
    together = SPAWN.Barrier(2)
    process = spawn("slow", "one", together=together)
    together.wait(200)
    with ThreadPoolExecutor(2) as threads:
        entries = list(threads.map(slow, ["one", "one"]))
    process.join(200)
    assert process.exitcode == 0
    assert [entry.value("name") for entry in entries] == ["one", "one"]
    assert ran("one") == 1


def test_one_can_cancel_while_another_process_computes() -> None:
    messages = []

    class Impatient(Progress):
        def report(self, *args: Any) -> None:
            messages.append(args[2])
            raise Cancelled

    lock = disk.locked(upkeep.lock_path(slow.digest("held")))
    with ThreadPoolExecutor(1) as other:
        other.submit(lock.__enter__).result()
        with run.computing("cpu", Impatient()), pytest.raises(Cancelled):
            slow("held")
        other.submit(lock.__exit__, None, None, None).result()
    assert messages == ["Waiting for another process to compute this"]
    assert ran("held") == 0


# ---------------------------------------------------------------- a bad disk


def _full(kind: str) -> Exception:
    message = "No space left on device"
    return {
        "python": OSError(errno.ENOSPC, message),
        "quota": OSError(errno.EDQUOT, "Disk quota exceeded"),
        "polars": pl.exceptions.ComputeError(
            f"parquet: underlying IO error: {message} (os error 28)"
        ),
        "numpy": OSError("100000 requested and 25584 written"),
    }[kind]


@pytest.mark.parametrize("kind", ["python", "quota", "polars", "numpy"])
def test_a_full_disk_is_told_and_leaves_no_half_entry(
    cache: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    small = squares(1)
    before = visible(cache)

    def save(path: Path, *_args: Any, **_kwargs: Any) -> None:
        path.write_bytes(b"half")
        raise _full(kind)

    with monkeypatch.context() as patch:
        patch.setattr(entry.np, "save", save)
        patch.setattr(disk.shutil, "disk_usage", lambda _path: SimpleNamespace(free=0))
        with pytest.raises(StoreError, match="is full") as caught:
            squares(2)
    assert "TESSERA_CACHE" in caught.value.remedy
    assert visible(cache) == before
    assert squares(1) == small
    assert squares(2).value("count") == 2


def test_a_cache_that_cannot_be_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path / "file" / "cache"))
    assert squares.find(3) is None
    with pytest.raises(StoreError, match="TESSERA_CACHE"):
        squares(3)


def test_a_read_only_cache_is_read_and_told_when_written(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = squares(3)

    def refuse(path: Any, *_args: Any, **_kwargs: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(os, "mkdir", refuse)
    monkeypatch.setattr(os, "utime", refuse)
    assert squares(3) == whole
    with pytest.raises(StoreError, match="Read-only file system") as caught:
        squares(4)
    assert "can be written" in caught.value.remedy
