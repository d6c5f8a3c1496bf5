"""The line of jobs, and the buttons by which a person moves, stops and cancels what is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from backend import queries, run
from backend.labels.words import LabelRequest
from backend.schema import Job
from backend.store import jobs, queue, rates
from backend.store.rates import Part
from backend.study import loading as studies
from tests.helpers.pages import opened, param, text_of
from tests.helpers.workers import end_workers


def line() -> list[str]:
    return [job.id for job in queries.live_jobs()]


def press(app: AppTest, key: str) -> None:
    app.button(key=key).click().run()
    assert not app.exception


def begun() -> Job:
    job = queue.claim(queue.Lane("cpu"), "worker")
    assert job
    return job


def test_what_runs_stands_first_and_what_waits_can_be_put_next(no_worker: str) -> None:
    running = queries.features(no_worker)
    assert isinstance(running, Job)
    begun()
    first, second = queries.regions(no_worker), queries.regions(no_worker, 20.0)
    assert isinstance(first, Job)
    assert isinstance(second, Job)
    assert line() == [running.id, first.id, second.id]
    app = opened("jobs")
    assert text_of(app).index("Starting") < text_of(app).index("behind Features of the SAE")
    press(app, f"run-next-{second.id}")
    assert line() == [running.id, second.id, first.id]


def test_a_waiting_job_is_paused_and_resumed(no_worker: str) -> None:
    job = queries.features(no_worker)
    assert isinstance(job, Job)
    app = opened("jobs")
    press(app, f"pause-{job.id}")
    assert "paused" in text_of(app)
    assert queue.next_of(queue.Lane("cpu")) is None
    press(app, f"resume-{job.id}")
    assert begun().id == job.id


def test_cancelling_what_runs_is_told_at_once(no_worker: str) -> None:
    job = queries.features(no_worker)
    assert isinstance(job, Job)
    begun()
    app = opened("jobs")
    press(app, f"cancel-{job.id}")
    assert "cancelling: it ends after the block that it is at" in text_of(app)
    assert not [button for button in app.button if button.label == "Cancel"]


@pytest.mark.parametrize("act", ["cancel", "pause", "run-next"])
def test_a_button_of_a_job_that_has_just_ended_does_nothing(no_worker: str, act: str) -> None:
    running, job = queries.features(no_worker), queries.regions(no_worker, 20.0)
    assert isinstance(job, Job)
    assert isinstance(running, Job)
    queue.change("UPDATE jobs SET state = 'running' WHERE id = ?", (running.id,))
    app = opened("jobs")
    queue.change("UPDATE jobs SET state = 'done', finished = created WHERE id = ?", (job.id,))
    press(app, f"{act}-{job.id}")
    assert jobs.get(job.id).state == "done"


# ---------------------------------------------------------------- work that was begun elsewhere


@pytest.fixture
def unserved(ready: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The study `small`, computed; nobody computes more, and no jobs are left at the end."""
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    end_workers()
    yield ready
    queue.change("DELETE FROM jobs")
    queue.database().write(lambda connection: connection.exec_driver_sql("DELETE FROM rates"))


def test_a_page_that_is_opened_anew_finds_what_runs_for_it(unserved: str) -> None:
    assert opened("concepts", ask="robustness").button(key="ask"), "nobody asked yet"
    job = queries.robustness(unserved)
    assert isinstance(job, Job)
    app = opened("concepts", ask="robustness")
    assert "waiting for its turn" in text_of(app)
    assert "Not computed yet" not in text_of(app)
    assert not [button for button in app.button if button.key == "ask"]
    jobs.cancel(job.id)
    assert opened("concepts", ask="robustness").button(key="ask")


def test_another_stop_is_built_beside_the_map_that_is_open(unserved: str) -> None:
    app = opened("regions", region=3)
    before = text_of(app)
    app.selectbox(key="regions:build").set_value("p 20 · k 1").run()
    assert "p 20 · k 1 has no map yet" in text_of(app)
    assert "on this machine" in text_of(app)
    assert queries.live_jobs() == [], "choosing starts nothing"
    assert param(app, "region") == "3"
    app.button(key="build-stop").click().run()
    [job] = queries.live_jobs()
    assert (job.query, json.loads(job.arguments)["p"]) == ("regions", 20.0)
    assert "this one stays until it stands" in text_of(app)
    assert "Region 3" in before
    assert "Region 3" in text_of(app)


def test_what_is_left_of_labels_and_scores_is_counted(unserved: str) -> None:
    request = LabelRequest(1, seed=77)  # nobody else has asked with it
    methods = "token_frequency,eleuther_acts_top5"
    assert queries.label_scores.estimate(unserved, request, methods).seconds is None
    parts = {part.work: part.units for part in left_of(unserved, request, methods)}
    by_model = [work for work in parts if work.startswith("labels.label eleuther_acts_top5")]
    assert [parts[work] for work in by_model] == [2], "its own, and the one that lends its label"
    detections = [n for work, n in parts.items() if work.startswith("labels.judgement detection")]
    assert detections == [5], "two labels, two shuffled ones, none"
    rates.record(fake_job(unserved), dict.fromkeys(parts, (1, 10.0)))
    estimate = queries.label_scores.estimate(unserved, request, methods)
    assert estimate.seconds == pytest.approx(10 * sum(parts.values()))


def left_of(study: str, request: LabelRequest, methods: str) -> list[Part]:
    with run.looking("cpu"):
        return list(
            queries.label_scores.entry.parts(studies.load(study), request=request, methods=methods)
        )


def fake_job(study: str) -> Job:
    job = queries.robustness(study)
    assert isinstance(job, Job)
    return job


def test_no_job_of_a_state_is_told_apart_from_no_job(no_worker: str) -> None:
    assert "No job has ended." in text_of(opened("jobs"))
    assert "No job has failed." in text_of(opened("jobs", state="failed"))
    assert ", not one of all, done, failed, cancelled." in text_of(
        opened("jobs", False, state="lost")
    )
