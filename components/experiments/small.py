"""A small experiment, for whoever comes to judge or to compare before one was made."""

from __future__ import annotations

import streamlit as st

from backend.schema import Plan
from components.shell import address
from components.shell.frame import Place
from components.shell.status import Desk, render_empty, render_estimate

PLAN = Plan(
    methods=("eleuther_acts_top5", "baez", "token_frequency"), scorers=("detection",), features=4
)
WHAT = (
    f"They come from an experiment. A small one labels {PLAN.features} random features by "
    f"{len(PLAN.methods)} methods, and the study's own model judges the labels. You can begin with "
    "the first of them, long before it has ended."
)
NO_FEATURES = "This study names no SAE, so it has no features to label. Choose a study with one."


def render_offer(desk: Desk, place: Place, missing: str) -> None:
    """What is missing, and the experiment that makes it: what it does, how long it takes, and one
    button that starts it."""
    if not place.card.sae:
        render_empty(missing, NO_FEATURES)
        return
    render_empty(missing, WHAT)
    render_estimate(desk.run_experiment, place.study, PLAN)
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="offer"):
        if st.button("Make a small experiment", type="primary", key="small"):
            address.put(run=desk.start_experiment(place.study, PLAN))
            st.rerun()
        st.page_link("pages/experiment.py", label="Plan one of your own")
