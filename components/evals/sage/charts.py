"""Charts of SAGE: where a task is done, and what dictionaries are worth there."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import polars as pl

from backend.evals.sage.views import SageTask
from components.shell import markup, numbers, palette

KINDS = {"resid": "residual", "attn": "attention", "mlp": "MLP"}
NAMES = {
    "true": "true patch",
    "means": "supervised, means",
    "squares": "supervised, least squares",
    "sae": "SAE",
    "random": "random dictionary",
    "shuffled": "shuffled attributes",
    "mean": "mean ablation",
    "none": "no edit",
}
MEASURES = {
    "relative": "sufficiency,<br>over mean ablation",
    "necessity": "necessity",
    "explained": "variance<br>explained",
}
SYMBOLS = {"resid": "circle", "attn": "triangle-up", "mlp": "square"}
SHOWN = (-1.5, 2.5)  # of ratios; what lies farther stands at the edge, its value in the table
READ = {
    "test": "SAE feature",
    "union_test": "union of features",
    "nearest": "nearest mean",
    "null": "shuffled",
    "base": "always yes",
}


def hue(dictionary: str) -> str:
    """A dictionary's colour: supervised in the accents, controls grey."""
    colours = palette.current()
    fixed = {"means": colours.accent, "squares": colours.violet, "sae": colours.amber}
    return fixed.get(dictionary, colours.slate if dictionary == "random" else palette.OTHER)


def named(dictionary: str) -> str:
    """A dictionary's name after its colour."""
    return markup.dotted(NAMES[dictionary], hue(dictionary))


def attribution_chart(results: SageTask) -> go.Figure:
    """The guess at every block and role, a panel a kind; the sites that were patched are ringed."""
    colours, chart = palette.current(), palette.figure(height=420)
    chart.set_subplots(1, len(KINDS), shared_yaxes=True, horizontal_spacing=0.03)
    top = float(np.abs(results.attribution).max()) or 1.0
    scale = [[0.0, colours.negative], [0.5, colours.ground], [1.0, colours.positive]]
    for panel, (kind, name) in enumerate(KINDS.items()):
        chart.add_heatmap(
            z=results.attribution[:, panel], x=list(results.roles), zmin=-top, zmax=top,
            colorscale=scale, showscale=panel == 2, xgap=1, ygap=1,
            colorbar={"thickness": 8, "outlinewidth": 0, "title": {"text": "ΔLD", "side": "top"}},
            hovertemplate=f"{name}, block %{{y}}, %{{x}}: %{{z:.2f}}<extra></extra>",
            row=1, col=panel + 1,
        )  # fmt: skip
        ringed = results.patched.filter(pl.col("kind") == kind, pl.col("drawn") != "random")
        chart.add_scatter(
            x=ringed["role"].to_list(), y=ringed["layer"].to_list(), mode="markers",
            marker={"symbol": "circle-open", "size": 9, "color": colours.ink, "line": {"width": 1}},
            customdata=ringed["effect"].to_list(),
            hovertemplate="block %{y}, %{x}: really %{customdata:.2f}<extra></extra>",
            row=1, col=panel + 1,
        )  # fmt: skip
        chart.update_xaxes(title=name, tickangle=-40, row=1, col=panel + 1)
    chart.update_yaxes(dtick=2, showgrid=False)
    chart.update_yaxes(title="block", row=1, col=1)
    return chart


def patched_chart(results: SageTask) -> go.Figure:
    """The guess against the real change of LD."""
    colours, chart = palette.current(), palette.figure(height=380)
    hues = {"first": colours.accent, "random": palette.OTHER, "site": colours.amber}
    words = {"first": "put first", "random": "at random", "site": "the study's site"}
    both = results.patched.select("estimate", "effect").to_numpy()
    ends = [float(both.min(initial=0)) - 0.5, float(both.max(initial=0)) + 0.5]
    chart.add_scatter(
        x=ends, y=ends, mode="lines", hoverinfo="skip", showlegend=False,
        line={"color": colours.muted, "width": 1, "dash": "dash"},
    )  # fmt: skip
    for source, name in words.items():
        part = results.patched.filter(pl.col("drawn") == source)
        words = [f"block {r['layer']}, {KINDS[r['kind']]}, {r['role']}" for r in part.to_dicts()]
        chart.add_scatter(
            x=part["estimate"].to_list(), y=part["effect"].to_list(), mode="markers", name=name,
            marker={"color": hues[source], "size": 8, "opacity": 0.85},
            error_y=palette.error_bars(part["effect"], part["low"], part["high"]),
            customdata=words,
            hovertemplate="%{customdata}<br>guess %{x:.2f}, really %{y:.2f}<extra></extra>",
        )  # fmt: skip
    chart.add_hline(0, line={"color": colours.line, "width": 1})
    chart.add_vline(0, line={"color": colours.line, "width": 1})
    chart.update_xaxes(title="guess by attribution patching")
    chart.update_yaxes(title=f"real change of LD · n = {results.searched} prompts")
    chart.update_layout(showlegend=True, legend_y=-0.2)
    return chart


