"""Tiers: sort features by what their examples share, and send each to the cheapest method."""

from __future__ import annotations

import streamlit as st

from backend import queries
from backend.schema import TierSpec
from backend.tiers.views import TierTable
from components.shell import markup
from components.shell.footer import render_footer
from components.shell.frame import frame
from components.shell.status import reported
from components.shell.stepping import INSPECTOR
from components.tiers import charts, check, inspector, routing, table, thresholds
from components.tiers.table import BOARD, CHECK, ROUTES, STEP

KEYS = {"N": "next feature", "P": "previous feature"}
place = frame("Tiers", queries, KEYS, (INSPECTOR, BOARD))


def current(spec: TierSpec, key: str) -> TierTable | None:
    return table.current(queries, place.study, spec, key)


@st.fragment(key=STEP)
def show_thresholds(spec: TierSpec) -> None:
    with reported():
        if view := current(spec, STEP):
            thresholds.render(view)


@st.fragment(key=BOARD)
def show_board(spec: TierSpec) -> None:
    with reported():
        if view := current(spec, BOARD):
            charts.render_charts(view)
            rows = table.listed(view, table.labels(queries, place.study, view))
            table.render_list(rows, len(view.table))
            with st.expander("What chance gives"):
                markup.render(charts.nulls_html(view.nulls))
            render_footer({"tiers": rows, "nulls": view.nulls}, view.provenance, "tiers")


@st.fragment(key=INSPECTOR)
def show_inspector(spec: TierSpec) -> None:
    with reported():
        if view := current(spec, INSPECTOR):
            inspector.render(queries, place.study, view)


@st.fragment(key=ROUTES)
def show_routes(spec: TierSpec) -> None:
    with reported():
        if view := current(spec, ROUTES):
            routing.render_routes(queries, place.study, view, queries.server())
            charts.render_profile(queries.tier_profile(place.study, spec, table.thresholds()))


@st.fragment(key=CHECK)
def show_check(spec: TierSpec) -> None:
    with reported():
        check.render(queries, place.study, spec, table.thresholds())


with reported():
    table.render_windows()
    chosen = table.spec()
    if current(chosen, "page"):
        show_thresholds(chosen)
        left, right = st.columns([11, 9], gap="medium")
        with left:
            show_board(chosen)
        with right, st.container(key="inspector"):
            show_inspector(chosen)
        show_routes(chosen)
        show_check(chosen)
