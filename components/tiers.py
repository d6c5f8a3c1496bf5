"""Features by tier: the thresholds, the scores under them beside what chance gives, a list."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.schema import Job, Thresholds, Tier, TierSpec
from backend.views import TierTable
from components import address, markup, numbers, palette
from components.feature_table import INSPECTOR, LIST
from components.region_table import token_cell
from components.rows import render_rows
from components.selection import clicked

BOARD = LIST  # the board holds the list
CHECK, ROUTES = "check", "routes"  # fragments that show what the thresholds change
CHART, ROWS = "tier-chart", "tier-rows"
COUNTS = (5, 10, 20)
SIDES = {"input": (0, 1, 2, 5, 10, 20), "output": (1, 2, 5, 10, 20), "cross": (0, 1, 2, 5, 10, 20)}
TAUS = {"tau_in": "input", "tau_out": "output", "tau_cross": "cross"}
POINTS = 20_000  # drawn one by one; more are drawn as a density
LIMIT = 5_000  # rows sent to the browser
HELP = {
    "input": "Tokens before the peak that the window holds, besides the peak itself",
    "output": "Tokens after the peak that the window holds",
    "cross": "Tokens on either side of the peak; 0: the whole context",
}
WAYS = {
    Tier.INPUT: "label by counting",
    Tier.OUTPUT: "label by counting",
    Tier.CROSS: "label by a model",
    Tier.OBSCURE: "label by hand",
}


def spec() -> TierSpec:
    """What the controls say of windows and examples."""
    get = address.get
    return TierSpec(get("count"), get("input"), get("output"), get("cross"), get("weighted"))


def thresholds() -> Thresholds:
    """What the sliders say."""
    return Thresholds(*(address.get(name) for name in TAUS))


def name(tier: int) -> str:
    return Tier(tier).name.lower()


# ---------------------------------------------------------------- controls


def render_windows() -> None:
    """Examples and windows: another value embeds new windows, as a job."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="windows"):
        st.segmented_control(
            "Examples",
            COUNTS,
            required=True,
            help="The strongest, one a document",
            **address.widget("count"),
        )
        for window, stops in SIDES.items():
            st.selectbox(
                f"{window.capitalize()} window",
                stops if address.get(window) in stops else (*stops, address.get(window)),
                format_func=lambda side, window=window: side_words(window, side),
                help=HELP[window],
                width=150,
                **address.widget(window),
            )
        st.toggle(
            "Weight by activation",
            help="Pairs of strong examples count more, as in the post's footnote",
            **address.widget("weighted"),
        )


def side_words(window: str, side: int) -> str:
    """A window as a reader says it."""
    if window == "input":
        return f"−{side} to peak" if side else "the peak alone"
    if window == "output":
        return f"+1 to +{side}" if side > 1 else "the next token"
    return f"−{side} to +{side}" if side else "whole context"


def render_thresholds() -> None:
    """τ of each window: every feature is sorted anew at once."""
    for column, (field, window) in zip(st.columns(3, gap="medium"), TAUS.items(), strict=True):
        step, shown = (0.005, "%.3f") if window == "cross" else (0.01, "%.2f")
        settings = address.widget(field, BOARD, INSPECTOR, ROUTES, CHECK)
        column.slider(f"τ {window}", 0.0, 1.0, step=step, format=shown, **settings)


def counts_html(view: TierTable) -> str:
    """How many features are in each tier, and what labelling them so saves."""
    total = max(1, sum(view.counts))
    chips = []
    for tier in Tier:
        count = view.counts[tier]
        if tier != Tier.UNSCORED or count:
            dot = f'<i class="dot" style="background:{palette.tier(tier)}"></i>'
            said = f"{dot}{numbers.count(count)} · {numbers.percent(count / total)}"
            chips.append(markup.chip(name(tier), said, WAYS.get(tier, "fires too seldom")))
    return markup.chips(chips) + f'<p class="note">{saved(view.counts)}</p>'


def saved(counts: list[int]) -> str:
    """Calls by the protocol against a call for every feature."""
    scored = sum(counts) - counts[Tier.UNSCORED]
    calls = counts[Tier.CROSS]
    spared = (scored - calls) / max(1, scored)
    return (
        f"Tier 1 is labelled by counting, tier 2 by {numbers.count(calls)} calls of a model, "
        f"tier 3 by people. A model for every feature: {numbers.count(scored)} calls; "
        f"{numbers.percent(spared)} of them are spared."
    )


