"""One feature's tier: its labels, its correlation scores, and the windows that they stand on."""

from __future__ import annotations

from typing import Any

import polars as pl

from backend.schema import Job, Tier, TierSpec
from backend.tiers.views import TierEvidence, TierTable, WindowText
from backend.tiers.words import WINDOWS
from components.experiments.results import name
from components.shell import address, markup, numbers
from components.shell.links import anchor
from components.shell.lists import Column, frame_html
from components.shell.markup import escape
from components.shell.status import Desk, render_empty, waiting
from components.shell.tokens import piece_html
from components.tiers import table
from components.tiers.table import dot, side_words, tier_of

SHOWN = 240  # characters of a window
SOON, MOST = 0.01, 7  # a distance to τ that two decimals may hide, and decimals at most


def render(desk: Desk, study: str, whole: TierTable) -> None:
    """The open feature, and the way to the one before and after it."""
    labels = table.labels(desk, study, whole)
    table.SORTED_FEATURES.render_title(table.steps(whole, labels))
    if (number := address.get("feature")) is None:
        render_empty("No feature is open.", "Click a point or a row, or press N.")
        return
    evidence: TierEvidence | Job = desk.tier_evidence(study, number, whole.spec)
    if not waiting(evidence, desk, "evidence"):
        markup.render(html(evidence, whole, labels))


def html(view: TierEvidence, whole: TierTable, labels: pl.DataFrame | None) -> str:
    """All of it: the tier, labels, windows."""
    head, own = head_html(view, whole), labels_html(view.feature, labels)
    return head + own + windows_html(view, whole.spec) + contexts_html(view, whole)


def head_html(view: TierEvidence, whole: TierTable) -> str:
    """The tier, and where each ρ stands."""
    spec, thresholds = whole.spec, whole.thresholds
    tier = tier_of(whole.table["tier"][view.feature])
    link = anchor("its page", "features", feature=view.feature, **settings())
    head = (
        f'<div class="exemplar">{dot(tier)}<b>{tier.title}</b> {link}'
        f'<p class="answer">{escape(reason(whole, view.feature))}</p></div>'
    )
    rows = [
        [
            window,
            escape(side_words(window, getattr(spec, window))),
            *against(rho, getattr(thresholds, window)),
            numbers.percent(below),
        ]
        for window, rho, below in view.rho.select("window", "rho", "below").iter_rows()
    ]
    heads = ("window", "tokens", "ρ", "τ", "ρ ≥ τ", "of random sets below")
    return head + markup.table(heads, rows, "ttnntn")


def settings() -> dict[str, Any]:
    """Windows and thresholds as they are looked at, which links hand on."""
    return {name: address.get(name) for name in address.SORTED}


def line_html(whole: TierTable | None, feature: int, label: str = "") -> str:
    """A feature's tier and why, in a line, with the way to Tiers, and whether its `label` counts
    the other side of the peak; where tiers are not computed, the way alone."""
    if whole is None:
        link = anchor("Tiers", "tiers", feature=feature, **settings())
        return f'<p class="note">Its tier is not computed: {link}.</p>'
    tier = tier_of(whole.table["tier"][feature])
    link = anchor(tier.title, "tiers", "open it on Tiers", feature=feature, **settings())
    why = escape(f"{reason(whole, feature)} {beside_tier(tier, label)}")
    return f'<p class="note">Tier {dot(tier)}{link} {why}</p>'


def beside_tier(tier: Tier, label: str) -> str:
    """What a label by counting says that is not of the side of the tier, in a sentence: on that
    side too few excerpts share a token."""
    side, _, _ = label.partition(' "')
    if tier == Tier.OUTPUT and side in ("token", "after"):
        return "The label counts what stands at or before the peak, not what follows."
    if tier == Tier.INPUT and side == "say":
        return "The label counts what follows the peak, not what stands at or before it."
    return ""


