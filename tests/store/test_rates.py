"""How long work takes here, from work that ended here."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from backend import run
from backend.schema import Job, Progress
from backend.store import jobs, memo, queue, rates, worker
from backend.store.executor import LOCAL
from backend.store.rates import Part
from tests.store.conftest import CPU, submit

pytestmark = pytest.mark.usefixtures("cache", "no_worker")


@pytest.fixture
def job() -> Job:
    return submit()


def test_nothing_is_said_where_nothing_was_measured(job: Job) -> None:
    assert rates.seconds_of([Part("judging")], "toy", "cpu") is None
    assert rates.seconds_of([], "toy", "cpu") == 0
    rates.record(job, {"judging": (2, 10.0)})
    assert rates.seconds_of([Part("judging"), Part("other")], "toy", "cpu") is None
    assert rates.seconds_of([Part("judging")], "toy", "cuda") is None, "another device"


def test_an_estimate_is_of_what_is_left_at_the_latest_rates(job: Job) -> None:
    for _ in range(rates.LATEST):
        rates.record(job, {"judging": (1, 100.0)})
    for _ in range(rates.LATEST):
        rates.record(job, {"judging": (2, 10.0), "labelling": (1, 3.0)})
    left = [Part("judging", 4), Part("labelling", 2)]
    assert rates.seconds_of(left, "toy", "cpu") == pytest.approx(4 * 5 + 2 * 3)


def test_one_measure_on_a_busy_machine_does_not_count(job: Job) -> None:
    for seconds in (10.0, 300.0, 11.0):
        assert not rates.is_settled("reading", "toy", "cpu")
        rates.record(job, {"reading": (1, seconds)})
    assert rates.seconds_of([Part("reading")], "toy", "cpu") == 11


def test_the_study_is_its_own_measure_where_it_has_one(job: Job) -> None:
    rates.record(replace(job, study="large"), {"reading": (1, 60.0)})
    assert rates.seconds_of([Part("reading")], "toy", "cpu") == 60
    rates.record(job, {"reading": (1, 2.0)})
    assert rates.seconds_of([Part("reading")], "toy", "cpu") == 2
    assert rates.seconds_of([Part("reading")], "large", "cpu") == 60


def test_until_it_is_measured_work_takes_as_long_as_what_it_is_like(job: Job) -> None:
    part = Part("benchmark", 2, like={"reading": 3.0})
    assert rates.seconds_of([part], "toy", "cpu") is None
    rates.record(job, {"reading": (10, 10.0)})
    assert rates.seconds_of([part], "toy", "cpu") == pytest.approx(6)
    rates.record(job, {"benchmark": (1, 40.0)})
    assert rates.seconds_of([part], "toy", "cpu") == pytest.approx(80)


def test_a_worker_keeps_how_long_what_it_computed_took() -> None:
    fast = memo.memoize("toy.rated", version=1, kind=lambda number: f"of {number % 2}")(
        lambda number: {"number": number}
    )
    submitted = submit("rated")
    job = queue.claim(CPU, "me")
    assert job is not None

    def compute(*arguments: object) -> None:
        with run.computing("cpu", arguments[-1]):  # type: ignore[arg-type]
            run.each(fast, range(5), "Rating")

    worker._work(job, "me", compute)
    assert jobs.get(submitted.id).state == "done"
    assert rates.seconds_of([Part("toy.rated of 0", 3)], "toy", "cpu") is not None
    assert rates.seconds_of([Part("toy.rated")], "toy", "cpu") is None
    whole = rates.seconds_of([Part("rated")], "toy", "cpu")
    assert whole == pytest.approx(jobs.get(submitted.id).seconds, abs=0.05)

    second = submit("rated")
    job = queue.claim(CPU, "me")
    assert job is not None
    worker._work(job, "me", compute)
    assert jobs.get(second.id).state == "done"
    assert rates.seconds_of([Part("rated")], "toy", "cpu") == whole, (
        "what was on disk is no measure"
    )


def test_jobs_that_go_first_are_counted() -> None:
    long = submit(name="long", priority=queue.LONG)
    submit(name="page", priority=queue.PAGE)
    paused = submit(name="paused", priority=queue.PAGE)
    jobs.pause(paused.id)
    assert jobs.before(queue.LONG - 1, "cpu") == 2
    assert jobs.before(queue.LONG, "cpu") == 2
    assert jobs.before(queue.PAGE, "cpu") == 1
    assert jobs.before(queue.SHORT, "cpu") == 0
    assert jobs.before(queue.LONG, "cuda") == 0
    assert jobs.get(long.id).state == "queued"


def test_what_is_timed_within_counts_by_itself() -> None:
    @memo.memoize("toy.inner", version=1)
    def inner(number: int) -> dict[str, int]:
        time.sleep(0.05)
        return {"number": number}

    @memo.memoize("toy.outer", version=1)
    def outer(number: int) -> dict[str, int]:
        with run.timing("toy.load"):
            time.sleep(0.05)
        inner(number)
        return {"number": number}

    tally: dict[str, float] = {}

    class Timed(Progress):
        def computed(self, name: str, seconds: float) -> None:
            tally[name] = seconds

    with run.computing("cpu", Timed()):
        outer(1)
    assert tally["toy.load"] >= 0.05
    assert tally["toy.inner"] >= 0.05
    assert tally["toy.outer"] < 0.05


def test_a_load_is_told_though_a_thread_made_it() -> None:
    """Steps that wait for a server run in threads, which together take longer than the whole."""
    tally: dict[str, float] = {}

    class Timed(Progress):
        def computed(self, name: str, seconds: float) -> None:
            tally[name] = seconds

    def step(_: int) -> None:
        with run.timing("toy.step"):
            time.sleep(0.05)

    with run.computing("cpu", Timed(), LOCAL.each), run.timing("toy.whole"):
        run.each(step, range(4), "Stepping", workers=4)
    assert tally["toy.step"] >= 0.05
    assert tally["toy.whole"] == 0
