"""SAGE: the gate, where the task is done, and what an SAE is worth there beside dictionaries that
know the attributes."""

from __future__ import annotations

import polars as pl
import streamlit as st

from backend.evals.sage.views import Sage, SageTask
from components.evals.sage import charts
from components.evals.sage import tables as sage_tables
from components.evals.sage.tables import TASKS
from components.evals.tab import Desk, Tab, Tables
from components.shell import address, controls, markup, numbers, palette, terms
from components.shell.links import anchor
from components.shell.markup import escape
from components.shell.status import render_problem

NO_SAE = {
    "none": "The study has no SAE, so its marks are missing.",
    "rescaled": "The study's SAE scales its output by its input, so that features do not add up: "
    "its marks are missing.",
}


def render_choice() -> tuple[str, str]:
    """The task ("": the hardest that is solved) and role that are asked for."""
    controls.segmented_control(
        "task", "Task", ["", *TASKS], label_visibility="collapsed",
        format_func=lambda task: TASKS.get(task, "the hardest solved"),
        also={"role": "", "started": False},
    )  # fmt: skip
    return address.get("task"), address.get("role")


def render(view: Sage, _study: str, _arguments: tuple[str, str], _desk: Desk) -> Tables:
    """The whole answer: it has no parts that are asked for one by one."""
    if address.get("role") not in ("", view.role):
        render_problem(
            f"{address.get('role')!r} is no role that is evaluated.",
            f"Shown is {view.role or 'none'}; evaluated are those that do something.",
        )
    markup.render(f'<p class="answer">{answer(view)}</p>')
    markup.head("Does the model solve it?", "asked first, on train prompts; 95% intervals")
    markup.render(sage_tables.gates_html(view))
    if view.results is None:
        return tables(view)
    _render_where(view.results)
    if view.sae != "yes":
        markup.note(NO_SAE[view.sae])
    if view.role:
        _render_worth(view, view.results)
    else:
        markup.note("The residual stream at the study's site does nothing here at any role.")
    return tables(view)


def _render_where(results: SageTask) -> None:
    markup.head("Prompts", f"{results.train} train, {results.test} test; the role under its token")
    markup.render("".join(sage_tables.prompt_html(prompt) for prompt in results.prompts))
    train, test = results.templates
    markup.note(
        f"No test template is a train template ({test} and {train}); "
        "values of attributes are shared, as they have to be. Prompts of one template are alike, "
        "so intervals over prompts are narrower than the truth."
    )
    markup.head("Where is it done?", "a counterfactual's activation put in place of the prompt's")
    left, right = st.columns([7, 5], gap="large")
    with left:
        palette.render_chart(
            charts.attribution_chart(results),
            "attribution",
            "Attribution of each role at each block",
        )
    with right:
        palette.render_chart(charts.patched_chart(results), "patched", "Effects of patched sites")
    markup.render(sage_tables.agreement_html(results))


def _render_worth(view: Sage, results: SageTask) -> None:
    markup.head("What is it worth?", f"block {view.layer}, on test prompts, n = {_n(results)}")
    if address.get("role") != view.role:
        address.assume(role=view.role)
    controls.segmented_control(
        "role", "At", list(results.evaluated), label_visibility="collapsed",
        format_func=lambda role: f"at {role}",
    )  # fmt: skip
    if results.patched.filter(drawn="site", role=view.role)["effect"][0] > 0:
        markup.note(
            "Here the counterfactual's activation moves LD away from the counterfactual's, as "
            "damage of any kind may: what controls do is the measure of everything below."
        )
    palette.render_chart(
        charts.scores_chart(results, view.role), "scores", "Scores of each dictionary by measure"
    )
    marks = terms.key("logit difference", "sufficiency", "necessity", "supervised dictionary")
    markup.render(sage_tables.scores_html(results, view.role) + marks)
    markup.head("Can it be controlled?", "an attribute changed to its counterfactual's value")
    palette.render_chart(
        charts.control_chart(results),
        "control",
        "Share of the counterfactual's change by number of features",
    )
    markup.render(sage_tables.control_html(results))
    if len(results.read):
        markup.head("Can it be read?", "F1 on test of what was chosen on train")
        left, right = st.columns([6, 6], gap="large")
        with left:
            palette.render_chart(
                charts.read_chart(results), "read", "F1 by which attributes are read"
            )
        with right:
            markup.render(sage_tables.unions_html(results))
            markup.render(sage_tables.causal_html(results))
        with st.expander("Features by value"):
            markup.render(sage_tables.read_html(results))


def _n(results: SageTask) -> int:
    return results.test - results.unseen


# ---------------------------------------------------------------- the result in words


def answer(view: Sage) -> str:
    """The result in a few sentences of HTML."""
    if not view.task:
        return "The model solves none of the tasks, so nothing is reported."
    gate = view.gates.filter(pl.col("task") == view.task).row(0, named=True)
    if view.results is None:
        easier = ""
        if view.easier:
            link = anchor(TASKS[view.easier], "benchmarks", which="sage", task=view.easier)
            easier = f" The next easier task that it solves: {link}."
        return (
            f"The model does not solve {TASKS[view.task]}: {escape(gate['problem'])} Nothing is "
            f"reported on it.{easier}"
        )
    text = (
        f"The model answers {numbers.percent(gate['accuracy'])} of {TASKS[view.task]} prompts "
        "right, of two answers. "
    )
    return text + (_controlled(view, view.results) if len(view.results.control) else "")


def _controlled(view: Sage, results: SageTask) -> str:
    """What each dictionary does of the first edit that does anything."""
    resid = results.control.filter(pl.col("kind") == "resid", pl.col("value").is_not_null())
    lives = resid.filter(pl.col("dictionary") == "means")
    if not len(lives):
        return f"At {escape(view.role)} the true patch changes nothing that could be edited."
    answers = pl.col("turned").fill_null(0)
    edit = lives.sort(answers, descending=True, maintain_order=True)["edit"][0]
    mine = resid.filter(pl.col("edit") == edit).sort("k")
    does = {
        "means": "supervised vectors do",
        "sae": "16 SAE features",
        "random": "16 random directions",
        "shuffled": "vectors of shuffled attributes",
    }
    parts = [
        f"{words} {numbers.fraction(rows['value'][-1])}"
        for name, words in does.items()
        if len(rows := mine.filter(dictionary=name))
    ]
    return (
        f"After block {view.layer} at {escape(view.role)}, of the change of logits that the true "
        f"patch makes when <b>{escape(edit)}</b> is edited, {', '.join(parts)}."
        f"{_turned(mine)}"
    )


def _turned(mine: pl.DataFrame) -> str:
    """Of the answers that the true patch turns, how many each dictionary turns."""
    last = {row["dictionary"]: row for row in mine.iter_rows(named=True)}
    whole = last["means"]["turned"]
    if not whole:
        return " The true patch turns no answer."
    turns = {"means": "supervised vectors", "sae": "SAE features", "random": "random directions"}
    parts = [f"{turns[name]} {last[name]['turned_same']}" for name in turns if name in last]
    return f" It turns {whole} of {last['means']['of']} answers; of these, {', '.join(parts)}."


def tables(view: Sage) -> dict[str, pl.DataFrame]:
    """What can be downloaded."""
    if view.results is None:
        return {"gates": view.gates}
    results = view.results
    lists = pl.col("values", "union").list.eval(pl.element().cast(pl.String)).list.join(" ")
    return {
        "gates": view.gates,
        "patched": results.patched,
        "scores": results.scores,
        "control": results.control,
        "read": results.read.with_columns(lists),
    }


TAB = Tab(render_choice, render)
