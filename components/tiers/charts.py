"""Tiers as charts: the scores under their thresholds, beside what chance gives, and by layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.schema import Tier
from backend.tiers.views import TierTable
from components.regions.table import token_cell
from components.shell import address, markup, numbers, palette, terms
from components.shell.lists import frame_html
from components.shell.selection import clicked
from components.tiers.table import SORTED_FEATURES

CHART = "tier-chart"
POINTS = 20_000  # drawn one by one; more are drawn as a density


def render_charts(view: TierTable) -> None:
    """ρ of input and output, where a click on a feature opens it, and ρ of cross."""
    st.plotly_chart(
        plane(view, address.get("feature")),
        key=CHART,
        config=palette.CONFIG,
        on_select=_on_point,
        selection_mode="points",
        alt="Features by input and output correlation",
    )
    markup.note(legend(view))
    st.html(terms.key("ρ", "τ", "tier", "tier margin"))
    st.plotly_chart(cross_chart(view), key="cross-chart", config={"displayModeBar": False})


def _on_point() -> None:
    SORTED_FEATURES.open_row(clicked(st.session_state[CHART], address.get("feature")))


def plane(view: TierTable, feature: int | None) -> go.Figure:
    """Every feature by ρ of input and output, its τ as lines, the null as grey bands."""
    colours, table = palette.current(), view.table
    chart = palette.figure(height=360)
    _add_band(chart.add_vrect, view, "input")
    _add_band(chart.add_hrect, view, "output")
    x, y = table["input"].to_numpy(), table["output"].to_numpy()
    if len(table) > POINTS:
        chart.add_histogram2d(
            x=x, y=y, nbinsx=160, nbinsy=160, colorscale=colours.scale("slate"), showscale=False
        )
    else:
        for tier in Tier:
            _add_points(chart, table.filter(tier=tier.title), tier)
    if feature is not None and 0 <= feature < len(table):
        place = {"x": x[[feature]], "y": y[[feature]], "mode": "markers", "hoverinfo": "skip"}
        ring = {"size": 14, "symbol": "circle-open", "color": colours.ink}
        chart.add_scattergl(**place, marker=ring)
    line = {"color": colours.ink, "width": 1, "dash": "dot"}
    chart.add_vline(view.thresholds.input, line=line)
    chart.add_hline(view.thresholds.output, line=line)
    both = int((np.isfinite(x) & np.isfinite(y)).sum())
    chart.update_xaxes(
        title=f"ρ input · n = {both:,} features", range=_range(x, view.thresholds.input)
    )
    chart.update_yaxes(title="ρ output", showline=True, range=_range(y, view.thresholds.output))
    return chart


def _add_points(chart: go.Figure, part: pl.DataFrame, tier: Tier) -> None:
    """The features of a tier; numbers go to the browser as bytes, not as text."""
    chart.add_scattergl(
        x=part["input"].to_numpy(),
        y=part["output"].to_numpy(),
        mode="markers",
        marker={"size": 5, "color": palette.fade(palette.tier(tier), 0.7), "line": {"width": 0}},
        customdata=part["feature"].to_numpy(),
        text=[  # plotly reads it as HTML
            markup.escape(token_cell(token)) for token in part["top_token"].fill_null("")
        ],
        hovertemplate=f"feature %{{customdata}} · {tier.title}<br>top token %{{text}}<br>"
        "input %{x:.3f} output %{y:.3f}<extra></extra>",
        unselected={"marker": {"opacity": 0.7}},
        showlegend=False,
    )


def _range(values: np.ndarray, tau: float) -> tuple[float, float]:
    """All values and τ with a margin: the mark of the open feature moves no axis."""
    ends = [*values[np.isfinite(values)].tolist(), 0.0, tau]
    return min(ends) - 0.03, max(ends) + 0.03


def legend(view: TierTable) -> str:
    """What is drawn, and how many features are not."""
    points = view.table.filter(pl.col("input").is_finite() & pl.col("output").is_finite())
    scored = len(view.table) - view.counts[Tier.UNSCORED.title]
    words = (
        "ρ: mean cosine of a feature's windows, two by two; 1: all alike. Dotted: τ. "
        "Grey: 90% of sets of windows at random."
    )
    if scored > len(points):
        words += (
            f" {numbers.count(scored)} features are sorted; {numbers.count(scored - len(points))} "
            "of them lack one of the two windows and have no point here."
        )
    return words


def _add_band(add: Callable[..., object], view: TierTable, window: str) -> None:
    """Where 90% of sets of random windows lie."""
    for row in view.nulls.filter(null="random", window=window).iter_rows(named=True):
        fill = palette.current().null
        add(row["p5"], row["p95"], fillcolor=fill, line_width=0, layer="below")


def cross_chart(view: TierTable) -> go.Figure:
    """ρ of cross of the features that are not in tier 1, with τ and the null."""
    colours = palette.current()
    rest = view.table.filter(pl.col("tier").is_in([Tier.CROSS.title, Tier.OBSCURE.title]))
    values = rest["cross"].drop_nans().to_numpy()
    chart = palette.figure(height=130)
    _add_band(chart.add_vrect, view, "cross")
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    heights, edges = np.histogram(values, bins=60, range=(min(low, 0.0), max(high, 0.5)))
    over = edges[:-1] >= view.thresholds.cross
    hues = [palette.tier(Tier.CROSS if above else Tier.OBSCURE) for above in over]
    chart.add_bar(
        x=(edges[:-1] + edges[1:]) / 2,
        y=heights,
        width=np.diff(edges),
        marker={"color": hues, "line": {"width": 0}},
        hovertemplate="ρ cross %{x:.2f}: %{y} features<extra></extra>",
    )
    chart.add_vline(view.thresholds.cross, line={"color": colours.ink, "width": 1, "dash": "dot"})
    chart.update_xaxes(title=f"ρ cross · n = {len(values):,} features outside tier 1")
    return chart


def nulls_html(nulls: pl.DataFrame) -> str:
    """What ρ is without any feature."""
    what = {"random": "windows at random", "shuffled": "windows of different features"}
    ends = {"5%": "p5", "median": "median", "95%": "p95", "99%": "p99"}
    columns = (
        ("window", "t", str, "window"),
        ("null", "t", what.__getitem__, "null"),
        *((head, "n", numbers.fraction, name) for head, name in ends.items()),
        ("sets", "n", numbers.count, "draws"),
    )
    note = (
        "ρ of as many windows that no feature chose. Unrelated texts are not at 0 for an embedder. "
        "A threshold at the null's end would only say that something is shared: it is a floor."
    )
    return frame_html(nulls, columns, note)


def profile_chart(frame: pl.DataFrame) -> go.Figure:
    """Shares of tiers by layer: early layers are said to read, late ones to write."""
    known = frame.filter(pl.col("share").is_not_null())
    chart = palette.figure(height=60 + 34 * known["study"].n_unique())
    for tier in tuple(Tier)[1:]:
        part = known.filter(tier=tier.title)
        chart.add_bar(
            y=[f"layer {layer} · {study}" for layer, study in part.select("layer", "study").rows()],
            x=part["share"],
            orientation="h",
            marker={"color": palette.tier(tier), "line": {"width": 0}},
            customdata=part["count"],
            hovertemplate=f"{tier.title}: %{{x:.1%}}, %{{customdata}} features<extra></extra>",
        )
    chart.update_layout(barmode="stack", margin_r=40)  # room for the last tick
    chart.update_xaxes(range=[0, 1], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    return chart


def render_profile(frame: pl.DataFrame) -> None:
    """The profile, and what is missing in it."""
    markup.head("By layer", "shares of tiers in every study of this model")
    st.plotly_chart(profile_chart(frame), key="profile", config={"displayModeBar": False})
    if words := profile_words(frame):
        markup.note(words)


def profile_words(frame: pl.DataFrame) -> str:
    """What is missing in the profile."""
    missing = frame.filter(pl.col("share").is_null())["study"].unique(maintain_order=True).to_list()
    if missing:
        return f"Not computed with these windows: {', '.join(missing)}. Open Tiers on them."
    if frame["study"].n_unique() == 1:
        return (
            "One layer says nothing about depth. Add studies of this model with SAEs at other "
            "layers to the folder of studies, and they appear here."
        )
    return ""
