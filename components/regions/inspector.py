"""One region, read closely: exemplar, members and how they were drawn, what else it could be."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.corpus.views import Draw
from backend.regions.views import Member, RegionView
from components.shell import markup, numbers, palette
from components.shell.links import anchor
from components.shell.lists import features_html, logits_html, share_html, topics_html
from components.shell.markup import chip, chips, escape
from components.shell.tokens import Look, passage_html, window

HINTS = {
    "coherence": "coherence: length of the mean of unit members",
    "radius": "median and 90% quantile of the distance to the exemplar",
    "isolation": "distance to the nearest other exemplar",
    "overlap": "mean number of exemplars within θ of a member",
    "margin": "median: how much farther the runner-up is",
}
ATTRIBUTES = {
    "token": "its token",
    "next": "the next token",
    "position": "place in the context",
    "punctuation": "word, number, mark or space",
    "document": "its document",
}
LOW_MARGIN = 0.03  # below this a member could as well be in the runner-up region


def head_html(view: RegionView) -> str:
    """The region's numbers."""
    row = view.row
    radius = f"{numbers.fraction(row['radius'])} – {numbers.fraction(row['radius_90'])}"
    theta = numbers.fraction(view.theta, 3)
    shape = [
        ("members", numbers.count(row["size"]), f"{numbers.percent(row['share'])} of points", ""),
        ("κ", numbers.fraction(row["coherence"]), HINTS["coherence"], "teal"),
        ("d̄", numbers.fraction(row["mean_distance"]), "mean distance between two members", ""),
        ("radius", radius, f"{HINTS['radius']}; θ = {theta}", ""),
        ("isolation", numbers.fraction(row["isolation"]), HINTS["isolation"], "violet"),
        ("L0", numbers.fraction(row["overlap"], 1), HINTS["overlap"], ""),
        ("margin", numbers.fraction(row["margin"], 3), HINTS["margin"], ""),
    ]
    if row["gray"]:
        shape.append(("gray", numbers.count(row["gray"]), "points with θ < d ≤ kθ", ""))
    return chips([*(chip(*part) for part in shape), *_bound(row)])


def _bound(row: dict[str, object]) -> list[str]:
    """What the region hangs on: a topic, a token."""
    said = []
    if row["topic"]:
        interval = f"{numbers.times(row['lift_low'])} to {numbers.times(row['lift_high'])}"
        hint = f"lift over the corpus, 95% interval {interval}"
        said.append(chip(str(row["topic"]), numbers.times(row["lift"]), hint))
    if row["token_driven"]:
        what = f"{markup.token(str(row['top_token']))} {numbers.percent(row['token_share'])}"
        hint = f"against {numbers.percent(row['token_null'])} in random points of the same number"
        said.append(chip("mostly one token", what, hint, "warn"))
    return said


def exemplar_html(view: RegionView) -> str:
    """The exemplar in context, with the way to its document."""
    passage = view.exemplar.passage
    to = anchor("whole document", "document", document=passage.document, token=view.exemplar.token)
    text = passage_html(window(passage, 24, 14), Look(what="distance"))
    facts = ("exemplar, d = 0", escape(passage.topic), escape(passage.title), to)
    said = "".join(f"<span>{fact}</span>" for fact in facts if fact)
    return f'<div class="exemplar">{text}<div class="facts">{said}</div></div>'


def render_head(view: RegionView) -> None:
    """Numbers and exemplar."""
    st.html(head_html(view) + exemplar_html(view))


# ---------------------------------------------------------------- members


def render_members(view: RegionView, draw: Draw, drawn: str) -> None:
    """Distances with their bands, and the sample that was drawn."""
    st.plotly_chart(
        bands_chart(view, drawn),
        theme=None,
        config=palette.CONFIG,
        key="bands",
        alt="Histogram of members' distances to the exemplar",
    )
    st.html(members_html(draw))


def bands_chart(view: RegionView, drawn: str, height: int = 92) -> go.Figure:
    """Distances of members to the exemplar in four bands; the one drawn from stands out."""
    colours = palette.current()
    made = palette.figure(height)
    made.add_trace(
        go.Histogram(
            x=list(view.distances),
            nbinsx=48,
            marker={"color": palette.fade(colours.teal, 0.75), "line": {"width": 0}},
            hovertemplate="d %{x}: %{y} members<extra></extra>",
        )
    )
    shapes = [_line(view.theta, colours.ink, "dash")]
    for row in view.bands.iter_rows(named=True):
        if drawn == f"band {row['band']}":
            shapes.append(_span(row["low"], row["high"], palette.fade(colours.accent, 0.14)))
        if row["band"] > 1:
            shapes.append(_line(row["low"], colours.line, "solid"))
    made.update_layout(shapes=shapes)
    made.add_annotation(
        x=view.theta,
        y=1,
        yref="paper",
        text="θ",
        showarrow=False,
        xshift=-7,
        font={"size": 11, "color": colours.muted},
    )
    made.update_xaxes(
        title=f"distance to the exemplar · n = {len(view.distances):,}",
        range=[0, 1.02 * view.theta],
    )
    made.update_yaxes(visible=False)
    made.update_layout(margin={"l": 0, "r": 0, "t": 2, "b": 4})
    return made


