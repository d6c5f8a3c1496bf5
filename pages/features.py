"""Features: find a feature of the SAE and read it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from backend import queries
from backend.features.views import FeatureTable
from backend.labels.words import LabelRequest
from components.features import examples, inspector, occlusion, table
from components.features.table import FEATURES, LIST
from components.labels import panel as label_panel
from components.shell import address, markup
from components.shell.browsing import INSPECTOR
from components.shell.downloads import tables_of
from components.shell.footer import render_footer
from components.shell.frame import frame
from components.shell.status import render_empty, render_pending, reported, waiting

KEYS = {"N": "next feature", "P": "previous feature", "D": "draw again", "W": "why it fires"}
place = frame("Features", queries, KEYS, (INSPECTOR, LIST))
hits = partial(FEATURES.search, queries.search_features, queries.search_labels, place.study)


@st.fragment(key=LIST)
def show_list(view: FeatureTable) -> None:
    with reported():
        table.render_controls(view)
        if waiting(hits(), queries, "meaning"):
            return
        rows = table.rows(view, hits())
        table.render_list(rows, view)
        render_pending(
            view.pending, queries, "What they promote and match is computed.", "features"
        )
        render_footer({"features": rows}, view.provenance, "features")


@st.fragment(key=INSPECTOR)
def show_inspector(view: FeatureTable) -> None:
    with reported():
        FEATURES.render_title(table.rows(view, hits())["feature"].to_list())
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
        inspector.render_details(feature)
        if text := examples.render_own():
            probe = queries.probe(place.study, text, number)
            if not waiting(probe, queries, "probe"):
                markup.render(examples.probe_html(probe, peak))
        render_footer(tables_of(feature, f"feature {number}"), feature.provenance, "feature")


with reported():
    whole = queries.features(place.study)
    if not waiting(whole, queries):
        markup.render(table.summary_html(whole))
        left, right = st.columns([9, 11], gap="medium")
        with left:
            show_list(whole)
        with right, st.container(key="inspector"):
            show_inspector(whole)
