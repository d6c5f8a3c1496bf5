"""An evaluation is a folder, a tab and its name in one line: a toy is registered as any other, and
appears in the address, among the queries and on the page."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from backend import evals as backend_evals
from backend import query, run
from backend.evals.ce_bench import answers as ce_bench_answers
from backend.evals.ce_bench import sweep as ce_sweep
from backend.evals.expert_lens import answers as expert_lens_answers
from backend.evals.words import EVALUATIONS, NAMES
from backend.overview import answers as overview_answers
from backend.schema import Progress
from backend.store import jobs
from components import evals as component_evals
from components.evals import benchmarks
from components.shell import address, fields

TOY = '''
"""How many tokens a study reads."""

from backend.evals.evaluation import Evaluation, Parameter

EVALUATION = Evaluation(
    name="toy", title="Toy", hint="How many tokens?", cost="Not computed yet: a second.",
    parameters={"least": Parameter("a number", 1, "whole")},
)
'''
ANSWERS = '''
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from backend.evals.evaluation import MEASURES, Answers
from backend.evals.toy import EVALUATION
from backend.query import query
from backend.schema import CorpusRef, Study
from backend.store.memo import memoize
from backend.store.views import Provenance


@dataclass(frozen=True)
class Toy:
    count: int
    provenance: Provenance


@memoize("toy.count", version=1)
def count(corpus: CorpusRef, least: int) -> dict[str, Any]:
    return {"count": corpus.context_length + least}


@query(EVALUATION.title)
def toy(study: Study, least: int = 1) -> Toy:
    """A number."""
    entry = count(study.corpus, least)
    return Toy(entry.value("count"), entry.provenance(f"toy --study {study.name}"))


def measures(view: Toy) -> pl.DataFrame:
    row = "a number", float(view.count), None, None, 1, "numbers", None, "none"
    return pl.DataFrame([row], schema=MEASURES, orient="row")


ANSWERS = Answers(toy, measures)
'''
TAB = """
import polars as pl
import streamlit as st

from components.evals.tab import Tab
from components.shell import address, controls


def choose():
    controls.number_input("least", "Least")
    return (address.get("least"),)


def render(view, study, arguments, desk):
    st.html(f"<p>It counts {view.count}.</p>")
    return {"numbers": pl.DataFrame({"count": [view.count]})}


TAB = Tab(choose, render)
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An evaluation in a folder of its own, and its tab."""
    (tmp_path / "backend" / "toy").mkdir(parents=True)
    (tmp_path / "backend" / "toy" / "__init__.py").write_text(TOY)
    (tmp_path / "backend" / "toy" / "answers.py").write_text(ANSWERS)
    (tmp_path / "components").mkdir()
    (tmp_path / "components" / "toy.py").write_text(TAB)
    for package in (backend_evals, component_evals):
        folder = str(tmp_path / package.__name__.partition(".")[0])
        monkeypatch.setattr(package, "__path__", [*package.__path__, folder])
    evaluation = importlib.import_module("backend.evals.toy").EVALUATION
    monkeypatch.setitem(EVALUATIONS, "toy", evaluation)
    monkeypatch.setitem(address.FIELDS, "benchmarks", fields.evaluation_fields())
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    yield
    query._registry.pop("toy", None)
    query._callables.pop("toy", None)
    for name in [name for name in sys.modules if ".evals.toy" in name]:
        del sys.modules[name]


def page() -> None:
    import streamlit as st

    from backend.evals.words import EVALUATIONS
    from components.evals import benchmarks
    from components.shell import address

    address.begin("benchmarks")
    benchmarks.render_tab(EVALUATIONS[benchmarks.render_which()], "small", st.session_state["desk"])


def opened(study: str, which: str = "toy", **params: str) -> AppTest:
    """The tab as a link opens it; the queries are those that its parts ask."""
    app = AppTest.from_function(page, default_timeout=120)
    app.session_state["desk"] = SimpleNamespace(
        studies=overview_answers.studies,
        job=jobs.get,
        cancel=jobs.cancel,
        retry=jobs.retry,
        ce_sweep=ce_sweep.ce_sweep,
        ce_subject=ce_bench_answers.ce_subject,
        ce_steer=ce_bench_answers.ce_steer,
        expert_concept=expert_lens_answers.expert_concept,
    )
    for name, value in ({"which": which, "study": study} | params).items():
        app.query_params[name] = value
    return app


def text_of(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


def test_a_toy_is_asked_for_computed_and_shown(small: str, toy: None) -> None:
    app = opened(small).run()
    assert not app.exception
    assert "Not computed yet: a second." in text_of(app)
    assert jobs.recent() == []
    next(button for button in app.button if button.label == "Run Toy").click()
    app.run()
    (job,) = jobs.recent()
    assert (job.query, job.title, json.loads(job.arguments)) == ("toy", "Toy", {"least": 1})
    query.compute(job.query, small, json.loads(job.arguments), "cpu", Progress())
    app = opened(small, started="1").run()
    assert not app.exception
    assert "It counts 33." in text_of(app)
    assert "a number" in text_of(app)  # the headline numbers


@pytest.mark.slow
@pytest.mark.parametrize(
    ("which", "params", "shown"),
    [
        ("ce_bench", {}, "on a pair held out"),
        (
            "expert_lens",
            {"units": "features", "sentences": "templates", "concepts": "boat, oven, apple"},
            "AP on train",
        ),
        ("sage", {}, "The model solves none of the tasks"),
    ],
)
def test_a_tab_shows_what_is_computed(
    small: str, monkeypatch: pytest.MonkeyPatch, which: str, params: dict[str, str], shown: str
) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    with run.computing("cpu", Progress()):
        EVALUATIONS[which].answers.query(small, *params.values())
    app = opened(small, which, **params).run()
    assert not app.exception
    text = text_of(app)
    assert 'class="problem"' not in text
    assert shown in text
    assert jobs.recent() == []


def test_its_words_are_in_the_address(toy: None) -> None:
    fields = address.fields("benchmarks")
    values, problems = address.read({"which": "toy", "least": "7"}, fields)
    assert values == {"which": "toy", "least": 7}
    assert not problems
    _, problems = address.read({"least": "many"}, fields)
    assert "least = 'many', not a number" in problems[0]


@pytest.mark.parametrize("name", NAMES)
def test_every_evaluation_has_words_answers_and_a_tab(name: str) -> None:
    evaluation = EVALUATIONS[name]
    assert evaluation.name == name
    assert evaluation.title
    assert evaluation.hint.endswith("?")
    assert evaluation.answers.query.entry.name == name
    assert benchmarks.tab_of(name).choose
    assert name in address.fields("benchmarks")["which"].what


def test_parameters_of_evaluations_do_not_collide() -> None:
    parameters = [p for name in NAMES for p in EVALUATIONS[name].parameters]
    assert len(parameters) == len(set(parameters))
