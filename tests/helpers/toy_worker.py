"""A worker with toy queries, for the tests of jobs: `python -m tests.helpers.toy_worker <device>`,
a light one with `light` behind it. With `submit` it submits a job instead, from a process of its
own.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from backend import settings
from backend.schema import CorpusError, Progress
from backend.store import jobs, launch, worker
from backend.store.jobs import Request
from backend.store.queue import Lane


def note(name: str, text: str) -> None:
    with (settings.current().cache / name).open("a") as file:
        file.write(f"{text}\n")


def count(arguments: dict[str, Any], progress: Progress) -> None:
    """Keeps each chunk it has finished, like memoized work, and skips it the next time."""
    chunks = arguments["chunks"]
    for chunk in range(chunks):
        progress.report(chunk, chunks, "Counting", "chunks")
        path = settings.current().cache / f"{arguments.get('name', 'chunk')}-{chunk}"
        if not path.exists():
            time.sleep(arguments["seconds"])
            path.touch()
            note("ran.txt", path.name)
    progress.report(chunks, chunks, "Counting", "chunks")


def fail(arguments: dict[str, Any], _progress: Progress) -> None:
    kinds = {
        "bug": ValueError("seven is not prime enough"),
        "told": CorpusError("The corpus is empty.", "Give it a text."),
        "memory": MemoryError(),
    }
    raise kinds[arguments["kind"]]


def die(_arguments: dict[str, Any], _progress: Progress) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


TOYS = {"count": count, "fail": fail, "die": die}


def compute(
    query: str, _study: str, arguments: dict[str, Any], _device: str, progress: Progress
) -> None:
    TOYS[query](arguments, progress)


def command(lane: Lane) -> list[str]:
    light = ["light"] if lane.light else []
    return [sys.executable, "-m", "tests.helpers.toy_worker", lane.device, *light]


if __name__ == "__main__":
    launch.command = command
    launch.PAUSE = launch.SETTLED = 0.0
    if sys.argv[2:] == ["submit"]:
        request = Request("count", "toy", {"chunks": 1, "seconds": 0.1}, "shared")
        job = jobs.submit(request, sys.argv[1])
        print(job.id)
    else:
        lane = Lane(sys.argv[1], sys.argv[2:] == ["light"])
        note("pids-light.txt" if lane.light else "pids.txt", str(os.getpid()))
        worker.run(lane, compute)
