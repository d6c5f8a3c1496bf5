"""Regions: what clusters together. The map is the page; table and inspector follow it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from backend import queries
from backend.regions.views import RegionMap
from components.labels import panel as label_panel
from components.regions import controls, inspector, members, ring, table
from components.regions import map as region_map
from components.regions.table import MAP, REGIONS, TABLE
from components.shell import address, markup
from components.shell.downloads import tables_of
from components.shell.footer import render_footer
from components.shell.frame import frame
from components.shell.status import render_pending, reported, waiting
from components.shell.stepping import INSPECTOR

KEYS = {"N": "next region", "P": "previous region", "D": "draw another sample"}
place = frame("Regions", queries, KEYS, (INSPECTOR, TABLE))
where = place.p, place.k
hits = partial(REGIONS.search, queries, place.study, *where)
labels = partial(queries.best_labels, place.study, "region", *where)  # and what is open


@st.fragment(key=MAP)
def show_map(view: RegionMap) -> None:
    with reported():
        controls.render_controls(view)
        region_map.render_map(view, hits(), labels(address.get("region")))


@st.fragment(key=TABLE)
def show_table(view: RegionMap) -> None:
    with reported():
        if REGIONS.is_waiting(matches := hits(), queries, place.study, *where):
            return
        table.render_table(
            rows := controls.rows(view, matches, labels(address.get("region"))), len(view.table)
        )
        REGIONS.render_counting(queries, place.study, *where)
        render_footer({"regions": rows}, view.provenance, "regions")


@st.fragment(key=INSPECTOR)
def show_inspector(view: RegionMap) -> None:
    with reported():
        REGIONS.render_title()
        if (number := address.get("region")) is None:
            return REGIONS.render_nothing_open()
        if waiting(region := queries.region(place.study, number, *where), queries, "region"):
            return
        ring.render_ring(view, number)
        known = label_panel.known_labels(queries, place.study, number, "region", *where)
        markup.render(label_panel.best_html(known) + inspector.first_html(region))
        members.render(queries, place.study, region, *where)
        render_pending(None if view.pending else region.pending, queries, "", "region")
        label_panel.render_section(queries, INSPECTOR, place.study, known)
        inspector.render_numbers(region, address.get("draw"))
        inspector.render_details(region)
        render_footer(tables_of(region, f"region {number}"), region.provenance, "region")


with reported():
    whole = queries.regions(place.study, *where)
    controls.render_stops(queries, place, queries.stops(place.study), whole)
    if not waiting(whole, queries):
        render_pending(whole.pending, queries, controls.preview_words(whole), "map")
        controls.open_token(lambda token: queries.region_of(place.study, token, *where))
        left, right = st.columns([11, 9], gap="medium")
        with left:
            show_map(whole)
            show_table(whole)
        with right, st.container(key="inspector"):
            show_inspector(whole)
