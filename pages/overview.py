"""Overview: what Tessera is, what the study holds and what is worth a look."""

from __future__ import annotations

import streamlit as st

from backend import queries
from backend.regions.views import RegionMap
from backend.schema import Job
from components.overview import cards, lists, welcome
from components.regions.controls import summary_html
from components.shell import markup
from components.shell.frame import frame
from components.shell.provenance import render_provenance
from components.shell.status import render_empty, render_pending, reported, waiting

place = frame("Overview", queries)
markup.render(welcome.intro_html())

with reported():
    view = queries.overview(place.study)
    regions, features = (view, None) if isinstance(view, Job) else (view.regions, view.features)
    left, right = st.columns([3, 2], gap="large")
    with left:
        markup.head("The map", "what clusters together")
        if not waiting(regions, queries, "regions"):
            words = welcome.growing_words(regions)
            render_pending(regions.pending, queries, words, "regions", follow=True)
            welcome.render_map(regions)
    with right:
        markup.head("Try", "three things that work by now")
        markup.render(welcome.tries_html(welcome.tries(regions, features)))
        if finds := welcome.finds_html(welcome.reachable(place.card.finds, regions, features)):
            markup.head("Found in this study")
            markup.render(finds)
    if not isinstance(view, Job):
        if isinstance(regions, RegionMap):
            markup.head("Regions", "worth a look, and why")
            markup.render(summary_html(regions))
            markup.render(lists.regions_html(regions))
            render_provenance(regions.provenance, "regions")
        markup.head("Features", "what the SAE has a direction for")
        if features is None:
            render_empty(
                "This study has no SAE.", "Name one under [sae] in the study file to see features."
            )
        elif not waiting(features, queries, "features"):
            markup.render(lists.features_html(features))
            render_provenance(features.provenance, "features")
        left, right = st.columns(2, gap="large")
        with left:
            markup.head("Corpus")
            cards.render_counts(view)
            cards.render_topics(view.topics)
        with right:
            markup.head("Partitions", "each setting is a map of its own")
            cards.render_stops(view.stops, place.p, place.k)
