"""Concepts: hard questions of regions, answered with numbers on any set of labelled texts."""

from __future__ import annotations

from typing import Any

from backend import queries
from backend.concepts.views import ConceptsView
from components.concepts import choice, membership, purity, readers, stability
from components.regions import controls as region_controls
from components.shell import address, markup
from components.shell.footer import render_footer
from components.shell.frame import frame
from components.shell.status import render_pending, reported, waiting

place = frame("Concepts", queries)
# questions that need no concept set
OF_PARTITION = {"stability": queries.stable_regions, "robustness": queries.robustness}


def answer(view: ConceptsView, concept: str, ask: str) -> tuple[Any, Any]:
    """The answer to a question, or the job that computes it; and the module that renders it."""
    where, stops = (place.study, view.name, concept), {"p": place.p, "k": place.k}
    if ask == "any region":
        contrast = choice.contrast(view, concept)
        return queries.concept_aurocs(*where, contrast, **stops), readers
    if ask == "in or out":
        return queries.membership(*where, **stops), membership
    if ask == "new texts":
        other = choice.render_other_set(queries.concept_sets())
        return queries.new_text_membership(*where, other, **stops), membership
    if ask == "purity":
        return queries.purity_coverage(*where, **stops), purity
    gray = queries.gray_zone if address.get("started") else queries.gray_zone.live
    # None: what the set needs was evicted just now
    return gray(*where, **stops) or queries.concept_set(*where[:2], **stops), purity


with reported():
    region_controls.render_stops(queries, place, queries.stops(place.study))
    ask = choice.render_questions()
    if ask in OF_PARTITION:
        query = OF_PARTITION[ask]
        view = (query if address.get("started") else query.live)(place.study, place.p, place.k)
        if view is None:
            stability.render_start(ask, query, place)
        elif not waiting(view, queries, ask):
            stability.render(view)
            render_footer(stability.tables(view), view.provenance, ask)
    else:
        name, place_beside = choice.render_choice(queries.concept_sets())
        choice.render_own(queries.keep_concept, queries.concepts_folder())
        whole = queries.concept_set(place.study, name, place.p, place.k)
        if not waiting(whole, queries, "set"):
            with place_beside:
                concept = choice.render_concept(whole)
            markup.render(choice.head_html(whole, concept))
            view, part = answer(whole, concept, ask)
            if not waiting(view, queries, ask):
                part.render(view)
                if ask == "gray zone":
                    render_pending(view.pending, queries, purity.PENDING, ask)
                    gray = place.study, whole.name, concept
                    purity.render_start(view, queries.gray_zone, gray, p=place.p, k=place.k)
                tables = part.tables(view) | {"concepts": whole.concepts}
                render_footer(tables, view.provenance, ask)
