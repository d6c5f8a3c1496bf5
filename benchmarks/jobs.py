"""How long a short question waits while a long job runs, and how good estimates are.

    python -m benchmarks.jobs [--full] [--json]

Asked of the demo, which is to be computed, in a copy of its cache whose results are links, with
real workers:

- `read_alone_s` is the median time of a text of one's own, read by the model, with nothing else at
  work; `overtake_s` the same while an experiment runs and a light worker stands beside it, and
  `give_way_s` one that is asked for before that has started;
- `estimate_ratio` is, of five kinds of work, the measured time over the estimate, the one farthest
  from 1; each kind is measured once, then estimated and measured with other arguments. With
  `--full` each is a figure of its own.
"""

from __future__ import annotations

import math
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backend import queries, settings
from backend.labels.words import LabelRequest
from backend.schema import Job, Plan
from backend.store import jobs, launch
from benchmarks.report import Figure, main

STUDY = "demo"
READS = 5
PATIENCE = 1800.0  # seconds
POLL = 0.02
OWN = Plan(methods=("eleuther_acts_top5",), scorers=("detection",), features=2)
NUMBERS = (350, 1205)  # features that are labelled, one to measure and one to estimate


@contextmanager
def copied_cache() -> Iterator[None]:
    """Results of the cache without its jobs: what is computed here stays out of it."""
    cache = settings.current().cache
    with tempfile.TemporaryDirectory(dir=cache.parent) as folder:
        copy = Path(folder) / "cache"
        shutil.copytree(
            cache, copy, copy_function=os.link, ignore=shutil.ignore_patterns("jobs-*", "worker-*")
        )
        os.environ["TESSERA_CACHE"] = str(copy)
        try:
            yield
        finally:
            for job in jobs.active():
                jobs.cancel(job.id)
            _end_workers()
            os.environ["TESSERA_CACHE"] = str(cache)


def _end_workers() -> None:
    for child in launch._children:
        child.terminate()
        child.wait(60)


def until(condition: Callable[[], bool]) -> None:
    """Waits, and restarts workers meanwhile as a page does."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited in vain; jobs: {jobs.active()}")
        jobs.tend()
        time.sleep(POLL)


def has_ended(job: Job) -> bool:
    return jobs.get(job.id).state not in ("queued", "running")


def finished(job: Job) -> Job:
    """A job that has ended well."""
    until(lambda: has_ended(job))
    ended = jobs.get(job.id)
    if ended.state != "done":
        raise RuntimeError(f"{ended.title} {ended.state}: {ended.error}")
    return ended


# ---------------------------------------------------------------- a short question


def read(number: int) -> float:
    """Seconds from asking for the reading of a text until it is there."""
    started = time.perf_counter()
    job = queries.probe(STUDY, f"The captain of team {number} scored a late goal.")
    if not isinstance(job, Job):
        raise TypeError("this text was read before")
    finished(job)
    return time.perf_counter() - started


def begin_long(seed: int) -> Job:
    """An experiment at work that takes much longer than anything here."""
    queries.start_experiment(STUDY, Plan(features=40, seed=seed))
    [job] = [each for each in jobs.active() if each.query == "run_experiment"]
    until(lambda: jobs.get(job.id).state == "running")
    return job


def waits() -> list[Figure]:
    read(0)  # the worker starts and loads the model
    alone = statistics.median(read(1 + number) for number in range(READS))
    long = begin_long(seed=101)
    time.sleep(launch.SETTLED)
    first = read(100)
    until(lambda: launch.has_free_light_worker(long.device))
    beside_long = [read(200 + number) for number in range(READS)]
    at_work = jobs.get(long.id).state == "running"
    jobs.cancel(long.id)
    until(lambda: has_ended(long))
    overtake = statistics.median(beside_long)
    return [
        Figure("read_alone_s", alone, "s", None, None),
        Figure("overtake_s", overtake, "s", 2.0, overtake <= 2.0 and at_work),
        Figure("overtake_most_s", max(beside_long), "s", None, None),
        Figure("give_way_s", first, "s", None, None),
    ]


# ---------------------------------------------------------------- estimates


def kinds() -> dict[str, list[tuple[Any, tuple[Any, ...]]]]:
    """By name a query with the arguments that are measured first, and those that are estimated."""
    request = [LabelRequest(number) for number in NUMBERS]
    tokens = [peak(number) for number in NUMBERS]
    method, both = OWN.methods[0], ",".join(Plan().methods[:2])
    return {
        "map": [(queries.regions, stop) for stop in free_stops()],
        "label": [(queries.write_labels, (each, method)) for each in request],
        "scores": [(queries.label_scores, (each, both)) for each in request],
        "experiment": [
            (queries.run_experiment, (Plan(OWN.methods, OWN.scorers, 2 + seed, seed=seed),))
            for seed in (1, 2)
        ],
        "why": [(queries.why, pair) for pair in zip(NUMBERS, tokens, strict=True)],
    }


def free_stops() -> list[tuple[float, float]]:
    """Two stops of other p, the coarsest whose maps are not there."""
    table = queries.stops(STUDY)
    free = table.filter(table["regions"].is_null()).select("p", "k").sort("p", "k").rows()
    by_p = {p: (p, k) for p, k in free}
    return [by_p[p] for p in sorted(by_p, reverse=True)[:2]]


def peak(feature: int) -> int:
    """Where a feature fires strongly, past what was asked of it before."""
    examples = queries.wait(lambda: queries.feature_examples(STUDY, feature))
    return examples.items[-1].token


def ratio(asks: list[tuple[Any, tuple[Any, ...]]]) -> float | None:
    """Measured over estimated seconds of the second, once the first was measured."""
    (first, arguments), (second, others) = asks
    job = first(STUDY, *arguments)
    if isinstance(job, Job):
        finished(job)
    estimate = second.estimate(STUDY, *others).seconds
    job = second(STUDY, *others)
    if not isinstance(job, Job) or not estimate:
        return None
    return finished(job).seconds / estimate


def estimates(full: bool) -> list[Figure]:
    ratios = {name: ratio(asks) for name, asks in kinds().items() if len(asks) == 2}
    known = {name: value for name, value in ratios.items() if value}
    worst = max(known.values(), key=lambda value: abs(math.log(value)))
    figures = [
        Figure("estimate_ratio", worst, "×", None, all(0.5 <= v <= 2 for v in known.values()))
    ]
    return figures + [Figure(f"ratio_{n}", v, "×", None, None) for n, v in known.items() if full]


def measure(full: bool) -> tuple[int, list[Figure]]:
    with copied_cache():
        return READS, [*waits(), *estimates(full)]


if __name__ == "__main__":
    main("jobs", measure)
