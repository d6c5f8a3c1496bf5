"""Whether regions are more than the tokens of one partition: the model's output along segments, the
corpus partitioned again, and features."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.concepts.views import Robustness, StableRegions
from components.shell import controls, markup, numbers, palette
from components.shell.frame import Place
from components.shell.lists import frame_html
from components.shell.markup import escape
from components.shell.status import render_estimate

NAMES_OF_SOURCES = {
    "exemplars": "exemplars",
    "coreset": "random activations",
    "difference": "difference",
}
MEASURES = {
    "found": "exemplars found again (cosine > .9)",
    "weighted": "the same, weighted by size",
    "agreement": "agreement of assignments (AMI)",
}


NOT_YET = {
    "stability": (
        "Not computed yet: 120 pairs of prompts are patched along the segment between them, and "
        "the model's output is compared with where regions end. Minutes, computed once.",
        "Patch prompts",
    ),
    "robustness": (
        "Not computed yet: the corpus is partitioned again in another order, with θ from other "
        "batches, and from half of its documents. Minutes, computed once.",
        "Partition again",
    ),
}


def render_start(ask: str, query: Any, place: Place) -> None:
    """What is not computed yet, how long it takes, and the button that starts it."""
    words, button = NOT_YET[ask]
    markup.note(words)
    render_estimate(query, place.study, place.p, place.k)
    controls.start_button(button, "ask")


def tables(view: StableRegions | Robustness) -> dict[str, pl.DataFrame]:
    """What can be downloaded."""
    if isinstance(view, Robustness):
        return {"robustness": view.measures}
    return {
        "boundaries": view.boundaries, "sharpness": view.sharper, "prediction": view.prediction
    }  # fmt: skip


def render(view: StableRegions | Robustness) -> None:
    """One of the two."""
    render_robustness(view) if isinstance(view, Robustness) else render_stable(view)


# ---------------------------------------------------------------- stable regions


def render_stable(view: StableRegions) -> None:
    """D along segments, and three tests beside their control."""
    markup.render(f'<p class="answer">{escape(stable_words(view))}</p>')
    left, right = st.columns([5, 7], gap="large")
    with left:
        palette.render_chart(
            segments_chart(view),
            "segments",
            "How far the output has gone along the way between two prompts, a line a pair",
        )
        markup.note(
            "Each line is a pair of prompts: the residual at the last token is moved from one to "
            "the other, and D says how far the final residual has gone. A stable region is flat, "
            "then steep."
        )
    with right:
        markup.render(boundaries_html(view.boundaries))
        markup.render(sharper_html(view.sharper))
        markup.render(prediction_html(view.prediction))


def segments_chart(view: StableRegions) -> go.Figure:
    """D(α) of every pair, and the median."""
    colours, figure = palette.current(), palette.figure(height=360)
    alpha = np.linspace(0, 1, view.apart.shape[1])
    lines = np.column_stack([view.apart, np.full(len(view.apart), np.nan)]).ravel()
    figure.add_scattergl(
        name=f"each of {view.pairs} pairs",
        x=np.tile(np.append(alpha, np.nan), len(view.apart)), y=lines, mode="lines",
        line={"color": palette.fade(colours.slate, 0.25), "width": 1}, hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=alpha, y=np.nanmedian(view.apart, axis=0), mode="lines",
        line={"color": colours.accent, "width": 2.5}, name="median",
        hovertemplate="median D %{y:.2f} at α %{x:.2f}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", hoverinfo="skip", name="a model that does nothing",
        line={"color": colours.muted, "width": 1, "dash": "dash"},
    )  # fmt: skip
    figure.update_layout(showlegend=True, legend_y=-0.18)
    figure.update_xaxes(title="α from one prompt to the other")
    figure.update_yaxes(title="D(α)", range=[-0.05, float(np.nanquantile(view.apart, 0.995)) + 0.1])
    return figure


def boundaries_html(frame: pl.DataFrame) -> str:
    """Does the output jump where a region ends?"""
    words = {"distance": "steepest α to the nearest boundary", "beyond": "less other pairs' α"}
    columns = (
        ("distance in α", "t", words.__getitem__, "measure"),
        ("of", "t", NAMES_OF_SOURCES.__getitem__, "of"),
        ("mean", "n", markup.interval, "mean", "low", "high"),
        ("pairs", "n", numbers.count, "n"),
        ("boundaries", "n", lambda n: numbers.MISSING if n is None else f"{n:.1f}", "boundaries"),
    )
    note = (
        "Does the output jump where a region ends? With many boundaries one is always near, so the "
        "second measure takes away what the steepest α of other pairs get; below 0 is nearer than "
        "chance. All rows are of the same pairs, those that cross a boundary of both; "
        f"{numbers.count(frame['without'].max())} do not and are left out. Boundaries are exact."
    )
    return frame_html(frame, columns, note)


def sharper_html(frame: pl.DataFrame) -> str:
    """Is the jump smaller inside one region?"""
    columns = (
        ("regions of", "t", NAMES_OF_SOURCES.__getitem__, "of"),
        ("in one", "n", numbers.fraction, "one"),
        ("in two", "n", numbers.fraction, "two"),
        ("difference", "n", markup.interval, "difference", "low", "high"),
        ("matches", "n", numbers.count, "n"),
        ("pairs in one · two", "n", "{} · {}".format, "one_region", "two_regions"),
    )
    note = (
        "Mean sharpness (steepest rise of D) of pairs whose ends are in one region and in two, "
        "matched on ‖A − B‖. Stable regions would make the first smaller."
    )
    return frame_html(frame, columns, note)


def prediction_html(frame: pl.DataFrame) -> str:
    """Does the same region mean the same next token?"""
    columns = (
        ("regions of", "t", NAMES_OF_SOURCES.__getitem__, "of"),
        ("AUROC", "n", markup.interval, "auroc", "low", "high"),
        ("pairs", "n", numbers.count, "n"),
        ("same next token", "n", numbers.count, "agree"),
        ("in one region", "n", numbers.count, "one_region"),
    )
    note = "AUROC of 'in one region' for 'the same likeliest next token'. Chance is .50."
    return frame_html(frame, columns, note)


def stable_words(view: StableRegions) -> str:
    """Whether the output jumps where regions end, more than where those of random activations do,
    and whether there is a jump at all."""
    rows = {(r["measure"], r["of"]): r for r in view.boundaries.iter_rows(named=True)}
    row = rows.get(("beyond", "difference"))
    sharp = f"Median sharpness is {numbers.fraction(np.median(view.sharpness))}; 1 is a straight "
    sharp += "line without any jump."
    if row is None or row["low"] is None:
        return f"Too few pairs have a boundary to say where the output jumps. {sharp}"
    ends = f"{numbers.fraction(row['low'])} to {numbers.fraction(row['high'])}"
    apart = row["high"] < 0 or row["low"] > 0
    places = ("nearer to", "than to") if row["mean"] < 0 else ("farther from", "than from")
    place, joint = places if apart else ("as near to", "as to")
    return (
        f"{'Yes' if row['high'] < 0 else 'No'}: with {row['n']} pairs of prompts the output is "
        f"steepest {place} where a region ends {joint} where a region of random activations ends "
        f"(difference {numbers.fraction(row['mean'], 3)} of the way, {ends}). {sharp}"
    )


# ---------------------------------------------------------------- robustness


def render_robustness(view: Robustness) -> None:
    """The corpus partitioned again, and features."""
    markup.render(f'<p class="answer">{escape(robustness_words(view.measures))}</p>')
    left, right = st.columns([7, 5], gap="large")
    with left:
        markup.head("Partitioned again", f"{numbers.count(view.regions)} regions")
        markup.render(robustness_html(view.measures))
    with right:
        markup.head("Regions and features", "best F1 over shared tokens")
        if view.f1 is None or view.good is None:
            markup.note("Features are not matched with these regions, or the study has no SAE.")
            return
        palette.render_chart(
            f1_chart(view.f1), "f1s", "Histogram of the best F1 of each region with any feature"
        )
        markup.render(
            f'<p class="note">F1 of .5 or more: {markup.interval(*view.good)} of regions, n '
            f"{numbers.count(len(view.f1))}; the paper on exemplar partitioning found about .20 "
            "on its models. Each match "
            "stands on Regions and on Features.</p>"
        )


MOSTLY = 0.5  # of the regions, above which they are said to be found again


def robustness_words(frame: pl.DataFrame) -> str:
    """How many regions are found again, beside random activations."""
    by_key = {(r["how"], r["of"]): r for r in frame.filter(measure="found").iter_rows(named=True)}
    parts, verdicts = [], []
    for how in frame["how"].unique(maintain_order=True):
        own, control = (by_key.get((how, kind)) for kind in ("exemplars", "coreset"))
        if own:
            verdicts.append(own["value"] > MOSTLY)
            rivals = f" (random activations {numbers.percent(control['value'])})" if control else ""
            parts.append(f"{numbers.percent(own['value'])} with {how}{rivals}")
    if not parts:
        return "Nothing was partitioned again."
    verdict = "Mostly" if all(verdicts) else "In part" if any(verdicts) else "Mostly not"
    return (
        f"{verdict}: of the regions these are found again, by an exemplar of cosine > .9: "
        f"{_listed(parts)}."
    )


def _listed(parts: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def robustness_html(frame: pl.DataFrame) -> str:
    """How much of the partition stays."""
    by_key = {(r["how"], r["measure"], r["of"]): r for r in frame.iter_rows(named=True)}
    rows = []
    for how in frame["how"].unique(maintain_order=True):
        for measure, words in MEASURES.items():
            parts = [by_key.get((how, measure, kind)) for kind in ("exemplars", "coreset")]
            cells = [
                markup.interval(row["value"], row["low"], row["high"]) if row else numbers.MISSING
                for row in parts
            ]
            size = numbers.count(next(row for row in parts if row)["regions"])
            rows.append([how, size, words, *cells])
    note = (
        "Beside each, two sets of as many activations at random: directions as dense as the data "
        "agree to some degree whatever they are."
    )
    heads = ("partitioned again with", "K", "", "regions", "random activations")
    return markup.table(heads, rows, "tntnn", note)


def f1_chart(f1: np.ndarray) -> go.Figure:
    """Best F1 of every region."""
    figure = palette.figure(height=240)
    figure.add_histogram(
        x=f1, xbins={"start": 0, "end": 1, "size": 0.025},
        marker={"color": palette.current().accent},
        hovertemplate="%{x}: %{y} regions<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(title=f"best F1 with any feature · n = {len(f1):,} regions", range=[0, 1])
    figure.update_yaxes(title="regions")
    return figure
