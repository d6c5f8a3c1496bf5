"""One feature's tier: its correlation scores, and the windows that they stand on."""

from __future__ import annotations

from backend.schema import Tier, TierSpec
from backend.views import TierEvidence, TierTable, WindowText
from components import markup, numbers, palette
from components.links import anchor
from components.markup import escape
from components.tiers import side_words
from components.tokens import piece_html

SHOWN = 240  # characters of a window


def head_html(view: TierEvidence, whole: TierTable) -> str:
    """The tier, and where each ρ stands."""
    spec, thresholds = whole.spec, whole.thresholds
    tier = int(whole.table["tier"][view.feature])
    dot = f'<i class="dot" style="background:{palette.tier(tier)}"></i>'
    link = anchor("its page", "features", feature=view.feature)
    said = f'<div class="exemplar">{dot}<b>{Tier(tier).name.lower()}</b> {link}</div>'
    rows = [
        [
            row["window"],
            escape(side_words(row["window"], getattr(spec, row["window"]))),
            numbers.fraction(row["rho"]),
            numbers.fraction(getattr(thresholds, row["window"])),
            "yes" if (row["rho"] or -1) >= getattr(thresholds, row["window"]) else "no",
            numbers.percent(row["below"]),
        ]
        for row in view.rho.iter_rows(named=True)
    ]
    heads = ("window", "tokens", "ρ", "τ", "ρ ≥ τ", "of random sets below")
    return said + markup.table(heads, rows, "ttnntn")


def windows_html(view: TierEvidence, spec: TierSpec) -> str:
    """The windows of every example, strongest first."""
    rows = [
        [
            numbers.activation(strength),
            *(_cell(window) for window in example[: 2 if not spec.cross else 3]),
        ]
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


def _cell(window: WindowText) -> str:
    text = window.text if len(window.text) <= SHOWN else window.text[:SHOWN] + "…"
    mark = (
        ' <span class="mark" title="cut by the end of the context">✂</span>' if window.cut else ""
    )
    return f'<span class="passage">{piece_html(text, breaks=False)}</span>{mark}'
