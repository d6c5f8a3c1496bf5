"""What a job is called, how far it is, and what it waits for, in words."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from backend.schema import Job
from backend.store.views import Estimate
from components.shell.frame import _running_html
from components.shell.status import estimate_words, name_of, pace, progress_html, share_of, standing

NOW = time.time()
JOB = Job(
    **{
        "id": "a", "query": "regions", "study": "small", "arguments": "{}", "state": "running",
        "device": "cpu", "done": 10, "total": 40, "unit": "steps", "message": "Judging",
        "rate": 0.125, "eta": 240.0, "created": NOW, "started": NOW, "finished": None,
        "heartbeat": NOW, "attempts": 0, "error": "", "traceback": "", "title": "CE-Bench",
        "step": 1,
    }
)  # fmt: skip
WAITING = replace(JOB, id="b", state="queued", title="Your text", done=0, total=0, eta=None)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({}, "CE-Bench"),
        ({"feature": 12, "token": 4000}, "CE-Bench · feature 12"),
        ({"text": "", "feature": None}, "CE-Bench"),
        ({"text": "The captain", "feature": 3}, "CE-Bench · feature 3 · “The captain”"),
        ({"region": 7, "p": 4.0, "k": None}, "CE-Bench · region 7 · p 4"),
        (
            {"request": {"number": 9, "kind": "region", "p": 4.0, "k": 1.1}, "methods": "baez"},
            "CE-Bench · region 9 · p 4 · k 1.1",
        ),
        ({"request": {"number": 9}, "methods": "baez"}, "CE-Bench · feature 9"),
        ({"plan": {"features": 40}, "who": "own"}, "CE-Bench · 40 features"),
        ({"name": "topics", "concept": "sports"}, "CE-Bench · “sports”"),
    ],
)
def test_a_job_says_what_it_is_about(arguments: dict[str, Any], name: str) -> None:
    assert name_of(replace(JOB, arguments=json.dumps(arguments))) == name


def test_a_long_text_is_cut() -> None:
    assert len(name_of(replace(JOB, arguments=json.dumps({"text": "word " * 500})))) < 60


def test_what_waits_says_behind_what() -> None:
    other = replace(WAITING, id="c", title="Sage")
    assert standing(WAITING, [JOB, WAITING]) == "behind CE-Bench (4 min left of this step)"
    assert (
        standing(WAITING, [JOB, other, WAITING])
        == "behind CE-Bench (4 min left of this step) and 1 more"
    )
    assert standing(WAITING, [other, WAITING]) == "behind Sage"
    assert standing(WAITING, [WAITING, other]) == "waiting for its turn"
    assert standing(WAITING, [replace(JOB, device="cuda"), WAITING]) == "waiting for its turn"
    assert standing(WAITING) == "waiting for its turn"
    assert standing(JOB, [JOB]) == ""


def test_the_time_left_is_of_the_whole_where_that_was_estimated() -> None:
    at_work = replace(JOB, step=3, expected=1200.0, started=time.time() - 300)
    assert pace(at_work).endswith("about 15 min left of all steps")
    assert (
        standing(WAITING, [at_work, WAITING]) == "behind CE-Bench (about 15 min left of all steps)"
    )
    resumed = replace(at_work, seconds=600.0)
    assert pace(resumed).endswith("about 5 min left of all steps"), "what it ran before counts"
    late = replace(at_work, started=time.time() - 1500)
    assert pace(late).endswith("longer than estimated, 4 min left of this step")
    first = replace(at_work, step=1)
    assert pace(first).endswith("about 15 min left"), "it may be its only one"


def test_what_a_person_did_is_told_at_once() -> None:
    assert "cancelling" in pace(replace(JOB, cancel=True))
    assert pace(replace(WAITING, paused=True), [JOB]) == "paused"
    assert "pausing" in pace(replace(JOB, paused=True))
    assert "cancelling" in _running_html(replace(JOB, cancel=True), [JOB])
    assert "paused" in _running_html(replace(WAITING, paused=True), [JOB])


def test_what_waits_does_not_say_that_it_starts() -> None:
    assert "Starting" not in progress_html(replace(WAITING, message=""))
    assert "Judging" not in progress_html(replace(WAITING, message="Judging")), (
        "of its last stretch"
    )
    assert "Starting" in progress_html(replace(JOB, message=""))


def test_the_bar_is_of_the_whole_or_there_is_none() -> None:
    assert share_of(JOB) == 0.25
    half = replace(JOB, step=3, expected=600.0, started=time.time() - 300)
    assert share_of(half) == pytest.approx(0.5, abs=0.01)
    assert share_of(replace(JOB, step=3)) is None, "it would fall back to 0 at every step"
    assert "progressbar" not in progress_html(replace(JOB, step=3))
    assert "step 3 · 10 of 40 steps" in pace(replace(JOB, step=3))
    assert "4 min left of this step" in pace(replace(JOB, step=3))
    assert pace(JOB).endswith("4 min left of this step"), "whether more follow is not known"


@pytest.mark.parametrize(
    ("seconds", "before", "words"),
    [
        (None, 0, "How long it takes is not known yet on this machine."),
        (2.0, 0, "A few seconds on this machine."),
        (43.0, 0, "About 45 s on this machine."),
        (130.0, 1, "About 2 min on this machine. 1 job is before it."),
        (12_400.0, 3, "About 3 h 30 min on this machine. 3 jobs are before it."),
    ],
)
def test_an_estimate_is_as_exact_as_it_can_be(
    seconds: float | None, before: int, words: str
) -> None:
    assert estimate_words(Estimate(seconds, before)) == words
