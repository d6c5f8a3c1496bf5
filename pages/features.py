"""Features: find a feature of the SAE and read it."""

from __future__ import annotations

import polars as pl
import streamlit as st

from backend import queries
from backend.features.views import FeatureTable
from backend.labels.words import LabelRequest
from backend.schema import Job
from components.features import examples, inspector, occlusion, table
from components.features.table import INSPECTOR, LIST
from components.labels import panel as label_panel
from components.shell import address, markup
from components.shell.footer import render_footer
from components.shell.frame import frame
from components.shell.status import render_empty, render_pending, reported, waiting

KEYS = {"N": "next feature", "P": "previous feature", "D": "draw again", "W": "why it fires"}
place = frame("Features", queries, KEYS, (INSPECTOR, LIST))


def hits() -> pl.DataFrame | Job | None:
    search = address.get("search").strip()
    ask = queries.search_labels if address.get("by") == "meaning" else queries.search_features
    return ask(place.study, search) if search else None


def rows(view: FeatureTable) -> pl.DataFrame:
    found = hits()
    return table.rows(view, None if isinstance(found, Job) else found)


@st.fragment(key=LIST)
def show_list(view: FeatureTable) -> None:
    with reported():
        table.render_controls(view)
        if waiting(hits(), queries, "meaning"):
            return
        listed = rows(view)
        table.render_list(listed, view)
        render_pending(
            view.pending, queries, "What they promote or match is being computed.", "features"
        )
        render_footer({"features": listed}, view.provenance, "features")


@st.fragment(key=INSPECTOR)
def show_inspector(view: FeatureTable) -> None:
    with reported():
        table.render_title(rows(view)["feature"].to_list())
        if (number := address.get("feature")) is None:
            render_empty("No feature is open.", "Click a row of the list, or press N.")
            return
        feature = queries.feature(place.study, number)
        if waiting(feature, queries, "feature"):
            return
        inspector.render_head(feature)
        inspector.render_charts(feature, address.get("draw"))
        label_panel.render_section(queries, INSPECTOR, place.study, LabelRequest(number))
        render_pending(feature.pending, queries, "", "feature")
        examples.render_draw(feature)
        how = address.get("draw"), 10, address.get("seed"), address.get("facet")
        draw = queries.feature_examples(place.study, number, *how)
        peak = inspector.peak(feature)
        if not waiting(draw, queries, "draw"):
            occlusion.render_examples(
                draw, number, peak, lambda token: queries.why(place.study, number, token), queries
            )
        inspector.render_details(feature, "details")
        if text := examples.render_own():
            probe = queries.probe(place.study, text, number)
            if not waiting(probe, queries, "probe"):
                markup.render(examples.probe_html(probe, peak))
        render_footer(inspector.downloads_of(feature), feature.provenance, "feature")


with reported():
    whole = queries.features(place.study)
    if not waiting(whole, queries):
        markup.render(table.summary_html(whole))
        left, right = st.columns([9, 11], gap="medium")
        with left:
            show_list(whole)
        with right, st.container(key="inspector"):
            show_inspector(whole)
