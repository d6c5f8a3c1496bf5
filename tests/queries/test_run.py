"""The two moods: looking finds or says what is missing, computing computes."""

from __future__ import annotations

import functools
import threading
from pathlib import Path

import pytest

from backend import run
from backend.schema import Cancelled, Progress
from backend.store.executor import LOCAL
from tests.helpers.toy_memo import ran, squares


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path / "cache"))


class Recorded(Progress):
    """Remembers what was reported; cancels at a message."""

    def __init__(self, cancel_at: str = "") -> None:
        self.messages: list[tuple[float, float, str]] = []
        self.cancel_at = cancel_at

    def report(self, done: float, total: float, message: str, unit: str = "") -> None:
        self.messages.append((done, total, message))
        self.check()

    def check(self) -> None:
        if self.cancel_at and self.messages[-1][2] == self.cancel_at:
            raise Cancelled


def test_a_look_computes_nothing_and_names_what_is_missing() -> None:
    with run.looking(), pytest.raises(run.Missing, match="squares has not been computed"):
        squares(4)
    assert ran("squares") == 0
    with run.computing("cpu", Progress()):
        answers = squares(4)
    with run.looking():
        assert squares(4) == answers
    assert ran("squares") == 1


def test_moods_end_with_their_block_also_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), run.looking():
        raise ZeroDivisionError
    assert not run.current().looks
    assert squares(2).value("count") == 2, "outside of a mood a call computes"


def test_an_optional_part_leaves_a_gap_while_looking_and_is_made_while_computing() -> None:
    with run.looking() as look:
        assert run.optional(squares, 4) is None
    assert look.gaps is not None
    assert [gap.name for gap in look.gaps] == ["toy.squares"]
    with run.computing("cpu", Progress()):
        assert run.optional(squares, 4) is not None


def test_the_best_answer_that_is_there_is_given() -> None:
    answers = [lambda: squares(2).value("count"), lambda: squares(3).value("count")]
    with run.looking(), pytest.raises(run.Missing):
        run.best(*answers)
    squares(2)
    with run.looking() as look:
        assert run.best(*answers) == 2
    assert look.gaps is not None
    assert len(look.gaps or []) == 1, "a better one is missing"
    with run.computing("cpu", Progress()):
        assert run.best(*answers) == 3
    with run.looking() as look:
        assert run.best(*answers) == 3
    assert look.gaps == []


def test_each_better_answer_is_a_milestone_and_none_before_the_best_there_is_made() -> None:
    calls: list[int] = []

    class Counted(Progress):
        def milestone(self) -> None:
            calls.append(-1)

    def answer(number: int) -> int:
        calls.append(number)
        return squares(number).value("count")

    answers = [functools.partial(squares, number) for number in (5, 6, 7)]
    with run.computing("cpu", Counted()):
        run.best(*answers)
    assert calls == [-1, -1]
    calls.clear()
    squares(9)
    with run.computing("cpu", Counted()):
        assert run.best(*(functools.partial(answer, number) for number in (8, 9, 10))) == 10
    assert [number for number in calls if number in (8, -1)] == [], "9 was there, so 8 is no use"


def test_each_says_how_many_blocks_were_computed_before() -> None:
    skips: list[float] = []

    class Skipping(Progress):
        def skip(self, count: float) -> None:
            skips.append(count)

    def step(number: int) -> None:
        if number >= 2:  # as a memoized function does whose result is not on disk
            run.each(lambda _: run.current().progress.began(), range(1), "inside")

    with run.computing("cpu", Skipping()):
        run.each(step, range(5), "Squaring")
    assert skips == [0, 1, 2, 2, 2]


def test_each_reports_itself_and_not_what_happens_inside() -> None:
    reports = Recorded()

    def step(number: int) -> int:
        run.report(0, 1, "inside")
        return number**2

    with run.computing("cpu", reports):
        assert run.each(step, range(3), "Squaring", "numbers") == [0, 1, 4]
        run.report(1, 1, "after")
    assert reports.messages == [(i, 3, "Squaring") for i in range(3)] + [(1, 1, "after")]


def test_a_step_inside_a_loop_notices_that_the_job_was_cancelled() -> None:
    reports, started = Recorded(), []

    def step(number: int) -> None:
        started.append(number)
        reports.cancel_at = "Squaring"
        run.report(0, 1, "inside")

    with run.computing("cpu", reports), pytest.raises(Cancelled):
        run.each(step, range(3), "Squaring")
    assert started == [0]


@pytest.mark.parametrize("workers", [1, 3])
def test_each_is_in_order_and_its_threads_are_in_the_mood(workers: int) -> None:
    threads = set()

    def step(number: int) -> tuple[int, str]:
        threads.add(threading.current_thread())
        return number, run.current().device

    with run.computing("a device", Progress(), LOCAL.each):
        answers = run.each(step, range(5), "Asking", "calls", workers)
    assert answers == [(number, "a device") for number in range(5)]
    assert (threading.main_thread() in threads) == (workers == 1)


def test_each_looks_too() -> None:
    squares(0)
    with run.looking(), pytest.raises(run.Missing):
        run.each(squares, range(2), "Squaring")