def reason(whole: TierTable, feature: int) -> str:
    """Why a feature is in its tier, in a sentence."""
    row = whole.table.row(feature, named=True)
    tier, over = tier_of(row["tier"]), {n: row[n] - getattr(whole.thresholds, n) for n in WINDOWS}
    if tier == Tier.UNSCORED:
        return "It has fewer than two examples in different documents."
    if tier == Tier.OBSCURE:
        return "No ρ reaches its τ."
    if tier == Tier.CROSS:
        return f"Neither ρ input nor ρ output reaches its τ; ρ cross is {_above(over['cross'])} it."
    own, other = ("input", "output") if tier == Tier.INPUT else ("output", "input")
    if not over[other] >= 0:  # nor where it has none
        return f"ρ {own} is {_above(over[own])} its τ; ρ {other} does not reach its own."
    larger, smaller = _above(over[own], over[other]), _above(over[other], over[own])
    return (
        f"Both reach their τ: ρ {own} is {larger} it, ρ {other} {smaller}; the larger excess "
        "decides."
    )


def _above(excess: float, rival: float = 0.0) -> str:
    """By how much ρ exceeds τ, in as many digits as tell it from another excess."""
    digits = 2
    while digits < MOST and excess != rival and f"{excess:.{digits}f}" == f"{rival:.{digits}f}":
        digits += 1
    return f"{numbers.fraction(excess, digits)} above"


def against(rho: float | None, tau: float) -> tuple[str, str, str]:
    """ρ, τ and whether ρ reaches it, in as many digits as that takes."""
    if rho is None:
        return numbers.MISSING, numbers.fraction(tau), "no"
    reaches, digits = "yes" if rho >= tau else "no", 3 if abs(rho - tau) < SOON else 2
    while digits < MOST and rho != tau and f"{rho:.{digits}f}" == f"{tau:.{digits}f}":
        digits += 1
    return numbers.fraction(rho, digits), numbers.fraction(tau, digits), reaches


def labels_html(feature: int, labels: pl.DataFrame | None) -> str:
    """What people and the feature's route call it; nothing where nobody does."""
    if labels is None or not len(own := labels.filter(feature=feature)):
        return ""
    columns: list[Column] = [
        ("method", "t", name, "method"),
        ("label", "t", _label, "label", "failed"),
    ]
    if any(own["writer"]):
        columns.append(("by", "t", escape, "writer"))
    return frame_html(own, columns)


def _label(label: str, failed: str) -> str:
    return escape(failed) if failed else f"<b>{markup.label(label)}</b>"


def windows_html(view: TierEvidence, spec: TierSpec) -> str:
    """The windows of every example, strongest first; whole contexts below the others."""
    count = 3 if spec.cross else 2
    rows = [
        [numbers.activation(strength), *(_cell(window) for window in example[:count])]
        for strength, example in zip(view.strengths, view.examples, strict=True)
    ]
    cut = sum(window.cut for example in view.examples for window in example)
    note = f"{len(view.examples)} strongest examples, one a document."
    if cut:
        note += f" ✂ {cut} windows end with their context, before their last token."
    heads = ["activation", "up to the peak", "after it"]
    if spec.cross:
        heads.append("around it")
    return markup.table(heads, rows, "n" + "t" * (len(heads) - 1), note)


def contexts_html(view: TierEvidence, whole: TierTable) -> str:
    """The whole contexts that ρ cross stands on, open where they decided the tier."""
    if whole.spec.cross:
        return ""  # a window, beside the others
    rows = [
        [
            numbers.activation(strength),
            f'<span class="passage">{piece_html(example[2].text, breaks=False)}</span>',
        ]
        for strength, example in zip(view.strengths, view.examples, strict=True)
    ]
    state = " open" if whole.table["tier"][view.feature] == Tier.CROSS.title else ""
    table = markup.table(("activation", "the peak's whole context"), rows, "nt")
    summary = "Whole contexts, which ρ cross stands on"
    return f"<details{state}><summary>{summary}</summary>{table}</details>"


def _cell(window: WindowText) -> str:
    text = window.text if len(window.text) <= SHOWN else window.text[:SHOWN] + "…"
    mark = ' <span class="mark" title="cut by the end of the context">✂</span>'
    cell = f'<span class="passage">{piece_html(text, breaks=False)}</span>'
    return cell + mark if window.cut else cell
