"""Compare for whatever was judged, and while an experiment is under way."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
import streamlit as st

from backend import queries, run
from backend.experiments import runs
from backend.experiments.views import Experiment, Run
from backend.schema import Job, NotFoundError, Plan, Progress, Study
from components.experiments import comparison, results
from components.experiments import runs as experiment_runs
from tests.helpers.experimenting import Knows, Scripted, experiment, scripted
from tests.helpers.pages import opened, text_of

COUNTING = ("token_frequency", "logit_cascade")


def test_labels_that_only_an_embedder_scored_stand_beside_each_other(study: Study) -> None:
    plan = Plan(methods=COUNTING, scorers=("embedding",), features=3, seed=21)
    name = experiment(study, plan, scripted(study, Scripted(), Knows({})))
    view = queries.experiment(study.name, name)
    assert not isinstance(view, Job)
    for link in ({}, {"by": "fuzzing"}):  # a link from another experiment names what is not here
        app = opened("compare", run=name, **link)
        words = text_of(app)
        assert "embedding AUROC" in words
        assert "so none has a mark" in words
        assert "✓" not in words
    feature = view.labels["feature"][0]
    answer = queries.comparison(study.name, name, feature, "embedding")
    assert not answer.judged
    assert answer.items
    assert all(not item.answers for item in answer.items)
    with pytest.raises(NotFoundError, match="not judged by detection"):
        queries.comparison(study.name, name, feature, "detection")
    with pytest.raises(NotFoundError, match="no label of feature 999999"):
        queries.comparison(study.name, name, 999_999, "embedding")


def test_what_stands_of_an_experiment_under_way_is_shown(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda _lane: None)
    plan = Plan(methods=COUNTING, scorers=("detection",), features=4, seed=22)
    name = queries.start_experiment(study.name, plan)
    before = queries.experiment_so_far(study.name, name)
    assert not len(before.labels)
    assert "held-out excerpt" not in text_of(opened("compare", run=name))
    models = scripted(study, Scripted(), Knows({}))
    monkeypatch.setattr(runs, "models_of", lambda *_: models)
    monkeypatch.setattr(runs, "run_digest", lambda *_, **__: name)
    with run.computing("cpu", Progress()):
        steps = runs.steps_of(study, plan, models)
        first = steps.labels().filter(failed="").row(0, named=True)
        steps.judge((first["feature"], first["text"], "detection"))
    so_far = queries.experiment_so_far(study.name, name)
    assert len(so_far.labels) == 4 * 2
    answer = queries.comparison(study.name, name, first["feature"], "detection")
    assert set(answer.scores["label"]) == {first["text"]}
    has_mark = [text == first["text"] for text in answer.labels.filter(failed="")["text"]]
    assert [each is not None for each in answer.items[0].answers] == has_mark
    words = text_of(opened("compare", run=name))
    assert "waits for its turn" in words
    assert "What stands already is shown here." in words
    assert "held-out excerpt" in words
    judge = text_of(opened("judge", run=name))
    assert "waits for its turn" in judge
    task = queries.detection_task(study.name, name, "ann")
    queries.answer_detection(study.name, name, "ann", task.item, [1] * len(task.texts))
    assert queries.detection_task(study.name, name, "ann").done == 1


def test_an_experiment_of_failures_alone_can_be_opened(study: Study) -> None:
    plan = Plan(methods=("eleuther_acts_top5",), scorers=("detection",), features=2, seed=23)
    name = experiment(study, plan, scripted(study, Scripted(fails=100), Knows({})))
    text = text_of(opened("compare", run=name))
    assert "Nothing to say." in text
    assert "Failures" in text_of(opened("experiment", run=name))


def test_results_begin_with_what_beats_its_shuffled_control(study: Study) -> None:
    plan = Plan(methods=COUNTING, scorers=("embedding",), features=3, seed=21)
    name = experiment(study, plan, scripted(study, Scripted(), Knows({})))
    view = queries.experiment(study.name, name)
    assert isinstance(view, Experiment)
    gains = view.gains.filter(scorer="embedding_auroc").head(1)
    for low, sentence in (
        (0.02, f"Labels that beat their shuffled control: {gains['method'][0]} by embedding AUROC"),
        (-0.02, "No method beats its shuffled control, on 3 features."),
        (0.0, "No method beats its shuffled control, on 3 features."),
    ):
        some = gains.with_columns(difference=pl.lit(0.1), low=pl.lit(low), features=pl.lit(3))
        assert sentence in results.answer_html(
            replace(view, gains=some.cast(gains.schema)), "auroc"
        )
    page = text_of(opened("experiment", run=name))
    assert page.index("shuffled control") < page.index("Filled: mean over features")
    assert page.index("Filled: mean over features") < page.index("Differences between methods")
    assert "from the whole range of peaks" in page
    assert "The commonest token at or beside the peak." in page


def test_runs_are_named_by_what_they_did() -> None:
    plan = Plan(methods=("baez",), scorers=("fuzzing",), features=8)
    one = Run("a" * 32, plan, "package:tiny@1", "", 0.0)
    assert "baez · by fuzzing · 8 random features · tiny" in experiment_runs.title(one)
    chosen = replace(plan, among=(3, 5), features=2)
    assert "features 3, 5" in experiment_runs.title(replace(one, plan=chosen))
    many = replace(plan, among=tuple(range(90)))
    assert experiment_runs.which(many) == "8 of 90 chosen features"
    assert experiment_runs.which(replace(many, features=90)) == "90 chosen features"


def test_how_far_a_run_is_stands_with_the_way_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(st.session_state, "address.page", "compare")
    job = Job(
        **dict.fromkeys(("created", "started", "finished", "heartbeat"), 0.0)
        | dict.fromkeys(("query", "study", "arguments", "unit", "error", "traceback"), "")
        | {"id": "j", "state": "running", "device": "cpu", "done": 13, "total": 112, "attempts": 1}
        | {"message": "Judging labels", "rate": None, "eta": None, "title": ""}
    )
    text = experiment_runs.running_html("a" * 32, job, True)
    assert "Your experiment is running: Judging labels, 13 of 112." in text
    assert 'href="experiment?run=aaaa' in text
    assert "can be resumed" in experiment_runs.running_html(
        "a", replace(job, state="cancelled"), False
    )


def test_a_comparison_begins_with_the_label_that_does_best(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(st.session_state, "address.page", "compare")
    plan = Plan(methods=COUNTING, scorers=("embedding",), features=3, seed=21)
    name = experiment(study, plan, scripted(study, Scripted(), Knows({})))
    view = queries.experiment(study.name, name)
    assert isinstance(view, Experiment)
    answer = queries.comparison(study.name, name, view.labels["feature"][0], "embedding")
    best = answer.scores.filter(scorer="embedding_auroc", of="label").head(1)
    none = best.with_columns(of=pl.lit("empty"), method=pl.lit(""), value=pl.lit(0.5))
    for low, verdict in ((0.6, "better than no label at all (.50)"), (0.4, "not told from no")):
        some = best.with_columns(value=pl.lit(0.7), low=pl.lit(low), high=pl.lit(0.8))
        words = comparison.answer_html(replace(answer, scores=pl.concat([some, none])))
        assert "that of " in words
        assert ".70" in words
        assert verdict in words
    assert not comparison.answer_html(replace(answer, scores=answer.scores[:0]))
    assert "does best by embedding AUROC" in text_of(opened("compare", run=name))
    assert "does best" not in text_of(opened("compare", run=name, blind=1)), "it would name it"
