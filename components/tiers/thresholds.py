"""Thresholds of tiers, and what they say of all features: in a sentence, and in numbers."""

from __future__ import annotations

import streamlit as st

from backend.schema import Thresholds, Tier
from backend.tiers.views import TierTable
from components.shell import address, controls, markup, numbers, terms
from components.tiers.table import SORTED, TAUS, dot, thresholds

WAYS = {
    Tier.UNSCORED: "fewer than two examples in different documents",
    Tier.INPUT: "tier 1: label by counting what is shared up to the peak",
    Tier.OUTPUT: "tier 1: label by counting what follows the peak",
    Tier.CROSS: "tier 2: label by a model",
    Tier.OBSCURE: "tier 3: label by hand",
}
STEP_SIZE, DIGITS = 0.005, "%.3f"
HELP = "Drag, use the arrow keys, or write a number. N and P still open the next feature."


def render(view: TierTable) -> None:
    """What the thresholds of now say, and where they are changed."""
    markup.render(counts_html(view))
    render_thresholds()
    render_defaults()


def render_thresholds() -> None:
    """τ of each window, as a slider and as a number: every feature is sorted anew at once."""
    for column, (field, window) in zip(st.columns(3, gap="large"), TAUS.items(), strict=True):
        look = {"step": STEP_SIZE, "format": DIGITS, "rerun": SORTED}
        with column:
            left, right = st.columns([5, 2], gap="small", vertical_alignment="bottom")
            with left:
                controls.slider(field, f"τ {window}", help=f"{terms.hint('τ')} {HELP}", **look)
            with right:
                label = f"τ {window} as a number"
                controls.number_input(
                    field, label, twin=":number", label_visibility="collapsed", **look
                )


def render_defaults() -> None:
    """Back to the thresholds that come with Tessera."""
    usual = Thresholds()
    st.button(
        f"Defaults: τ {usual.input:.3f}, {usual.output:.3f}, {usual.cross:.3f}",
        type="tertiary",
        key="defaults",
        on_click=_reset,
        disabled=thresholds() == usual,
    )


def _reset() -> None:
    address.put(**{name: address.SORTED[name].default for name in TAUS})
    st.rerun(list(SORTED))


def counts_html(view: TierTable) -> str:
    """How many features are in each tier, and who is to label them."""
    total = max(1, sum(view.counts.values()))
    chips = []
    for tier in Tier:
        count = view.counts[tier.title]
        if tier != Tier.UNSCORED or count:
            value = f"{dot(tier)}{numbers.count(count)} · {numbers.percent(count / total)}"
            chips.append(markup.chip(tier.title, value, WAYS[tier]))
    return f'<p class="finding">{sentence(view.counts)}</p>' + markup.chips(chips)


def sentence(counts: dict[str, int]) -> str:
    """What the tiers say of the features, and what labelling them so saves."""
    scored = sum(counts.values()) - counts[Tier.UNSCORED.title]
    calls, rest = counts[Tier.CROSS.title], counts[Tier.OBSCURE.title]
    first = counts[Tier.INPUT.title] + counts[Tier.OUTPUT.title]
    share = numbers.percent(first / max(1, scored))
    return (
        f"The tokens at the peak or right after it explain {share} of {numbers.count(scored)} "
        f"features: their labels are counted. A model reads {numbers.count(calls)}, which share "
        f"their contexts, instead of all: {numbers.percent((scored - calls) / max(1, scored))} of "
        f"its calls are spared. {numbers.count(rest)} share nothing that was measured: those need "
        "a person."
    )
