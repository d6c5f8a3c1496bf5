"""Features: find a feature of the SAE and read it."""

from __future__ import annotations

from functools import partial

import streamlit as st

from backend import queries
from backend.features.views import FeatureTable
from components.features import examples, inspector, occlusion, table
from components.features.table import FEATURES, LIST
from components.labels import panel as label_panel
from components.shell import address, markup
from components.shell.downloads import tables_of
from components.shell.footer import render_footer
from components.shell.frame import frame
from components.shell.status import render_pending, reported, waiting
from components.shell.stepping import INSPECTOR
from components.tiers import inspector as tier_inspector
from components.tiers import table as tier_table

KEYS = {"N": "next feature", "P": "previous feature", "D": "draw again", "W": "why it fires"}
place = frame("Features", queries, KEYS, (INSPECTOR, LIST))
hits = partial(FEATURES.search, queries, place.study)


@st.fragment(key=LIST)
def show_list(view: FeatureTable) -> None:
    with reported():
        table.render_controls(view)
        if FEATURES.is_waiting(matches := hits(), queries, place.study):
            return
        labels = queries.best_labels(place.study, number=address.get("feature"))
        table.render_list(rows := table.rows(view, matches, labels), view)
        FEATURES.render_counting(queries, place.study)
        render_pending(
            view.pending, queries, "What they promote and match is computed.", "features"
        )
        render_footer({"features": rows}, view.provenance, "features")


@st.fragment(key=INSPECTOR)
def show_inspector() -> None:
    with reported():
        FEATURES.render_title()
        if (number := address.get("feature")) is None:
            return FEATURES.render_nothing_open()
        feature = queries.feature(place.study, number)
        if waiting(feature, queries, "feature"):
            return
        known = label_panel.known_labels(queries, place.study, number)
        tiers = queries.tiers.look(place.study, tier_table.spec(), tier_table.thresholds())
        head = label_panel.best_html(known) + tier_inspector.line_html(tiers, number, known.best[0])
        markup.render(head + inspector.first_html(feature))
        examples.render_own(queries, place.study, feature)
        render_pending(feature.pending, queries, "", "feature")
        occlusion.render_examples(feature, queries, place.study)
        label_panel.render_section(queries, INSPECTOR, place.study, known)
        inspector.render_numbers(feature, address.get("draw"))
        inspector.render_details(feature)
        render_footer(tables_of(feature, f"feature {number}"), feature.provenance, "feature")


with reported():
    whole = queries.features(place.study)
    if not waiting(whole, queries):
        markup.render(table.summary_html(whole))
        left, right = st.columns([9, 11], gap="medium")
        with left:
            show_list(whole)
        with right, st.container(key="inspector"):
            show_inspector()
