"""How well any region tells a concept from what it is not, beside its rivals and readers."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.concept_views import AnyRegion
from components import address, markup, numbers, palette
from components.links import anchor
from components.markup import escape

# ways to read a concept, in words and hues
NAMES = {
    "length": "text length",
    "bow": "bag of words",
    "diffmean": "DiffMean",
    "probe": "linear probe",
    "exemplar": "regions, by exemplar",
    "mean": "regions, by mean",
    "kmeans": "k-means",
    "coreset": "random activations",
    "random": "random directions",
    "sae": "SAE features",
    "meaning": "clusters by meaning",
}
FITTED = ("bow", "diffmean", "probe")
FEW = 4  # test texts of a side, below which nothing is claimed
FIXED = dict.fromkeys(FITTED, "fitted") | {"length": "control"}


def hue(method: str) -> str:
    """A method's colour: regions in the accent, rivals apart, controls grey."""
    colours = palette.current()
    fixed = {"exemplar": colours.accent, "mean": colours.teal, "sae": colours.amber}
    others = ("kmeans", "meaning", *FITTED)
    if method in others:
        return colours.categories[others.index(method)]
    return fixed.get(method, palette.OTHER)


def named(method: str) -> str:
    """A method's name after its colour."""
    dot = f'<i class="dot" style="background:{hue(method)}"></i>'
    return f'<span style="white-space:nowrap">{dot}{NAMES[method]}</span>'


# ---------------------------------------------------------------- any region


def render_any(view: AnyRegion, over: pl.DataFrame, contrast: str) -> None:
    """All regions against the chosen one, the fitted readers and chance."""
    if "hard" in over["contrast"]:
        st.segmented_control(
            "Against", address.CONTRASTS, required=True, label_visibility="collapsed",
            format_func=lambda c: f"against {_other(c)} texts", **address.widget("contrast"),
        )  # fmt: skip
    markup.render(f'<p class="answer">{escape(answer(view))}</p>')
    left, right = st.columns([5, 7], gap="large")
    with left:
        st.plotly_chart(distribution(view, contrast), key="aurocs", config=palette.CONFIG)
        markup.render(shares_html(view.shares))
    with right:
        markup.render(readers_html(view.readers, contrast))
    if over["concepts"].max() != 1:
        markup.head("Over all concepts of the set", "mean AUROC on test texts, 95% interval")
        markup.render(over_html(over))


def answer(view: AnyRegion) -> str:
    """What was found, in a sentence or two."""
    rows = {row["method"]: row for row in view.readers.iter_rows(named=True)}
    shares = {row["method"]: row["above 0.7"] for row in view.shares.iter_rows(named=True)}
    region = rows["exemplar"]
    if region["value"] is None:
        return "There is no test text of this contrast, so nothing can be said."
    if min(region["positives"], region["negatives"]) < FEW:
        return (
            f"With {region['positives']} positive and {region['negatives']} other test texts "
            "nothing can be claimed of this concept alone."
        )
    ends = f"{numbers.fraction(region['low'])} to {numbers.fraction(region['high'])}"
    others = ", ".join(
        f"{NAMES[method]} {numbers.fraction(rows[method]['value'])}"
        for method in ("coreset", "random", "diffmean", "bow", "length")
    )
    every = (
        f" Of all regions {numbers.percent(shares['exemplar'])} are above .7, of random "
        f"activations {numbers.percent(shares['coreset'])}."
        if "exemplar" in shares
        else ""
    )
    return (
        f"Region {region['column']}, chosen on training texts, tells the test texts apart with "
        f"AUROC {numbers.fraction(region['value'])} ({ends}). Beside it: {others}.{every}"
    )


def distribution(view: AnyRegion, contrast: str) -> go.Figure:
    """AUROC of every region and of as many random activations; the chosen region and the fitted
    readers as lines; what the best gets under shuffled labels as a band."""
    colours, made = palette.current(), palette.figure(height=330)
    edges = np.linspace(0, 1, 81)
    rows = {row["method"]: row for row in view.readers.iter_rows(named=True)}
    null = rows["exemplar"]["null_high"]
    if null is not None:
        made.add_vrect(rows["exemplar"]["null_mean"], null, fillcolor=colours.null, line_width=0)
    for kind, dash in (("exemplar", "solid"), ("coreset", "dot"), ("random", "dash")):
        values = view.aurocs[kind]
        if np.isnan(values).any():
            continue
        heights = np.histogram(values, edges)[0] / len(values)
        made.add_scatter(
            x=(edges[:-1] + edges[1:]) / 2,
            y=heights,
            mode="lines",
            line={"color": hue(kind), "width": 1.6, "dash": dash, "shape": "hvh"},
            fill="tozeroy" if kind == "exemplar" else None,
            fillcolor=palette.fade(hue(kind), 0.15),
            name=NAMES[kind],
            hovertemplate=f"{NAMES[kind]}: %{{y:.1%}} at %{{x:.2f}}<extra></extra>",
        )
    for at, method in enumerate(("exemplar", *FITTED)):
        if (value := rows[method]["value"]) is not None:
            made.add_vline(
                value, line={"color": hue(method), "width": 1.5},
                annotation={"text": "chosen region" if method == "exemplar" else NAMES[method],
                            "font": {"size": 11, "color": hue(method)},
                            "yshift": -14 * at, "xanchor": "right"},
            )  # fmt: skip
    made.add_vline(0.5, line={"color": colours.muted, "width": 1, "dash": "dash"})
    made.update_layout(showlegend=True, legend={"orientation": "h", "y": -0.22})
    made.update_xaxes(title=f"AUROC against {_other(contrast)} texts · test", range=[0, 1])
    made.update_yaxes(title="share of regions", tickformat=".0%")
    return made


