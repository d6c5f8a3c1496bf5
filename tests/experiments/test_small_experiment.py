"""Who comes to judge or to compare with nothing there gets to it with one click."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import streamlit as st

from backend import queries, run, settings
from backend.experiments import experiment as experiments
from backend.experiments import runs
from backend.labels.subjects import features_of, wordings_of
from backend.schema import Job, Plan, Progress, Study
from backend.store import queue, rates
from components.experiments import small as offer
from components.experiments.small import PLAN
from components.shell import numbers
from tests.helpers.experimenting import Knows, Scripted, scripted
from tests.helpers.pages import opened, param, text_of


@pytest.fixture
def bare(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The study in a copy of its cache in which no experiment was ever made."""
    left_out = shutil.ignore_patterns("jobs-*", "worker-*", "experiments.*", "labels.*")
    shutil.copytree(settings.current().cache, tmp_path / "copy", ignore=left_out)
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path / "copy"))
    return study.name


@pytest.mark.parametrize(("page", "what"), [("judge", "judge"), ("compare", "compare")])
def test_one_click_makes_a_small_experiment(bare: str, page: str, what: str) -> None:
    app = opened(page)
    words = text_of(app)
    assert f"There are no labels to {what} yet." in words
    assert not queries.experiments(bare), "to look starts nothing"
    app.button(key="small").click().run()
    assert not app.exception
    (first,) = queries.experiments(bare)
    assert param(app, "run") == first.run
    assert first.plan == PLAN
    job = queries.experiment(bare, first.run)
    assert isinstance(job, Job)
    assert runs.read_plan(json.loads(job.arguments)["plan"]) == PLAN
    assert "waiting for its turn" in text_of(app)
    assert app.button(key="cancel-labels")


def test_its_time_is_told_once_a_reading_was_measured(bare: str) -> None:
    assert "is not known yet on this machine" in text_of(opened("judge"))
    assert isinstance(queries.probe(bare, "The captain keeps the boat."), Job)
    job = queue.claim(queue.Lane("cpu"), "worker")
    assert job
    rates.record(job, {rates.CHUNK: (10, 20.0)})
    queue.update(job.id, "worker", state="done")
    seconds = queries.run_experiment.estimate(bare, PLAN).seconds
    assert seconds
    assert f"{numbers.about(seconds)[1:]} on this machine" in text_of(opened("judge"))


def test_a_study_without_features_offers_none(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(offer, "render_empty", lambda *words: shown.extend(words))
    monkeypatch.setattr(st, "button", lambda *_, **__: pytest.fail("nothing could be started"))
    card = type("Card", (), {"sae": ""})()
    place = type("Place", (), {"card": card, "study": study.name})()
    offer.render_offer(queries, place, "There are no labels to judge yet.")
    assert shown == ["There are no labels to judge yet.", offer.NO_FEATURES]


@pytest.mark.parametrize(
    ("methods", "seed", "known"),
    [(("token_frequency",), 31, [3]), (("baez", "token_frequency"), 32, [3, 6])],
)
def test_labels_can_be_judged_before_the_model_is_asked_to(
    study: Study, methods: tuple[str, ...], seed: int, known: list[int]
) -> None:
    plan = Plan(methods=methods, scorers=("detection",), features=3, seed=seed)
    judge = Knows({})
    models = scripted(study, Scripted(), judge)
    counts: list[int] = []

    class Milestones(Progress):
        def milestone(self) -> None:
            assert not judge.asked
            counts.append(len(runs.steps_of(study, plan, models).known_labels()))

    with run.computing("cpu", Milestones()):
        experiments.run(features_of(study), plan, models, wordings_of(plan))
    assert counts == known, "those that need no verbalizer come first"
    assert judge.asked


def test_an_experiment_that_reads_its_features_first_can_be_waited_for(
    small: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path))
    name = queries.start_experiment(small, PLAN)
    assert not len(queries.experiment_so_far(small, name).labels)
    for page in ("judge", "compare"):
        assert "waiting for its turn" in text_of(opened(page, study=small, run=name))