def scores_chart(results: SageTask, role: str) -> go.Figure:
    """Every dictionary by every measure, a mark a kind of place, with intervals."""
    colours, chart = palette.current(), palette.figure(height=330)
    chart.set_subplots(1, len(MEASURES), shared_yaxes=True, horizontal_spacing=0.03)
    at_role = results.scores.filter(pl.col("role") == role)
    order = [name for name in NAMES if name in at_role["dictionary"]][::-1]
    for column, (measure, words) in enumerate(MEASURES.items(), 1):
        for shift, (kind, kind_name) in enumerate(KINDS.items()):
            measured = at_role.drop_nulls("value").filter(measure=measure, kind=kind)
            part = measured.to_dicts()
            values, *ends = (
                [None if row[end] is None else float(np.clip(row[end], *SHOWN)) for row in part]
                for end in ("value", "low", "high")
            )
            chart.add_scatter(
                x=values, y=[order.index(row["dictionary"]) + 0.22 * (1 - shift) for row in part],
                mode="markers", showlegend=False,
                marker={
                    "symbol": [_symbol(kind, row["value"]) for row in part],
                    "size": 9 if kind == "resid" else 7,
                    "color": [hue(row["dictionary"]) for row in part],
                },
                error_x=palette.error_bars(values, *ends, color=colours.muted),
                customdata=[
                    f"{NAMES[row['dictionary']]}, {kind_name}: {numbers.fraction(row['value'])}"
                    for row in part
                ],
                hovertemplate="%{customdata}<extra></extra>", row=1, col=column,
            )  # fmt: skip
        for place in (0, 1):
            line = {"color": colours.muted, "width": 1, "dash": "dot"}
            # plotly types both by their default, "all"
            chart.add_vline(place, line=line, row=1, col=column)  # pyright: ignore[reportArgumentType]
        wide = (-0.3, 1.1) if measure == "explained" else SHOWN
        chart.update_xaxes(title=words, range=[wide[0] - 0.05, wide[1] + 0.05], row=1, col=column)
    for kind, words in KINDS.items():
        chart.add_scatter(
            x=[None], y=[None], mode="markers", name=words,
            marker={"symbol": SYMBOLS[kind], "size": 8, "color": colours.muted}, row=1, col=1,
        )  # fmt: skip
    chart.update_yaxes(tickvals=list(range(len(order))), ticktext=[NAMES[name] for name in order])
    chart.update_layout(showlegend=True, legend_y=-0.25)
    return chart


def _symbol(kind: str, value: float) -> str:
    """A mark, or an arrow for what lies beyond the chart."""
    if SHOWN[0] <= value <= SHOWN[1]:
        return SYMBOLS[kind]
    return "arrow-left" if value < SHOWN[0] else "arrow-right"


def control_chart(results: SageTask) -> go.Figure:
    """How much of the true patch an edit of k features does, a panel an edit."""
    resid = results.control.filter(pl.col("kind") == "resid")
    edits = resid["edit"].unique(maintain_order=True).to_list()
    colours, chart = palette.current(), palette.figure(height=360)
    chart.set_subplots(1, len(edits), shared_yaxes=True, horizontal_spacing=0.03)
    for column, edit in enumerate(edits, 1):
        part = resid.filter(pl.col("edit") == edit, pl.col("value").is_not_null())
        for name in ("sae", "random"):
            rows = part.filter(pl.col("dictionary") == name).sort("k")
            if len(rows):
                chart.add_scatter(
                    x=rows["k"].to_list(), y=rows["value"].to_list(), mode="lines+markers",
                    name=NAMES[name], legendgroup=name, showlegend=column == 1,
                    line={"color": hue(name), "width": 2}, marker={"size": 6},
                    error_y=palette.error_bars(rows["value"], rows["low"], rows["high"]),
                    hovertemplate=f"{NAMES[name]}, %{{x}} features: %{{y:.2f}}<extra></extra>",
                    row=1, col=column,
                )  # fmt: skip
        dashes = {"means": "solid", "squares": "dash", "shuffled": "dot", "true": "dashdot"}
        for name, dash in dashes.items():
            rows = part.filter(pl.col("dictionary") == name)
            if len(rows):
                colour = colours.ink if name == "true" else hue(name)
                chart.add_scatter(
                    x=[1, 16], y=[rows["value"][0]] * 2, mode="lines", name=NAMES[name],
                    legendgroup=name, showlegend=column == 1,
                    line={"color": colour, "width": 1.4, "dash": dash},
                    hovertemplate=f"{NAMES[name]}: %{{y:.2f}}<extra></extra>", row=1, col=column,
                )  # fmt: skip
        lives = len(part.filter(pl.col("dictionary") == "means"))
        words = f"edit of<br>{edit}" + ("" if lives else "<br>(does nothing here)")
        chart.update_xaxes(
            title=words, type="log", tickvals=[1, 2, 4, 8, 16],
            range=[-0.08, float(np.log10(16)) + 0.08], row=1, col=column,
        )  # fmt: skip
    chart.add_hline(0, line={"color": colours.muted, "width": 1, "dash": "dot"})
    chart.update_yaxes(title="share of the true change of LD", row=1, col=1)
    ends = resid.select("low", "high").drop_nulls().to_numpy()
    low, high = float(ends.min(initial=0)) - 0.1, float(ends.max(initial=1)) + 0.1
    chart.update_yaxes(range=[max(-1.0, low), min(2.5, high)])
    chart.update_layout(showlegend=True, legend_y=-0.42)
    return chart


def read_chart(results: SageTask) -> go.Figure:
    """F1 on test of what reads each value, beside what knows nothing."""
    rows = results.read.filter(pl.col("value") != "")
    words = [f"{row['attribute']} = {row['value']}" for row in rows.to_dicts()][::-1]
    z = rows.select(list(READ)).to_numpy().astype(np.float64)[::-1]
    chart = palette.figure(height=70 + 19 * len(rows))
    chart.add_heatmap(
        z=z, x=list(READ.values()), y=words, zmin=0, zmax=1, xgap=1, ygap=1,
        colorscale=palette.current().scale("amber"), showscale=False,
        text=[[numbers.fraction(value) for value in row] for row in z], texttemplate="%{text}",
        textfont={"size": 10}, hovertemplate="%{y}, %{x}: %{z:.2f}<extra></extra>",
    )  # fmt: skip
    chart.update_xaxes(side="top")
    return chart
