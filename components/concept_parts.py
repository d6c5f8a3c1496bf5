"""Hard questions of one concept: who is in, where new texts go, how pure and how split."""

from __future__ import annotations

from collections.abc import Callable

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.concept_views import Gathering, Membership, Spread
from backend.schema import Job
from components import address, markup, numbers, palette
from components.concepts import NAMES, hue, named
from components.links import anchor

RULES = {
    "ball": "a token within θ of the exemplar",
    "owner": "a token nearer to no other exemplar",
    "both": "a token within θ that no other exemplar is nearer to",
}
WHAT = {"best": "best region", "union": "union of regions"}
ROWS = 1500  # units drawn of each method; those of highest F1


# ---------------------------------------------------------------- in or out


def render_membership(view: Membership) -> None:
    """Rates of the chosen region and union, and J of every region."""
    markup.render(rates_html(view))
    markup.head("Every region", "not the best but each of them")
    left, right = st.columns([6, 6], gap="large")
    with left:
        st.segmented_control(
            "Rule", list(RULES), required=True, label_visibility="collapsed",
            **address.widget("rule"),
        )  # fmt: skip
        rule = address.get("rule")
        markup.note(f"A text is in a region: {RULES[rule]}.")
        st.plotly_chart(j_chart(view, rule), key="js", config=palette.CONFIG)
    with right:
        markup.render(every_html(view.every))


def rates_html(view: Membership) -> str:
    """TPR, TNR and J by rule."""
    rows = []
    for row in view.table.iter_rows(named=True):
        key = f"{row['method']} {row['rule']}"
        shown = _regions(view.unions.get(key, []) if row["what"] == "union" else [view.best[key]])
        which = shown if row["method"] == "exemplar" else numbers.count(row["regions"])
        ends = [
            markup.interval(row[name], row[f"{name}_low"], row[f"{name}_high"])
            for name in ("tpr", "tnr", "j")
        ]
        rows.append([named(row["method"]), row["rule"], WHAT[row["what"]], which, *ends])
    first = view.table.row(0, named=True)
    n = f"{first['tp'] + first['fn']} positive and {first['tn'] + first['fp']} negative test texts"
    note = (
        f"Hard yes or no at θ, on {n}. Regions are chosen by J = TPR + TNR − 1 on training texts; "
        "a union adds regions while J rises there. Chance is J = 0. Below each, as many random "
        "activations at the same θ."
    )
    heads = ("read by", "rule", "what", "regions", "TPR", "TNR", "J")
    return markup.table(heads, rows, "ttttnnn", note)


def _regions(numbers_: list[int]) -> str:
    links = [anchor(str(n), "regions", region=n) for n in numbers_[:6]]
    return " ".join(links) + (f" +{len(numbers_) - 6}" if len(numbers_) > 6 else "")


def j_chart(view: Membership, rule: str) -> go.Figure:
    """J of every region by a rule, beside random activations."""
    made = palette.figure(height=260)
    for kind, dash in (("exemplar", "solid"), ("coreset", "dot")):
        values = sorted(view.js[f"{kind} {rule}"], reverse=True)
        made.add_scatter(
            x=list(range(1, len(values) + 1)), y=values, mode="lines", name=NAMES[kind],
            line={"color": hue(kind), "width": 1.6, "dash": dash},
            hovertemplate="rank %{x}: J %{y:.2f}<extra></extra>",
        )  # fmt: skip
    made.add_hline(0, line={"color": palette.current().muted, "width": 1, "dash": "dash"})
    made.update_layout(showlegend=True, legend={"x": 1, "xanchor": "right", "y": 1})
    made.update_xaxes(title="regions by J (chosen by it: optimistic)", type="log")
    made.update_yaxes(title="J on test texts")
    return made


def every_html(frame: pl.DataFrame) -> str:
    """J over all regions."""
    rows = [
        [
            named(row["method"]), row["rule"], numbers.count(row["regions"]),
            *(numbers.fraction(row[at]) for at in ("p5", "median", "p95")),
            numbers.percent(row["above_half"]),
        ]
        for row in frame.iter_rows(named=True)
    ]  # fmt: skip
    heads = ("of every", "rule", "n", "J at 5%", "median", "95%", "J above .5")
    return markup.table(heads, rows, "ttnnnnn")


# ---------------------------------------------------------------- new texts


def render_gathering(view: Gathering, theta: float) -> None:
    """Where new texts lie in the chosen region."""
    link = anchor(f"region {view.region}", "regions", region=view.region)
    markup.render(f'<p class="note">The region that training texts choose: {link}.</p>')
    left, right = st.columns(2, gap="large")
    with left:
        markup.render(gathered_html(view.shares, theta))
    with right:
        st.plotly_chart(nearest_chart(view, theta), key="nearest", config=palette.CONFIG)
        markup.render(quantiles_html(view.quantiles))


