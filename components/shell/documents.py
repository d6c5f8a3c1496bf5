"""A whole document, every token coloured by one feature or by its region."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from backend.corpus.views import Passage
from components.shell import address, markup
from components.shell.links import anchor, href
from components.shell.markup import escape
from components.shell.tokens import Look, legend_html, passage_html, peak_of

REGIONS_COLOURED = (
    "Each colour is a region; two regions can share a colour: hover to see, or follow a token to "
    "its region."
)


def render_document(passage: Passage) -> None:
    """Title, how it is coloured, and the text, with the token outlined that the link points at."""
    position = address.get("token") - passage.first
    if 0 <= position < len(passage.pieces):
        passage = replace(passage, focus=position)
    st.html(head_html(passage))
    look = Look(peak_of([passage]))
    if coloured_by() is None:
        look = Look(
            what="distance", regions=True, link=lambda region: href("regions", region=region)
        )
    st.html(f'<article class="document">{passage_html(passage, look)}</article>')


def coloured_by() -> int | None:
    """The feature that colours the text; None where each token has the colour of its region."""
    return address.get("feature") if address.get("colour") == "feature" else None


def head_html(passage: Passage) -> str:
    """What the document is and how it is coloured, with the other way to colour it."""
    feature, coloured = address.get("feature"), coloured_by()
    words, legend = REGIONS_COLOURED, ""
    if coloured is not None:
        its_page = anchor(f"feature {coloured}", "features", feature=coloured)
        words = f"Coloured by {its_page} · {_same('Colour by region', passage, colour='region')}"
        legend = legend_html(peak_of([passage]))
        if not any(passage.values):
            words = f"{words}<br>Feature {coloured} fires on no token of this document."
            legend = ""
    elif feature is not None:
        other = _same(f"Colour by feature {feature}", passage, colour="feature")
        words = f"{REGIONS_COLOURED} · {other}"
    if passage.focus >= 0:
        piece = markup.token(passage.pieces[passage.focus])
        words += f"<br>Outlined: {piece}, the token that the link points at."
    return (
        f'<h2 class="title">{escape(passage.title)} <small>document {passage.document} · '
        f"{escape(passage.topic)} · {len(passage.pieces):,} tokens</small></h2>"
        f'<div class="said"><p class="note">{words}</p>{legend}</div>'
    )


def _same(label: str, passage: Passage, **changed: str) -> str:
    """The same document, looked at in another way."""
    params = {name: address.get(name) for name in ("feature", "region", "place", "token")}
    return anchor(label, "document", document=passage.document, **params | changed)


def render_steps(document: int) -> None:
    """Back to where one came from, and to the documents before and after in the corpus."""
    lasting = {name: address.get(name) for name in ("feature", "region", "place", "colour")}
    steps = [
        back_html(),
        anchor("← document before", "document", document=document - 1, **lasting)
        if document > 0
        else "",
        anchor("document after →", "document", document=document + 1, **lasting),
    ]
    st.html(f'<p class="note steps">{" · ".join(filter(None, steps))}</p>')


def back_html() -> str:
    """The way back to the feature or region that was looked at; empty where there is none."""
    feature, region, place = (address.get(name) for name in ("feature", "region", "place"))
    if feature is not None:
        words = f"Back to feature {feature}" + (f", example {place}" if place else "")
        return anchor(words, "features", feature=feature)
    if region is not None:
        words = f"Back to region {region}" + (f", member {place}" if place else "")
        return anchor(words, "regions", region=region)
    return ""
