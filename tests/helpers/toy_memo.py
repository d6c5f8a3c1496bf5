"""Toy results for the tests of the memo; a module of its own, so that spawned processes load it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np

from backend.store.memo import memoize

SPAWN = multiprocessing.get_context("spawn")


@memoize("toy.squares", version=1)
def squares(count: int, shift: float = 0.0) -> dict[str, Any]:
    note("squares")
    return {"squares": np.arange(count) ** 2 + shift, "count": count}


@memoize("toy.slow", version=1)
def slow(name: str) -> dict[str, Any]:
    note(name)
    time.sleep(0.5)
    return {"name": name}


@memoize("toy.killed", version=1)
def killed(*, folder: Path = Path()) -> dict[str, Any]:
    """Dies in the middle of writing, the first time."""
    block = np.lib.format.open_memmap(folder / "block.npy", mode="w+", dtype=np.int64, shape=(9,))
    block[:5] = 1
    if ran("killed") == 0:
        note("killed")
        os.kill(os.getpid(), signal.SIGKILL)
    block[:] = 2
    return {"rows": 9}


def note(name: str) -> None:
    """Remembers, for every process, that a function ran."""
    with Path(os.environ["TESSERA_CACHE"], "..", "ran.txt").open("a") as file:
        file.write(f"{name}\n")


def ran(name: str) -> int:
    path = Path(os.environ["TESSERA_CACHE"], "..", "ran.txt")
    return path.read_text().split().count(name) if path.exists() else 0


def call(name: str, args: tuple[Any, ...], together: Barrier | None = None) -> None:
    if together is not None:
        together.wait(200)
    globals()[name](*args)


def spawn(name: str, *args: Any, together: Barrier | None = None) -> BaseProcess:
    """Calls a function of this module in a process of its own."""
    process = SPAWN.Process(target=call, args=(name, args, together))
    process.start()
    return process
