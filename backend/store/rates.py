"""How long work takes on this machine, from work that ended here.

A unit of work is a call of a memoized function, by the function's name, or a whole job, by its
query's. What a job computed is kept when it ends: how many units took how many seconds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from backend.schema import Job
from backend.store import queue

CHUNK = "corpus.activations"  # work that everything begins with: a model reads 128 contexts
LATEST = 5  # records that a rate is taken from: a machine may have become faster

Tally = dict[str, tuple[int, float]]  # by function: calls, seconds


@dataclass(frozen=True)
class Part:
    """So many units of a kind of work; where none of it was ever measured here, it takes about as
    long as those of other works in `like`."""

    work: str
    units: float = 1
    like: Mapping[str, float] = field(default_factory=dict)


def record(job: Job, tally: Tally) -> None:
    """Keeps how long calls of a job took, or, by its query's name, the whole of it."""
    values = [(work, job.study, job.device, *each, time.time()) for work, each in tally.items()]

    def write(connection: Connection) -> None:
        connection.exec_driver_sql("INSERT INTO rates VALUES (?, ?, ?, ?, ?, ?)", values)

    if values:
        queue.database().write(write)


def seconds_of(parts: Iterable[Part], study: str, device: str) -> float | None:
    """How long all parts will take; None where that of one of them is not known."""
    total = 0.0
    for part in parts:
        each = _measured(part.work, study, device)
        if each is None and part.like:
            each = seconds_of((Part(*item) for item in part.like.items()), study, device)
        if each is None:
            return None
        total += part.units * each
    return total


def _measured(work: str, study: str, device: str) -> float | None:
    """Seconds a unit, the median of the latest records (a machine may have been busy): of this
    study where it was measured there, else of any."""
    rows = _latest(work, study, device)
    own = [row for row in rows if row[0] == study] or rows
    return statistics.median(seconds / units for _, units, seconds in own) if own else None


def is_settled(work: str, study: str, device: str) -> bool:
    """Whether there are as many records of a study as a rate is taken from."""
    rows = _latest(work, study, device)
    return len(rows) == LATEST and all(row[0] == study for row in rows)


def _latest(work: str, study: str, device: str) -> Sequence[Any]:
    """(study, units, seconds) of the latest records, those of the study before others."""
    statement = (
        "SELECT study, units, seconds FROM rates WHERE work = ? AND device = ? "
        "ORDER BY study = ? DESC, ended DESC LIMIT ?"
    )
    parameters = work, device, study, LATEST
    return queue.database().read(
        lambda connection: connection.exec_driver_sql(statement, parameters).all(), []
    )
