"""Which benchmark is shown, what starts it, and two studies side by side."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import polars as pl
import streamlit as st

from backend.evals.evaluation import Evaluation
from backend.evals.words import EVALUATIONS
from backend.schema import Job
from components.evals.tab import Arguments, Desk, Tab
from components.shell import address, controls, links, markup, numbers
from components.shell.footer import render_footer
from components.shell.markup import escape
from components.shell.status import render_estimate, reported, waiting


def render_which() -> str:
    """The benchmark that is shown."""
    controls.segmented_control(
        "which", "Benchmark", list(EVALUATIONS),
        format_func=lambda name: EVALUATIONS[name].title,
        label_visibility="collapsed", also={"started": False},
    )  # fmt: skip
    which = str(address.get("which"))
    markup.note(EVALUATIONS[which].hint)
    return which


def tab_of(name: str) -> Tab:
    """The tab of an evaluation, which is loaded when it is shown."""
    return importlib.import_module(f"components.evals.{name}").TAB


def render_tab(evaluation: Evaluation, study: str, desk: Desk) -> None:
    """What is to be evaluated, then the answer with another study beside it; while there is none,
    what would start it, or how far it is."""
    tab, query = tab_of(evaluation.name), evaluation.answers.query
    arguments = tab.choose()
    ask = query if address.get("started") else query.live
    view = ask(study, *arguments)
    if view is None:
        markup.note(evaluation.cost)
        render_estimate(query, study, *arguments)
        controls.start_button(f"Run {evaluation.title}", "ask")
    elif not waiting(view, desk, evaluation.name):
        _render_beside(evaluation, study, view, arguments, desk)
        tables = tab.render(view, study, arguments, desk)
        render_footer(tables, view.provenance, evaluation.name)


# ---------------------------------------------------------------- side by side


def _render_beside(
    evaluation: Evaluation, study: str, view: Any, arguments: Arguments, desk: Desk
) -> None:
    """The headline numbers of this study, of another, and of both together."""
    other_study = address.get("beside")
    titles = {card.name: card.title for card in desk.studies()}
    with (
        st.expander("Headline numbers, beside another study", expanded=bool(other_study)),
        reported(),
    ):
        others = [name for name in titles if name != study]
        controls.selectbox(
            "beside", "Beside another study", ["", *others], label_visibility="collapsed",
            format_func=lambda name: titles.get(name, name or "choose a study"),
        )  # fmt: skip
        tables = {titles[study]: evaluation.answers.measures(view)}
        if other_study in others:
            other = evaluation.answers.query.look(other_study, *arguments)
            if other is None:
                link = links.anchor(
                    escape(titles[other_study]),
                    "benchmarks",
                    which=evaluation.name,
                    study=other_study,
                )
                markup.render(f'<p class="note">Not computed yet for {link}: run it there.</p>')
            else:
                tables[titles[other_study]] = evaluation.answers.measures(other)
                tables |= _both(evaluation, (study, other_study), arguments, desk)
        markup.render(beside_html(tables))


def _both(
    evaluation: Evaluation, studies: tuple[str, str], arguments: Arguments, desk: Desk
) -> dict[str, pl.DataFrame]:
    """What is measured of two studies together, where the evaluation does so and it is there."""
    if evaluation.answers.between is None:
        return {}
    table = evaluation.answers.between(*studies, *arguments)
    if isinstance(table, Job):
        waiting(table, desk, "between")
        return {}
    return {} if table is None else {"both together": table}


def beside_html(tables: Mapping[str, pl.DataFrame]) -> str:
    """A row a measure, a column a study; tables by the study's title."""
    words = list(dict.fromkeys(word for table in tables.values() for word in table["measure"]))
    cells = {
        (title, row["measure"]): row
        for title, table in tables.items()
        for row in table.iter_rows(named=True)
    }
    rows = [
        [escape(word), *(_cell(cells.get((title, word))) for title in tables)] for word in words
    ]
    note = "95% intervals; under each what its control gives, and of how many it is."
    return markup.table(("", *tables), rows, "t" + "n" * len(tables), note)


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return numbers.MISSING
    value = numbers.fraction(row["value"])
    if row["low"] is not None:
        value = markup.interval(row["value"], row["low"], row["high"])
    has_null = row["null"] is not None
    control = f"{row['control']} {numbers.fraction(row['null'])} · " if has_null else ""
    return f"{value}<br><small>{escape(control)}n {row['n']:,} {escape(row['n_of'])}</small>"