SHARES = {
    "within": "texts whose nearest token is within θ of the exemplar",
    "owned": "texts whose nearest token is in the region",
    "pairs": "pairs of such a token and a member less than 2θ apart",
    "each": "tokens less than 2θ from every member",
    "random_pairs": "the same pairs, for tokens of the corpus at random",
    "random_each": "random tokens less than 2θ from every member",
    "own_pairs": "pairs of members less than 2θ apart",
}


def gathered_html(frame: pl.DataFrame, theta: float) -> str:
    """Shares by kind of text, and why 2θ is no test."""
    found = {(row["of"], row["kind"]): row for row in frame.iter_rows(named=True)}
    rows = []
    for what, words in SHARES.items():
        cells = [_shared(found.get((what, kind))) for kind in ("positive", "negative")]
        if what.startswith("random") or what == "own_pairs":  # of no text
            cells[1] = ""
        rows.append([words, *cells])
    farthest = 2.0 if theta >= 1 else 4 * theta - 2 * theta**2
    note = (
        f"The reply's check, less than 2θ from each member: θ is {theta:.3f} and distance is 1 − "
        f"cosine, so unrelated points are about 1 apart and 2θ = {2 * theta:.2f} "
        f"{'passes nearly everything' if theta > 0.45 else 'is a bound'}; and two members may be "
        f"4θ − 2θ² = {farthest:.2f} apart. Read the random tokens beside it."
    )
    return markup.table(("share of", "positive texts", "negative texts"), rows, "tnn", note)


def _shared(row: dict[str, float] | None) -> str:
    if row is None or row["share"] is None:
        return numbers.MISSING
    return f"{markup.interval(row['share'], row['low'], row['high'])} <small>n {row['n']}</small>"


def nearest_chart(view: Gathering, theta: float) -> go.Figure:
    """Distance of each text's nearest token to the exemplar."""
    colours, made = palette.current(), palette.figure(height=230)
    for kind, hue_ in (("positive", colours.accent), ("negative", palette.OTHER)):
        part = view.texts.filter(pl.col("kind") == kind)
        made.add_histogram(
            x=part["distance"], xbins={"size": 0.02}, name=f"{kind} · n {len(part)}",
            marker={"color": palette.fade(hue_, 0.6)},
        )  # fmt: skip
    line = {"color": colours.ink, "width": 1, "dash": "dot"}
    made.add_vline(theta, line=line, annotation={"text": "θ"})
    made.update_layout(barmode="overlay", showlegend=True, legend={"x": 0, "y": 1})
    made.update_xaxes(title="distance of a text's nearest token to the exemplar")
    made.update_yaxes(title="texts")
    return made


PLACES = ("to_members", "among_pairs", "own", "margin")


def quantiles_html(frame: pl.DataFrame) -> str:
    """Distances to members, among the region's own."""
    rows = [
        [
            numbers.percent(row["level"]), row["kind"],
            *(numbers.fraction(row[name]) for name in PLACES),
        ]
        for row in frame.sort("level", "kind", descending=[False, True]).iter_rows(named=True)
    ]  # fmt: skip
    heads = ("quantile", "texts", "to members", "among own pairs", "own pairs", "margin")
    return markup.table(heads, rows, "ntnnnn")


# ---------------------------------------------------------------- purity and coverage


def render_spread(view: Spread) -> None:
    """One plane and one table for all methods, and what purity goes with."""
    markup.render(splitting_html(view))
    left, right = st.columns([6, 6], gap="large")
    with left:
        st.plotly_chart(plane(view), key="plane", config=palette.CONFIG)
    with right:
        markup.head("What purity and coverage go with", "over regions, size held fixed")
        markup.render(relations_html(view))


SYMBOLS = {"coreset": "x-thin-open", "kmeans": "diamond"}


def plane(view: Spread) -> go.Figure:
    """Purity and coverage of every unit that holds a positive token."""
    made = palette.figure(height=420)
    for (method,), part in view.units.group_by("method", maintain_order=True):
        best = part.sort("f1", descending=True).head(ROWS)
        made.add_scattergl(
            x=best["coverage"], y=best["purity"], mode="markers", name=NAMES[str(method)],
            marker={
                "size": 6 if method == "exemplar" else 5,
                "color": palette.fade(hue(str(method)), 0.55),
                "symbol": SYMBOLS.get(str(method), "circle"),
            },
            customdata=best.select("region", "count", "hits").to_numpy(),
            hovertemplate=f"{NAMES[str(method)]} %{{customdata[0]}}: purity %{{y:.2f}}, coverage "
            "%{x:.3f}, %{customdata[2]} of %{customdata[1]} tokens<extra></extra>",
        )  # fmt: skip
    made.add_hline(
        view.prior, line={"color": palette.current().muted, "width": 1, "dash": "dash"},
        annotation={"text": "prior"},
    )  # fmt: skip
    made.update_layout(showlegend=True, legend={"orientation": "h", "y": -0.18})
    made.update_xaxes(title="coverage of the concept's tokens", type="log")
    made.update_yaxes(title="purity", range=[-0.02, 1.03])
    return made


