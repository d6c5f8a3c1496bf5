"""How long a person who labels waits between two items, and how many events can be kept.

    python -m benchmarks.queue [--full] [--json]

- `save_next_ms` is the median, and `save_next_p95_ms` the 95th of 100, to keep one event and read
  what came after the last, where a study has 10,000 of them;
- `events_per_s` is by the hundred, `single_per_s` one by one;
- `raw_ratio` is how much longer it takes one by one than SQLite by itself, with the same pragmas
  and tables, by turns. Both wait for the disk: what is above 1 is ours.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import tempfile
import time
import uuid
from contextlib import closing
from pathlib import Path

from backend import settings
from backend.store import annotations
from backend.store.annotations import New
from benchmarks.report import Figure, alternated, main, median_ratio, seconds_of

EVENTS_STORED = 10_000  # events, one for each labelled item
HUNDRED = 100
ROUNDS = 3
STUDY, KIND = "demo", "label"
COLUMNS = ("made", "person", "kind", "study", "subject", "value", "uid")
INSERT = f"INSERT INTO events ({', '.join(COLUMNS)}) VALUES (:{', :'.join(COLUMNS)})"


def new(item: int) -> New:
    """A label as a person gives one, of the usual length."""
    value = {"item": item, "answers": [1, 0, None, 1] * 5, "note": "names of sports clubs"}
    return New("", "somebody", KIND, STUDY, f"item-{item}", value)


def fill(count: int) -> None:
    """So many labels, by the hundred."""
    for start in range(0, count, HUNDRED):
        annotations.add_all([new(item) for item in range(start, start + HUNDRED)])


def save_next(count: int) -> list[float]:
    """Milliseconds of each of so many labels until what came after the last is known."""
    last, seconds = annotations.add_all([new(0)])[0].id, []
    for item in range(count):
        started = time.perf_counter()
        annotations.add(KIND, STUDY, f"item-{item}", "somebody", new(item).value)
        last = annotations.of_study(STUDY, [KIND], after=last)[-1].id
        seconds.append(1000 * (time.perf_counter() - started))
    return seconds


def singly(count: int) -> None:
    for item in range(count):
        annotations.add_all([new(item)])


def raw(connection: sqlite3.Connection, count: int) -> None:
    """The same rows by SQLite alone, each on disk before the next."""
    for item in range(count):
        event = vars(new(item))
        rest = {"made": time.time(), "uid": uuid.uuid4().hex, "value": json.dumps(event["value"])}
        connection.execute(INSERT, event | rest)
        connection.commit()


def copied(folder: Path) -> sqlite3.Connection:
    """A database with the same tables and rows, opened as the store opens its own."""
    copy = sqlite3.connect(folder / "raw.sqlite")
    with closing(sqlite3.connect(annotations.path())) as whole:
        whole.backup(copy)
    copy.execute("PRAGMA journal_mode = WAL")
    copy.execute("PRAGMA synchronous = FULL")
    return copy


def measure(full: bool) -> tuple[int, list[Figure]]:
    cache = settings.current().cache  # on a real disk, where /tmp may be memory
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        os.environ["TESSERA_ANNOTATIONS"] = folder
        fill(EVENTS_STORED)
        return EVENTS_STORED, figures(Path(folder), 400 if full else HUNDRED)


def figures(folder: Path, count: int) -> list[Figure]:
    save_next(10)
    waits = save_next(count)
    rates = [count / seconds_of(lambda: fill(count)) for _ in range(ROUNDS)]
    with closing(copied(folder)) as copy:

        def both() -> tuple[float, float]:
            return alternated([(lambda: singly(20), lambda: raw(copy, 20))] * (count // 20))

        ratio = median_ratio(both, ROUNDS)
    single = [count / seconds_of(lambda: singly(count)) for _ in range(ROUNDS)]
    return [
        Figure("save_next_ms", statistics.median(waits), "ms", None, None),
        Figure("save_next_p95_ms", statistics.quantiles(waits, n=20)[-1], "ms", None, None),
        Figure("events_per_s", statistics.median(rates), "/s", None, None),
        Figure("single_per_s", statistics.median(single), "/s", None, None),
        Figure("raw_ratio", ratio, "×", None, None),
    ]


if __name__ == "__main__":
    main("queue", measure)
