"""A whole document, every token coloured by one feature or by its region."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from backend.corpus.views import Passage
from components.shell import markup
from components.shell.links import anchor, href
from components.shell.markup import escape
from components.shell.tokens import Look, legend_html, passage_html, peak_of

REGIONS_COLOURED = (
    "Each colour is a region; two regions can share a colour: hover to see, or follow a token to "
    "its region."
)


def render_document(passage: Passage, feature: int | None, token: int) -> None:
    """Title, how it is coloured, and the text; `token` is the corpus row to point at."""
    position = token - passage.first
    if 0 <= position < len(passage.pieces):
        passage = replace(passage, focus=position)
    st.html(head_html(passage, feature))
    if feature is None:
        look = Look(
            what="distance", regions=True, link=lambda region: href("regions", region=region)
        )
    else:
        look = Look(peak_of([passage]))
    st.html(f'<article class="document">{passage_html(passage, look)}</article>')


def head_html(passage: Passage, feature: int | None) -> str:
    """What the document is and how it is coloured, with the other way to colour it."""
    if feature is None:
        words, legend = REGIONS_COLOURED, ""
    else:
        other = anchor("Colour by region", "document", document=passage.document)
        coloured = anchor(f"feature {feature}", "features", feature=feature)
        words = f"Coloured by {coloured} · {other}"
        legend = legend_html(peak_of([passage]))
        if not any(passage.values):
            words = f"{words}<br>Feature {feature} fires on no token of this document."
            legend = ""
    if passage.focus >= 0:
        piece = markup.token(passage.pieces[passage.focus])
        words += f"<br>Outlined: {piece}, the token that the link points at."
    return (
        f'<h2 class="title">{escape(passage.title)} <small>document {passage.document} · '
        f"{escape(passage.topic)} · {len(passage.pieces):,} tokens</small></h2>"
        f'<div class="said"><p class="note">{words}</p>{legend}</div>'
    )


def render_steps(document: int) -> None:
    """To the documents before and after."""
    before = anchor("← previous", "document", document=document - 1) if document > 0 else ""
    after = anchor("next →", "document", document=document + 1)
    st.html(f'<p class="note steps">{before} {after}</p>')
