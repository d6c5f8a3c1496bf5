"""Examples of a feature: aligned on their peak, as snippets, or as whole contexts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import streamlit as st

from backend.corpus.views import Draw, Passage
from backend.features.views import Example, FeatureView
from backend.regions.views import Probe
from backend.schema import Job
from components.features import inspector
from components.shell import address, controls, markup, numbers
from components.shell.links import anchor
from components.shell.markup import escape, visible
from components.shell.status import Desk, reported, waiting
from components.shell.stepping import INSPECTOR, render_draw_again
from components.shell.tokens import Look, legend_html, part, passage_html, peak_of, window

SIDE = 14  # tokens beside the peak in a snippet
DRAWS = {"top": "strongest", "all": "all quantiles", "random": "random"} | {
    "silent": "where it does not fire"
}
COUNT = 10  # examples of one draw
FIRST, EACH = 5, 3  # of all quantiles: the strongest, and of each tenth
BANDS = 10
NONE = "There is no such example: it fires nowhere in these texts."


@dataclass(frozen=True)
class Part:
    """Examples that were drawn in one way, under a heading where there are several."""

    heading: str
    draw: Draw[Example]


def render_draw(view: FeatureView) -> None:
    """Which examples, how they are drawn and shown."""
    with st.container(horizontal=True, gap="small", key="draw", vertical_alignment="center"):
        controls.selectbox(
            "draw",
            "Examples",
            list(DRAWS),
            format_func=lambda draw: DRAWS.get(draw, f"{draw} of {BANDS}"),
            label_visibility="collapsed",
            width=132,
            rerun=(INSPECTOR,),
            also={"seed": 0},
        )
        controls.selectbox(
            "facet",
            "Topic",
            ["", *view.topics["topic"].to_list()],
            format_func=lambda topic: topic or "all topics",
            label_visibility="collapsed",
            width=100,
            rerun=(INSPECTOR,),
        )
        controls.segmented_control(
            "view", "View", address.VIEWS, label_visibility="collapsed", rerun=(INSPECTOR,)
        )
        if address.get("draw") != "top":
            render_draw_again(view.feature)


def parts_of(view: FeatureView, desk: Desk, study: str) -> list[Part] | Job:
    """The examples that the controls ask for, or the job that computes what they need."""
    kind, contexts = address.get("draw"), int(view.quantiles["count"].sum())
    draws = [(kind, COUNT)]
    if kind == "all":
        bands = [f"quantile {band}" for band in range(BANDS, 0, -1)]
        draws = [("top", FIRST), *((band, EACH) for band in bands)]
        if contexts <= COUNT:  # tenths of so few say nothing that a list of all does not
            draws = [("top", COUNT)]
    parts = []
    for draw, count in draws:
        how = draw, count, address.get("seed"), address.get("facet")
        answer: Draw[Example] | Job = desk.feature_examples(study, view.feature, *how)
        if isinstance(answer, Job):
            return answer
        parts.append(Part(_heading(draw, answer.population) if kind == "all" else "", answer))
    return [part for part in parts if part.draw.items] or parts[:1]


def _heading(draw: str, contexts: int) -> str:
    n = f"n = {contexts:,} contexts"
    if draw == "top":
        return f"{'All there are' if contexts <= COUNT else 'Strongest'} · {n}"
    band = int(draw.split()[1])
    ends = {BANDS: ", the strongest", 1: ", the weakest"}
    return f"Tenth {band} of {BANDS} by peak{ends.get(band, '')} · {n}"


def examples_html(parts: Sequence[Part], feature: int, strongest: float) -> list[tuple[int, str]]:
    """Token of each example (-1: of what stands above them) and its HTML. Full amber is the
    feature's maximum everywhere."""
    passages = [item.passage for part in parts for item in part.draw.items]
    if not passages:
        return [(-1, f'<p class="note">{NONE}</p>')]
    peak, view = strongest or peak_of(passages), address.get("view")
    rows = []
    for place, each in enumerate(parts):
        how, legend = escape(each.draw.how), "" if place else legend_html(peak)
        head = f'<p class="note">{how}</p>'
        if each.heading:
            head = f'<h4 class="tenth" title="{how}">{escape(each.heading)}</h4>'
        rows.append((-1, f'<div class="said">{head}{legend}</div>'))
        first = 1 + sum(len(part.draw.items) for part in parts[:place])
        rows += [
            (item.token, _example(item, feature, view, peak, number))
            for number, item in enumerate(each.draw.items, first)
        ]
    return rows


def _example(item: Example, feature: int, view: str, peak: float, place: int) -> str:
    passage = item.passage
    link = anchor(
        "document",
        "document",
        title=passage.title,
        document=passage.document,
        feature=feature,
        place=place,
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


def render_own(desk: Desk, study: str, view: FeatureView) -> None:
    """A field for one's own text, closed while there is none, and under it the answer."""
    text = address.get("own").strip()
    with st.expander("Try your own text", expanded=bool(text), key="own-text"):
        controls.text_area(
            "own",
            "Your text",
            label_visibility="collapsed",
            placeholder="Write or paste a text, then press Ctrl+Enter",
            height=72,
            max_chars=2000,
            rerun=(INSPECTOR,),
        )
        if text:
            with reported():
                probe: Probe | Job = desk.probe(study, text, view.feature)
                if not waiting(probe, desk, "probe"):
                    markup.render(probe_html(probe, inspector.peak(view)))


def probe_html(probe: Probe, strongest: float) -> str:
    """One's own text with the feature's values, and the strongest features of each token."""
    highest = peak_of([probe.passage])
    full = max(strongest, highest)
    passage = replace(probe.passage, focus=probe.near.position) if probe.near else probe.passage
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
        f'<p class="answer">{escape(fires_words(probe))}</p>'
        f"{passage_html(passage, Look(full))}{legend_html(full) if highest else ''}"
        f"<details><summary>Strongest features of each token</summary>{table}</details>"
    )


def fires_words(probe: Probe) -> str:
    """Whether and how strongly the feature fires on one's own text."""
    values = probe.passage.values
    firing = sum(value > 0 for value in values)
    if not firing:
        return f"Silent on {_all_tokens(len(values))}.{_near_words(probe)}"
    most = numbers.activation(max(values))
    return f"Fires on {firing:,} of {_tokens(len(values))}, at most {most}."


def _near_words(probe: Probe) -> str:
    """Where it comes nearest to firing, and how near that is."""
    if (near := probe.near) is None:
        return ""
    below = numbers.activation(near.needed - near.preactivation)
    value, needed = (numbers.activation(each) for each in (near.preactivation, near.needed))
    piece = visible(probe.passage.pieces[near.position]).strip() or "white space"
    return (
        f" It comes nearest at “{piece}”: the encoder gives {value} there, {below} below the "
        f"{needed} from which it fires."
    )


def _tokens(count: int) -> str:
    return "1 token" if count == 1 else f"{count:,} tokens"


def _all_tokens(count: int) -> str:
    return "its only token" if count == 1 else f"all {count:,} tokens"