# ---------------------------------------------------------------- charts


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
    st.plotly_chart(cross_chart(view), key="cross-chart", config={"displayModeBar": False})


def plane(view: TierTable, opened: int | None) -> go.Figure:
    """Every feature by ρ of input and output, its τ as lines, the null as grey bands."""
    colours, table = palette.current(), view.table
    made = palette.figure(height=360)
    _bands(made, view)
    x, y = table["input"].to_numpy(), table["output"].to_numpy()
    if len(table) > POINTS:
        made.add_histogram2d(
            x=x, y=y, nbinsx=160, nbinsy=160, colorscale=colours.scale("slate"), showscale=False
        )
    else:
        hues = np.array([palette.fade(palette.tier(tier), 0.7) for tier in Tier])
        made.add_scattergl(
            x=x,
            y=y,
            mode="markers",
            marker={"size": 5, "color": hues[table["tier"].to_numpy()], "line": {"width": 0}},
            customdata=table["feature"].to_numpy(),
            hovertemplate="feature %{customdata}<br>input %{x:.2f} output %{y:.2f}<extra></extra>",
            unselected={"marker": {"opacity": 0.7}},
        )
    if opened is not None and 0 <= opened < len(table):
        made.add_scattergl(
            x=x[[opened]], y=y[[opened]], mode="markers", hoverinfo="skip",
            marker={"size": 14, "symbol": "circle-open", "color": colours.ink},
        )  # fmt: skip
    line = {"color": colours.ink, "width": 1, "dash": "dot"}
    made.add_vline(view.thresholds.input, line=line)
    made.add_hline(view.thresholds.output, line=line)
    made.update_xaxes(title=f"ρ input · n = {int(np.isfinite(x).sum()):,} features")
    made.update_yaxes(title="ρ output", showline=True)
    return made


def _bands(made: go.Figure, view: TierTable) -> None:
    """Where 90% of sets of random windows lie."""
    null = palette.current().null
    for row in view.nulls.filter(pl.col("null") == "random").iter_rows(named=True):
        if row["window"] == "input":
            made.add_vrect(row["p5"], row["p95"], fillcolor=null, line_width=0, layer="below")
        elif row["window"] == "output":
            made.add_hrect(row["p5"], row["p95"], fillcolor=null, line_width=0, layer="below")


def cross_chart(view: TierTable) -> go.Figure:
    """ρ of cross of the features that are not in tier 1, with τ and the null."""
    colours = palette.current()
    rest = view.table.filter(pl.col("tier").is_in([int(Tier.CROSS), int(Tier.OBSCURE)]))
    values = rest["cross"].drop_nans().to_numpy()
    made = palette.figure(height=130)
    for row in view.nulls.filter(
        (pl.col("null") == "random") & (pl.col("window") == "cross")
    ).iter_rows(named=True):
        made.add_vrect(row["p5"], row["p95"], fillcolor=colours.null, line_width=0, layer="below")
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    heights, edges = np.histogram(values, bins=60, range=(min(low, 0.0), max(high, 0.5)))
    over = edges[:-1] >= view.thresholds.cross
    hues = [palette.tier(Tier.CROSS if above else Tier.OBSCURE) for above in over]
    made.add_bar(
        x=(edges[:-1] + edges[1:]) / 2,
        y=heights,
        width=np.diff(edges),
        marker={"color": hues, "line": {"width": 0}},
        hovertemplate="ρ cross %{x:.2f}: %{y} features<extra></extra>",
    )
    made.add_vline(view.thresholds.cross, line={"color": colours.ink, "width": 1, "dash": "dot"})
    made.update_xaxes(title=f"ρ cross · n = {len(values):,} features outside tier 1")
    return made


def nulls_html(nulls: pl.DataFrame) -> str:
    """What ρ is without any feature."""
    what = {"random": "windows at random", "shuffled": "windows of different features"}
    rows = [
        [
            row["window"],
            what[row["null"]],
            *(numbers.fraction(row[at]) for at in ("p5", "median", "p95", "p99")),
            numbers.count(row["draws"]),
        ]
        for row in nulls.iter_rows(named=True)
    ]
    heads = ("window", "null", "5%", "median", "95%", "99%", "sets")
    note = (
        "ρ of as many windows that no feature chose. Unrelated texts are not at 0 for an embedder. "
        "A threshold at the null's end would only say that something is shared: it is a floor."
    )
    return markup.table(heads, rows, "ttnnnnn", note)


