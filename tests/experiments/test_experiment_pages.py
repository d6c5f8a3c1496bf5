"""Experiments from job to page and file, and what people say of them."""

from __future__ import annotations

import json
from collections.abc import Sequence

import polars as pl
import pytest

from backend import queries, query
from backend.experiments import blind_judging, runs
from backend.experiments.views import Experiment, Task
from backend.labels import steps as label_steps
from backend.labels.contract import GREEDY, Draw, Message
from backend.labels.interchange import tables
from backend.labels.interchange.records import FormatError, Problem
from backend.schema import (
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
from components.experiments.blind_judging import ahead
from tests.helpers.experimenting import PLAN, Knows, Scripted, experiment, scripted, truth_of
from tests.helpers.jobs import answer_of
from tests.helpers.pages import html_of, opened, param, text_of

# ---------------------------------------------------------------- jobs and pages


def test_starting_gives_a_job_that_knows_its_plan(study: Study) -> None:
    plan = Plan(methods=("token_frequency",), scorers=("embedding",), features=4, seed=3)
    name = queries.start_experiment(study.name, plan)
    job = queries.experiment(study.name, name)
    assert isinstance(job, Job)
    assert runs.read_plan(json.loads(job.arguments)["plan"]) == plan
    first = queries.experiments(study.name)[0]
    assert (first.run, first.plan, first.done) == (name, plan, False)
    with pytest.raises(NotFoundError, match="no experiment"):
        queries.experiment(study.name, "f" * 32)


def test_a_worker_with_other_settings_refuses_the_job(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_LLM_URL", "https://example.org/v1")
    monkeypatch.setenv("TESSERA_LLM_MODEL", "tiny")
    plan = Plan(methods=("eleuther_acts_top5",), scorers=("embedding",), features=2, seed=4)
    name = queries.start_experiment(study.name, plan, "server")
    job = queries.experiment(study.name, name)
    assert isinstance(job, Job)
    assert json.loads(job.arguments)["who"] == "tiny at example.org"
    monkeypatch.setenv("TESSERA_LLM_MODEL", "another")
    with pytest.raises(LlmUnavailableError, match=r"knows another at example\.org, but tiny"):
        query.compute(job.query, study.name, json.loads(job.arguments), "cpu", Progress())
    assert queries.cancel(job.id).state == "cancelled"


def test_without_a_server_the_form_says_how_to_name_one(study: Study) -> None:
    with pytest.raises(LlmError, match="TESSERA_LLM_URL"):
        queries.estimate_cost(study.name, PLAN, "server")


def test_the_pages_show_an_experiment(study: Study) -> None:
    name = experiment(study, PLAN, scripted(study, Scripted(fails=1), Knows(truth_of(study, PLAN))))
    text = text_of(opened("experiment", run=name))
    assert "smallest true difference" in text
    assert "Labels farthest apart" in text
    app = opened("compare", run=name)
    assert "held-out excerpt" in text_of(app)
    unnamed = opened("compare", run=name, blind=1, person=" ")
    assert not [button for button in unnamed.button if str(button.key).startswith("vote")]
    hidden = opened("compare", run=name, blind=1, person="Ann")
    body = html_of(hidden).split('class="quiet"', 1)[1]
    assert "eleuther" not in body
    hidden.button(key="vote-0").click().run()
    (vote,) = annotations.events("vote", study.name, name)
    assert vote.person == "Ann"


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
        text = html_of(opened(page, run=name, person="ann"))
        assert "<img" not in text
        if page != "judge":
            assert "&lt;img src=x" in text


# ---------------------------------------------------------------- files


def test_an_experiment_goes_out_and_comes_back(study: Study) -> None:
    name = experiment(study, PLAN, scripted(study, Scripted(fails=1), Knows(truth_of(study, PLAN))))
    view = queries.experiment(study.name, name)
    assert isinstance(view, Experiment)
    receipt = queries.import_experiment(queries.export_experiment(study.name, name, "baez"))
    assert receipt.problems == ()
    back = queries.experiment(study.name, receipt.run)
    assert isinstance(back, Experiment)
    keys = ["feature", "method"]
    columns = [*keys, "text", "failed"]
    assert back.labels.select(columns).sort(keys).equals(view.labels.select(columns).sort(keys))
    assert (
        back.means.select("method", "of", "mean")
        .sort("method", "of", "mean")
        .equals(view.means.select("method", "of", "mean").sort("method", "of", "mean"))
    )
    assert receipt.run in [each.run for each in queries.experiments(study.name)]
    assert "smallest true difference" in text_of(opened("experiment", run=receipt.run))
    text = text_of(opened("compare", run=receipt.run))
    assert "imported without its excerpts" in text
    assert "baez" in text
    assert "embedding AUROC" in text


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


@pytest.mark.parametrize("kind", ["feature", "region"])
def test_labels_are_found_by_meaning(study: Study, kind: str) -> None:
    result = answer_of(
        study.name, lambda: queries.search_labels(study.name, "boats on the sea", kind)
    )
    assert isinstance(result, pl.DataFrame)
    assert result.columns == [kind, "label", "method", "cosine"]
    assert result["cosine"].to_list() == sorted(result["cosine"].to_list(), reverse=True)
    assert result[kind].is_unique().all()
    app = opened(f"{kind}s", search="boats on the sea", by="meaning")
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
    texts = set()
    while (task := queries.detection_task(study.name, name, "ann")).item:
        assert task.item not in texts
        texts.add(task.item)
        queries.answer_detection(study.name, name, "ann", task.item, truth[task.texts])
    assert len(texts) == task.total >= 10
    own, model = queries.detection_scores(study.name, name).rows(named=True)
    assert (own["who"], own["mean"], own["labels"]) == ("ann", 1.0, len(texts))
    assert (model["mean"], model["labels"]) == (1.0, len(texts))
    assert queries.detection_task(study.name, name, "bob").done == 0


def test_nothing_is_kept_without_a_name_or_for_what_is_not_there(study: Study) -> None:
    name = experiment(study, PLAN, scripted(study, Scripted(), Knows(truth_of(study, PLAN))))
    task = queries.detection_task(study.name, name, "ann")
    fits = [1] * len(task.texts)
    for nobody in ("", "   "):
        with pytest.raises(NotFoundError, match="Nobody is named"):
            queries.detection_task(study.name, name, nobody)
        with pytest.raises(NotFoundError, match="Nobody is named"):
            queries.answer_detection(study.name, name, nobody, task.item, fits)
        with pytest.raises(NotFoundError, match="Nobody is named"):
            queries.vote(study.name, name, nobody, 1, "baez", ["eleuther_acts_top5"])
    with pytest.raises(NotFoundError, match="no item"):
        queries.answer_detection(study.name, name, "ann", "elsewhere", fits)
    with pytest.raises(NotFoundError, match="excerpts"):
        queries.answer_detection(study.name, name, "ann", task.item, fits[1:])
    with pytest.raises(NotFoundError, match="no item"):
        queries.answer_verbalization(study.name, name, "ann", "elsewhere", 0)
    for kind in ("verdicts", "vote", "guess"):
        assert annotations.events(kind, study.name, name) == []


def test_an_answer_that_is_sent_twice_is_kept_once(study: Study) -> None:
    name = experiment(study, PLAN, scripted(study, Scripted(), Knows(truth_of(study, PLAN))))
    task = queries.detection_task(study.name, name, "ann")
    for _ in range(2):
        fits = [None] * len(task.texts)
        queries.answer_detection(study.name, name, "ann", task.item, fits, "a" * 32)
    assert len(annotations.events("verdicts", study.name, name)) == 1
    assert queries.detection_task(study.name, name, " ann ").done == 1


def test_questions_are_given_ahead_in_the_order_in_which_they_come(study: Study) -> None:
    name = experiment(study, PLAN, scripted(study, Scripted(), Knows(truth_of(study, PLAN))))

    def ask(after: tuple[str, ...]) -> Task:
        return queries.detection_task(study.name, name, "ann", after)

    first, second, third = ahead(ask)
    assert len({first.item, second.item, third.item}) == 3
    assert {each.done for each in (first, second, third)} == {0}
    queries.answer_detection(study.name, name, "ann", first.item, [0] * len(first.texts))
    assert [each.item for each in ahead(ask)][:2] == [second.item, third.item]
    assert ask(()).done == 1


def test_judging_begins_with_a_name_that_other_pages_know(study: Study) -> None:
    name = experiment(study, PLAN, scripted(study, Scripted(), Knows(truth_of(study, PLAN))))
    app = opened("judge", run=name)
    assert "judging begins when you have given yours" in text_of(app)
    assert "judge-desk" not in {element.key for element in app.get("bidi_component")}
    app.text_input(key="judge:person").set_value("  ").run()
    assert "judging begins when you have given yours" in text_of(app)
    app.text_input[0].set_value(" Ann ").run()
    assert "judging begins" not in text_of(app)
    assert param(app, "person").strip() == "Ann"
    assert "judge-desk" in {element.key for element in app.get("bidi_component")}
    app.switch_page("pages/queue.py").run()
    assert "Ann" in text_of(app)


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
