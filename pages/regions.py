"""Regions: what clusters together. The map is the page; table and inspector follow it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from backend import queries
from backend.labels.words import LabelRequest
from backend.regions.views import RegionMap
from backend.schema import Job
from components.labels import panel as label_panel
from components.regions import controls as controls
from components.regions import inspector, search, table
from components.regions import map as region_map
from components.regions.controls import CHART, INSPECTOR, MAP, ROWS, TABLE
from components.regions.ring import render_ring
from components.shell import address
from components.shell.footer import render_footer
from components.shell.frame import frame
from components.shell.status import render_empty, render_pending, reported, waiting

KEYS = {"N": "next region", "P": "previous region", "D": "draw another sample"}
place = frame("Regions", queries, KEYS, (INSPECTOR, TABLE))
where = place.p, place.k
hits = partial(search.hits, queries, place)


@st.fragment(key=MAP)
def show_map(view: RegionMap) -> None:
    with reported():
        controls.render_controls(view)
        shown = controls.marks(view, hits())
        region_map.render_map(view, shown, controls.on_map, CHART)


@st.fragment(key=TABLE)
def show_table(view: RegionMap) -> None:
    with reported():
        if waiting(hits(), queries, "meaning"):
            return
        rows = controls.rows(view, hits())
        controls.render_listed(len(rows), view)
        table.render_regions(rows, address.get("region"), controls.on_row, ROWS)
        render_footer({"regions": rows}, view.provenance, "regions")


@st.fragment(key=INSPECTOR)
def show_inspector(view: RegionMap) -> None:
    with reported():
        controls.render_title(controls.rows(view, hits())["region"].to_list())
        if (number := address.get("region")) is None:
            return render_empty("No region is open.", "Click one on the map or list, or press N.")
        region = queries.region(place.study, number, *where)
        if waiting(region, queries, "region"):
            return
        render_ring(view, number, CHART)
        inspector.render_head(region)
        labelled = LabelRequest(number, "region", *where)
        label_panel.render_section(queries, INSPECTOR, place.study, labelled)
        controls.render_draw(region)
        drawn = address.get("draw"), 8, address.get("seed")
        members = queries.region_members(place.study, number, *where, *drawn)
        if not waiting(members, queries, "members"):
            inspector.render_members(region, members, address.get("draw"))
        render_pending(None if view.pending else region.pending, queries, "", "region")
        inspector.render_details(region, "details")
        render_footer(inspector.downloads_of(region), region.provenance, "region")


with reported():
    with st.container(horizontal=True, key="stops", vertical_alignment="center"):
        controls.render_stops(place, queries.stops(place.study))
        whole = queries.regions(place.study, *where)
        if not isinstance(whole, Job):
            st.html(controls.summary_html(whole), width="content")
    if not waiting(whole, queries):
        render_pending(whole.pending, queries, controls.preview_words(whole), "map")
        controls.open_token(lambda token: queries.region_of(place.study, token, *where))
        left, right = st.columns([11, 9], gap="medium")
        with left:
            show_map(whole)
            show_table(whole)
        with right, st.container(key="inspector"):
            show_inspector(whole)
