"""Hard questions of one concept: who is in, and where new texts go."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.concepts.views import Membership, NewTextMembership
from components.concepts.readers import NAMES, among, hue, named
from components.shell import address, controls, markup, numbers, palette, terms
from components.shell.links import anchor
from components.shell.lists import frame_html

RULES = {
    "ball": "a token within θ of the exemplar",
    "owner": "a token nearer to no other exemplar",
    "both": "a token within θ that no other exemplar is nearer to",
}
WHAT = {"best": "best region", "union": "union of regions"}
LOG = {"type": "log", "dtick": 1, "tickformat": ","}  # a tick each power of ten


def tables(view: Membership | NewTextMembership) -> dict[str, pl.DataFrame]:
    """What is on screen, and J of every region or every text."""
    if isinstance(view, NewTextMembership):
        return {"shares": view.shares, "quantiles": view.quantiles, "texts": view.texts}
    js = [
        pl.DataFrame({"method": key.split()[0], "rule": key.split()[1], "j": values})
        for key, values in view.js.items()
    ]
    every = [part.with_row_index("region") for part in js]
    return {"rates": view.table, "every region": view.every, "J": pl.concat(every)}


def render(view: Membership | NewTextMembership) -> None:
    """One of the two."""
    render_new_texts(view) if isinstance(view, NewTextMembership) else render_membership(view)


# ---------------------------------------------------------------- in or out


def render_membership(view: Membership) -> None:
    """Rates of the chosen region and union, and J of every region."""
    markup.render(f'<p class="answer">{membership_words(view)}</p>')
    markup.head("Every region", "not the best but each of them")
    left, right = st.columns([6, 6], gap="large")
    with left:
        controls.segmented_control("rule", "Rule", list(RULES), label_visibility="collapsed")
        rule = address.get("rule")
        markup.note(f"A text is in a region: {RULES[rule]}.")
        palette.render_chart(
            j_chart(view, rule), "js", "J of every region by rank, beside random activations"
        )
    with right:
        markup.render(every_html(view.every, same(view)))
    markup.head("The best region and union", "chosen on training texts, measured on test texts")
    markup.render(rates_html(view) + terms.key("θ", "J", "exemplar", "control"))


def membership_words(view: Membership) -> str:
    """Who is in and who is out of the best region within θ, and whether random activations do as
    well; as HTML."""
    rows = {(r["rule"], r["what"], r["method"]): r for r in view.table.iter_rows(named=True)}
    own, control = (_rates(rows["ball", "best", name]) for name in ("exemplar", "coreset"))
    if own is None:
        return "No region tells the training texts apart at θ, so none is chosen."
    if own["tied"] > 1:
        begin = f"On average one of the {own['tied']:,} regions that tie on training texts"
    else:
        region = view.best["exemplar ball"]
        chosen = anchor(f"Region {region}", "regions", region=region)
        begin = f"{chosen}, which training texts choose,"
    true, false = (numbers.percent(round(rate, 6)) for rate in (own["tpr"], 1 - own["tnr"]))
    text = (
        f"{begin} holds, within θ of its exemplar, {true} of the positive test texts and {false} "
        f"of the others (J {_with_ends(own)})."
    )
    if control is None:
        return text
    apart = own["low"] > control["high"] or own["high"] < control["low"]
    word = ("better" if own["j"] > control["j"] else "worse") if apart else "not told apart"
    return f"{text} {_VERDICTS[word]}: J {_with_ends(control)}."


_VERDICTS = {
    "better": "It does better than the best of random activations",
    "worse": "It does worse than the best of random activations",
    "not told apart": "It is not told from the best of random activations",
}


def _rates(row: dict[str, Any]) -> dict[str, Any] | None:
    """TPR, TNR, J and its ends; of regions that tie their mean, lowest and highest."""
    if row["j"] is None:
        return None
    tied = row["tied"] or 1
    names = ("tied_{}", "tied_j_low", "tied_j_high") if tied > 1 else ("{}", "j_low", "j_high")
    means = {name: row[names[0].format(name)] for name in ("tpr", "tnr", "j")}
    return means | {"low": row[names[1]], "high": row[names[2]], "tied": tied}


def _with_ends(rates: dict[str, Any]) -> str:
    value, low, high = (numbers.fraction(rates[name]) for name in ("j", "low", "high"))
    return f"{value}, {low} to {high}"


def rates_html(view: Membership) -> str:
    """TPR, TNR and J by rule, each rival below what it is a rival of."""
    by_key = {(r["rule"], r["what"], r["method"]): r for r in view.table.iter_rows(named=True)}
    alike = same(view)
    rows = [
        _rates_row(view, by_key[rule, what, method])
        for rule in RULES
        for what in WHAT
        for method in ("exemplar", "coreset")
        if not (alike and rule == "both")
    ]
    first = view.table.row(0, named=True)
    n = f"{first['tp'] + first['fn']} positive and {first['tn'] + first['fp']} negative test texts"
    note = (
        f"Hard yes or no at θ, on {n}. Regions are chosen by J = TPR + TNR − 1 on training texts; "
        "a union adds regions while J rises there. Chance is J = 0. Below each row, as many random "
        f"activations at the same θ. Ball: {RULES['ball']}. Owner: {RULES['owner']}. "
    )
    both = f"Both: {RULES['both']}."
    note += "Both gives of regions what owner gives, and is left out." if alike else both
    if any((row["tied"] or 1) > 1 for row in by_key.values()):
        note += (
            " Where several are as good on training texts, none is chosen: mean, lowest and "
            "highest of those that tie."
        )
    heads = ("read by", "rule", "what", "which", "of", "TPR", "TNR", "J")
    return markup.table(heads, rows, "tttttnnn", note)


def same(view: Membership) -> bool:
    """Whether `both` gives of regions what `owner` gives: all tokens are within θ of one."""
    regions = view.table.filter(method="exemplar")
    one, other = (regions.filter(rule=rule).drop("rule") for rule in ("owner", "both"))
    return one.equals(other)


def _rates_row(view: Membership, row: dict[str, Any]) -> list[str]:
    key, tied = f"{row['method']} {row['rule']}", row["tied"] or 1
    every = view.unions.get(key, []) if row["what"] == "union" else [view.best.get(key)]
    regions = [region for region in every if region is not None]
    regions_shown = f"{tied} tied" if tied > 1 else _named(regions, row["method"] == "exemplar")
    ends = [
        among(row, f"tied_{name}", f"tied_{name}_low", f"tied_{name}_high")
        if tied > 1 and row[name] is not None
        else markup.interval(row[name], row[f"{name}_low"], row[f"{name}_high"])
        for name in ("tpr", "tnr", "j")
    ]
    count = f"{len(regions)} of {numbers.count(len(view.js[key]))}"
    what = named(row["method"]), row["rule"], WHAT[row["what"]]
    return [*what, regions_shown or "none", count, *ends]


def _named(regions: list[int], linked: bool) -> str:
    links = [anchor(f"#{n}", "regions", region=n) if linked else f"#{n}" for n in regions[:4]]
    return " ".join(links) + (f" and {len(regions) - 4} more" if len(regions) > 4 else "")


def j_chart(view: Membership, rule: str) -> go.Figure:
    """J of every region by a rule, beside random activations."""
    figure = palette.figure(height=260)
    for kind, dash in (("exemplar", "solid"), ("coreset", "dot")):
        values = sorted(view.js[f"{kind} {rule}"], reverse=True)
        figure.add_scatter(
            x=list(range(1, len(values) + 1)), y=values, mode="lines", name=NAMES[kind],
            line={"color": hue(kind), "width": 1.6, "dash": dash},
            hovertemplate="rank %{x}: J %{y:.2f}<extra></extra>",
        )  # fmt: skip
    figure.add_hline(0, line={"color": palette.current().muted, "width": 1, "dash": "dash"})
    figure.update_layout(
        showlegend=True, legend={"x": 1, "xanchor": "right", "y": 1, "orientation": "v"}
    )
    figure.update_xaxes(title="regions, by J on these texts (which flatters the first)", **LOG)
    figure.update_yaxes(title="J on test texts")
    return figure


def every_html(frame: pl.DataFrame, alike: bool) -> str:
    """J over all regions, each rival below."""
    rules = [rule for rule in RULES if not (alike and rule == "both")]
    columns = (
        ("of every", "t", named, "method"),
        ("rule", "t", str, "rule"),
        ("n", "n", numbers.count, "regions"),
        ("J at 5%", "n", numbers.fraction, "p5"),
        ("median", "n", numbers.fraction, "median"),
        ("95%", "n", numbers.fraction, "p95"),
        ("J above .5", "n", numbers.percent, "above_half"),
    )
    return frame_html(pl.concat(frame.filter(rule=rule) for rule in rules), columns)


# ---------------------------------------------------------------- new texts


def render_new_texts(view: NewTextMembership) -> None:
    """Where new texts lie in the chosen region."""
    link = anchor(f"region #{view.region}", "regions", region=view.region)
    markup.render(f'<p class="answer">{new_texts_words(view).format(link)}</p>')
    left, right = st.columns(2, gap="large")
    with left:
        palette.render_chart(
            nearest_chart(view),
            "nearest",
            "Histograms of the distance of texts' nearest tokens to the exemplar",
        )
        markup.render(quantiles_html(view.quantiles))
    with right:
        markup.render(shares_html(view))
        markup.render(controls_html(view.shares) + terms.key("θ", "exemplar", "runner-up"))


FEW = 0.5  # share of positive texts below which the region does not hold the concept


def new_texts_words(view: NewTextMembership) -> str:
    """How many texts land there; {} stands for the region."""
    owned = {row["kind"]: row for row in view.shares.filter(of="owned").iter_rows(named=True)}
    counts = [
        f"{round(row['share'] * row['n'])} of {row['n']} {kind}"
        for kind, row in owned.items()
        if row["share"] is not None
    ]
    sentence = f"Of the test texts, {' and '.join(counts)} have their nearest token in {{}}"
    sentence += (
        f", the first of {view.tied} that are as good on the training texts. "
        if view.tied > 1
        else ", which training texts choose. "
    )
    if (owned["positive"]["share"] or 0) < FEW:
        sentence += (
            "Few positive ones: its direction ranks texts best, but most of their tokens lie "
            "nearer to other exemplars, so what follows is of a region that does not hold them."
        )
    return sentence


SHARES = {
    "within": "texts whose nearest token is within θ of the exemplar",
    "owned": "texts whose nearest token is in the region",
    "pairs": "pairs of such a token and a member that are less than 2θ apart",
    "each": "texts whose nearest token is less than 2θ from every member",
}
COMPARED = {
    "random_pairs": ("pairs of a token at random and a member", "tokens"),
    "random_each": ("tokens at random, from every member", "tokens"),
    "own_pairs": ("pairs of two members", "disjoint pairs"),
}


def shares_html(view: NewTextMembership) -> str:
    """Shares by kind of text, and why 2θ is no test."""
    by_key = {(row["of"], row["kind"]): row for row in view.shares.iter_rows(named=True)}
    theta = view.theta
    rows = [
        [words, *(_share(by_key.get((what, kind)), "texts") for kind in ("positive", "negative"))]
        for what, words in SHARES.items()
    ]
    note = (
        "A text stands for its token nearest to the exemplar. One proposal is that new texts "
        f"belong where they are less than 2θ from each member. θ is {theta:.3f} and distance is 1 "
        f"− cosine, so unrelated points are about 1 apart and 2θ = {2 * theta:.2f} "
        f"{'passes nearly everything' if theta > 0.45 else 'is a bound'}; and two members may be "
        f"4θ − 2θ² = {view.farthest:.2f} apart. Intervals are Wilson's, of texts."
    )
    return markup.table(("share of", "positive", "negative"), rows, "tnn", note)


def controls_html(frame: pl.DataFrame) -> str:
    """The same of what is no text: tokens of the corpus at random, and the members themselves."""
    by_key = {row["of"]: row for row in frame.filter(kind="positive").iter_rows(named=True)}
    rows = [[words, _share(by_key.get(what), unit)] for what, (words, unit) in COMPARED.items()]
    return markup.table(("for comparison, less than 2θ apart", "share"), rows, "tn")


def _share(row: dict[str, float] | None, unit: str) -> str:
    if row is None or row["share"] is None:
        return numbers.MISSING
    ends = markup.interval(row["share"], row["low"], row["high"])
    return f"{ends} <small>n {row['n']} {unit}</small>"


def nearest_chart(view: NewTextMembership) -> go.Figure:
    """Distance of each text's nearest token to the exemplar."""
    colours, figure = palette.current(), palette.figure(height=260)
    for kind, hue_ in (("positive", colours.accent), ("negative", palette.OTHER)):
        part = view.texts.filter(pl.col("kind") == kind)
        figure.add_histogram(
            x=part["distance"], xbins={"size": 0.02}, name=f"{kind} · n {len(part)}",
            marker={"color": palette.fade(hue_, 0.6)},
        )  # fmt: skip
    line = {"color": colours.ink, "width": 1, "dash": "dot"}
    figure.add_vline(view.theta, line=line, annotation={"text": "θ"})
    figure.update_layout(barmode="overlay", showlegend=True, legend_y=-0.35)
    figure.update_xaxes(title="distance of a text's nearest token to the exemplar")
    figure.update_yaxes(title="texts")
    return figure


def quantiles_html(frame: pl.DataFrame) -> str:
    """Distances to members, among the region's own."""
    columns = (
        ("quantile", "n", "{:.0%}".format, "level"),
        ("texts", "t", str, "kind"),
        ("to members", "n", numbers.fraction, "to_members"),
        ("nearer", "n", numbers.fraction, "among_pairs"),
        ("between members", "n", numbers.fraction, "own"),
        ("margin", "n", numbers.fraction, "margin"),
    )
    note = (
        "Distances from each text's token to members, beside those between members; 'nearer' is "
        "the share of pairs of members that are nearer to each other, .50 where texts lie like "
        "members. Margin: how much farther the second nearest exemplar is."
    )
    return frame_html(frame.sort("level", "kind", descending=[False, True]), columns, note)
