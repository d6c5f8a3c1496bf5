"""Which benchmark is shown, what starts it, and two studies side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import polars as pl
import streamlit as st

from backend.schema import Job
from backend.views import StudyCard
from components import address, controls, links, markup, numbers, status
from components.markup import escape
from components.status import reported, waiting

Query = Callable[[str, bool], Any]  # of a study, and whether to ask for what is not computed
Between = Callable[[str, str], pl.DataFrame | None]


class Desk(status.Desk, Protocol):
    """The part of `backend.queries` that is needed here."""

    def studies(self) -> list[StudyCard]: ...

    def measures(self, view: Any) -> pl.DataFrame: ...


NAMES = {"ce_bench": "CE-Bench", "expert_lens": "ExpertLens", "sage": "SAGE"}
HINTS = {
    "ce_bench": "Do features tell two stories on one subject apart, and subjects from each other?",
    "expert_lens": "Which units know a concept, and are concepts alike to them as to people?",
    "sage": "Does the SAE hold what a task is known to need, and can it be changed there?",
}
TAKES = {
    "ce_bench": "Not computed yet: the model reads the stories once, for the study's SAE and for a "
    "control. One to three minutes, computed once.",
    "expert_lens": "Not computed yet: the model reads some thousand sentences, and every unit is "
    "ranked for every concept. Up to ten minutes; what is done is kept if you stop.",
    "sage": "Not computed yet: the model is asked whether it can do the tasks, then sites are "
    "found and patched. Up to fifteen minutes; what is done is kept if you stop.",
}


def render_which() -> str:
    """The benchmark that is shown."""
    controls.segmented_control(
        "which", "Benchmark", list(NAMES), format_func=NAMES.__getitem__,
        label_visibility="collapsed", also={"asked": False},
    )  # fmt: skip
    which = str(address.get("which"))
    markup.note(HINTS[which])
    return which


def render_ask(which: str) -> None:
    """What is not computed yet, and the button that asks for it."""
    markup.note(TAKES[which])
    if st.button(f"Run {NAMES[which]}", key="ask", type="primary"):
        address.put(asked=True)
        st.rerun()


def render_answer(
    which: str, study: str, desk: Desk, query: Query, between: Between = lambda _study, _other: None
) -> Any:
    """What `query` answers, with another study beside it; None where there is no answer yet, and
    the page says what would start one."""
    found = query(study, bool(address.get("asked")))
    if found is None:
        render_ask(which)
    elif not waiting(found, desk, which):
        _render_beside(study, found, desk, query, between)
        return found
    return None


# ---------------------------------------------------------------- side by side


def _render_beside(study: str, found: Any, desk: Desk, query: Query, between: Between) -> None:
    """The headline numbers of this study, of another, and of both together."""
    chosen = address.get("beside")
    titles = {card.name: card.title for card in desk.studies()}
    with st.expander("Headline numbers, beside another study", expanded=bool(chosen)), reported():
        others = [name for name in titles if name != study]
        controls.selectbox(
            "beside", "Beside another study", ["", *others], label_visibility="collapsed",
            format_func=lambda name: titles.get(name, name or "choose a study"),
        )  # fmt: skip
        tables = {titles[study]: desk.measures(found)}
        if chosen in others:
            other = query(chosen, False)
            if other is None or isinstance(other, Job):
                here = {"which": address.get("which"), "study": chosen}
                to = links.anchor(escape(titles[chosen]), "benchmarks", **here)
                markup.render(f'<p class="note">Not computed yet for {to}: run it there.</p>')
            else:
                tables[titles[chosen]] = desk.measures(other)
                if (both := between(study, chosen)) is not None:
                    tables["both together"] = both
        markup.render(beside_html(tables))


def beside_html(tables: Mapping[str, pl.DataFrame]) -> str:
    """A row a measure, a column a study; tables by the study's title."""
    words = list(dict.fromkeys(word for table in tables.values() for word in table["measure"]))
    found = {
        (title, row["measure"]): row
        for title, table in tables.items()
        for row in table.iter_rows(named=True)
    }
    rows = [
        [escape(word), *(_cell(found.get((title, word))) for title in tables)] for word in words
    ]
    note = "95% intervals; under each what its control gives, and of how many it is."
    return markup.table(("", *tables), rows, "t" + "n" * len(tables), note)


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return numbers.MISSING
    value = numbers.fraction(row["value"])
    if row["low"] is not None:
        value = markup.interval(row["value"], row["low"], row["high"])
    known = row["null"] is not None
    control = f"{row['control']} {numbers.fraction(row['null'])} · " if known else ""
    return f"{value}<br><small>{escape(control)}n {row['n']:,} {escape(row['n_of'])}</small>"
