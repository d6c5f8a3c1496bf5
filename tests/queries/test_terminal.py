"""A terminal waits for whole answers, says how far they are, and tries again what had failed."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass

import pytest

from backend import query, terminal
from backend.__main__ import main
from backend.overview import jobs as waiting
from backend.schema import Job
from backend.store import jobs, queue
from tests.helpers.jobs import a_job


@dataclass(frozen=True)
class Part:
    pending: Job | None = None


@dataclass(frozen=True)
class Whole:
    part: Part | Job
    pending: Job | None = None


# ---------------------------------------------------------------- what is whole


def test_an_answer_is_whole_when_nothing_in_it_is_pending() -> None:
    job = a_job()
    assert terminal.unfinished(job) is job
    assert terminal.unfinished(Part(job)) is job
    assert terminal.unfinished(Whole(job)) is job
    assert terminal.unfinished(Whole(Part(job))) is job
    assert terminal.unfinished(Whole(Part())) is None
    assert terminal.unfinished(None) is None


def test_a_preview_is_not_taken_for_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(waiting.job_store, "tend", lambda: None)
    answers = iter([a_job(), Part(a_job(id="more")), Part(a_job(id="more")), Part()])
    followed: list[str] = []
    answer = waiting.wait(
        terminal.whole(lambda: next(answers)), follow=lambda job: followed.append(job.id)
    )
    assert answer == Part()
    assert followed == ["abc", "more", "more"]


# ---------------------------------------------------------------- what failed


@pytest.fixture
def failing(small: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A worker that fails every job as soon as it is started; the devices it was started for."""
    starts: list[str] = []

    def launch(device: str) -> None:
        starts.append(device)
        queue.change(
            "UPDATE jobs SET state = 'failed', error = 'No such SAE.', finished = ? "
            "WHERE state = 'queued'",
            (time.time(),),
        )

    monkeypatch.setattr(jobs, "launch", launch)
    return starts


def test_asking_again_after_a_failure_tries_again_and_names_the_command(
    failing: list[str], small: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for tries in (1, 2, 3):
        assert main(["regions", "--study", small, "--p", "20"]) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "failed: No such SAE." in printed.err
        assert f"python -m backend regions --study {small} --p 20" in printed.err
        assert len(failing) == tries
        time.sleep(0.01)
    assert len(jobs.recent()) == 1


def test_a_notebook_that_waits_again_tries_again(failing: list[str], small: str) -> None:
    from backend import queries

    for tries in (1, 2):
        with pytest.raises(waiting.UnansweredError, match="No such SAE"):
            queries.wait(lambda: queries.regions(small))
        assert len(failing) == tries
        time.sleep(0.01)


def test_waiting_has_an_end_that_is_told(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "launch", lambda device: None)
    with pytest.raises(waiting.ModelError, match="has not ended after 0 s"):
        waiting.wait(lambda: query.callables()["regions"](small), seconds=0)


def test_who_stops_waiting_is_told_that_the_worker_goes_on(
    small: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "launch", lambda device: None)
    monkeypatch.setattr(waiting.time, "sleep", interrupt)
    assert main(["regions", "--study", small]) == 130
    assert f"regions --study {small}" in capsys.readouterr().err


# ---------------------------------------------------------------- what is said


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_says_what_is_done_how_fast_and_how_long_still(small: str) -> None:
    job = a_job(state="running", message="Reading activations", done=1500, total=3125)
    line = terminal.progress_line(
        a_job(**{**vars(job), "unit": "chunks", "rate": 2.345, "eta": 200.0})
    )
    assert line == (
        "Regions: Reading activations 1,500/3,125 chunks, 2.3 chunks/s, 3 min 20 s left"
    )
    assert terminal.progress_line(a_job(state="running")) == "Regions: Starting"


def test_a_line_says_how_many_jobs_are_before_it(
    small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "launch", lambda device: None)
    queued = [
        jobs.submit(jobs.Request("regions", small, {}, key, title="Regions"), "cpu")
        for key in ("first", "second")
    ]
    assert terminal.progress_line(queued[0]) == "Regions: waiting for the worker"
    assert terminal.progress_line(queued[1]) == "Regions: waiting, 1 before it"


def test_a_screen_has_one_line_that_goes_and_a_file_a_line_now_and_then(small: str) -> None:
    running = a_job(state="running", message="Reading")
    screen, file, silent = Screen(), io.StringIO(), io.StringIO()
    with terminal.Follower(stream=screen) as follow:
        follow(running)
        follow(running)
    assert "\n" not in screen.getvalue()
    assert screen.getvalue().endswith(terminal.CLEAR)
    with terminal.Follower(stream=file) as follow:
        for _ in range(5):
            follow(running)
    assert file.getvalue() == "Regions: Reading\n"
    with terminal.Follower(quiet=True, stream=silent) as follow:
        follow(running)
        follow.say("A preview.")
    assert silent.getvalue() == ""
