"""Experiments from plan to page: sampled, labelled, judged, stopped, gone on with, compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import polars as pl
import pytest

from backend import queries, query, run
from backend.experiments import blind_judging, judge_calibration, runs
from backend.experiments import experiment as experiments
from backend.experiments.views import Experiment
from backend.features.examples import peaks
from backend.labels import judges, subjects, writers
from backend.labels import steps as label_steps
from backend.labels.contract import GREEDY, Draw, Message
from backend.labels.evidence import LEAST
from backend.labels.interchange import tables
from backend.labels.interchange.records import FormatError, Problem
from backend.labels.judges import Judge, Question, Verdicts
from backend.labels.references import JudgeRef, WriterRef
from backend.labels.subjects import Models, Sampling, features_of
from backend.models import embedder as embedders
from backend.schema import (
    Cancelled,
    Job,
    LlmError,
    LlmUnavailableError,
    ModelError,
    NotFoundError,
    Plan,
    Progress,
    Study,
)
from backend.store import annotations
from backend.study import loading as studies
from tests.helpers.pages import html_of, opened, text_of

PLAN = Plan(methods=("token_frequency", "eleuther_acts_top5", "baez"), features=5)


class Scripted:
    """Labels with the first word it is shown, or fails; counts what it is asked."""

    name = "scripted"
    obeys = True

    def __init__(self, fails: int = 0, stops: int = 10**9) -> None:
        self.asked, self.fails, self.stops = 0, fails, stops

    def write(self, messages: Sequence[Message], draw: Draw = GREEDY) -> str:
        self.asked += 1
        if self.asked > self.stops:
            raise LlmUnavailableError("The cap is reached.", "Raise it.")
        if self.asked <= self.fails:
            raise LlmError("Nothing to say.", "Ask another.")
        return f"[EXPLANATION]: words like {messages[-1].content.split()[2]}"


Truth = dict[tuple[str, ...], tuple[int, ...]]  # of the texts of a question


class Knows:
    """Answers a question as it was told; may fail on the first texts of each."""

    name = "knows"

    def __init__(self, truth: Truth, fails: int = 0) -> None:
        self.truth, self.fails, self.asked = truth, fails, 0

    def judge(self, questions: Sequence[Question]) -> list[Verdicts]:
        self.asked += len(questions)
        blind = (0,) * 100
        told = [self.truth.get(one.texts, blind[: len(one.texts)]) for one in questions]
        return [Verdicts((None,) * self.fails + each[self.fails :]) for each in told]


_patches: list[pytest.MonkeyPatch] = []  # that of the test that runs


@pytest.fixture
def study(ready: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path))
    _patches[:] = [monkeypatch]
    return studies.load(ready)


def truth_of(study: Study, plan: Plan) -> Truth:
    """What is true of every text that a judge will see."""
    subject, sampling = features_of(study), subjects.sampling_of(plan, study.embedder)
    truth: Truth = {}
    for number in experiments.sample(subject, plan):
        for task in ("detection", "fuzzing"):
            trial = subject.trial(number, "", sampling, subjects.setting_of(plan, task))
            truth[trial.question.texts] = trial.truth
    return truth


def scripted(study: Study, writer: Scripted, judge: Judge, workers: int = 1) -> Models:
    """References of a kind that this test registers: they name its writer and judge."""
    (patches,) = _patches
    kind = writers.Kind(lambda ref, device: writer, workers)
    patches.setitem(writers.KINDS, "scripted", kind)
    patches.setitem(judges.KINDS, "scripted", lambda ref: judge)
    by, judged = (WriterRef("scripted", served=tool.name) for tool in (writer, judge))
    return Models(by, JudgeRef("scripted", judged), study.verbalizer, study.embedder)


def experiment(study: Study, plan: Plan, models: Models, progress: Progress | None = None) -> str:
    """Runs an experiment; its name."""
    with run.computing("cpu", progress or Progress()):
        return experiments.run(features_of(study), plan, models).digest


# ---------------------------------------------------------------- the sample and the plan


def test_sampled_features_fire_often_enough_and_each_seed_draws_its_own(study: Study) -> None:
    subject = features_of(study)
    one, again = experiments.sample(subject, PLAN), experiments.sample(subject, PLAN)
    assert one == again
    assert len(one) == PLAN.features
    assert all(len(peaks(subject.source.column(n), subject.tokens)[0]) >= LEAST for n in one)
    others = [experiments.sample(subject, Plan(features=5, seed=seed)) for seed in range(1, 5)]
    assert any(other != one for other in others)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Plan(methods=("guess",)), "a method 'guess'"),
        (Plan(scorers=("taste",)), "a scorer 'taste'"),
        (Plan(methods=()), "Nothing is asked"),
        (Plan(features=1), "1 features"),
        (Plan(window=0), "window of 0"),
        (Plan(marks="post", negatives="silent"), "negatives of other features"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(study: Study, wrong: Plan, said: str) -> None:
    with pytest.raises(NotFoundError, match=said):
        queries.estimate_cost(study.name, wrong)


# ---------------------------------------------------------------- running


def test_a_judge_that_knows_scores_one_and_a_blind_one_half(study: Study) -> None:
    plan = Plan(methods=("token_frequency",), scorers=("detection", "fuzzing"), features=5)
    truth = truth_of(study, plan)
    right = queries.experiment(
        study.name, experiment(study, plan, scripted(study, Scripted(), Knows(truth)))
    )
    assert isinstance(right, Experiment)
    assert right.means.filter(pl.col("of") == "label")["mean"].to_list() == [1.0, 1.0]
    blind = Knows({})
    blind.name = "blind"
    nothing = queries.experiment(
        study.name, experiment(study, plan, scripted(study, Scripted(), blind))
    )
    assert isinstance(nothing, Experiment)
    assert set(nothing.means["mean"]) == {0.5}
    half = Knows(truth, fails=10)
    half.name = "fails"
    failing = queries.experiment(
        study.name, experiment(study, plan, scripted(study, Scripted(), half))
    )
    assert isinstance(failing, Experiment)
    held = failing.scores.filter((pl.col("of") == "label") & pl.col("value").is_not_null())
    assert set(held["value"]) == {1.0}
    assert set(failing.scores["failures"]) == {10}


def test_every_label_is_judged_beside_its_controls(study: Study) -> None:
    name = experiment(
        study, PLAN, scripted(study, Scripted(fails=2), Knows(truth_of(study, PLAN)), workers=4)
    )
    view = queries.experiment(study.name, name)
    assert isinstance(view, Experiment)
    assert len(view.labels) == 5 * 3
    failed = view.labels.filter(pl.col("failed") != "")
    assert len(failed) >= 1
    assert not set(failed["text"]) - {""}
    keys = ["feature", "method"]
    judged = view.scores.filter(pl.col("of") == "label").select(keys).unique()
    held = view.labels.filter(pl.col("failed") == "").select(keys)
    assert set(judged.rows()) == set(held.rows())
    own = view.scores.filter(pl.col("of") == "shuffled").join(
        view.labels.select("feature", "method", "text"), on=keys, how="left"
    )
    assert len(own)
    assert set(view.scores["of"]) == {"label", "shuffled", "empty"}
    assert set(view.differences["scorer"]) >= {"detection", "fuzzing", "embedding"}
    assert set(view.controls["control"]) == {"random", "other"}
    assert (view.controls["features"] == 5).all()
    assert (view.distances["distance"] >= 0).all()


def test_hard_negatives_are_silent_and_nearest_to_train(study: Study) -> None:
    plan = Plan(methods=("token_frequency",), scorers=("detection",), features=3, negatives="hard")
    view = queries.experiment(
        study.name, experiment(study, plan, scripted(study, Scripted(), Knows({})))
    )
    assert isinstance(view, Experiment)
    assert set(view.scores["kind"]) == {"hard"}
    subject, encoder = features_of(study), embedders.load(study.embedder, "cpu")
    sampling = subjects.sampling_of(plan, study.embedder)
    for number in set(view.labels["feature"].to_list()):
        drawn = subject.draw(number, sampling)
        assert all(not any(one.values) for one in drawn.negatives)
        middle = encoder.embed([one.text for one in drawn.train]).mean(axis=0)
        chosen = encoder.embed([one.text for one in drawn.negatives]) @ middle
        silent = subject.draw(number, Sampling(negatives="silent")).negatives
        assert chosen.tolist() == pytest.approx(sorted(chosen.tolist(), reverse=True), abs=1e-5)
        assert chosen.mean() >= (encoder.embed([one.text for one in silent]) @ middle).mean()
        found = queries.comparison(study.name, view.run, number)
        assert len(found.items) == 2 * len(drawn.negatives)
        with run.looking(), pytest.raises(NotFoundError, match="not been computed"):
            subject.draw(number, replace(sampling, seed=99))


def test_a_stopped_run_keeps_what_was_asked_and_goes_on(study: Study) -> None:
    plan = Plan(methods=("eleuther_acts_top5",), scorers=("embedding",), features=5, seed=7)
    first = Scripted(stops=3)
    with pytest.raises(LlmUnavailableError, match=r"cap.*3 of 5 are kept, 2 are left"):
        experiment(study, plan, scripted(study, first, Knows({})))
    second = Scripted()
    name = experiment(study, plan, scripted(study, second, Knows({})))
    assert second.asked == 2  # three were paid for already
    third = Scripted()
    assert experiment(study, plan, scripted(study, third, Knows({}))) == name
    assert third.asked == 0


def test_a_cancelled_run_goes_on_where_it_was(study: Study) -> None:
    plan = Plan(methods=("eleuther_acts_top5",), scorers=("detection",), features=5, seed=8)

    class Stop(Progress):
        def report(self, done: float, total: float, message: str, unit: str = "") -> None:
            if message == "Judging labels" and done == 3:
                raise Cancelled

    writer, judge = Scripted(), Knows({})
    with pytest.raises(Cancelled):
        experiment(study, plan, scripted(study, writer, judge), Stop())
    asked, judged = writer.asked, judge.asked
    experiment(study, plan, scripted(study, writer, judge))
    assert writer.asked == asked
    assert judge.asked == judged + 5 * 3 - 3


class Reads:
    """Says that a text fits where it holds the quoted word; fails on the first."""

    name = "reads"

    def judge(self, questions: Sequence[Question]) -> list[Verdicts]:
        words = [one.label.split('"')[1] for one in questions]
        return [
            Verdicts((None, *(int(word in text.casefold()) for text in one.texts[1:])))
            for one, word in zip(questions, words, strict=True)
        ]


def test_a_judge_is_tested_where_the_answer_is_known(study: Study) -> None:
    asked = judge_calibration.questions(features_of(study).tokens, 12, seed=1)
    assert len(asked) == judge_calibration.WORDS
    for question, truth in asked:
        assert sum(truth) == judge_calibration.EACH
        word = question.label.split('"')[1]
        held = [word in text.casefold() for text in question.texts]
        assert all(has for has, true in zip(held, truth, strict=True) if true)
    for judge, mean, failures in ((Reads(), 1.0, judge_calibration.WORDS), (Knows({}), 0.5, 0)):
        ref = scripted(study, Scripted(), judge).judge
        entry = judge_calibration.calibrate_judge(study.model, study.corpus, ref, 12, 9)
        row = entry.frame("known").row(0, named=True)
        assert row["mean"] == pytest.approx(mean, abs=0.06)
        assert row["failures"] == failures


# ---------------------------------------------------------------- jobs and pages


def test_starting_gives_a_job_that_knows_its_plan(study: Study) -> None:
    plan = Plan(methods=("token_frequency",), scorers=("embedding",), features=4, seed=3)
    name = queries.start_experiment(study.name, plan)
    job = queries.experiment(study.name, name)
    assert isinstance(job, Job)
    assert runs.read_plan(json.loads(job.arguments)["plan"]) == plan
    listed = queries.experiments(study.name)
    assert (listed[0].run, listed[0].plan, listed[0].done) == (name, plan, False)
    with pytest.raises(NotFoundError, match="no experiment"):
        queries.experiment(study.name, "f" * 32)


def test_a_worker_with_other_settings_refuses_the_job(study: Study) -> None:
    patches = _patches[0]
    patches.setenv("TESSERA_LLM_URL", "https://example.org/v1")
    patches.setenv("TESSERA_LLM_MODEL", "tiny")
    plan = Plan(methods=("eleuther_acts_top5",), scorers=("embedding",), features=2, seed=4)
    name = queries.start_experiment(study.name, plan, "server")
    job = queries.experiment(study.name, name)
    assert isinstance(job, Job)
    assert json.loads(job.arguments)["who"] == "tiny at example.org"
    patches.setenv("TESSERA_LLM_MODEL", "another")
    with pytest.raises(LlmUnavailableError, match=r"knows another at example\.org, but tiny"):
        query.compute(job.query, study.name, json.loads(job.arguments), "cpu", Progress())
    assert queries.cancel(job.id).state == "cancelled"


def test_without_a_server_the_form_says_how_to_name_one(study: Study) -> None:
    with pytest.raises(LlmError, match="TESSERA_LLM_URL"):
        queries.estimate_cost(study.name, PLAN, "server")


def test_the_pages_show_an_experiment(study: Study) -> None:
    name = experiment(study, PLAN, scripted(study, Scripted(fails=1), Knows(truth_of(study, PLAN))))
    said = text_of(opened("experiment", run=name))
    assert "smallest true difference" in said
    assert "Labels farthest apart" in said
    app = opened("compare", run=name)
    assert "held-out excerpt" in text_of(app)
    hidden = opened("compare", run=name, blind=1)
    body = html_of(hidden).split('class="quiet"', 1)[1]
    assert "eleuther" not in body
    hidden.button(key="vote-0").click().run()
    assert len(annotations.events("vote", study.name, name)) == 1


def test_experiments_that_are_not_there_are_told(study: Study) -> None:
    app = opened("experiment", fine=False, run="f" * 32)
    assert "There is no experiment" in text_of(app)
    assert "New experiment" in " ".join(box.label for box in app.expander)


def test_labels_with_markup_stay_text(study: Study) -> None:
    class Marks(Scripted):
        name = "marks"

        def write(self, messages: Sequence[Message], draw: Draw = GREEDY) -> str:
            return "[EXPLANATION]: <img src=x onerror=alert(1)> & **bold**"

    plan = Plan(
        methods=("eleuther_acts_top5", "token_frequency"), scorers=("detection",), features=3
    )
    name = experiment(study, plan, scripted(study, Marks(), Knows({})))
    for page in ("experiment", "compare", "judge"):
        said = html_of(opened(page, run=name))
        assert "<img" not in said
        if page != "judge":
            assert "&lt;img src=x" in said


# ---------------------------------------------------------------- files


def test_an_experiment_goes_out_and_comes_back(study: Study) -> None:
    name = experiment(study, PLAN, scripted(study, Scripted(fails=1), Knows(truth_of(study, PLAN))))
    view = queries.experiment(study.name, name)
    assert isinstance(view, Experiment)
    taken = queries.import_experiment(queries.export_experiment(study.name, name, "baez"))
    assert taken.problems == ()
    back = queries.experiment(study.name, taken.run)
    assert isinstance(back, Experiment)
    keys = ["feature", "method"]
    columns = [*keys, "text", "failed"]
    assert back.labels.select(columns).sort(keys).equals(view.labels.select(columns).sort(keys))
    assert (
        back.means.select("method", "of", "mean")
        .sort("method", "of", "mean")
        .equals(view.means.select("method", "of", "mean").sort("method", "of", "mean"))
    )
    assert taken.run in [each.run for each in queries.experiments(study.name)]
    assert "smallest true difference" in text_of(opened("experiment", run=taken.run))
    said = text_of(opened("compare", fine=False, run=taken.run))
    assert "has not ended" in said or "holds no verdicts" in said


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "neuronpedia"])
def test_labels_go_out_in_every_format(study: Study, kind: str) -> None:
    name = experiment(study, PLAN, scripted(study, Scripted(), Knows({})))
    data = queries.export_experiment(study.name, name, kind)
    if kind == "neuronpedia":
        assert data[:2] == b"PK"
        return
    problems: list[Problem] = []
    rows = tables.lines(tables.Row, data, kind, "labels", problems)
    view = queries.experiment(study.name, name)
    assert isinstance(view, Experiment)
    assert {row.text for _, row in rows} == set(view.labels["text"])
    assert problems == []


def test_a_file_that_is_no_experiment_is_refused(study: Study) -> None:
    with pytest.raises(FormatError):
        queries.import_experiment(b"PK\x03\x04 nothing of the kind")
    with pytest.raises(NotFoundError, match="jsonl, csv, parquet, neuronpedia, baez"):
        queries.export_experiment(study.name, "f" * 32, "xml")
    with pytest.raises(NotFoundError, match="no import"):
        queries.experiment(study.name, "import-../../etc")


# ---------------------------------------------------------------- search by meaning


@pytest.mark.parametrize("of", ["feature", "region"])
def test_labels_are_found_by_meaning(study: Study, of: str) -> None:
    from tests.helpers.jobs import run_job

    run_job(study.name, queries.search_labels(study.name, "boats on the sea", of))
    found = queries.search_labels(study.name, "boats on the sea", of)
    assert isinstance(found, pl.DataFrame)
    assert found.columns == [of, "label", "method", "cosine"]
    assert found["cosine"].to_list() == sorted(found["cosine"].to_list(), reverse=True)
    assert found[of].is_unique().all()
    app = opened(f"{of}s", search="boats on the sea", by="meaning")
    assert "nearest" in text_of(app) or "boats" in str(app.query_params)
    with pytest.raises(ModelError, match="characters"):
        queries.search_labels(study.name, "x" * 501)


# ---------------------------------------------------------------- people


def test_votes_count_the_last_word_of_each(study: Study) -> None:
    name = experiment(study, PLAN, scripted(study, Scripted(), Knows({})))
    queries.vote(study.name, name, "ann", 1, "baez", ["eleuther_acts_top5"])
    queries.vote(study.name, name, "ann", 1, "eleuther_acts_top5", ["baez"])
    queries.vote(study.name, name, "bob", 1, "baez", ["eleuther_acts_top5"])
    queries.vote(study.name, name, "bob", 2, "", ["baez", "eleuther_acts_top5"])
    row = queries.votes(study.name, name).row(0, named=True)
    assert (row["method"], row["preferred"], row["n"]) == ("baez", 1, 2)


def test_a_person_is_judged_like_the_model(study: Study) -> None:
    truth = truth_of(study, PLAN)
    name = experiment(study, PLAN, scripted(study, Scripted(), Knows(truth)))
    seen = set()
    while (task := queries.detection_task(study.name, name, "ann")).item:
        assert task.item not in seen
        seen.add(task.item)
        queries.answer_detection(study.name, name, "ann", task.item, truth[task.texts])
    assert len(seen) == task.of >= 10
    own, model = queries.detection_scores(study.name, name).rows(named=True)
    assert (own["who"], own["mean"], own["labels"]) == ("ann", 1.0, len(seen))
    assert (model["mean"], model["labels"]) == (1.0, len(seen))
    assert queries.detection_task(study.name, name, "bob").done == 0


def test_a_person_tells_verbalizations_apart_or_not(study: Study) -> None:
    name = experiment(study, PLAN, scripted(study, Scripted(), Knows({})))
    rows = blind_judging._verbalizations(study, name)
    while (guess := queries.verbalization_task(study.name, name, "ann")).item:
        real = rows[guess.item]["real"]
        assert guess.context == rows[guess.item]["context"]
        queries.answer_verbalization(study.name, name, "ann", guess.item, guess.texts.index(real))
    scores = queries.verbalization_scores(study.name, name)
    assert scores["right"].to_list() == scores["n"].to_list()
    assert set(scores["control"]) <= set(label_steps.CONTROLS)
