"""What a study holds: its texts and its partitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.overview.views import Overview
from components.shell import markup, numbers, palette
from components.shell.links import anchor
from components.shell.lists import frame_html
from components.shell.markup import chip, chips


def render_counts(view: Overview) -> None:
    """The corpus in numbers."""
    parts = [
        chip("documents", numbers.count(view.documents)),
        chip("contexts", numbers.count(view.contexts)),
        chip("tokens", numbers.count(view.tokens)),
        *_to_come(view),
        chip("repeats left out", numbers.count(view.repeats), "documents that repeat others"),
    ]
    st.html(chips(parts))


def _to_come(view: Overview) -> list[str]:
    if view.tokens == view.corpus_tokens:
        return []
    total = numbers.count(view.corpus_tokens) if view.corpus_tokens else "more"
    return [chip("of", total, "the rest is still to be read", "warn")]


def render_topics(topics: pl.DataFrame) -> None:
    """Tokens of each topic, the largest on top."""
    colours, largest = palette.current(), topics.sort("tokens").tail(16)
    chart = palette.figure(28 * len(largest) + 40).add_bar(
        x=largest["tokens"].to_numpy(),
        y=largest["topic"].to_list(),
        orientation="h",
        marker={"color": palette.fade(colours.slate, 0.7)},
        text=[f"{count:,} documents" for count in largest["documents"]],
        textfont={"size": 11},
        insidetextfont={"color": colours.ground},
        hovertemplate="%{y}: %{x:,} tokens<extra></extra>",
    )
    chart.update_xaxes(title=f"tokens · n = {topics['tokens'].sum():,}", nticks=5)
    chart.update_yaxes(showgrid=False)
    palette.render_chart(chart, "topics", "Tokens by topic")


def stops_chart(stops: pl.DataFrame, p: float, k: float) -> go.Figure:
    """K against θ over the settings that are computed; the current one filled. Settings that are
    not computed stand as ticks on the axis."""
    colours, chart = palette.current(), palette.figure(208)
    known = stops.drop_nulls("theta")
    done = known.drop_nulls("regions").sort("theta")
    for number, ((gray,), group) in enumerate(done.group_by("k", maintain_order=True)):
        hue = palette.fade(colours.teal, 0.45) if number else colours.teal
        here = ((group["p"] == p) & (group["k"] == k)).to_list()
        chart.add_scatter(
            x=group["theta"].to_numpy(),
            y=group["regions"].to_numpy(),
            mode="lines+markers+text",
            line={"color": hue, "width": 1},
            marker={
                "size": 9,
                "color": [hue if current else colours.ground for current in here],
                "line": {"color": hue, "width": 1.5},
            },
            hovertemplate=f"θ %{{x:.3f}}, k {gray:g}: %{{y:,}} regions<extra></extra>",
            cliponaxis=False,
            **_names(group, f"k = {gray:g}"),
        )
    rest = known.filter(~pl.col("p").is_in(done["p"].to_list())).unique("p")
    chart.add_scatter(
        x=rest["theta"].to_numpy(),
        y=[0] * len(rest),
        mode="markers+text",
        marker={"symbol": "line-ns-open", "size": 9, "color": colours.muted},
        hovertemplate="θ %{x:.3f}: not computed<extra></extra>",
        **_names(rest, "not computed"),
    )
    thetas, most = known["theta"].to_numpy(), int(done["regions"].to_numpy().max())
    pad = 0.08 * float(np.ptp(thetas)) or 0.1
    ends = [thetas.min() - pad, thetas.max() + pad]
    chart.update_xaxes(title="threshold θ", range=ends, nticks=6)
    return chart.update_yaxes(title="regions K", range=[0, 1.16 * most])


def _names(group: pl.DataFrame, name: str) -> dict[str, Any]:
    """The name of a trace, and of its points."""
    return {
        "text": [f"p {p:g}" for p in group["p"]],
        "textposition": "top center",
        "textfont": {"size": 10.5, "color": palette.current().muted},
        "name": name,
    }


def render_stops(stops: pl.DataFrame, p: float, k: float) -> None:
    """K against θ, and every setting as a link."""
    if stops["regions"].drop_nulls().len():
        alt = "Number of regions against the threshold"
        palette.render_chart(stops_chart(stops, p, k), "stops", alt)
    else:
        markup.note("No setting is computed for the whole corpus yet.")
    st.html(stops_html(stops, p, k))


def stops_html(stops: pl.DataFrame, p: float, k: float) -> str:
    """The settings as links, computed or not."""

    def link(p_stop: float, k_stop: float) -> str:
        is_current = (p_stop, k_stop) == (p, k)
        name = f"p {p_stop:g} · k {k_stop:g}"
        return ("● " if is_current else "") + anchor(name, "regions", p=p_stop, k=k_stop)

    columns = (
        ("setting", "t", link, "p", "k"),
        ("θ", "n", lambda theta: numbers.fraction(theta, 3), "theta"),
        ("regions", "n", lambda n: numbers.count(n) if n else "not computed", "regions"),
        ("gray", "n", numbers.percent, "gray"),
        ("overlap", "n", numbers.fraction, "overlap"),
        ("ambiguous", "n", numbers.percent, "ambiguous"),
    )
    return frame_html(stops.filter(pl.col("regions").is_not_null() | (pl.col("k") == k)), columns)
