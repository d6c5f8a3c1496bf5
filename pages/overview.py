"""Overview: what the study holds and what is worth a look."""

from __future__ import annotations

import streamlit as st

from backend import queries
from components.overview import cards
from components.regions.controls import preview_words, summary_html
from components.shell import markup
from components.shell.frame import frame
from components.shell.provenance import render_provenance
from components.shell.status import render_empty, render_pending, reported, waiting

place = frame("Overview", queries)

with reported():
    view = queries.overview(place.study)
    if not waiting(view, queries):
        left, right = st.columns(2, gap="large")
        with left:
            markup.head("Corpus")
            cards.render_counts(view)
            cards.render_topics(view.topics)
        with right:
            markup.head("Partitions", "each setting is a map of its own")
            cards.render_stops(view.stops, place.p, place.k)
        markup.head("Regions", "what clusters together")
        if not waiting(view.regions, queries, "regions"):
            markup.render(summary_html(view.regions))
            words = preview_words(view.regions)
            render_pending(view.regions.pending, queries, words, "regions")
            markup.render(cards.regions_html(view.regions))
            render_provenance(view.regions.provenance, "regions")
        markup.head("Features", "what the SAE has a direction for")
        if view.features is None:
            render_empty(
                "This study has no SAE.", "Name one under [sae] in the study file to see features."
            )
        elif not waiting(view.features, queries, "features"):
            markup.render(cards.features_html(view.features))
            render_provenance(view.features.provenance, "features")
