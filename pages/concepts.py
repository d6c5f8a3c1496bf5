"""Concepts: hard questions of regions, answered with numbers on any set of labelled texts."""

from __future__ import annotations

import streamlit as st

from backend import queries
from backend.concept_views import ConceptsView
from components import (
    address,
    concept_choice,
    concept_parts,
    concepts,
    markup,
    region_controls,
    steady,
)
from components.footer import render_footer
from components.frame import frame
from components.status import reported, waiting

place = frame("Concepts", queries)
STEADY = {
    "stability": (queries.stable, steady.render_stable),
    "again": (queries.again, steady.render_again),
}


def show(view: ConceptsView, concept: str, ask: str) -> None:
    where = place.study, view.name, concept
    stops = {"p": place.p, "k": place.k}
    if ask == "any region":
        contrast = address.get("contrast")
        found = queries.any_region(*where, contrast, **stops)
        over = queries.over_concepts(place.study, view.name, **stops)
        if not waiting(found, queries, ask) and not waiting(over, queries, "over"):
            concepts.render_any(found, over, contrast)
    elif ask == "in or out":
        found = queries.membership(*where, **stops)
        if not waiting(found, queries, ask):
            concept_parts.render_membership(found)
    elif ask == "new texts":
        of = concept_choice.render_fresh(queries.concept_sets())
        found = queries.gathering(*where, of, **stops)
        if not waiting(found, queries, ask):
            concept_parts.render_gathering(found, view.theta)
    elif ask == "purity":
        found = queries.spread(*where, **stops)
        if not waiting(found, queries, ask):
            concept_parts.render_spread(found)
    elif ask == "gray zone":
        found = queries.gray_zone(*where, **stops)
        if not waiting(found, queries, ask):
            start = lambda: queries.start_gray_zone(place.study, view.name, **stops)  # noqa: E731
            concept_parts.render_gray(found, view.theta, start)


with reported():
    with st.container(horizontal=True, key="stops", vertical_alignment="center"):
        region_controls.render_stops(place, queries.stops(place.study))
    ask = concept_choice.render_asks()
    if ask in STEADY:
        query, render = STEADY[ask]
        found = query(place.study, place.p, place.k, ask=address.get("asked"))
        if found is None:
            steady.render_ask(ask)
        elif not waiting(found, queries, ask):
            render(found)
            render_footer(steady.tables(found), found.provenance, ask)
    else:
        name, beside = concept_choice.render_choice(queries.concept_sets())
        concept_choice.render_own(queries.keep_concept)
        whole = queries.concept_set(place.study, name, place.p, place.k)
        if not waiting(whole, queries, "set"):
            with beside:
                concept = concept_choice.render_concept(whole)
            markup.render(concept_choice.head_html(whole, concept))
            show(whole, concept, ask)
            render_footer({"concepts": whole.concepts}, whole.provenance, "set")
