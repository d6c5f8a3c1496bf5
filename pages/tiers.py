"""Tiers: sort features by what their examples share, and send each to the cheapest method."""

from __future__ import annotations

import streamlit as st

from backend import queries
from backend.schema import TierSpec
from components.features.table import FEATURES
from components.shell import address, markup
from components.shell.browsing import INSPECTOR
from components.shell.footer import render_footer
from components.shell.frame import frame
from components.shell.status import render_empty, reported, waiting
from components.tiers import charts, check, inspector, routing, table, thresholds
from components.tiers.table import BOARD, CHECK, ROUTES, STEP

KEYS = {"N": "next feature", "P": "previous feature"}
place = frame("Tiers", queries, KEYS, (INSPECTOR, BOARD))


@st.fragment(key=STEP)
def show_thresholds(spec: TierSpec) -> None:
    with reported():
        if (view := table.current(queries, place.study, spec, STEP)) is None:
            return
        markup.render(thresholds.counts_html(view))
        thresholds.render_thresholds()
        thresholds.render_defaults()


@st.fragment(key=BOARD)
def show_board(spec: TierSpec) -> None:
    with reported():
        if (view := table.current(queries, place.study, spec, BOARD)) is None:
            return
        charts.render_charts(view)
        rows = table.listed(view, table.labels(queries, place.study, view))
        table.render_list(rows, len(view.table))
        with st.expander("What chance gives"):
            markup.render(charts.nulls_html(view.nulls))
        render_footer({"tiers": rows, "nulls": view.nulls}, view.provenance, "tiers")


@st.fragment(key=INSPECTOR)
def show_inspector(spec: TierSpec) -> None:
    with reported():
        if (view := table.current(queries, place.study, spec, INSPECTOR)) is None:
            return
        FEATURES.render_title(table.steps(view))
        if (number := address.get("feature")) is None:
            render_empty("No feature is open.", "Click a point or a row, or press N.")
            return
        evidence = queries.tier_evidence(place.study, number, spec)
        if not waiting(evidence, queries, "evidence"):
            labels = table.labels(queries, place.study, view)
            markup.render(inspector.html(evidence, view, labels))


@st.fragment(key=ROUTES)
def show_routes(spec: TierSpec) -> None:
    with reported():
        if (view := table.current(queries, place.study, spec, ROUTES)) is None:
            return
        markup.head("Routes", "each tier to the cheapest method")
        routing.render_routes(queries, place.study, view, queries.server())
        charts.render_profile(queries.tier_profile(place.study, spec, table.thresholds()))


@st.fragment(key=CHECK)
def show_check(spec: TierSpec) -> None:
    with reported():
        markup.head("Is the protocol any good?")
        check.render(queries, place.study, spec, table.thresholds())


with reported():
    table.render_windows()
    chosen = table.spec()
    if table.current(queries, place.study, chosen, "page") is not None:
        show_thresholds(chosen)
        left, right = st.columns([11, 9], gap="medium")
        with left:
            show_board(chosen)
        with right, st.container(key="inspector"):
            show_inspector(chosen)
        show_routes(chosen)
        show_check(chosen)
