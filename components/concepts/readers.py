"""How well any region tells a concept from what it is not, beside its rivals and readers."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.concepts.views import ConceptAurocs
from components.shell import address, controls, markup, numbers, palette, terms
from components.shell.links import anchor

# ways to read a concept, in words and hues
NAMES = {
    "length": "text length, either way",
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
    "all": "all tokens as one part",
}
FITTED = ("bow", "diffmean", "probe")
LEGEND = {"y": -0.2, "yanchor": "top", "entrywidth": 0.47, "entrywidthmode": "fraction"}
RIVALS = ("coreset", "random", "diffmean", "bow", "length")  # what a region is held against
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
    return markup.dotted(NAMES[method], hue(method))


# ---------------------------------------------------------------- any region


def tables(view: ConceptAurocs) -> dict[str, pl.DataFrame]:
    """What is on screen, and the AUROC of every direction."""
    every = [
        pl.DataFrame({"method": kind, "column": np.arange(len(values)), "auroc": values})
        for kind, values in view.aurocs.items()
    ]
    tables_on_screen = {"readers": view.readers, "shares": view.shares, "aurocs": pl.concat(every)}
    return tables_on_screen | {"over concepts": view.over}


def render(view: ConceptAurocs) -> None:
    """All regions against the chosen one, the fitted readers and chance."""
    if "hard" in view.over["contrast"]:
        controls.segmented_control(
            "contrast", "Against", address.CONTRASTS, label_visibility="collapsed",
            format_func=lambda c: f"against {_other(c)} texts",
        )  # fmt: skip
    markup.render(f'<p class="answer">{answer(view)}</p>')
    left, right = st.columns([5, 7], gap="large")
    with left:
        palette.render_chart(
            distribution(view),
            "aurocs",
            "Histograms of the AUROC of regions, random activations and random directions",
        )
        markup.render(shares_html(view.shares))
    with right:
        marks = terms.key("AUROC", "reader", "random activations", "best by chance")
        markup.render(readers_html(view.readers, view.contrast) + marks)
    if view.over["concepts"].max() != 1:
        markup.head("Over all concepts of the set", "mean AUROC on test texts, 95% interval")
        markup.render(over_html(view.over))


def answer(view: ConceptAurocs) -> str:
    """The answer in a sentence or two, as HTML."""
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
    others = ", ".join(f"{NAMES[method]} {_worth(rows[method])}" for method in RIVALS)
    every = (
        f" Of all regions {numbers.percent(shares['exemplar'])} are above .7, of random "
        f"activations {numbers.percent(shares['coreset'])}."
        if "exemplar" in shares
        else ""
    )
    if region["tied"] > 1:
        return (
            f"{numbers.count(region['tied'])} regions are as good as each other on the training "
            f"texts (AUROC {numbers.fraction(region['train'])}), so these choose none. On average "
            f"one of them tells the test texts apart with AUROC {_worth(region)}. Beside it, "
            f"likewise: {others}. Ranges so wide rank nothing: give more texts.{every}"
        )
    ends = f"{numbers.fraction(region['low'])} to {numbers.fraction(region['high'])}"
    name = anchor(f"Region {region['column']}", "regions", region=region["column"])
    return (
        f"{name}, chosen on training texts, tells the test texts apart with AUROC "
        f"{numbers.fraction(region['value'])} ({ends}), {_verdict(region, rows['coreset'])}. "
        f"Beside it: {others}.{every}"
    )


def _verdict(region: dict[str, Any], control: dict[str, Any]) -> str:
    """Whether the chosen region does better than the best of random activations: one is told from
    the other where their intervals are apart."""
    if control["low"] is None or (control["tied"] or 1) > 1:
        return "which cannot be compared with random activations here"
    if region["low"] > control["high"]:
        return "better than the best of random activations"
    if region["high"] < control["low"]:
        return "worse than the best of random activations"
    return "not told from the best of random activations"


def _worth(row: dict[str, Any]) -> str:
    """AUROC on test texts; mean, lowest and highest of those that tie on training texts."""
    if (row["tied"] or 1) == 1:
        return numbers.fraction(row["value"])
    mean, low, high = (numbers.fraction(row[f"tied_{end}"]) for end in ("mean", "low", "high"))
    return f"{mean} ({low} to {high} of {row['tied']} tied)"


def among(row: dict[str, Any], mean: str, low: str, high: str) -> str:
    """Mean of those that tie, and in place of an interval their lowest and highest."""
    ends = [numbers.fraction(row[name]) for name in (low, high)]
    return f"{numbers.fraction(row[mean])} <small>{ends[0]} to {ends[1]}</small>"


def distribution(view: ConceptAurocs) -> go.Figure:
    """AUROC of every region and of as many random activations; the chosen region (the mean of
    those that tie) and the fitted readers as lines; what the best gets under shuffled labels as a
    band."""
    colours, figure = palette.current(), palette.figure(height=400)
    edges = np.linspace(0, 1, 81)
    rows = {row["method"]: row for row in view.readers.iter_rows(named=True)}
    null = rows["exemplar"]["null_high"]
    if null is not None:
        figure.add_vrect(
            rows["exemplar"]["null_mean"], null, fillcolor=colours.null, line_width=0, layer="below"
        )
        figure.add_scatter(
            x=[None], y=[None], mode="markers", name="best by chance",
            marker={"symbol": "square", "size": 12, "color": colours.null},
        )  # fmt: skip
    top = 0.0
    for kind, dash in (("exemplar", "solid"), ("coreset", "dot"), ("random", "dash")):
        values = view.aurocs[kind]
        if np.isnan(values).any():
            continue
        heights = np.histogram(values, edges)[0] / len(values)
        top = max(top, float(heights.max()))
        figure.add_scatter(
            x=(edges[:-1] + edges[1:]) / 2,
            y=heights,
            mode="lines",
            line={"color": hue(kind), "width": 1.6, "dash": dash, "shape": "hvh"},
            fill="tozeroy" if kind == "exemplar" else None,
            fillcolor=palette.fade(hue(kind), 0.15),
            name=NAMES[kind],
            hovertemplate=f"{NAMES[kind]}: %{{y:.1%}} at %{{x:.2f}}<extra></extra>",
        )
    _draw_lines(figure, rows, 1.05 * top)
    figure.add_vline(0.5, line={"color": colours.muted, "width": 1, "dash": "dash"})
    figure.update_layout(showlegend=True, legend=LEGEND)
    figure.update_xaxes(
        title=f"AUROC against {_other(view.contrast)} texts · test", range=[0, 1.01]
    )
    figure.update_yaxes(title="share of regions", tickformat=".0%", rangemode="tozero")
    return figure


def _draw_lines(figure: go.Figure, rows: dict[str, dict[str, Any]], top: float) -> None:
    """What one direction or reader has, named in the legend: so many lines leave no room."""
    for method in ("exemplar", *FITTED):
        row = rows[method]
        tied = (row["tied"] or 1) > 1
        if (value := row["tied_mean"] if tied else row["value"]) is None:
            continue
        region_name = f"{row['tied']} tied, mean" if tied else "chosen region"
        figure.add_scatter(
            x=[value, value], y=[0, top], mode="lines", hovertemplate="%{x:.2f}",
            line={"color": hue(method), "width": 2},
            name=f"{region_name if method == 'exemplar' else NAMES[method]} "
            f"{numbers.fraction(value)}",
        )  # fmt: skip


def readers_html(frame: pl.DataFrame, contrast: str) -> str:
    """Every method on the same texts."""
    rows = []
    for row in frame.iter_rows(named=True):
        tied = (row["tied"] or 1) > 1
        value = markup.interval(row["value"], row["low"], row["high"])
        null = (
            f"{numbers.fraction(row['null_mean'])} <small>95% ≤ "
            f"{numbers.fraction(row['null_high'])}</small>"
            if row["null_mean"] is not None else numbers.MISSING
        )  # fmt: skip
        rows.append(
            [
                named(row["method"]),
                numbers.count(row["of"]) if row["column"] >= 0 else FIXED[row["method"]],
                f"{row['tied']} tied" if tied else _which(row),
                numbers.fraction(row["train"]),
                f"<b>{among(row, 'tied_mean', 'tied_low', 'tied_high') if tied else value}</b>",
                numbers.fraction(row["best"]),
                null,
            ]
        )
    counts = frame.row(0, named=True)
    note = (
        f"{counts['positives']} positive and {counts['negatives']} {_other(contrast)} test texts. "
        "A text scores as its strongest token. Chosen on training texts, measured on test texts; "
        "'best' is the highest of all on the test texts themselves, and 'by chance' what that is "
        "under shuffled labels, on average and up to what in 95 of 100: a best of thousands is "
        "never at .50. The strongest of many tokens is stronger, so length alone can tell texts "
        "apart, counted whether positive texts are the longer or the shorter ones."
    )
    if any((row["tied"] or 1) > 1 for row in frame.iter_rows(named=True)):
        note += (
            " Where several are as good on the training texts, none is chosen: mean, lowest and "
            "highest of those that tie on the test texts, which is no interval."
        )
    heads = ("read by", "chosen of", "which", "train", "test", "best", "by chance")
    return markup.table(heads, rows, "tnnnnnn", note)


def _which(row: dict[str, Any]) -> str:
    if row["column"] < 0:
        return numbers.MISSING
    name = f"#{row['column']}"
    if row["method"] in ("exemplar", "mean"):
        return anchor(name, "regions", region=row["column"])
    return anchor(name, "features", feature=row["column"]) if row["method"] == "sae" else name


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
    by_key = {(row["method"], row["contrast"]): row for row in frame.iter_rows(named=True)}
    rows = []
    for method in NAMES:
        if first := by_key.get((method, contrasts[0])):
            parts = [by_key.get((method, contrast)) for contrast in contrasts]
            cells = [
                markup.interval(row["mean"], row["low"], row["high"]) if row else numbers.MISSING
                for row in parts
            ]
            gain = markup.interval(first["gain"], first["gain_low"], first["gain_high"])
            if first["chance"] is not None:
                cells[0] += f" <small>chance {numbers.fraction(first['chance'])}</small>"
            rows.append([named(method), *cells, "" if method == "coreset" else gain])
    sizes = {row["contrast"]: row for row in by_key.values()}
    words = {"negative": "against negatives", "hard": "against hard ones", "both": "against both"}
    heads = [f"{words[c]} · n {sizes[c]['concepts']} concepts" for c in contrasts]
    first = sizes[contrasts[0]]
    note = (
        f"Mean over n concepts, Student's t. {numbers.count(first['positives'])} positive and "
        f"{numbers.count(first['negatives'])} negative readings of {numbers.count(first['texts'])} "
        "different test texts: a text is read once for every concept that it is a text of. The "
        "last column is what each has over as many random activations, against negatives, concept "
        "by concept: an interval that holds 0 says that they do as well. Length counts either way, "
        "so its chance is above .50."
    )
    if "hard" in contrasts:
        note += (
            " Hard negatives are few to a concept, so there each text counts alike, with a "
            "bootstrap over concepts. AxBench's script leaves hard negatives out, by the spelling "
            "of a key: its numbers are the first column."
        )
    heads = ("read by", *heads, "over random activations")
    return markup.table(heads, rows, "t" + "n" * (len(heads) - 1), note)
