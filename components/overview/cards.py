"""What a study holds and what is worth a look, with the way to each."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.features.views import FeatureTable
from backend.overview.views import Overview
from backend.regions.views import RegionMap
from components.shell import markup, numbers, palette
from components.shell.links import anchor
from components.shell.markup import chip, chips

ENOUGH = 30  # members below which a region's shape is mostly chance
SEEN = 20  # tokens below which a feature's shape is mostly chance
LISTED = 6


def render_counts(view: Overview) -> None:
    """The corpus in numbers."""
    said = [
        chip("documents", numbers.count(view.documents)),
        chip("contexts", numbers.count(view.contexts)),
        chip("tokens", numbers.count(view.tokens)),
        chip("repeats left out", numbers.count(view.repeats), "documents that repeat others"),
    ]
    st.html(chips(said))


def topics_chart(topics: pl.DataFrame) -> go.Figure:
    """Tokens of each topic, the largest on top."""
    shown = topics.sort("tokens").tail(16)
    made = palette.figure(28 * len(shown) + 40)
    made.add_trace(
        go.Bar(
            x=shown["tokens"].to_numpy(),
            y=shown["topic"].to_list(),
            orientation="h",
            marker={"color": palette.fade(palette.current().slate, 0.7)},
            text=[f"{d:,} documents" for d in shown["documents"]],
            textfont={"size": 11},
            insidetextfont={"color": palette.current().ground},
            hovertemplate="%{y}: %{x:,} tokens<extra></extra>",
        )
    )
    made.update_xaxes(title=f"tokens · n = {int(topics['tokens'].sum() or 0):,}", nticks=5)
    made.update_yaxes(showgrid=False)
    return made


def stops_chart(stops: pl.DataFrame, p: float, k: float) -> go.Figure:
    """K against θ over the settings that are computed; the current one filled. Settings that are
    not computed stand as ticks on the axis."""
    colours = palette.current()
    made = palette.figure(208)
    known = stops.drop_nulls("theta")
    done = known.drop_nulls("regions").sort("theta")
    for at, ((gray,), group) in enumerate(done.group_by("k", maintain_order=True)):
        hue = colours.teal if at == 0 else palette.fade(colours.teal, 0.45)
        here = ((group["p"] == p) & (group["k"] == k)).to_list()
        made.add_trace(
            go.Scatter(
                x=group["theta"].to_numpy(),
                y=group["regions"].to_numpy(),
                mode="lines+markers+text",
                line={"color": hue, "width": 1},
                marker={
                    "size": 9,
                    "color": [hue if now else colours.ground for now in here],
                    "line": {"color": hue, "width": 1.5},
                },
                text=[f"p {row:g}" for row in group["p"]],
                textposition="top center",
                textfont={"size": 10.5, "color": colours.muted},
                hovertemplate=f"θ %{{x:.3f}}, k {gray:g}: %{{y:,}} regions<extra></extra>",
                cliponaxis=False,
                name=f"k = {gray:g}",
            )
        )
    rest = known.filter(~pl.col("p").is_in(done["p"].to_list())).unique("p")
    made.add_trace(
        go.Scatter(
            x=rest["theta"].to_numpy(),
            y=[0] * len(rest),
            mode="markers+text",
            marker={"symbol": "line-ns-open", "size": 9, "color": colours.muted},
            text=[f"p {row:g}" for row in rest["p"]],
            textposition="top center",
            textfont={"size": 10.5, "color": colours.muted},
            hovertemplate="θ %{x:.3f}: not computed<extra></extra>",
            name="not computed",
        )
    )
    thetas, most = known["theta"].to_numpy(), int(done["regions"].to_numpy().max())
    pad = 0.08 * float(np.ptp(thetas)) or 0.1
    made.update_xaxes(title="threshold θ", range=[thetas.min() - pad, thetas.max() + pad], nticks=6)
    made.update_yaxes(title="regions K", range=[0, 1.16 * most])
    return made


def render_stops(stops: pl.DataFrame, p: float, k: float) -> None:
    """K against θ, and every setting as a link."""
    if stops["regions"].drop_nulls().len():
        render_chart(stops_chart(stops, p, k), "stops", "Number of regions against the threshold")
    else:
        markup.note("No setting is computed for the whole corpus yet.")
    st.html(stops_html(stops, p, k))


def render_chart(figure: go.Figure, key: str, alt: str) -> None:
    """A chart that is only looked at."""
    st.plotly_chart(figure, theme=None, config=palette.CONFIG, key=key, alt=alt)


def stops_html(stops: pl.DataFrame, p: float, k: float) -> str:
    """The settings as links, computed or not."""
    rows = []
    for row in stops.iter_rows(named=True):
        here = row["p"] == p and row["k"] == k
        if row["regions"] is None and row["k"] != k:
            continue
        name = f"p {row['p']:g} · k {row['k']:g}"
        rows.append(
            [
                ("● " if here else "") + anchor(name, "regions", p=row["p"], k=row["k"]),
                numbers.fraction(row["theta"], 3),
                numbers.count(row["regions"]) if row["regions"] else "not computed",
                numbers.percent(row["gray"]),
                numbers.fraction(row["overlap"], 2),
                numbers.percent(row["ambiguous"]),
            ]
        )
    return markup.table(("setting", "θ", "regions", "gray", "L0", "ambiguous"), rows, "tnnnnn")


# ---------------------------------------------------------------- regions


def region_lists(view: RegionMap) -> dict[str, tuple[pl.DataFrame, str, str]]:
    """What is extreme among regions with enough members: name -> (rows, column, why)."""
    table = view.table
    solid = table.filter(pl.col("size") >= ENOUGH)
    beyond = solid.filter(~pl.col("token_driven"))
    return {
        "Widest": (solid.sort("size", descending=True), "size", "by members"),
        "Tightest": (
            beyond.sort("coherence", descending=True),
            "coherence",
            "by κ, not token-driven",
        ),
        "Most isolated": (
            solid.sort("isolation", descending=True),
            "isolation",
            "from the nearest other exemplar",
        ),
        "Most topic-bound": (
            beyond.sort("lift_low", descending=True),
            "lift_low",
            "by the low end of the lift's interval",
        ),
    }


def regions_html(rows: pl.DataFrame, column: str) -> str:
    """A short list of regions, each a link."""
    spell = {
        "size": numbers.count,
        "coherence": numbers.fraction,
        "isolation": numbers.fraction,
        "lift_low": numbers.times,
    }[column]
    return "".join(
        _line(
            anchor(str(row["region"]), "regions", region=row["region"]),
            in_context(str(row["before"]), str(row["token"]), str(row["after"])),
            str(row["topic"] or "") if column == "lift_low" else "",
            spell(row[column]),
        )
        for row in rows.head(LISTED).iter_rows(named=True)
    )


def _line(link: str, middle: str, topic: str, value: str) -> str:
    return (
        f'<div class="line"><span>{link}</span>{middle}<i>{markup.escape(topic)}</i>'
        f"<b>{value}</b></div>"
    )


def in_context(before: str, token: str, after: str) -> str:
    """A token with a few words around it, on one line, the token in the middle."""
    left, middle, right = (markup.escape(one_line(part)) for part in (before, token, after))
    return (
        f'<span class="kwic"><span><bdi>{left}</bdi></span><b>{middle}</b>'
        f"<span>{right}</span></span>"
    )


def one_line(text: str) -> str:
    return text.replace("\n", "⏎").replace("\t", "⇥")


# ---------------------------------------------------------------- features


def feature_lists(view: FeatureTable) -> dict[str, tuple[pl.DataFrame, str, str]]:
    """Features worth a look, among those that fire often enough: name -> (rows, column, why)."""
    table = view.table
    solid = table.filter(pl.col("active") >= SEEN)
    return {
        "Beyond one token": (
            solid.filter(pl.col("top_token_share") < 0.2).sort("max", descending=True),
            "max",
            "strongest of those with no commonest token above 20%",
        ),
        "Most region-like": (
            solid.sort("f1", descending=True, nulls_last=True),
            "f1",
            "by F1 with a region",
        ),
        "Most topic-bound": (
            solid.sort("lift", descending=True, nulls_last=True),
            "lift",
            f"{SEEN}+ tokens",
        ),
        "Densest": (solid.sort("density", descending=True), "density", "share of tokens"),
    }


def features_html(rows: pl.DataFrame, column: str) -> str:
    """A short list of features, each a link."""
    spell = {
        "max": numbers.activation,
        "f1": numbers.fraction,
        "lift": numbers.times,
        "density": numbers.percent,
    }[column]
    return "".join(
        _line(
            anchor(str(row["feature"]), "features", feature=row["feature"]),
            f"<span>{markup.token(str(row['top_token']))} <small>{writes(row)}</small></span>",
            str(row["topic"] or ""),
            spell(row[column]),
        )
        for row in rows.head(LISTED).iter_rows(named=True)
    )


def writes(row: dict[str, object]) -> str:
    """What the feature's decoder promotes, if it is known."""
    return f"→ {markup.escape(one_line(str(row['promoted'])))}" if row["promoted"] else ""


def lists_html(lists: dict[str, tuple[pl.DataFrame, str, str]], kind: str) -> str:
    """Short lists beside each other."""
    spell = regions_html if kind == "regions" else features_html
    parts = "".join(
        f'<section><h3 class="head">{markup.escape(name)}<small>{markup.escape(why)}</small></h3>'
        f"{spell(rows, column)}</section>"
        for name, (rows, column, why) in lists.items()
    )
    return f'<div class="lists">{parts}</div>'
