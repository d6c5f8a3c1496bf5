"""How long an answer takes is known once anything that takes as long was measured here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from backend import queries, query, run, settings
from backend.regions.answers import _by_stop
from backend.regions.partitioned import spec_of
from backend.schema import Job
from backend.store import queue, rates, worker
from backend.store.rates import CHUNK, Part
from backend.study import loading


@pytest.fixture
def no_worker(ready: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The study `small` in a copy of a cache that somebody else computed: no job was ever here."""
    cache = settings.current().cache
    shutil.copytree(cache, tmp_path / "copy", ignore=shutil.ignore_patterns("jobs-*", "worker-*"))
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path / "copy"))
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    return ready


def work() -> None:
    job = queue.claim(queue.Lane("cpu"), "worker")
    assert job is not None
    worker._work(job, "worker", query.compute)


def test_the_first_job_that_asks_the_model_measures_how_fast_it_reads(no_worker: str) -> None:
    assert queries.sage.estimate(no_worker).seconds is None
    assert isinstance(queries.probe(no_worker, "The captain keeps the boat."), Job)
    work()
    chunk = rates.seconds_of([Part(CHUNK)], no_worker, "cpu")
    assert chunk is not None
    assert queries.sage.estimate(no_worker).seconds == pytest.approx(14 * chunk)
    for number in range(rates.LATEST):
        assert isinstance(queries.probe(no_worker, f"The captain mends {number} boats."), Job)
        work()
    assert rates.is_settled(CHUNK, no_worker, "cpu")
    settled = rates._latest(CHUNK, no_worker, "cpu")
    assert isinstance(queries.probe(no_worker, "The captain sells the boat."), Job)
    work()
    assert rates._latest(CHUNK, no_worker, "cpu") == settled, "it is measured a few times"


def test_a_map_takes_as_long_as_the_last_one_did(no_worker: str) -> None:
    assert queries.regions.estimate(no_worker).seconds == 0, "nothing is left of it"
    assert queries.regions.estimate(no_worker, 20.0, 1.0).seconds is None
    assert isinstance(queries.regions(no_worker, 20.0, 1.1), Job)
    work()
    estimate = queries.regions.estimate(no_worker, 20.0, 1.0).seconds
    assert estimate is not None
    assert 0 < estimate < 60
    assert queries.regions.estimate(no_worker, 20.0, 1.1).seconds == 0
    study = loading.load(no_worker)
    with run.looking("cpu"):
        [(other, factor)] = _by_stop(study, study.cut(spec_of(study, 10.0, 1.1))).items()
    assert "p 20" in other
    assert factor > 1, "the smaller p, the more regions"
