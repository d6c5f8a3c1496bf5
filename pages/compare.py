"""Compare: the labels of one feature side by side, on the same held-out excerpts."""

from __future__ import annotations

import streamlit as st

from backend import queries
from backend.views import Experiment
from components import address, compare, experiment, markup
from components.compare import INSPECTOR, LIST
from components.frame import frame
from components.status import reported, waiting

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
        compare.render_controls(view)
        compare.render_list(view)


def keep(view: Experiment, feature: int, choice: compare.Choice) -> None:
    with reported():
        queries.vote(place.study, view.run, address.get("person"), feature, *choice)
        compare.after_vote(view, feature)


@st.fragment(key=INSPECTOR)
def show_feature(view: Experiment) -> None:
    with reported():
        feature = compare.opened(view)
        compare.render_title(view, feature)
        shown = queries.comparison(place.study, view.run, feature, address.get("by"))
        compare.render_labels(shown, view)
        compare.render_vote(shown, lambda choice: keep(view, feature, choice))
        markup.render(compare.excerpts_html(shown))
        markup.render(compare.votes_html(queries.votes(place.study, view.run)))


with reported():
    runs = queries.experiments(place.study)
    opened = experiment.choose(runs, "There is nothing to compare yet.")
    whole = queries.experiment(place.study, opened)
    if not waiting(whole, queries, "experiment"):
        left, right = st.columns([7, 13], gap="medium")
        with left:
            show_list(whole)
        with right, st.container(key="inspector"):
            show_feature(whole)
