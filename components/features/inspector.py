"""One feature, read closely: how often and how strongly it fires, where, and what it writes."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.features.views import FeatureView
from components.shell import markup, numbers, palette
from components.shell.links import anchor
from components.shell.lists import logits_html, regions_html, share_html, topics_html
from components.shell.markup import chip, chips, escape


def render_head(view: FeatureView) -> None:
    """Numbers."""
    row = view.row
    most = f"{markup.token(str(row['top_token']))} {numbers.percent(row['top_token_share'])}"
    said = [
        chip("mostly", most, "the token it fires on most often"),
        chip("density", numbers.percent(row["density"]), "share of tokens it fires on"),
        chip("tokens", numbers.count(row["active"])),
        chip("documents", numbers.count(row["documents"])),
        chip("max", numbers.activation(row["max"]), "", "amber"),
        chip("mean", numbers.activation(row["mean"]), "of the activations above zero", "amber"),
    ]
    if row["topic"]:
        said.append(chip(str(row["topic"]), numbers.times(row["lift"]), "lift over the corpus"))
    if row["region"] is not None and int(str(row["region"])) >= 0:
        to = anchor(f"region {row['region']}", "regions", region=row["region"])
        said.append(chip("best match", f"{to} F1 {numbers.fraction(row['f1'])}"))
    st.html(chips(said))


def peak(view: FeatureView) -> float:
    """The feature's largest activation: full amber."""
    return float(str(view.row["max"] or 0))


# ---------------------------------------------------------------- charts


def activation_chart(histogram: pl.DataFrame, quantiles: pl.DataFrame, drawn: str) -> go.Figure:
    """Non-zero activations, counts on a log scale; the quantile that is drawn from stands out."""
    colours = palette.current()
    made = _bars(histogram, [palette.fade(colours.amber, 0.85)] * len(histogram))
    for row in quantiles.iter_rows(named=True):
        if drawn == f"quantile {row['band']}":
            made.add_vrect(
                row["low"], row["high"], fillcolor=palette.fade(colours.accent, 0.16), line_width=0
            )
    total = int(histogram["count"].sum() or 0)
    made.update_xaxes(title=f"activation · n = {total:,}")
    made.update_yaxes(type="log", dtick=1, title="")
    return made


def logit_chart(histogram: pl.DataFrame) -> go.Figure:
    """Effect on every token of the vocabulary: blue raises, orange lowers."""
    colours = palette.current()
    hues = [
        colours.positive if low + high > 0 else colours.negative
        for low, high in zip(histogram["low"], histogram["high"], strict=True)
    ]
    made = _bars(histogram, hues)
    total = int(histogram["count"].sum() or 0)
    made.add_vline(0, line={"color": colours.muted, "width": 1})
    made.update_xaxes(title=f"logit effect · n = {total:,} tokens")
    made.update_yaxes(type="log", dtick=2)
    return made


def _bars(histogram: pl.DataFrame, hues: list[str]) -> go.Figure:
    made = palette.figure(112)
    low, high = histogram["low"].to_numpy(), histogram["high"].to_numpy()
    made.add_trace(
        go.Bar(
            x=(low + high) / 2,
            y=histogram["count"].to_numpy(),
            width=high - low,
            marker={"color": hues, "line": {"width": 0}},
            hovertemplate="%{x:.2f}: %{y:,}<extra></extra>",
        )
    )
    made.update_layout(margin={"l": 0, "r": 0, "t": 4, "b": 4}, bargap=0)
    return made


def render_charts(view: FeatureView, drawn: str) -> None:
    """Activations and logit effects side by side."""
    left, right = st.columns(2, gap="small")
    left.plotly_chart(
        activation_chart(view.histogram, view.quantiles, drawn),
        theme=None,
        config=palette.CONFIG,
        key="activations",
        alt="Histogram of the feature's activations",
    )
    if len(view.logit_histogram):
        right.plotly_chart(
            logit_chart(view.logit_histogram),
            theme=None,
            config=palette.CONFIG,
            key="logits",
            alt="Histogram of the feature's effect on logits",
        )
    else:
        right.html('<p class="note">Logit effects are not computed yet.</p>')


# ---------------------------------------------------------------- tables


def nearest_html(frame: pl.DataFrame) -> str:
    """Features whose decoder directions are closest."""
    rows = [
        [
            anchor(str(row["feature"]), "features", feature=row["feature"]),
            markup.token(str(row["top_token"])),
            markup.bar(abs(row["cosine"])),
            numbers.fraction(row["cosine"]),
        ]
        for row in frame.iter_rows(named=True)
    ]
    note = "By cosine of decoder directions: what they write, not when they fire."
    return markup.table(("feature", "top token", "", "cosine"), rows, "ttbn", note)


def cofiring_html(frame: pl.DataFrame) -> str:
    """Features that fire on the same tokens."""
    rows = [
        [
            anchor(str(row["feature"]), "features", feature=row["feature"]),
            markup.token(str(row["top_token"])),
            markup.bar(row["jaccard"], "amber"),
            numbers.fraction(row["jaccard"]),
            numbers.count(row["count"]),
            numbers.times(row["lift"]),
        ]
        for row in frame.iter_rows(named=True)
    ]
    note = "By overlap of the tokens they fire on; lift: over chance given both densities."
    heads = ("feature", "top token", "", "jaccard", "both", "lift")
    return markup.table(heads, rows, "ttbnnn", note)


def documents_html(frame: pl.DataFrame, feature: int) -> str:
    """Documents in which it fires most."""
    rows = [
        [
            anchor(
                row["title"] or f"document {row['document']}",
                "document",
                document=row["document"],
                feature=feature,
            ),
            escape(row["topic"]),
            numbers.count(row["count"]),
            numbers.activation(row["max"]),
        ]
        for row in frame.iter_rows(named=True)
    ]
    return markup.table(("document", "topic", "tokens", "max"), rows, "ttnn")


def render_details(view: FeatureView, key: str) -> None:
    """Everything about a feature beside its examples, one tab each."""
    tabs = st.tabs(
        ("Logits", "Tokens", "Topics", "Documents", "Regions", "Co-firing", "Nearest"), key=key
    )
    bodies = (
        logits_html(view.promoted, view.suppressed, "The decoder direction, read as logits."),
        share_html(view.tokens, "The tokens it fires on."),
        topics_html(
            view.topics, "Lift over the corpus with 95% Wilson intervals; dashed: no lift."
        ),
        documents_html(view.documents, view.feature),
        regions_html(view.regions),
        cofiring_html(view.cofiring),
        nearest_html(view.nearest),
    )
    for tab, body in zip(tabs, bodies, strict=True):
        tab.html(body)


def downloads_of(view: FeatureView) -> dict[str, pl.DataFrame]:
    """The tables of the inspector, by name."""
    names = (
        "histogram",
        "quantiles",
        "promoted",
        "suppressed",
        "tokens",
        "topics",
        "documents",
        "nearest",
        "cofiring",
        "regions",
    )
    return {f"feature {view.feature} {name}": getattr(view, name) for name in names}
