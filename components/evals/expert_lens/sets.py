"""ExpertLens: which concepts are alike, and whether the same units are found again."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import polars as pl

from backend.evals.expert_lens.views import ExpertLens
from components.shell import markup, numbers, palette
from components.shell.markup import escape

NEEDS = "A concept needs 10 sentences with it and 20 without, in each half."
NAMED = 40  # concepts whose names stand under the heatmap; of more, the rows have them, and hover
NAMES_OF_PAIRS = {
    "same": "the same concept",
    "other": "another concept",
    "random": "units at random",
}


def between(low: object, high: object) -> str:
    """Two ends."""
    return f"{numbers.fraction(low)} to {numbers.fraction(high)}"


def likeness_chart(view: ExpertLens) -> go.Figure:
    """The tree of concepts, and their likeness in its order."""
    colours, order = palette.current(), list(view.tree.order)
    names = [view.concepts["concept"][index] for index in order]
    chart = palette.figure(height=max(260, 60 + 11 * len(names)))
    widths = {"column_widths": [0.17, 0.83], "horizontal_spacing": 0.02}
    chart.set_subplots(1, 2, shared_yaxes=True, **widths)
    gaps = np.full((len(view.tree.x), 1), np.nan)
    x, y = (np.hstack([part, gaps]).ravel() for part in (view.tree.y, (view.tree.x - 5) / 10))
    line = {"color": colours.slate, "width": 1}
    chart.add_scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", row=1, col=1)
    values = view.centred[np.ix_(order, order)].copy()
    np.fill_diagonal(values, np.nan)
    limit = float(np.nanquantile(np.abs(values), 0.995)) or 1.0
    pairs = [[f"{one} · {two}" for two in names] for one in names]
    chart.add_heatmap(
        z=values, zmin=-limit, zmax=limit, text=pairs,
        hovertemplate="%{text} %{z:.2f}<extra></extra>",
        colorscale=[[0, colours.negative], [0.5, colours.ground], [1, colours.positive]],
        colorbar={
            "thickness": 8, "outlinewidth": 0, "len": 0.4, "tickfont": {"size": 10},
            "orientation": "h", "x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom",
        },
        row=1, col=2,
    )  # fmt: skip
    ticks = {"tickvals": list(range(len(names))), "ticktext": names, "tickfont": {"size": 9}}
    chart.update_yaxes(showgrid=False, showline=False, range=[len(names) - 0.5, -0.5])
    chart.update_yaxes(**ticks, row=1, col=2, showticklabels=True, side="right")
    chart.update_yaxes(showticklabels=False, row=1, col=1)
    chart.update_xaxes(**ticks, tickangle=-90, showticklabels=len(names) <= NAMED, row=1, col=2)
    chart.update_xaxes(autorange="reversed", showticklabels=False, showline=False, row=1, col=1)
    return chart


def map_chart(view: ExpertLens) -> go.Figure:
    """Concepts in two dimensions, hued by branch."""
    colours, chart = palette.current(), palette.figure(height=430)
    x, y = view.tree.places.T
    hues = [colours.categories[(group - 1) % 8] for group in view.tree.groups]
    words = view.concepts["concept"].to_list()
    chart.add_scatter(
        x=x, y=y, mode="markers+text", text=palette.legible(x, y, words), hovertext=words,
        marker={"color": hues, "size": 6}, textposition="top center",
        textfont={"size": 10, "color": hues}, hovertemplate="%{hovertext}<extra></extra>",
    )  # fmt: skip
    chart.update_xaxes(showticklabels=False, showline=False)
    chart.update_yaxes(showticklabels=False, showgrid=False)
    return chart


def stability_chart(view: ExpertLens, stop: int) -> go.Figure:
    """Jaccard of experts from two halves over τ, of one concept, of two, and of random units."""
    colours, chart = palette.current(), palette.figure(height=300)
    looks = {"same": (colours.accent, "solid"), "other": (colours.amber, "solid"),
             "random": (palette.OTHER, "dot")}  # fmt: skip
    frames = [("", view.stability)]
    if len(view.elsewhere):
        frames.append((" · other sentences", view.elsewhere.filter(pl.col("of") == "same")))
    for suffix, frame in frames:
        for kind, (colour, dash) in looks.items():
            part = frame.filter((pl.col("of") == kind) & (pl.col("n") > 1))
            if not len(part):
                continue
            shade = {"fill": "toself", "fillcolor": palette.fade(colour, 0.15), "mode": "none"}
            if not suffix:
                chart.add_scatter(
                    x=[*part["tau"], *part["tau"][::-1]], y=[*part["low"], *part["high"][::-1]],
                    hoverinfo="skip", showlegend=False, **shade,
                )  # fmt: skip
            chart.add_scatter(
                x=part["tau"], y=part["value"], mode="lines", name=NAMES_OF_PAIRS[kind] + suffix,
                line={"color": colour, "width": 2, "dash": "dash" if suffix else dash},
                customdata=part["n"],
                hovertemplate="τ %{x:.2f}: Jaccard %{y:.2f}, n %{customdata}<extra></extra>",
            )  # fmt: skip
    chart.add_vline(view.taus[stop], line={"color": colours.muted, "width": 1, "dash": "dash"})
    chart.update_xaxes(title="τ")
    chart.update_yaxes(title="Jaccard, train and test", rangemode="tozero")
    chart.update_layout(showlegend=True, legend_y=-0.22)
    return chart


def again_html(view: ExpertLens) -> str:
    """Whether the other half says the same of concepts."""
    words_of = {
        "likeness": ("likeness of concepts, train with test (ρ)", "concepts permuted"),
        "elsewhere": ("likeness of concepts, other sentences (ρ)", "concepts permuted"),
        "known": ("concepts whose test experts are the nearest to its train experts", "chance"),
    }
    rows = []
    for row in view.again.iter_rows(named=True):
        words, control = words_of[row["measure"]]
        null = (
            numbers.fraction(row["null"]) if row["null_low"] is None
            else between(row["null_low"], row["null_high"])
        )  # fmt: skip
        value = markup.interval(row["value"], row["low"], row["high"])
        name = f'<div style="min-width:150px">{escape(words)}</div>'
        rows.append([name, value, f"{control} {null}", numbers.count(row["n"])])
    return markup.table(("", "value", "control", "concepts"), rows, "tnnn")


def chosen_html(view: ExpertLens, stop: int) -> str:
    """Sizes of expert sets over τ."""
    rows = []
    for row in view.chosen.iter_rows(named=True):
        cells = [
            numbers.fraction(row["tau"]), numbers.count(row["experts"]),
            numbers.percent(row["share"]), numbers.percent(row["null"]),
            markup.interval(row["kept"], row["low"], row["high"]),
            numbers.count(row["n"]),
        ]  # fmt: skip
        bold = row["tau"] == view.taus[stop]
        rows.append([f"<b>{cell}</b>" for cell in cells] if bold else cells)
    note = (
        "Experts are chosen on train and looked at again on test. Under shuffled labels: the share "
        "of units that reach τ by chance. At high τ few concepts have any."
    )
    heads = (
        "τ",
        "experts (median)",
        "of all units",
        "shuffled labels",
        "again on test",
        "concepts",
    )
    return markup.table(heads, rows, "nnnnnn", note)


def selection(view: ExpertLens) -> str:
    """What a concept must have, by who chose it."""
    if view.named:
        return NEEDS
    few = " Frames take any, where those are few." if view.sentences == "templates" else ""
    return (
        f"{view.looked} rated words were looked for; {view.often} have the 20 sentences in each "
        f"half of the corpus that a word needs to be chosen by itself.{few}"
    )


def left_out(view: ExpertLens) -> str:
    """The concepts that are left out, with what the corpus has of them."""
    words = [
        f"{row['concept']} ({row['train']} in train, {row['test']} in test)"
        for row in view.refused.iter_rows(named=True)
    ]
    more = [f"{len(words) - 12} more, listed below"] * (len(words) > 12)
    return f"Left out: {', '.join(words[:12] + more)}. {NEEDS}"


def concepts_html(view: ExpertLens) -> str:
    """Every concept, and those that have too few sentences."""
    rows = [
        [
            escape(row["concept"]), f"{row['positives']} · {row['negatives']}",
            numbers.count(row["documents"]), numbers.fraction(row["length"]),
            numbers.fraction(row["train"]), numbers.fraction(row["test"]),
        ]
        for row in view.concepts.iter_rows(named=True)
    ]  # fmt: skip
    note = (
        f"{selection(view)} Sentences are those of a half, positive and negative. Length is the "
        "AUROC of a sentence’s length alone, .50 where it says nothing. AP of the unit "
        "that is best on train."
    )
    heads = ("concept", "sentences", "documents", "length", "AP on train", "on test")
    table = markup.table(heads, rows, "tnnnnn", note)
    if not len(view.refused):
        return table
    left = [
        [escape(row["concept"]), numbers.count(row["train"]), numbers.count(row["test"])]
        for row in view.refused.iter_rows(named=True)
    ]
    return table + markup.table(
        ("concept", "in train", "in test"), left, "tnn", f"Left out. {NEEDS}"
    )
