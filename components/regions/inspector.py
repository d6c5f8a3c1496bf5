"""One region, read closely: exemplar, members and how they were drawn, what else it could be."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.regions.views import RegionView
from components.shell import markup, numbers, palette, terms
from components.shell.links import anchor
from components.shell.lists import (
    EXEMPLAR,
    REGION,
    features_html,
    frame_html,
    logits_html,
    logits_lines_html,
    render_tabs,
    share_html,
    topics_html,
)
from components.shell.markup import chip, chips, escape
from components.shell.tokens import Look, passage_html, window

ATTRIBUTES = {
    "token": "its token",
    "next": "the next token",
    "position": "place in the context",
    "punctuation": "word, number, mark or space",
    "document": "its document",
}


def head_html(view: RegionView) -> str:
    """The region's numbers."""
    row = view.row
    radius = f"{numbers.fraction(row['radius'])} – {numbers.fraction(row['radius_90'])}"
    distances = "median and 90% quantile of the distance to the exemplar"
    coherence, isolation = (numbers.fraction(row[name]) for name in ("coherence", "isolation"))
    parts = [
        chip("members", numbers.count(row["size"]), f"{numbers.percent(row['share'])} of points"),
        chip("κ", coherence, "coherence: length of the mean of unit members", "teal"),
        chip("d̄", numbers.fraction(row["mean_distance"]), "mean distance between two members"),
        chip("radius", radius, f"{distances}; θ = {numbers.fraction(view.theta, 3)}"),
        chip("isolation", isolation, "distance to the nearest other exemplar", "violet"),
        chip("overlap", numbers.fraction(row["overlap"], 1), "mean exemplars within θ of a member"),
        chip("margin", numbers.fraction(row["margin"], 3), "median lead over the runner-up"),
    ]
    if row["gray"]:
        parts.append(chip("gray", numbers.count(row["gray"]), "points with θ < d ≤ kθ"))
    return chips([*parts, *_bound(row)])


def _bound(row: dict[str, object]) -> list[str]:
    """What the region hangs on: a topic, a token."""
    parts = []
    if row["topic"]:
        interval = f"{numbers.times(row['lift_low'])} to {numbers.times(row['lift_high'])}"
        hint = f"lift over the corpus, 95% interval {interval}"
        parts.append(chip(str(row["topic"]), numbers.times(row["lift"]), hint))
    if row["token_driven"]:
        what = f"{markup.token(str(row['top_token']))} {numbers.percent(row['token_share'])}"
        hint = f"against {numbers.percent(row['token_null'])} in random points of the same number"
        parts.append(chip("mostly one token", what, hint, "warn"))
    return parts


def first_html(view: RegionView) -> str:
    """What is read first: the exemplar's direction as logits, and its text."""
    return logits_lines_html(view.promoted, view.suppressed) + exemplar_html(view)


def exemplar_html(view: RegionView) -> str:
    """The exemplar in context, with the way to its document."""
    passage = view.exemplar.passage
    link = anchor(
        "whole document", "document", document=passage.document, token=view.exemplar.token,
        region=view.region,
    )  # fmt: skip
    text = passage_html(window(passage, 24, 14), Look(what="distance", breaks=False))
    facts = (f"exemplar, {terms.mark('d')} = 0", escape(passage.topic), escape(passage.title), link)
    spans = "".join(f"<span>{fact}</span>" for fact in facts if fact)
    return f'<div class="exemplar">{text}<div class="facts">{spans}</div></div>'


def render_numbers(view: RegionView, draw: str) -> None:
    """The region's numbers, and the distances of its members with the bands they are drawn from."""
    markup.head("How tight it is", "distances are cosine distances to the exemplar")
    st.html(head_html(view) + terms.key("κ", "d̄", "radius", "isolation", "overlap", "margin"))
    if len(view.distances) > 1:
        alt = "Histogram of members' distances to the exemplar"
        palette.render_chart(bands_chart(view, draw), "bands", alt)


# ---------------------------------------------------------------- members


def bands_chart(view: RegionView, draw: str) -> go.Figure:
    """Distances of members to the exemplar in four bands; the one drawn from stands out."""
    colours = palette.current()
    chart = palette.figure(92).add_histogram(
        x=list(view.distances),
        nbinsx=48,
        marker={"color": palette.fade(colours.teal, 0.75), "line": {"width": 0}},
        hovertemplate="d %{x}: %{y} members<extra></extra>",
    )
    chart.add_vline(
        view.theta,
        line={"color": colours.ink, "width": 1, "dash": "dash"},
        annotation={"text": "θ", "font": {"size": 11, "color": colours.muted}},
        annotation_position="top left",
    )
    for row in view.bands.iter_rows(named=True):
        if draw == f"band {row['band']}":
            hue = palette.fade(colours.accent, 0.14)
            chart.add_vrect(row["low"], row["high"], fillcolor=hue, line_width=0)
        if row["band"] > 1:
            chart.add_vline(row["low"], line={"color": colours.line, "width": 1})
    chart.update_xaxes(
        title=f"distance to the exemplar · n = {len(view.distances):,}",
        range=[0, 1.02 * view.theta],
    )
    chart.update_yaxes(visible=False)
    return chart.update_layout(margin={"l": 0, "r": 0, "t": 2, "b": 4})


# ---------------------------------------------------------------- the rest


def competitors_html(frame: pl.DataFrame) -> str:
    """Regions that are second nearest for members of this one."""
    columns = (
        REGION,
        EXEMPLAR,
        ("members", "n", numbers.count, "count"),
        ("share", "n", numbers.percent, "share"),
        ("margin", "n", lambda margin: numbers.fraction(margin, 3), "margin"),
    )
    note = "The regions that are second nearest, by how many members; margin: median among them."
    return frame_html(frame, columns, note)


def explained_html(frame: pl.DataFrame) -> str:
    """How much of the region is one token, one next token, one position …, against the null."""
    columns = (
        ("what", "t", ATTRIBUTES.__getitem__, "what"),
        ("value", "t", lambda value: markup.token(str(value)), "value"),
        ("", "b", null_bar, "share", "null"),
        ("share", "n", numbers.percent, "share"),
        ("null", "n", numbers.percent, "null"),
        ("explained", "n", numbers.percent, "explained"),
    )
    note = (
        "Share of members with the commonest value of each; grey: the same among random points "
        "of the same number. Spellings of a word, with a capital or a space before it or without, "
        "count together."
    )
    return frame_html(frame, columns, note)


def null_bar(share: float, null: float) -> str:
    """A bar with the null as a grey band under it."""
    width, band = (100 * min(1.0, max(0.0, value)) for value in (share, null))
    grey, full = (f'style="width:{value:.1f}%"' for value in (band, width))
    return f'<span class="bar"><i {grey}></i><b {full}></b></span>'


def render_details(view: RegionView) -> None:
    """Everything about a region beside its members, one tab each."""
    note = "The exemplar's direction, read as logits."
    render_tabs(
        {
            "Tokens": share_html(view.tokens, "What the members' own tokens are."),
            "Next": share_html(view.next_tokens, "What comes after the members."),
            "Logit lens": logits_html(view.promoted, view.suppressed, note),
            "Topics": topics_html(view.topics),
            "Features": features_html(view.features),
            "Rivals": competitors_html(view.competitors),
            "Just a token?": explained_html(view.explained),
        }
    )
