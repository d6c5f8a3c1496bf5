"""CE-Bench: features over subjects, several SAEs, one subject's stories, and steering."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.corpus.views import Passage
from backend.evals.ce_bench.views import CeBench, CeSteer, CeSubject
from components.evals.ce_bench.checks import DEFINITIONS, READERS, STRENGTHS, hue
from components.shell import address, controls, markup, numbers, palette, tokens
from components.shell.links import anchor
from components.shell.markup import escape, unbroken

MOST_POINTS = 4000  # features of the cloud: those of largest sum
COLUMNS = 24  # subjects of the heatmap
KINDS = {
    "unchanged": "the model as it is",
    "reconstruction": "SAE alone, no shift",
    "towards": "towards the subject",
    "away": "away from it",
    "permuted": "control: the same shift at random features",
}


# ---------------------------------------------------------------- features


def cloud_chart(view: CeBench, definition: str) -> go.Figure:
    """Contrastive against independent distance of every feature, with both histograms; the first
    feature of each subject is named."""
    colours, chart = palette.current(), palette.figure(height=430)
    x, y = (part.astype(float) for part in view.clouds[definition])
    if np.isnan(x).any() or np.isnan(y).any():
        chart.add_annotation(text="not scored by this definition", showarrow=False)
        return chart
    largest = np.argsort(-(x + y), kind="stable")[:MOST_POINTS]
    chart.add_scattergl(
        x=x[largest], y=y[largest], mode="markers", customdata=largest,
        marker={"size": 4, "color": palette.fade(colours.slate, 0.45)},
        hovertemplate="feature %{customdata}: contrastive %{x:.3f}, independent %{y:.3f}"
        "<extra></extra>",
    )  # fmt: skip
    firsts = view.tops.filter(definition=definition, rank=1)
    subjects = firsts.group_by("feature", maintain_order=True).agg("subject")
    features = subjects["feature"].to_list()
    words = [
        names[0] if len(names) == 1 else f"{len(names)} subjects" for names in subjects["subject"]
    ]
    chart.add_scatter(
        x=x[features], y=y[features], mode="markers+text", customdata=features,
        text=palette.legible(x[features], y[features], words, (x, y)), hovertext=words,
        textposition="top center", textfont={"size": 10, "color": colours.muted},
        marker={"size": 8, "color": colours.amber},
        hovertemplate="feature %{customdata}, first for %{hovertext}<extra></extra>",
    )  # fmt: skip
    faint = palette.fade(colours.slate, 0.5)
    chart.add_histogram(x=x, yaxis="y2", nbinsx=60, marker_color=faint, hoverinfo="skip")
    chart.add_histogram(y=y, xaxis="x2", nbinsy=60, marker_color=faint, hoverinfo="skip")
    chart.update_layout(
        xaxis={"domain": [0, 0.86], "title": "contrastive distance, all pairs"},
        yaxis={"domain": [0, 0.84], "title": "independent distance, all pairs"},
        xaxis2={"domain": [0.88, 1], "type": "log", "showticklabels": False, "showgrid": False},
        yaxis2={"domain": [0.86, 1], "type": "log", "showticklabels": False, "showgrid": False},
    )
    return chart


def heat_chart(view: CeBench, definition: str) -> go.Figure:
    """Mean independent distance of the first three features of each subject, for all subjects."""
    heat, subjects = view.heat[definition], view.subjects[:COLUMNS]
    values = heat.values[:, : len(subjects)]
    order = (
        np.lexsort((-values.max(axis=1, initial=0), values.argmax(axis=1))) if values.size else []
    )
    chart = palette.figure(height=max(260, 60 + 15 * len(order)))
    chart.add_heatmap(
        z=values[order], x=list(subjects), y=[f"{heat.features[row]}" for row in order],
        colorscale=palette.current().scale("teal"), colorbar={"thickness": 8, "outlinewidth": 0},
        hovertemplate="feature %{y}, %{x}: %{z:.2f}<extra></extra>", xgap=1, ygap=1,
    )  # fmt: skip
    chart.update_yaxes(type="category", autorange="reversed", title="feature", dtick=1)
    chart.update_xaxes(tickangle=-45)
    return chart


OVER = {"layer": "block", "width": "features", "l0": "L0 on the stories"}


def sweep_chart(sweep: pl.DataFrame, which: str) -> go.Figure:
    """One score of every SAE and of the control beside it, a panel for each of layer, width and L0
    in which they differ; a line where no two have the same."""
    definition, score = which.split()
    part = sweep.filter(definition=definition, score=score).with_columns(pl.col("l0").round(1))
    axes = [name for name in OVER if part[name].n_unique() > 1] or ["layer"]
    chart = palette.figure(height=300)
    chart.set_subplots(1, len(axes), shared_yaxes=True, horizontal_spacing=0.05)
    for panel, name in enumerate(axes, 1):
        for reader in READERS:
            rows = part.filter(reader=reader).sort(name)
            alone = rows[name].n_unique() == len(rows)
            chart.add_scatter(
                x=rows[name], y=rows["value"], mode="lines+markers" if alone else "markers",
                marker={"color": hue(reader), "size": 8}, line={"width": 1},
                error_y=palette.error_bars(rows["value"], rows["low"], rows["high"]),
                customdata=rows["source"], name=READERS[reader].replace("this ", ""),
                showlegend=panel == 1, row=1, col=panel,
                hovertemplate="%{customdata}: %{y:.2f}, " + OVER[name] + " %{x}<extra></extra>",
            )  # fmt: skip
        values = sorted(part[name].unique())
        chart.update_xaxes(
            title=OVER[name], type="log" if name == "width" else "linear", tickvals=values,
            ticktext=[f"{value:,}" for value in values], row=1, col=panel,
        )  # fmt: skip
    chart.update_layout(showlegend=True, legend_y=-0.25)
    chart.update_yaxes(title=f"{score}, {definition}", row=1, col=1)
    return chart


def sweep_html(view: CeBench) -> str:
    """Every SAE that is computed, and whether halves rank them alike."""
    part = view.sweep.filter(score="interpretability").pivot(
        "definition", index=("source", "layer", "width", "l0", "reader"), values="value"
    )
    control = {
        (row["source"], row["layer"]): row["corrected"]
        for row in part.filter(pl.col("reader") != "sae").iter_rows(named=True)
    }
    rows = [
        [
            escape(row["source"].partition(":")[2]), str(row["layer"]), numbers.count(row["width"]),
            f"{row['l0']:.1f}", unbroken(READERS[row["reader"]].replace("this ", "")),
            *(numbers.fraction(row[name]) for name in DEFINITIONS), _less(row, control),
        ]
        for row in part.iter_rows(named=True)
    ]  # fmt: skip
    ranked = "; ".join(
        f"{row['definition']} {row['score']} ρ {numbers.fraction(row['rho'])} (n {row['saes']})"
        for row in view.rankings.iter_rows(named=True)
    )
    note = (
        "Interpretability by definition. Scores of layers are not comparable alone: compare each "
        "SAE with its own random directions, as in the last column (corrected). "
    ) + (
        f"Rankings of SAEs on either half of the subjects: {ranked}."
        if ranked
        else "From four SAEs on, it is asked whether halves of the subjects rank them alike."
    )
    heads = ("SAE", "layer", "width", "L0", "", *DEFINITIONS, "SAE less random")
    return markup.table(heads, rows, "tnnntnnnn", note)


def _less(row: Mapping[str, Any], control: Mapping[tuple[str, int], float | None]) -> str:
    """The corrected score of an SAE less that of its random directions; "" for the latter."""
    if row["reader"] != "sae":
        return ""
    random = control[row["source"], row["layer"]]
    both = None not in (row["corrected"], random)
    return numbers.fraction(row["corrected"] - random if both else None)


# ---------------------------------------------------------------- one subject


def render_subjects(view: CeBench) -> str:
    """The subject whose stories are shown."""
    markup.head("One subject", "its first features, and where they fire in its stories")
    if address.get("subject") not in view.subjects:
        address.assume(subject=view.subjects[0])
    controls.selectbox("subject", "Subject", view.subjects, also={"feature": -1})
    return str(address.get("subject"))


def render_subject(view: CeSubject) -> None:
    """First features of a subject, and its stories highlighted by one of them."""
    left, right = st.columns([4, 8], gap="large")
    with left:
        markup.render(tops_html(view))
    with right:
        markup.render(stories_html(view, view.stories[:1]))
        if more := view.stories[1:]:
            with st.expander(f"{len(more)} more pairs"):
                markup.render(stories_html(view, more))


def tops_html(view: CeSubject) -> str:
    rows = [
        [
            numbers.count(row["rank"]),
            anchor(
                str(row["feature"]), "benchmarks", "highlight in the stories",
                which="ce_bench", pairs=address.get("pairs"), definition=view.definition,
                subject=view.subject, feature=row["feature"], started=address.get("started"),
            ),
            unbroken(anchor("open", "features", feature=row["feature"])),
            numbers.fraction(row["independent"]), numbers.fraction(row["contrastive"]),
            "more" if row["above"] >= 0.5 else "less",
        ]
        for row in view.tops.head(10).iter_rows(named=True)
    ]  # fmt: skip
    note = (
        f"By independent distance, {view.definition}, mean over the subject's pairs. Choose a "
        "number to highlight the feature, open to see it on Features. Has: whether the subject has "
        "more or less of it."
    )
    heads = ("", "feature", "", "indep.", "contr.", "has")
    return markup.table(heads, rows, "nntnnt", note)


def stories_html(view: CeSubject, stories: Sequence[tuple[Passage, Passage]]) -> str:
    """Both stories of each pair, side by side."""
    look = tokens.Look(peak=view.peak)
    parts = []
    for both in stories:
        cells = "".join(
            f'<div style="flex:1 1 300px;min-width:0"><p class="note">{escape(passage.title)}</p>'
            f"{tokens.passage_html(passage, look)}</div>"
            for passage in both
        )
        parts.append(
            f'<div style="display:flex;flex-wrap:wrap;gap:18px;margin-bottom:16px">{cells}</div>'
        )
    return tokens.legend_html(view.peak, f"feature {view.feature}") + "".join(parts)


# ---------------------------------------------------------------- steering


def render_prompt() -> tuple[str, float]:
    """The prompt to be continued ("": none was asked for) and the strength."""
    markup.head(
        "Steering",
        f"the residual stream put back with features shifted to {address.get('subject')}",
    )
    markup.note(
        "The authors' demo: at every position but the BOS the residual is encoded, the mean "
        "activations of the subject's stories less those of all others are added, times a "
        "strength, and the sum is decoded in its place. Authors use .5."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        prompt = "The beginning of a text: On Sunday morning we went to the"
        controls.text_input("steered", "Prompt", placeholder=prompt)
        controls.segmented_control("shift", "Strength", STRENGTHS, format_func=lambda s: f"{s:g}")
    return str(address.get("steered")).strip(), float(address.get("shift"))


def continuation(text: str, tokens: int) -> str:
    """A steered text as HTML, its line breaks and the spaces at its ends visible."""
    if not text:
        return "special tokens alone" if tokens else "nothing: it ends at once"
    return markup.token(text).replace("⏎</span>", "⏎</span><wbr>")


def render_steer(view: CeSteer) -> None:
    """The continuations beside each other."""
    rows = [
        [
            escape(KINDS[row["kind"]]),
            continuation(row["text"], row["tokens"]),
            numbers.count(row["mentions"]), numbers.fraction(row["moved"]),
            numbers.count(row["same"]),
        ]
        for row in view.texts.iter_rows(named=True)
    ]  # fmt: skip
    note = (
        f"“{view.prompt}” continued by the likeliest tokens, strength {view.strength:g}. Mentions "
        f"count {', '.join(view.words)}; moved is the divergence of the next token's distribution "
        "from the unchanged model's, in nats; same, the tokens before the first that differs. One "
        "prompt is a demonstration, no measurement."
    )
    heads = ("", "continuation", "mentions", "moved", "same")
    markup.render(markup.table(heads, rows, "ttnnn", note))