def readers_html(frame: pl.DataFrame, contrast: str) -> str:
    """Every method on the same texts."""
    rows = []
    for row in frame.iter_rows(named=True):
        chosen = numbers.count(row["column"]) if row["column"] >= 0 else numbers.MISSING
        if row["method"] in ("exemplar", "mean"):
            chosen = anchor(chosen, "regions", region=row["column"])
        elif row["method"] == "sae":
            chosen = anchor(chosen, "features", feature=row["column"])
        null = (
            f"{numbers.fraction(row['null_mean'])} <small>to {numbers.fraction(row['null_high'])}"
            "</small>" if row["null_mean"] is not None else numbers.MISSING
        )  # fmt: skip
        rows.append(
            [
                named(row["method"]),
                numbers.count(row["of"]) if row["column"] >= 0 else FIXED[row["method"]],
                chosen,
                numbers.fraction(row["train"]),
                f"<b>{markup.interval(row['value'], row['low'], row['high'])}</b>",
                numbers.fraction(row["best"]),
                null,
            ]
        )
    counts = frame.row(0, named=True)
    note = (
        f"{counts['positives']} positive and {counts['negatives']} {_other(contrast)} test texts. "
        "A text scores as its strongest token. Chosen on training texts, measured on test texts; "
        "'best' is the highest of all on the test texts themselves, and 'best by chance' what that "
        "is under shuffled labels (mean, 95th percentile): a best of thousands is never at .50. "
        "The strongest of many tokens is stronger, so length alone can tell texts apart."
    )
    heads = ("read by", "chosen of", "which", "train", "test", "best", "best by chance")
    return markup.table(heads, rows, "tnnnnnn", note)


def _other(contrast: str) -> str:
    return {"negative": "negative", "hard": "hard negative", "both": "negative or hard negative"}[
        contrast
    ]


def shares_html(frame: pl.DataFrame) -> str:
    """How many of all tell the concept that well."""
    levels = frame.columns[2:]
    rows = [
        [named(row["method"]), *(numbers.percent(row[level]) for level in levels)]
        for row in frame.iter_rows(named=True)
    ]
    note = "Of all there are, the share whose AUROC on the test texts is"
    return markup.table(("of", *levels), rows, "t" + "n" * len(levels), note)


def over_html(frame: pl.DataFrame) -> str:
    """Means over concepts, a column a contrast."""
    contrasts = frame["contrast"].unique(maintain_order=True).to_list()
    if "hard" not in contrasts:
        contrasts = contrasts[:1]
    found = {(row["method"], row["contrast"]): row for row in frame.iter_rows(named=True)}
    rows = []
    for method in NAMES:
        if first := found.get((method, contrasts[0])):
            parts = [found.get((method, contrast)) for contrast in contrasts]
            cells = [
                markup.interval(row["mean"], row["low"], row["high"]) if row else numbers.MISSING
                for row in parts
            ]
            gain = markup.interval(first["gain"], first["gain_low"], first["gain_high"])
            rows.append([named(method), *cells, "" if method == "coreset" else gain])
    sizes = {row["contrast"]: (row["concepts"], row["negatives"]) for row in found.values()}
    heads = [f"against {_other(c)} (n {sizes[c][0]} · {sizes[c][1]} texts)" for c in contrasts]
    note = (
        "Mean over concepts, Student's t. The last column is what each has over as many random "
        "activations, against negatives, concept by concept: an interval that holds 0 says that "
        "they do as well. Hard negatives are few to a concept, so there each text counts alike, "
        "with a bootstrap over concepts. AxBench's script leaves hard negatives out, by the "
        "spelling of a key: its numbers are the first column."
    )
    heads = ("read by", *heads, "over random activations")
    return markup.table(heads, rows, "t" + "n" * (len(heads) - 1), note)
