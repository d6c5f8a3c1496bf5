"""Compare: the labels of one feature side by side, on the same held-out excerpts."""

from __future__ import annotations

import streamlit as st

from backend import queries
from backend.experiments.views import Experiment
from backend.schema import Job
from components.experiments import comparison
from components.experiments import runs as experiment_runs
from components.experiments.comparison import INSPECTOR, LIST
from components.shell import address, markup
from components.shell.frame import frame
from components.shell.status import reported

KEYS = {
    "N": "next feature",
    "P": "previous feature",
    "B": "hide or show which method is which",
    "1 2 3": "prefer that label",
}
place = frame("Compare", queries, KEYS, (INSPECTOR, LIST))


@st.fragment(key=LIST)
def show_list(view: Experiment) -> None:
    with reported():
        comparison.render_controls(view)
        comparison.render_list(view)


def keep(view: Experiment, feature: int, choice: comparison.Choice) -> None:
    with reported():
        queries.vote(place.study, view.run, address.get("person"), feature, *choice)
        comparison.open_next(view, feature)  # voting again takes the earlier vote back


@st.fragment(key=INSPECTOR)
def show_feature(view: Experiment) -> None:
    with reported():
        feature = comparison.opened(view)
        comparison.render_title(view, feature)
        answer = queries.comparison(place.study, view.run, feature, comparison.scorer(view))
        markup.render(comparison.answer_html(answer) + comparison.labels_html(answer, view))
        comparison.render_vote(answer, lambda choice: keep(view, feature, choice))
        markup.render(comparison.excerpts_html(answer))
        markup.render(comparison.votes_html(queries.votes(place.study, view.run)))


with reported():
    opened = experiment_runs.choose(queries, place, "There are no labels to compare yet.")
    if not experiment_runs.awaits_labels(queries, place, opened):
        whole = queries.experiment(place.study, opened)
        if isinstance(whole, Job):
            whole = queries.experiment_so_far(place.study, opened)
        left, right = st.columns([7, 13], gap="medium")
        with left:
            show_list(whole)
        with right, st.container(key="inspector"):
            show_feature(whole)