def profile_chart(frame: pl.DataFrame) -> go.Figure:
    """Shares of tiers by layer: early layers are said to read, late ones to write."""
    held = frame.filter(pl.col("share").is_not_null())
    made = palette.figure(height=60 + 34 * held["study"].n_unique())
    for tier in (Tier.INPUT, Tier.OUTPUT, Tier.CROSS, Tier.OBSCURE):
        part = held.filter(pl.col("tier") == int(tier))
        made.add_bar(
            y=[f"layer {layer} · {study}" for layer, study in part.select("layer", "study").rows()],
            x=part["share"],
            orientation="h",
            marker={"color": palette.tier(tier), "line": {"width": 0}},
            customdata=part["count"],
            hovertemplate=f"{name(tier)}: %{{x:.1%}}, %{{customdata}} features<extra></extra>",
        )
    made.update_layout(barmode="stack")
    made.update_xaxes(range=[0, 1], tickformat=".0%", title="share of features")
    return made


def render_profile(frame: pl.DataFrame) -> None:
    """The profile, and what is missing in it."""
    markup.head("By layer", "tiers of every study of this model")
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


# ---------------------------------------------------------------- list


class LabelDesk(Protocol):
    """The part of `backend.queries` that knows labels of tiers."""

    def tier_labels(
        self, study: str, spec: TierSpec, thresholds: Thresholds
    ) -> pl.DataFrame | Job: ...


def labels(desk: LabelDesk, study: str, view: TierTable) -> pl.DataFrame | None:
    """Labels that routing has given; None where there are none."""
    found = desk.tier_labels(study, view.spec, view.thresholds)
    return None if isinstance(found, Job) or not len(found) else found


def listed(view: TierTable, labels: pl.DataFrame | None = None) -> pl.DataFrame:
    """Features of the tier that is looked at, nearest to another tier first, with labels."""
    chosen = address.get("tier")
    table = view.table
    if labels is not None:
        table = table.join(labels.select("feature", "label"), on="feature", how="left")
    if chosen != "all":
        table = table.filter(pl.col("tier") == int(Tier[chosen.upper()]))
    return table.sort("margin", "feature", nulls_last=True)


COLUMNS = {
    "feature": st.column_config.NumberColumn("feature", width=60, format="%d", pinned=True),
    "top_token": st.column_config.TextColumn("top token", width=84),
    "kind": st.column_config.TextColumn("tier", width=70),
    "label": st.column_config.TextColumn("label", width=150, help="as routing gave it"),
    "input": st.column_config.NumberColumn("ρ in", width=52, format="%.2f"),
    "output": st.column_config.NumberColumn("ρ out", width=52, format="%.2f"),
    "cross": st.column_config.NumberColumn("ρ cross", width=60, format="%.2f"),
    "margin": st.column_config.NumberColumn(
        "margin", width=58, format="%.3f", help="to the nearest τ"
    ),
    "examples": st.column_config.NumberColumn("examples", width=70),
    "cut": st.column_config.NumberColumn(
        "cut", width=44, help="windows that the end of a context cuts short"
    ),
    "density": st.column_config.NumberColumn("density", width=66, format="%.3f%%"),
}


def render_list(rows: pl.DataFrame, of: int) -> None:
    """Which tier is listed, and its features."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.segmented_control(
            "Tier",
            address.TIERS,
            required=True,
            label_visibility="collapsed",
            **address.widget("tier", BOARD),
        )
        cut = f" · the first {LIMIT:,} are listed" if len(rows) > LIMIT else ""
        markup.note(f"{len(rows):,} of {of:,} features, nearest to another tier first{cut}")
    names = [name(tier) for tier in Tier]
    shown = rows.head(LIMIT).with_columns(
        pl.col("density") * 100,
        pl.col("top_token").map_elements(token_cell, return_dtype=pl.String),
        kind=pl.col("tier").replace_strict(list(range(len(names))), names),
    )
    columns = [column for column in COLUMNS if column in shown.columns]
    render_rows(
        shown.select(columns).cast({pl.Float64: pl.Float32}),
        shown["feature"].to_list(),
        address.get("feature"),
        _open,
        ROWS,
        column_config=COLUMNS,
        height=360,
        row_height=26,
        placeholder="–",
        alt="Features; click a row to open it",
    )


def _on_point() -> None:
    _open(clicked(st.session_state[CHART], address.get("feature")))


def _open(feature: int | None) -> None:
    if feature == address.get("feature"):
        st.rerun([address.IDLE])
    address.put(feature=feature)
    st.rerun([INSPECTOR, BOARD])
