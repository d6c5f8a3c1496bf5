"""ExpertLens: concepts by the units that know them, beside what people say of them, other measures
and nulls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.evals.expert_lens.views import LEAST_ALIKE, ExpertLens
from components.evals.expert_lens import concept, sets
from components.evals.expert_lens.sets import between
from components.evals.tab import Desk, Tab, Tables
from components.shell import address, controls, markup, numbers, palette, terms
from components.shell.markup import escape, unbroken
from components.shell.status import waiting

Choice = tuple[str, str, str]  # units, source of sentences, concepts
MEASURES = {
    "centred": "AP, less its mean over concepts (cosine)",
    "cosine": "AP of all units (cosine)",
    "experts": "experts at τ (Jaccard)",
    "embedder": "sentence embedder (cosine)",
    "inputs": "input embeddings (cosine)",
    "together": "documents in common (lift)",
}
OURS = ("centred", "cosine", "experts")
PUBLISHED = (
    "Published for Pythia 70M, 1B and 12B on MEN, not measured here: ρ .70, .77 and .79, and .84 "
    "between people."
)


def render_choice() -> Choice:
    """What is evaluated."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        controls.segmented_control(
            "units", "Units", ("maps", "features"), width="content",
            format_func={"maps": "all linear maps", "features": "SAE features"}.__getitem__,
            also={"started": False},
        )  # fmt: skip
        controls.segmented_control(
            "sentences", "Sentences", ("corpus", "templates"), width="content",
            format_func={"corpus": "from the corpus", "templates": "from frames"}.__getitem__,
            help="Frames are the same sentences for every word, so only the word tells them apart.",
            also={"started": False},
        )  # fmt: skip
        controls.text_input(
            "concepts", "Concepts", also={"started": False, "concept": ""},
            placeholder="rated words that the corpus holds · or your own: cat, dog, …",
        )  # fmt: skip
    return address.get("units"), address.get("sentences"), address.get("concepts")


def render_tau(taus: tuple[float, ...]) -> int:
    """The index of the chosen τ."""
    nearest = min(taus, key=lambda tau: abs(tau - address.get("tau")))
    if nearest != address.get("tau"):
        address.put(tau=nearest)  # the address says what is shown
    name = "τ, the AP from which a unit is an expert"
    controls.select_slider("tau", name, taus, format_func=numbers.fraction)
    return taus.index(nearest)


def render(view: ExpertLens, study: str, arguments: Choice, desk: Desk) -> Tables:
    """All concepts, then one of them."""
    stop = render_expert_lens(view)
    name = concept.render_pick(view.concepts["concept"].to_list())
    answer = desk.expert_concept(study, name, *arguments)
    if not waiting(answer, desk, "expert_concept"):
        concept.render_expert_concept(answer)
    return tables(view, stop)


def render_expert_lens(view: ExpertLens) -> int:
    """Answer, people, likeness, stability, concepts; gives the index of the chosen τ."""
    stop = render_tau(view.taus)
    if len(view.refused):
        markup.note(sets.left_out(view))
    markup.render(f'<p class="answer">{escape(answer(view, stop))}</p>')
    if len(view.agreement):
        markup.head("As alike as people say?", "Spearman’s ρ over rated pairs of concepts")
        left, right = st.columns([6, 5], gap="large")
        with left:
            palette.render_chart(
                agreement_chart(view, stop),
                "agreement",
                "Agreement with people by measure of likeness",
            )
        with right:
            palette.render_chart(
                human_chart(view),
                "human",
                "How alike pairs of concepts are to people and to the model",
            )
        markup.render(agreement_html(view, stop))
    else:
        markup.note("Too few of these concepts are rated in pairs to compare with people.")
    render_alike(view)
    markup.head("Would the same experts be found again?", "halves share no document or frame")
    left, right = st.columns([6, 5], gap="large")
    with left:
        palette.render_chart(
            sets.stability_chart(view, stop), "stable", "How alike expert sets of two draws are"
        )
        markup.render(sets.again_html(view))
    if comparable(view):
        with right:
            palette.render_chart(sets.map_chart(view), "places", "Concepts on a map of likeness")
            markup.note(
                f"Classical scaling: the two dimensions hold {numbers.percent(view.tree.shown)} of "
                "the variance, so trust the tree before the map. Hues are branches of the tree."
            )
    markup.render(sets.chosen_html(view, stop) + terms.key("expertise", "unit", "alignment"))
    with st.expander(f"{len(view.concepts)} concepts, their sentences and best units"):
        markup.render(sets.concepts_html(view))
    return stop


