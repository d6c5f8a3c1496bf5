"""One concept of ExpertLens: its best units, where its experts are, and what chance gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from backend.evals.expert_lens.views import ExpertConcept
from components.shell import address, controls, markup, numbers, palette
from components.shell.links import anchor
from components.shell.markup import escape


def render_pick(concepts: list[str]) -> str:
    """The concept that is looked at."""
    markup.head("One concept", "its units")
    problem = f"{address.get('concept')!r} is none of the concepts."
    return controls.pick("concept", "Concept", concepts, problem, label_visibility="collapsed")


def render_expert_concept(view: ExpertConcept) -> None:
    """Answer, AP beside its null, experts by place, sizes, units, sentences."""
    stop = int(np.abs(np.array(view.taus) - address.get("tau")).argmin())
    markup.render(f'<p class="answer">{escape(answer(view, stop))}</p>')
    left, right = st.columns([5, 6], gap="large")
    with left:
        palette.render_chart(
            ap_chart(view, stop), "ap", "Average precision of units on train and test sentences"
        )
        palette.render_chart(
            sizes_chart(view, stop), "sizes", "How many units are experts, by threshold"
        )
        markup.render(texts_html(view))
    with right:
        if view.units == "maps":
            palette.render_chart(
                heat_chart(view, stop), "heat", "Heat map: a row a unit or feature"
            )
            null = numbers.percent(view.sizes["null"][stop] / view.width)
            markup.note(f"On train sentences; {null} of all units under shuffled labels.")
        markup.render(top_html(view))


def answer(view: ExpertConcept, stop: int) -> str:
    """What is best, and how many experts there are."""
    best = view.top.row(0, named=True)
    row = view.sizes.row(stop, named=True)
    place = (
        f"feature {best['unit']}" if view.units == "features"
        else f"output {best['within']} of {best['module']} in block {best['layer']}"
    )  # fmt: skip
    repeated = (
        "" if row["kept"] is None else f", of which {numbers.percent(row['kept'])} are on test"
    )
    return (
        f"“{view.concept}”: the best unit on train, with AP {numbers.fraction(best['train'])}, "
        f"is {place}; on test it has {numbers.fraction(best['test'])}. Under shuffled labels the "
        f"best has {numbers.fraction(float(np.mean(view.null_best)))}. Experts at τ = "
        f"{numbers.fraction(row['tau'])}: {row['experts']:,}{repeated}; shuffled labels give "
        f"{row['null']:,.0f}."
    )


def ap_chart(view: ExpertConcept, stop: int) -> go.Figure:
    """AP of all units on train and test, and under shuffled labels."""
    colours, chart = palette.current(), palette.figure(height=270)
    edges = np.linspace(0, 1, view.bins.shape[1] + 1)
    middle = (edges[:-1] + edges[1:]) / 2
    chart.add_vrect(*view.null_ends, fillcolor=colours.null, line_width=0, showlegend=True,
                   name="their middle 95%")  # fmt: skip
    lines = {"train": view.bins[0], "test": view.bins[1], "shuffled labels": view.null_bins}
    heights = {name: shares * view.width for name, shares in lines.items()}
    _draw_lines(chart, middle, heights, view.taus[stop])
    chart.update_traces(line_shape="hvh", selector={"type": "scatter"})
    prior = view.positives / (view.positives + view.negatives)
    chart.update_xaxes(title=f"AP · chance is about {numbers.fraction(prior)}", range=[0.15, 1.01])
    chart.update_layout(legend_y=-0.28)
    return chart


def sizes_chart(view: ExpertConcept, stop: int) -> go.Figure:
    """How many experts there are at each τ, again on test, and by chance."""
    chart, sizes = palette.figure(height=230), view.sizes
    lines = {
        "experts on train": sizes["experts"].to_numpy(),
        "of them on test": (sizes["experts"] * sizes["kept"]).to_numpy(),
        "shuffled labels": sizes["null"].to_numpy(),
    }
    _draw_lines(chart, view.taus, lines, view.taus[stop])
    chart.update_xaxes(title="τ")
    chart.update_layout(legend_y=-0.34)
    return chart


def _draw_lines(
    chart: go.Figure, x: Sequence[float] | np.ndarray, lines: dict[str, np.ndarray], tau: float
) -> None:
    """Numbers of units on train, on test and under shuffled labels, in that order; none on a
    logarithmic axis where there are none."""
    colours = palette.current()
    looks = ((colours.accent, "solid"), (colours.amber, "solid"), (palette.OTHER, "dot"))
    for (name, units), (colour, dash) in zip(lines.items(), looks, strict=True):
        chart.add_scatter(
            x=x, y=np.where(units > 0, units.astype(float), np.nan), name=name,
            mode="lines+markers", marker={"size": 4},
            line={"color": colour, "width": 1.8, "dash": dash},
            hovertemplate=f"{name}: %{{y:,.0f}} units at %{{x:.2f}}<extra></extra>",
        )  # fmt: skip
    chart.add_vline(tau, line={"color": colours.muted, "width": 1, "dash": "dash"})
    chart.update_yaxes(title="units", type="log", dtick=1, tickformat=",")
    chart.update_layout(showlegend=True)


def heat_chart(view: ExpertConcept, stop: int) -> go.Figure:
    """Share of each map's units that are experts."""
    chart = palette.figure(height=150 + 26 * len(view.modules))
    values = view.heat[stop].T
    chart.add_heatmap(
        z=values, x=[str(layer) for layer in view.layers], y=list(view.modules), xgap=1, ygap=1,
        colorscale=palette.current().scale("teal"), zmin=0,
        colorbar={"thickness": 8, "outlinewidth": 0, "tickformat": ".1~%"},
        hovertemplate="block %{x}, %{y}: %{z:.2%} of its units<extra></extra>",
    )  # fmt: skip
    tau = numbers.fraction(view.taus[stop])
    chart.update_xaxes(type="category", dtick=2, title=f"block · share of units, AP ≥ {tau}")
    chart.update_yaxes(autorange="reversed", showgrid=False)
    return chart


def top_html(view: ExpertConcept) -> str:
    """The units of highest AP."""
    rows = []
    for row in view.top.head(20).iter_rows(named=True):
        place = (
            anchor(f"feature {row['unit']}", "features", feature=row["unit"])
            if view.units == "features"
            else f"{escape(row['module'])} · {row['within']}"
        )
        values = numbers.fraction(row["train"], 3), f"<b>{numbers.fraction(row['test'], 3)}</b>"
        rows.append([str(row["rank"]), str(row["layer"]), place, *values])
    note = (
        "The best of so many is chosen on train, so its AP there is too high: believe the one on "
        "test. An expert is found by correlation; whether the model uses it is not asked here."
    )
    return markup.table(("rank", "block", "unit", "AP on train", "AP on test"), rows, "nntnn", note)


def texts_html(view: ExpertConcept) -> str:
    """A few sentences of each kind."""
    rows = [
        ["train" if row["half"] == 0 else "test", "yes" if row["positive"] else "no",
         escape(row["text"])]
        for row in view.texts.iter_rows(named=True)
    ]  # fmt: skip
    note = f"{view.positives} with the word and {view.negatives} without, in either half. Some:"
    return markup.table(("half", "word", "sentence"), rows, "ttt", note)
