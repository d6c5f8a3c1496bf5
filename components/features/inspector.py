"""One feature, read closely: how often and how strongly it fires, where, and what it writes."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.features.views import FeatureView
from components.shell import markup, numbers, palette, terms
from components.shell.links import anchor
from components.shell.lists import (
    FEATURE,
    TOP_TOKEN,
    frame_html,
    logits_html,
    logits_lines_html,
    regions_html,
    render_tabs,
    share_html,
    topics_html,
)
from components.shell.markup import chip, chips, escape


def first_html(view: FeatureView) -> str:
    """What is read first beside a label: the tokens that the feature promotes and suppresses."""
    return logits_lines_html(view.promoted, view.suppressed)


def render_numbers(view: FeatureView, draw: str) -> None:
    """How often and how strongly it fires, in numbers and charts."""
    markup.head("How it fires", "over the corpus")
    st.html(numbers_html(view) + terms.key("density", "lift", "F1"))
    if view.row["active"]:
        render_charts(view, draw)


def numbers_html(view: FeatureView) -> str:
    """Density, strength, topic and best match."""
    row = view.row
    if not row["active"]:
        return '<p class="note">It is dead: it fires on no token of the corpus.</p>'
    most = f"{markup.token(str(row['top_token']))} {numbers.percent(row['top_token_share'])}"
    parts = [
        chip("mostly", most, "the token it fires on most often"),
        chip("density", numbers.percent(row["density"]), "share of tokens it fires on"),
        chip("tokens", numbers.count(row["active"])),
        chip("documents", numbers.count(row["documents"])),
        chip("max", numbers.activation(row["max"]), "", "amber"),
        chip("mean", numbers.activation(row["mean"]), "of the activations above zero", "amber"),
    ]
    if row["topic"]:
        parts.append(chip(str(row["topic"]), numbers.times(row["lift"]), "lift over the corpus"))
    if row["region"] is not None and int(str(row["region"])) >= 0:
        link = anchor(f"region {row['region']}", "regions", region=row["region"])
        parts.append(chip("best match", f"{link} F1 {numbers.fraction(row['f1'])}"))
    return chips(parts)


def peak(view: FeatureView) -> float:
    """The feature's largest activation: full amber."""
    return float(str(view.row["max"] or 0))


# ---------------------------------------------------------------- charts


def activation_chart(histogram: pl.DataFrame, quantiles: pl.DataFrame, draw: str) -> go.Figure:
    """Non-zero activations, counts on a log scale; the quantile that is drawn from stands out."""
    colours = palette.current()
    chart = _bars(histogram, [palette.fade(colours.amber, 0.85)] * len(histogram))
    for row in quantiles.iter_rows(named=True):
        if draw == f"quantile {row['band']}":
            hue = palette.fade(colours.accent, 0.16)
            chart.add_vrect(row["low"], row["high"], fillcolor=hue, line_width=0)
    chart.update_xaxes(title=f"activation · n = {histogram['count'].sum():,}")
    return chart.update_yaxes(dtick=1)


def logit_chart(histogram: pl.DataFrame) -> go.Figure:
    """Effect on every token of the vocabulary: blue raises, orange lowers."""
    colours = palette.current()
    ends = histogram.select("low", "high").iter_rows()
    hues = [colours.positive if low + high > 0 else colours.negative for low, high in ends]
    chart = _bars(histogram, hues)
    chart.add_vline(0, line={"color": colours.muted, "width": 1})
    chart.update_xaxes(title=f"logit effect · n = {histogram['count'].sum():,} tokens")
    return chart.update_yaxes(dtick=2)


def _bars(histogram: pl.DataFrame, hues: list[str]) -> go.Figure:
    low, high = histogram["low"].to_numpy(), histogram["high"].to_numpy()
    chart = palette.figure(112).add_bar(
        x=(low + high) / 2,
        y=histogram["count"].to_numpy(),
        width=high - low,
        marker={"color": hues, "line": {"width": 0}},
        hovertemplate="%{x:.2f}: %{y:,}<extra></extra>",
    )
    chart.update_yaxes(type="log")
    return chart.update_layout(margin={"l": 0, "r": 0, "t": 4, "b": 4}, bargap=0)


def render_charts(view: FeatureView, draw: str) -> None:
    """Activations and logit effects side by side."""
    left, right = st.columns(2, gap="small")
    with left:
        chart = activation_chart(view.histogram, view.quantiles, draw)
        palette.render_chart(chart, "activations", "Histogram of the feature's activations")
    with right:
        if len(view.logit_histogram):
            chart = logit_chart(view.logit_histogram)
            palette.render_chart(chart, "logits", "Histogram of the feature's effect on logits")
        else:
            markup.note("Logit effects are not computed yet.")


# ---------------------------------------------------------------- tables


def nearest_html(frame: pl.DataFrame) -> str:
    """Features whose decoder directions are closest."""
    columns = (
        FEATURE,
        TOP_TOKEN,
        ("", "b", lambda cosine: markup.bar(abs(cosine)), "cosine"),
        ("cosine", "n", numbers.fraction, "cosine"),
    )
    note = "By cosine of decoder directions: what they write, not when they fire."
    return frame_html(frame, columns, note)


def cofiring_html(frame: pl.DataFrame) -> str:
    """Features that fire on the same tokens."""
    columns = (
        FEATURE,
        TOP_TOKEN,
        ("", "b", lambda jaccard: markup.bar(jaccard, "amber"), "jaccard"),
        ("jaccard", "n", numbers.fraction, "jaccard"),
        ("both", "n", numbers.count, "count"),
        ("lift", "n", numbers.times, "lift"),
    )
    note = "By overlap of the tokens they fire on; lift: over chance given both densities."
    return frame_html(frame, columns, note)


def documents_html(frame: pl.DataFrame, feature: int) -> str:
    """Documents in which it fires most."""

    def link(title: str, number: int) -> str:
        name = title or f"document {number}"
        return anchor(name, "document", document=number, feature=feature)

    columns = (
        ("document", "t", link, "title", "document"),
        ("topic", "t", escape, "topic"),
        ("tokens", "n", numbers.count, "count"),
        ("max", "n", numbers.activation, "max"),
    )
    return frame_html(frame, columns)


def render_details(view: FeatureView) -> None:
    """Everything about a feature beside its examples, one tab each."""
    note = "The decoder direction, read as logits."
    render_tabs(
        {
            "Logits": logits_html(view.promoted, view.suppressed, note),
            "Tokens": share_html(view.tokens, "The tokens it fires on."),
            "Topics": topics_html(view.topics),
            "Documents": documents_html(view.documents, view.feature),
            "Regions": regions_html(view.regions),
            "Co-firing": cofiring_html(view.cofiring),
            "Nearest": nearest_html(view.nearest),
        }
    )
