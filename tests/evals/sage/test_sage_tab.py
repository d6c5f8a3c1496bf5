"""SAGE from the gate to the tab."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from backend import run
from backend.evals.sage import TASKS
from backend.evals.sage import answers as sage_answers
from backend.evals.sage import tasks as prompts
from backend.evals.sage.views import Sage
from backend.schema import Job, NotFoundError, Progress, Study
from backend.store import jobs
from components.evals.sage import charts as sage_charts
from components.evals.sage import tab as shown
from components.evals.sage import tables as sage_tables
from components.shell import address, links


def test_roles_that_carry_the_answer_come_before_those_that_do_more() -> None:
    class Checked:
        def array(self, name: str) -> np.ndarray:
            return np.array([5.0, 5.0]) if name == "ld" else np.array([-5.0, -5.0])

        def frame(self, _name: str) -> pl.DataFrame:
            effects = {"away": 6.0, "some": -2.0, "most": -5.0, "little": -0.4, "none": 0.0}
            return pl.DataFrame(
                {"drawn": "site", "role": list(effects), "effect": list(effects.values())}
            )

    assert sage_answers._roles(Checked()) == ["most", "some", "away"]


def test_gates_of_all_tasks_stand_before_anything_else(view: Sage) -> None:
    assert view.gates["task"].to_list() == list(TASKS)
    assert view.gates["solved"].to_list() == [False, True, False, False]
    html = sage_tables.gates_html(view)
    assert "of 37 countries" in html
    assert html.count("not solved") == 3


def test_charts_hold_what_was_measured(view: Sage) -> None:
    results = view.results
    assert results is not None
    heat = sage_charts.attribution_chart(results)
    assert np.array_equal(np.array(heat.data[0].z), results.attribution[:, 0])
    assert sum(len(trace.x) for trace in sage_charts.patched_chart(results).data[1:]) == len(
        results.patched
    )
    scores = sage_charts.scores_chart(results, view.role)
    assert {trace.name for trace in scores.data if trace.name} == set(sage_charts.KINDS.values())
    control = sage_charts.control_chart(results)
    sae = [trace for trace in control.data if trace.name == "SAE"]
    assert all(list(trace.x) == [1, 2, 4, 8, 16] for trace in sae)
    chart = sage_charts.read_chart(results)
    assert len(chart.data[0].y) == len(results.read.filter(pl.col("value") != ""))


def test_tables_link_features_and_mark_roles(view: Sage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links.address, "get", lambda name: address.SHARED[name].default)
    results = view.results
    assert results is not None
    feature = results.read.filter(pl.col("feature") > 0)["feature"][0]
    assert f'features?feature={feature}"' in sage_tables.read_html(results)
    prompt = sage_tables.prompt_html(results.prompts[0])
    assert all(role in prompt for role in prompts.ROLES["induction"])
    assert results.prompts[0].answer in prompt
    assert "our projection" in sage_tables.scores_html(results, view.role)
    assert "induction prompts" in shown.answer(view)
    measured = sage_answers.measures(view)
    assert measured["measure"][0] == "accuracy on induction"
    assert measured.schema["n"] == pl.Int64
    assert set(shown.tables(view)) == {"gates", "patched", "scores", "control", "read"}


def test_a_task_that_the_model_fails_is_stated_and_not_scored(
    study: Study, view: Sage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sage_answers, "ACCURACY", 1.1)
    failed = sage_answers.sage.look("small", "induction")
    assert failed is not None
    assert failed.results is None
    monkeypatch.setattr(links.address, "get", lambda name: address.SHARED[name].default)
    assert "does not solve induction" in shown.answer(failed)
    easier = replace(failed, easier="capital")
    assert "which=sage&amp;task=capital" in shown.answer(easier)
    assert len(sage_answers.measures(failed)) == 1


def test_without_an_sae_the_supervised_part_stands(
    study: Study, view: Sage, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = sage_answers.gate_row
    open_ = lambda *arguments: gate(*arguments) | {"solved": not arguments[2]}  # noqa: E731
    monkeypatch.setattr(sage_answers, "gate_row", open_)
    bare = replace(study, sae=None)
    answer = sage_answers.sage.entry.function
    with run.looking(), pytest.raises(run.Missing):
        answer(bare)
    with run.computing("cpu", Progress()):
        view = answer(bare)
    assert view.results is not None
    assert view.sae == "none"
    assert set(view.results.scores["dictionary"]) == {"means", "squares", "shuffled", "mean"}
    assert len(view.results.read) == 0
    control = sage_charts.control_chart(view.results)
    assert not any(trace.name == "SAE" for trace in control.data)


def test_what_is_missing_becomes_a_job(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    assert sage_answers.sage.look(small) is None
    with pytest.raises(NotFoundError, match="no task 'chess'"):
        sage_answers.sage(small, "chess")
    assert jobs.recent() == []
    job = sage_answers.sage(small, "ioi")
    assert isinstance(job, Job)
    assert (job.query, json.loads(job.arguments)) == ("sage", {"task": "ioi", "role": ""})