def splitting_html(view: Spread) -> str:
    """Over how many parts each method splits the concept."""
    rows = []
    for row in view.splitting.iter_rows(named=True):
        best = numbers.count(row["best_region"])
        if row["method"] == "exemplar":
            best = anchor(best, "regions", region=row["best_region"])
        rows.append(
            [
                named(row["method"]),
                numbers.count(row["units"]),
                numbers.MISSING if row["effective"] is None else f"{row['effective']:.0f}",
                numbers.MISSING if row["whole"] is None else f"{row['whole']:.0f}",
                numbers.count(row["half"]),
                numbers.count(row["most"]),
                numbers.MISSING if row["uncovered"] is None else numbers.count(row["uncovered"]),
                best,
                numbers.fraction(row["best_purity"]),
                numbers.fraction(row["best_coverage"], 3),
                markup.interval(row["best_f1"], row["f1_low"], row["f1_high"]),
            ]
        )
    note = (
        "The same tokens of the test texts, cut into as many parts. Parts: how many equal ones "
        "would hold the concept's tokens as evenly (exp of the entropy), and beside it the same of "
        "all tokens here; 50% and 90%: the fewest that hold so many. The best part is the one of "
        "highest F1 on these texts, so its numbers flatter. All tokens of a positive text count as "
        f"positive; their share is {numbers.fraction(view.prior)}. Features and clusters by "
        "meaning have sizes of their own."
    )
    heads = (
        "cut by", "of", "parts", "of all", "50%", "90%", "in none", "best", "purity", "coverage",
        "F1",
    )  # fmt: skip
    return markup.table(heads, rows, "t" + "n" * (len(heads) - 1), note)


def relations_html(view: Spread) -> str:
    """Partial rank correlations."""
    shapes = ("coherence", "mean_distance", "radius", "size")
    found = {(row["measure"], row["of"]): row for row in view.relations.iter_rows(named=True)}
    rows = []
    for measure in ("purity", "coverage", "f1"):
        parts = [found[measure, of] for of in shapes]
        cells = [markup.interval(row["rho"], row["low"], row["high"]) for row in parts]
        rows.append([measure, *cells, numbers.count(parts[0]["n"])])
    note = (
        "Spearman's ρ between regions, partial on size (small regions are tighter and cover less "
        f"by size alone), Fisher's 95% interval. {numbers.count(view.left_out)} regions have fewer "
        "than five tokens here, or no mean distance, and are left out."
    )
    heads = ("", "coherence κ", "mean pairwise distance", "radius", "size itself", "regions")
    return markup.table(heads, rows, "tnnnnn", note)


# ---------------------------------------------------------------- the gray zone


def render_gray(frame: pl.DataFrame, theta: float, start: Callable[[], Job]) -> None:
    """The partition at every k, and the button for those that are missing."""
    markup.note(gray_words(theta))
    markup.render(gray_html(frame))
    missing = [row["k"] for row in frame.iter_rows(named=True) if row.get("theta") is None]
    said = ", ".join(f"{k:g}" for k in missing)
    if missing and st.button(f"Partition with k = {said}", key="gray", type="primary"):
        start()
        st.rerun()


def gray_html(frame: pl.DataFrame) -> str:
    """What k does to the partition and to the concept."""
    rows = []
    for row in frame.iter_rows(named=True):
        if row.get("theta") is None:
            rows.append([f"{row['k']:g}", *[numbers.MISSING] * 10])
            continue
        rows.append(
            [
                f"{row['k']:g}", numbers.fraction(row["reach"], 3), numbers.count(row["regions"]),
                numbers.percent(row["gray"]), f"{row['overlap']:.1f}",
                numbers.percent(row["ambiguous"]), f"{row['effective']:.0f}",
                numbers.count(row["half"]), numbers.fraction(row["best_purity"]),
                numbers.fraction(row["best_coverage"], 3),
                markup.interval(row["best_f1"], row["f1_low"], row["f1_high"]),
            ]
        )  # fmt: skip
    heads = ("k", "kθ", "K", "gray", "L0", "ambiguous", "parts", "50%", "purity", "coverage", "F1")
    return markup.table(heads, rows, "n" * len(heads))


def gray_words(theta: float) -> str:
    """Why "close to at most one exemplar" cannot be had at a real θ."""
    edge = 1 - 2**-0.5
    return (
        "With a gray zone a point becomes an exemplar only beyond kθ of all others; members are "
        "within θ, and what lies between is skipped while building and assigned afterwards. L0 is "
        "how many exemplars a token is within θ of, ambiguous the share of tokens with more than "
        f"one. To be within θ of one exemplar at most, exemplars must be (4 − 2θ)θ apart: k ≥ "
        f"{4 - 2 * theta:.2f} here. But kθ must stay below 1, k < {1 / theta:.2f} here: beyond it "
        "only a handful of points can be that far from each other. Both hold only for θ ≤ 1 − 1/√2 "
        f"= {edge:.3f}; θ is {theta:.3f}. So ambiguity falls with k and does not end."
    )