def comparable(view: ExpertLens) -> bool:
    """Whether there are concepts enough to say how alike they are."""
    return len(view.concepts) >= LEAST_ALIKE


def render_alike(view: ExpertLens) -> None:
    """Likeness and tree, or why there are none."""
    markup.head("Which concepts are alike?", "cosine of AP, less its mean over concepts")
    if comparable(view):
        palette.render_chart(
            sets.likeness_chart(view), "likeness", "Heat map of how alike concepts are"
        )
        return
    markup.note(
        f"It takes five concepts to say which are alike, and here are {len(view.concepts)}: of so "
        "few, the likeness comes from taking their mean away. No tree and no map either."
    )


def pairs_at(view: ExpertLens, stop: int) -> pl.DataFrame:
    """`pairs` with the Jaccard of experts at one τ (two empty sets share nothing: 0), whose ρ with
    `human` is the one that is said."""
    place = {word: number for number, word in enumerate(view.concepts["concept"])}
    ends = [[place[word] for word in view.pairs[side]] for side in ("word", "other")]
    shared = pl.Series(np.nan_to_num(view.experts[stop])[ends[0], ends[1]], dtype=pl.Float64)
    table = view.pairs.with_columns(shared.alias(f"experts at {view.taus[stop]:g}"))
    return table if comparable(view) else table.drop("centred")


def tables(view: ExpertLens, stop: int) -> dict[str, pl.DataFrame]:
    """What can be downloaded."""
    frames = {
        "concepts": view.concepts,
        "refused": view.refused,
        "agreement": view.agreement,
        "pairs": pairs_at(view, stop),
        "stability": view.stability,
        "experts by tau": view.chosen,
        "again": view.again,
        "other sentences": view.elsewhere,
    }
    return {name: frame for name, frame in frames.items() if len(frame)}


def answer(view: ExpertLens, stop: int) -> str:
    """The result in a few sentences."""
    row = view.chosen.row(stop, named=True)
    units, tau = "units" if view.units == "maps" else "features", numbers.fraction(row["tau"])
    text = (
        f"Of {view.width:,} {units}, {numbers.percent(row['share'])} are experts of a concept at "
        f"τ = {tau}, where shuffled labels give {numbers.percent(row['null'])}; "
    )
    if row["n"]:
        text += (
            f"of those chosen on train sentences, {numbers.percent(row['kept'])} are experts on "
            f"test sentences ({row['n']} of {len(view.concepts)} concepts have any)."
        )
    else:
        text += f"none of the {len(view.concepts)} concepts has one on train sentences."
    for name in view.agreement["ratings"].unique(maintain_order=True):
        rows = {row["measure"]: row for row in at_tau(view, stop).filter(ratings=name).to_dicts()}
        rho = {measure: numbers.fraction(row["rho"]) for measure, row in rows.items()}
        own = rows["experts"]
        null = f"; words permuted {between(own['null_low'], own['null_high'])}"
        text += (
            f" {name}, {own['n']} pairs: ρ with people {by_experts(own)}, {rho['cosine']} by all "
            f"AP; sentence embedder {rho['embedder']}, input embeddings {rho['inputs']}"
            f"{null if defined(own) else ''}."
        )
    return text


def defined(row: Mapping[str, Any]) -> bool:
    """Whether a row of `agreement` has a ρ: too few experts are all alike, and give none."""
    return numbers.known(row["rho"]) is not None


def by_experts(row: Mapping[str, Any]) -> str:
    """The ρ of experts with its interval, or why there is none."""
    if not defined(row):
        return "by experts undefined: too few experts"
    rho, has_interval = numbers.fraction(row["rho"]), numbers.known(row["low"]) is not None
    ends = between(row["low"], row["high"]) if has_interval else "no interval: too few experts"
    return f"{rho} ({ends}) by experts"


# ---------------------------------------------------------------- with people


def at_tau(view: ExpertLens, stop: int) -> pl.DataFrame:
    """The rows of `agreement` that are shown: of experts, those at one τ."""
    tau = pl.col("tau")
    return view.agreement.filter(tau.is_null() | (tau == view.taus[stop]))


def hue(ratings: str, view: ExpertLens) -> str:
    """The colour of a file of ratings."""
    names = view.pairs["ratings"].unique(maintain_order=True).to_list()
    return palette.current().categories[names.index(ratings) % 8]