def _line(at: float, colour: str, dash: str) -> dict[str, object]:
    look = {"color": colour, "width": 1, "dash": dash}
    return {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper", "line": look}


def _span(low: float, high: float, colour: str) -> dict[str, object]:
    ends = {"x0": low, "x1": high, "y0": 0, "y1": 1, "yref": "paper"}
    return {"type": "rect", "fillcolor": colour, "line": {"width": 0}} | ends


def members_html(draw: Draw) -> str:
    """A sample of members with distance, margin and, where that is small, the runner-up."""
    if not draw.items:
        words = "No member lies in this band." if draw.of else "The exemplar is the only member."
        return f'<p class="note">{words}</p>'
    rows = "".join(_member(item) for item in draw.items if isinstance(item, Member))
    return f'<p class="note">{escape(sentence(draw.how))}</p>{rows}'


def sentence(how: str) -> str:
    """How a sample was drawn, as a sentence."""
    return how[:1].upper() + how[1:] + ("" if how.endswith(".") else ".")


def _member(member: Member) -> str:
    passage = member.passage
    facts = [
        f"<span>d <b>{numbers.fraction(member.distance)}</b></span>",
        f"<span>margin <b>{numbers.fraction(member.margin, 3)}</b></span>",
    ]
    if member.runner_up >= 0 and member.margin < LOW_MARGIN:
        rival = anchor(f"region {member.runner_up}", "regions", region=member.runner_up)
        facts.append(f"<span>→ {rival}</span>")
    to = anchor(
        "document", "document", title=passage.title, document=passage.document, token=member.token
    )
    facts.append(f"<span>{escape(passage.topic)} · {to}</span>")
    text = passage_html(window(passage, 16, 10), Look(what="distance", breaks=False))
    return f'<div class="sample">{text}<div class="facts">{"".join(facts)}</div></div>'


# ---------------------------------------------------------------- the rest


def competitors_html(frame: pl.DataFrame) -> str:
    """Regions that are second nearest for members of this one."""
    rows = [
        [
            anchor(str(row["region"]), "regions", region=row["region"]),
            markup.token(str(row["token"])),
            numbers.count(row["count"]),
            numbers.percent(row["share"]),
            numbers.fraction(row["margin"], 3),
        ]
        for row in frame.iter_rows(named=True)
    ]
    note = "The regions that are second nearest, by how many members; margin: median among them."
    return markup.table(("region", "exemplar", "members", "share", "margin"), rows, "ttnnn", note)


def explained_html(frame: pl.DataFrame) -> str:
    """How much of the region is one token, one next token, one position …, against the null."""
    rows = [
        [
            ATTRIBUTES[row["what"]],
            markup.token(str(row["value"])),
            null_bar(row["share"], row["null"]),
            numbers.percent(row["share"]),
            numbers.percent(row["null"]),
            numbers.percent(row["explained"]),
        ]
        for row in frame.iter_rows(named=True)
    ]
    note = (
        "Share of members with the commonest value of each; grey: the same among random points "
        "of the same number."
    )
    heads = ("what", "value", "", "share", "null", "explained")
    return markup.table(heads, rows, "ttbnnn", note)


def null_bar(share: float, null: float) -> str:
    """A bar with the null as a grey band under it."""
    width, band = (100 * min(1.0, max(0.0, value)) for value in (share, null))
    grey, full = (f'style="width:{value:.1f}%"' for value in (band, width))
    return f'<span class="bar"><i {grey}></i><b {full}></b></span>'


def render_details(view: RegionView, key: str) -> None:
    """Everything about a region beside its members, one tab each."""
    names = ("Tokens", "Next", "Lens", "Topics", "Features", "Rivals", "Just a token?")
    tabs = st.tabs(names, key=key)
    bodies = (
        share_html(view.tokens, "What the members' own tokens are."),
        share_html(view.next_tokens, "What comes after the members."),
        logits_html(view.promoted, view.suppressed, "The exemplar's direction, read as logits."),
        topics_html(
            view.topics, "Lift over the corpus with 95% Wilson intervals; dashed: no lift."
        ),
        features_html(view.features),
        competitors_html(view.competitors),
        explained_html(view.explained),
    )
    for tab, body in zip(tabs, bodies, strict=True):
        tab.html(body)


def downloads_of(view: RegionView) -> dict[str, pl.DataFrame]:
    """The tables of the inspector, by name."""
    number = view.region
    return {
        f"region {number} tokens": view.tokens,
        f"region {number} next tokens": view.next_tokens,
        f"region {number} topics": view.topics,
        f"region {number} rivals": view.competitors,
        f"region {number} features": view.features,
        f"region {number} promoted": view.promoted,
        f"region {number} suppressed": view.suppressed,
        f"region {number} explained": view.explained,
    }
