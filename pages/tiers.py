"""Tiers: sort features by what their examples share, and send each to the cheapest method."""

from __future__ import annotations

import streamlit as st

from backend import queries
from backend.schema import TierSpec
from components import address, markup, routing, tier_charts, tier_check, tier_inspector, tiers
from components.feature_table import INSPECTOR, render_title
from components.footer import render_footer
from components.frame import frame
from components.status import render_empty, reported, waiting
from components.tiers import BOARD, CHECK, ROUTES

KEYS = {"N": "next feature", "P": "previous feature"}
place = frame("Tiers", queries, KEYS, (INSPECTOR, BOARD))


@st.fragment(key=BOARD)
def show_board(spec: TierSpec) -> None:
    with reported():
        tiers.render_thresholds()
        if (view := tiers.current(queries, place.study, spec, BOARD)) is None:
            return
        markup.render(tiers.counts_html(view))
        tier_charts.render_charts(view)
        rows = tiers.listed(view, tiers.labels(queries, place.study, view))
        tiers.render_list(rows, len(view.table))
        with st.expander("What chance gives"):
            markup.render(tier_charts.nulls_html(view.nulls))
        render_footer({"tiers": rows, "nulls": view.nulls}, view.provenance, "tiers")


@st.fragment(key=INSPECTOR)
def show_inspector(spec: TierSpec) -> None:
    with reported():
        if (view := tiers.current(queries, place.study, spec, INSPECTOR)) is None:
            return
        render_title(tiers.steps(view))
        if (number := address.get("feature")) is None:
            render_empty("No feature is open.", "Click a point or a row, or press N.")
            return
        evidence = queries.tier_evidence(place.study, number, spec)
        if not waiting(evidence, queries, "evidence"):
            labels = tiers.labels(queries, place.study, view)
            markup.render(tier_inspector.html(evidence, view, labels))


@st.fragment(key=ROUTES)
def show_routes(spec: TierSpec) -> None:
    with reported():
        if (view := tiers.current(queries, place.study, spec, ROUTES)) is None:
            return
        markup.head("Routes", "each tier to the cheapest method")
        routing.render_routes(queries, place.study, view, queries.server())
        tier_charts.render_profile(queries.tier_profile(place.study, spec, tiers.thresholds()))


@st.fragment(key=CHECK)
def show_check(spec: TierSpec) -> None:
    with reported():
        markup.head("Is the protocol any good?")
        tier_check.render(queries, place.study, spec, tiers.thresholds())


with reported():
    tiers.render_windows()
    chosen = tiers.spec()
    if tiers.current(queries, place.study, chosen, "page") is not None:
        left, right = st.columns([11, 9], gap="medium")
        with left:
            show_board(chosen)
        with right, st.container(key="inspector"):
            show_inspector(chosen)
        show_routes(chosen)
        show_check(chosen)
