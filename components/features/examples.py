"""Examples of a feature: aligned on their peak, as snippets, or as whole contexts."""

from __future__ import annotations

import streamlit as st

from backend.corpus.views import Draw, Passage
from backend.features.views import Example, FeatureView
from backend.regions.views import Probe
from components.shell import address, controls, markup, numbers
from components.shell.browsing import INSPECTOR, render_draw_again
from components.shell.links import anchor
from components.shell.markup import escape
from components.shell.tokens import Look, legend_html, part, passage_html, peak_of, window

SIDE = 14  # tokens beside the peak in a snippet
DRAWS = {"top": "strongest", "random": "random", "silent": "where it is silent"}


def render_draw(view: FeatureView) -> None:
    """Which examples, how they are drawn and shown."""
    with st.container(horizontal=True, gap="small", key="draw", vertical_alignment="center"):
        controls.selectbox(
            "draw",
            "Examples",
            address.EXAMPLE_DRAWS,
            format_func=lambda draw: DRAWS.get(draw, f"{draw} of 10"),
            label_visibility="collapsed",
            width=148,
            rerun=(INSPECTOR,),
            also={"seed": 0},
        )
        controls.selectbox(
            "facet",
            "Topic",
            ["", *view.topics["topic"].to_list()],
            format_func=lambda topic: topic or "all topics",
            label_visibility="collapsed",
            width=132,
            rerun=(INSPECTOR,),
        )
        controls.segmented_control(
            "view", "View", address.VIEWS, label_visibility="collapsed", rerun=(INSPECTOR,)
        )
        render_draw_again(view.feature, "top")


def examples_html(draw: Draw, feature: int, view: str, strongest: float) -> list[str]:
    """How a sample was drawn, then each of its examples. Full amber is the feature's maximum
    everywhere."""
    items = [item for item in draw.items if isinstance(item, Example)]
    if not items:
        return ['<p class="note">There is no such example.</p>']
    peak = strongest or peak_of([item.passage for item in items])
    rows = [_example(item, feature, view, peak) for item in items]
    note = f'<p class="note">{escape(draw.how)}</p>'
    return [f'<div class="said">{note}{legend_html(peak)}</div>', *rows]


def _example(item: Example, feature: int, view: str, peak: float) -> str:
    passage = item.passage
    link = anchor(
        "document",
        "document",
        title=passage.title,
        document=passage.document,
        feature=feature,
        token=item.token,
    )
    why = _why(item, feature) if item.activation > 0 else ""
    facts = (
        f'<div class="facts"><span><b>{numbers.activation(item.activation)}</b></span>'
        f"<span>{escape(passage.topic)} · {link}</span><span>{why}</span></div>"
    )
    if view == "stacked":
        return f'<div class="sample stacked">{_aligned(passage, peak)}<span>{why}</span></div>'
    snippet = window(passage, SIDE + 6, SIDE) if view == "snippet" else passage
    text = passage_html(snippet, Look(peak, breaks=view == "full"))
    return f'<div class="sample">{text}{facts}</div>'


def _why(item: Example, feature: int) -> str:
    """The way to what makes it fire there; the link opens the same examples."""
    how = {name: address.get(name) for name in ("draw", "view", "facet", "seed")}
    hint = "What in this text makes it fire"
    return anchor("Why?", "features", hint, feature=feature, why=item.token, **how)


def _aligned(passage: Passage, peak: float) -> str:
    """One line with the peak in the middle."""
    near = window(passage, 18, 18)
    focus = max(0, near.focus)
    left, middle, right = (
        passage_html(part(near, first, last), Look(peak, breaks=False))
        for first, last in ((0, focus), (focus, focus + 1), (focus + 1, len(near.pieces)))
    )
    return (
        f'<span class="left"><bdi>{left}</bdi></span><span>{middle}</span>'
        f'<span class="right">{right}</span>'
    )


# ---------------------------------------------------------------- own text


def render_own() -> str:
    """A field for one's own text; gives the text to read, or nothing."""
    markup.head("Try your own text", "each token is valued by this feature")
    controls.text_area(
        "own",
        "Your text",
        label_visibility="collapsed",
        placeholder="Write or paste a text, then press Ctrl+Enter",
        height=72,
        max_chars=2000,
        rerun=(INSPECTOR,),
    )
    return address.get("own").strip()


def probe_html(probe: Probe, strongest: float) -> str:
    """One's own text with the feature's values, and the strongest features of each token."""
    peak = max(strongest, peak_of([probe.passage]))
    top = probe.top.filter(probe.top["activation"] > 0).sort(
        ["position", "activation"], descending=[False, True]
    )
    rows = []
    for (position,), group in top.group_by("position", maintain_order=True):
        piece = probe.passage.pieces[int(str(position))]
        features = " · ".join(
            f"{anchor(str(row['feature']), 'features', feature=row['feature'])} "
            f"<small>{numbers.activation(row['activation'])}</small>"
            for row in group.head(5).iter_rows(named=True)
        )
        rows.append([str(position), markup.token(piece), features])
    table = markup.table(("", "token", "strongest features"), rows, "ntt")
    return (
        f"{passage_html(probe.passage, Look(peak))}{legend_html(peak)}"
        f"<details><summary>Strongest features of each token</summary>{table}</details>"
    )
