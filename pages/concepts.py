"""Concepts: hard questions of regions, answered with numbers on any set of labelled texts."""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend import queries
from backend.concept_views import ConceptsView
from components import (
    address,
    concept_choice,
    concept_parts,
    concept_tokens,
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


def answer(view: ConceptsView, concept: str, ask: str) -> tuple[Any, Any]:
    """What is asked, or the job that computes it; and who renders it."""
    where, stops = (place.study, view.name, concept), {"p": place.p, "k": place.k}
    if ask == "any region":
        contrast = concept_choice.contrast(view, concept)
        return queries.any_region(*where, contrast, **stops), concepts
    if ask == "in or out":
        return queries.membership(*where, **stops), concept_parts
    if ask == "new texts":
        of = concept_choice.render_fresh(queries.concept_sets())
        return queries.gathering(*where, of, **stops), concept_parts
    if ask == "purity":
        return queries.spread(*where, **stops), concept_tokens
    return queries.gray_zone(*where, **stops), concept_tokens


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
            found, part = answer(whole, concept, ask)
            if not waiting(found, queries, ask):
                part.render(found)
                if ask == "gray zone" and concept_tokens.render_start(found):
                    queries.start_gray_zone(place.study, name, place.p, place.k)
                    st.rerun()
                tables = part.tables(found) | {"concepts": whole.concepts}
                render_footer(tables, found.provenance, ask)
