"""Hard questions of one concept's tokens: how pure and how split, and what a gray zone does."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.concepts.views import GrayZone, PurityCoverage
from components.concepts.readers import NAMES, hue, named
from components.shell import controls, markup, numbers, palette, terms
from components.shell.links import anchor
from components.shell.lists import frame_html
from components.shell.markup import escape
from components.shell.status import render_estimate

MOST_POINTS = 1000  # units of each method, at random where there are more
SYMBOLS = {"coreset": "x-thin-open", "kmeans": "diamond"}
ORDER = ("sae", "kmeans", "coreset", "meaning", "exemplar")  # regions on top
SHARES = [10.0**power for power in range(-6, 1)]
PENDING = "Rows without numbers are computed now:"


def tables(view: PurityCoverage | GrayZone) -> dict[str, pl.DataFrame]:
    """What is on screen, and every unit."""
    if isinstance(view, GrayZone):
        return {"gray zone": view.table}
    return {"splitting": view.splitting, "relations": view.relations, "units": view.units}


def render(view: PurityCoverage | GrayZone) -> None:
    """One of the two."""
    render_gray(view) if isinstance(view, GrayZone) else render_purity(view)


# ---------------------------------------------------------------- purity and coverage


def render_purity(view: PurityCoverage) -> None:
    """One plane and one table for all methods, and what purity goes with."""
    markup.render(f'<p class="answer">{purity_words(view)}</p>')
    left, right = st.columns([5, 7], gap="medium")
    with left:
        palette.render_chart(
            plane(view),
            "plane",
            "Purity against coverage of the parts of every way to cut the tokens",
        )
        markup.note("Drawn at random where there are more; ringed: the best of each by F1.")
    with right:
        markup.head("What purity and coverage go with", "over regions, size held fixed")
        markup.render(relations_html(view))
    markup.head("Every way to cut the same tokens")
    markup.render(splitting_html(view) + terms.key("purity", "coverage", "lift", "splitting"))


WHOLE = 0.9  # of purity and coverage, from which a region is said to hold a concept and no more


def purity_words(view: PurityCoverage) -> str:
    """Whether everything that expresses the concept lands in one region, and nothing else; as
    HTML."""
    rows = {row["method"]: row for row in view.splitting.iter_rows(named=True)}
    own, control = rows["exemplar"], rows.get("coreset")
    if own["best_region"] is None:
        return "No token of a positive test text is in any region, so nothing can be said."
    is_whole = min(own["best_purity"], own["best_coverage"]) >= WHOLE
    best = anchor(f"region {own['best_region']}", "regions", region=own["best_region"])
    text = (
        f"{'Yes' if is_whole else 'No'}: of the tokens of {best}, the best by F1, "
        f"{numbers.percent(own['best_purity'])} are of positive texts, and it holds "
        f"{numbers.percent(own['best_coverage'])} of all such tokens. Half of them take "
        f"{_regions(own['half'])}"
    )
    return text + (
        f", with random activations {numbers.count(control['half'])}." if control else "."
    )


def _regions(count: int) -> str:
    return f"{numbers.count(count)} region{'' if count == 1 else 's'}"


def plane(view: PurityCoverage) -> go.Figure:
    """Purity and coverage of units that hold a positive token, and the best by F1, ringed."""
    figure = palette.figure(height=500)
    parts = {str(m): part for (m,), part in view.units.group_by("method", maintain_order=True)}
    for method in (name for name in ORDER if name in parts):
        part = parts[method]
        sample = part if len(part) <= MOST_POINTS else part.sample(MOST_POINTS, seed=0)
        name = f"{NAMES[method]} · {numbers.count(len(sample))} of {numbers.count(len(part))} drawn"
        _dots(figure, sample, method, name)
        _dots(figure, part.sort("f1", descending=True)[:1], method, "")
    figure.add_hline(
        view.prior, line={"color": palette.current().muted, "width": 1, "dash": "dash"},
        annotation_position="bottom right",
        annotation={"text": "all tokens", "font": {"size": 11, "color": palette.current().muted}},
    )  # fmt: skip
    figure.update_layout(showlegend=True, legend={"y": -0.13, "yanchor": "top"})
    labels = [f"10{'⁻' + '⁰¹²³⁴⁵⁶'[6 - power]}" if power < 6 else "1" for power in range(7)]
    figure.update_xaxes(
        title="coverage: share of the concept's tokens",
        type="log",
        tickvals=SHARES,
        ticktext=labels,
    )
    figure.update_yaxes(title="purity", range=[-0.02, 1.03])
    return figure


def _dots(figure: go.Figure, part: pl.DataFrame, method: str, name: str) -> None:
    """Units as dots; without a name, ringed and left out of the legend."""
    figure.add_scattergl(
        x=part["coverage"], y=part["purity"], mode="markers", name=name, showlegend=bool(name),
        marker={
            "size": 5 if name else 11,
            "color": palette.fade(hue(method), 0.3 if method == "sae" else 0.6),
            "symbol": SYMBOLS.get(method, "circle") if name else "circle-open",
            "line": {"width": 1 if name else 2.5, "color": hue(method)}
            if not name or method == "coreset" else {"width": 0},
        },
        customdata=part.select("region", "count", "hits").to_numpy(),
        hovertemplate=f"{NAMES[method]} #%{{customdata[0]}}: purity %{{y:.2f}}, coverage "
        "%{x:.3f}, %{customdata[2]} of %{customdata[1]} tokens<extra></extra>",
    )  # fmt: skip


def splitting_html(view: PurityCoverage) -> str:
    """Over how many parts each method splits the concept."""
    rows = [_whole_row(view), *(_split_row(row) for row in view.splitting.iter_rows(named=True))]
    note = (
        "The same tokens of the test texts, cut into as many parts; all tokens of a positive text "
        f"count as positive, {numbers.percent(view.prior)} of all. Parts: how many equal ones "
        "would hold the concept's tokens as evenly (exp of the entropy), and the same of all "
        "tokens here. 50%, 90%: the fewest that hold so many of them. Best: the part of highest "
        "F1 on these texts, so it flatters; lift is its purity over that of all tokens. F1 rises "
        "with size alone: calling every token positive has "
        f"{numbers.fraction(view.whole_f1)}. Features "
        "overlap, so there are no parts to count; 50% and 90% are a greedy cover, which takes "
        "those first that fire on most of any text. Clusters by meaning are of whole texts, by "
        f"HDBSCAN on their sentence embeddings: {_clusters(view)}. Intervals take tokens as "
        "independent; those of one text are not, so the truth is wider."
    )
    heads = (
        "cut by", "of", "parts", "of all", "50%", "90%", "in none", "best", "purity", "lift",
        "coverage", "F1",
    )  # fmt: skip
    return markup.table(heads, rows, "t" + "n" * (len(heads) - 1), note)


FEWEST = 10  # clusters below which they are no comparison


def _clusters(view: PurityCoverage) -> str:
    units = view.splitting.filter(method="meaning")["units"]
    count = int(units[0]) if len(units) else 0
    few = ", too few to compare with" if count < FEWEST else ""
    return f"{count} found{few}"


def _whole_row(view: PurityCoverage) -> list[str]:
    """What no cut at all has."""
    values = (view.prior, 1.0, 1.0, view.whole_f1)
    purity, coverage, _, f1 = (numbers.fraction(value) for value in values)
    return [named("all"), "1", "1", "1", "1", "1", "0", "", purity, "×1.0", coverage, f1]


def _split_row(row: dict[str, Any]) -> list[str]:
    best = numbers.MISSING if row["best_region"] is None else f"#{row['best_region']}"
    page = {"exemplar": "region", "sae": "feature"}.get(row["method"])
    if page and row["best_region"] is not None:
        best = anchor(best, f"{page}s", **{page: row["best_region"]})
    return [
        named(row["method"]),
        numbers.count(row["units"]),
        *(numbers.count(row[name]) for name in ("effective", "whole", "half", "most", "uncovered")),
        best,
        numbers.fraction(row["best_purity"]),
        numbers.times(row["best_lift"]),
        numbers.fraction(row["best_coverage"], 3),
        markup.interval(row["best_f1"], row["f1_low"], row["f1_high"]),
    ]


LEAST = 20  # regions, below which a correlation says nothing


def relations_html(view: PurityCoverage) -> str:
    """Partial rank correlations, a row for each of both."""
    names = {"coherence": "coherence κ", "radius": "radius", "size": "size itself"}
    by_key = {(row["measure"], row["of"]): row for row in view.relations.iter_rows(named=True)}
    if by_key["purity", "coherence"]["n"] < LEAST:
        few = f"There are {by_key['purity', 'coherence']['n']} regions with five tokens here"
        return f'<p class="note">{few}; below {LEAST} nothing is said.</p>'
    rows = [
        [
            words,
            *(
                markup.interval(row["rho"], row["low"], row["high"])
                for row in (by_key[measure, shape] for measure in ("purity", "coverage", "f1"))
            ),
            numbers.count(by_key["purity", shape]["n"]),
        ]
        for shape, words in names.items()
    ]
    note = (
        "Spearman's ρ between regions, partial on size (small regions are tighter and cover less "
        f"by size alone), Fisher's 95% interval. {numbers.count(view.left_out)} regions have fewer "
        "than five tokens here, or no mean pairwise distance, and are left out. Mean pairwise "
        "distance is 1 − κ² but for the size, so it says the same as κ."
    )
    return markup.table(("", "purity", "coverage", "F1", "regions"), rows, "tnnnn", note)


# ---------------------------------------------------------------- the gray zone


def render_gray(view: GrayZone) -> None:
    """The partition at every k."""
    markup.render(f'<p class="answer">{escape(gray_answer(view))}</p>')
    marks = terms.key("k", "θ", "gray", "overlap", "ambiguous", "purity", "lift", "coverage", "F1")
    markup.render(gray_html(view) + marks)
    markup.note(gray_words(view.theta))


def render_start(view: GrayZone, query: Any, where: tuple[str, ...], **stops: float) -> None:
    """The button that starts what is missing, where nothing computes it yet, and how long it
    takes."""
    if (label := missing(view.table)) and view.pending is None:
        render_estimate(query, *where, **stops)
        controls.start_button(label, "gray")


def missing(frame: pl.DataFrame) -> str:
    """What a button would compute; empty where nothing is missing."""
    part = frame.filter(~pl.col("read"))
    if part.is_empty():
        return ""
    unmade = part.filter(pl.col("theta").is_null())["k"].to_list()
    if unmade:
        return f"Partition with k = {', '.join(f'{k:g}' for k in unmade)}, and place this set in it"
    return f"Place this set's tokens at k = {', '.join(f'{k:g}' for k in part['k'])}"


def gray_answer(view: GrayZone) -> str:
    """What the widest gray zone that is computed changes against k = 1."""
    rows = view.table.filter("read").sort("k").to_dicts()
    if len(rows) < 2:
        return "Only one k is computed for this set, so nothing can be compared yet."
    first, last = rows[0], rows[-1]
    purer = "purer" if last["best_purity"] > first["best_purity"] else "no purer"
    return (
        f"From k = {first['k']:g} to {last['k']:g} the regions fall from "
        f"{numbers.count(first['regions'])} to {numbers.count(last['regions'])}, and a token is "
        f"within θ of {_overlap(last['overlap'])} exemplars rather than "
        f"{_overlap(first['overlap'])}. {numbers.percent(last['gray'])} of tokens then lie in the "
        f"gray zone, and the best region is {purer}: {numbers.percent(last['best_purity'])} of its "
        f"tokens are of positive texts, before {numbers.percent(first['best_purity'])}."
    )


def gray_html(view: GrayZone) -> str:
    """What k does to the partition and to the concept."""
    columns = (
        ("k", "n", "{:g}".format, "k"),
        ("kθ", "n", lambda reach: numbers.fraction(reach, 3), "reach"),
        ("K", "n", numbers.count, "regions"),
        ("gray", "n", numbers.percent, "gray"),
        ("overlap", "n", _overlap, "overlap"),
        ("ambiguous", "n", numbers.percent, "ambiguous"),
        ("parts", "n", numbers.count, "effective"),
        ("50%", "n", numbers.count, "half"),
        ("purity", "n", numbers.fraction, "best_purity"),
        ("lift", "n", numbers.times, "best_lift"),
        ("coverage", "n", lambda share: numbers.fraction(share, 3), "best_coverage"),
        ("F1", "n", markup.interval, "best_f1", "f1_low", "f1_high"),
    )
    note = (
        "Up to 'ambiguous' the partition of the corpus; from 'parts' on the test texts of this "
        "concept, and the best region by F1 on them. Calling every token positive has purity "
        f"{numbers.fraction(view.prior)} and F1 {numbers.fraction(view.whole_f1)}: fewer and "
        "larger regions come nearer to that, so read the lift, purity over that of all tokens."
    )
    return frame_html(view.table, columns, note)


def _overlap(value: float | None) -> str:
    return numbers.MISSING if numbers.known(value) is None else f"{value:.1f}"


def gray_words(theta: float) -> str:
    """Why "close to at most one exemplar" cannot be had at a real θ."""
    edge = 1 - 2**-0.5
    return (
        "With a gray zone a point becomes an exemplar only beyond kθ of all others; members are "
        "within θ, and what lies between is skipped while building and assigned afterwards. "
        "Overlap is how many exemplars a token is within θ of, ambiguous the share of tokens with "
        "more than one. To be within θ of one exemplar at most, exemplars must be (4 − 2θ)θ apart: "
        f"k ≥ {4 - 2 * theta:.2f} here. But kθ must stay below 1, k < {1 / theta:.2f} here: of "
        "points at right angles or more there are at most twice as many as the model is wide, and "
        "beyond kθ = 1 at most 1 + 1/(kθ − 1). Both hold only for θ ≤ 1 − 1/√2 "
        f"= {edge:.3f}; θ is {theta:.3f}. So ambiguity falls with k and does not end."
    )