def agreement_chart(view: ExpertLens, stop: int) -> go.Figure:
    """ρ of each measure with its interval, by file of ratings, over what permuted words give."""
    frame, colours, chart = at_tau(view, stop), palette.current(), palette.figure(height=340)
    names = frame["ratings"].unique(maintain_order=True).to_list()
    measures = [name for name in MEASURES if name in frame["measure"]]
    for number, name in enumerate(names):
        rows = {row["measure"]: row for row in frame.filter(ratings=name).iter_rows(named=True)}
        shift = (number - (len(names) - 1) / 2) * 0.26
        for place, measure in enumerate(measures):
            row = rows[measure]
            if defined(row) and row["null_low"] is not None:
                chart.add_shape(
                    type="rect", x0=row["null_low"], x1=row["null_high"], line_width=0,
                    y0=place + shift - 0.1, y1=place + shift + 0.1, fillcolor=colours.null,
                )  # fmt: skip
        measured_rows = [rows[measure] for measure in measures]
        rho, low, high = ([row[end] for row in measured_rows] for end in ("rho", "low", "high"))
        chart.add_scatter(
            x=rho, y=[place + shift for place in range(len(measures))],
            error_x=palette.error_bars(rho, low, high, color=hue(name, view)),
            mode="markers", marker={"color": hue(name, view), "size": 8},
            name=f"{name} · n {measured_rows[0]['n']} pairs, {measured_rows[0]['words']} words",
            hovertemplate="ρ %{x:.2f}<extra>" + name + "</extra>",
        )  # fmt: skip
    words = [
        MEASURES[m].replace("at τ", f"at τ {numbers.fraction(view.taus[stop])}") for m in measures
    ]
    chart.update_yaxes(
        tickvals=list(range(len(measures))), ticktext=words, autorange="reversed", showgrid=False
    )
    chart.add_vline(0, line={"color": colours.muted, "width": 1, "dash": "dash"})
    chart.update_xaxes(title="ρ · grey: permuted", showgrid=True)
    chart.update_layout(showlegend=True, legend={"y": -0.2, "x": -0.4})
    return chart


def human_chart(view: ExpertLens) -> go.Figure:
    """Each rated pair: what people say, and how alike its AP is."""
    chart = palette.figure(height=340)
    for (name,), part in view.pairs.group_by("ratings", maintain_order=True):
        words = [f"{one} · {other}" for one, other in part.select("word", "other").iter_rows()]
        chart.add_scatter(
            x=part["human"], y=part["centred"], mode="markers", name=str(name), text=words,
            marker={"color": hue(str(name), view), "size": 7, "opacity": 0.8},
            hovertemplate="<b>%{text}</b><br>people %{x:.1f} · AP %{y:.2f}<extra></extra>",
        )  # fmt: skip
    chart.update_xaxes(title="rating by people")
    chart.update_yaxes(title="cosine of AP, centred")
    return chart


def agreement_html(view: ExpertLens, stop: int) -> str:
    """Every measure on the same pairs, and what it has over the sentence embedder."""
    rows, order = [], pl.col("measure").replace_strict(list(MEASURES), range(len(MEASURES)))
    for row in at_tau(view, stop).sort("ratings", order).iter_rows(named=True):
        gain = "" if row["measure"] == "embedder" else markup.interval(
            row["over"], row["over_low"], row["over_high"])  # fmt: skip
        value = markup.interval(row["rho"], row["low"], row["high"])
        name = unbroken(escape(MEASURES[row["measure"]]))
        rows.append(
            [
                unbroken(escape(row["ratings"])),
                f"<b>{name}</b>" if row["measure"] in OURS else name,
                f"<b>{value}</b>" if defined(row) else "undefined: too few experts",
                between(row["null_low"], row["null_high"]) if defined(row) else "",
                gain if defined(row) else "",
                f"{row['n']} · {row['words']}",
            ]
        )
    note = (
        "Bootstraps over pairs and over words, of which the wider interval stands (too wide rather "
        "than too narrow); words permuted: the middle 95%. The last difference is on the same "
        "pairs and resamples: an interval that holds 0 says that neither is better. Many τ are "
        "offered, so the best of them is no finding. SimLex rates likeness, WordSim relatedness "
        f"too. {PUBLISHED}"
    )
    heads = ("rated by", "measure", "ρ", "words permuted", "over the embedder", "pairs · words")
    return markup.table(heads, rows, "ttnnnn", note)


TAB = Tab(render_choice, render)
