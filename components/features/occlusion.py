"""Why a feature fires in an example: its text by occlusion, the shortest runs, and their curve."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.features.views import FeatureView, Why
from backend.schema import Job
from components.features import examples
from components.features.inspector import peak
from components.shell import address, markup, numbers, palette
from components.shell.lists import frame_html
from components.shell.markup import chip, chips, escape
from components.shell.provenance import render_provenance
from components.shell.status import Desk, reported, waiting
from components.shell.stepping import INSPECTOR
from components.shell.tokens import piece_html

FAINT = 0.03  # effects below it are left untinted: rounding alone moves as much
LISTED = 6  # tokens in the table of effects


def render_examples(view: FeatureView, desk: Desk, study: str) -> None:
    """How examples are drawn, and the examples; under the one that is asked about, or above all,
    why it fires."""
    examples.render_draw(view)
    parts = examples.parts_of(view, desk, study)
    if waiting(parts, desk, "draw"):
        return
    _render_key(parts)
    rows = examples.examples_html(parts, view.feature, peak(view))
    token = address.get("why")
    after = next((place for place, (row, _) in enumerate(rows, 1) if row == token >= 0), 0)
    markup.render("".join(body for _, body in rows[:after]))
    if token >= 0:
        with st.container(key="why"):
            with st.container(horizontal=True, key="why-title", vertical_alignment="center"):
                st.html('<h3 class="title">Why it fires here</h3>')
                st.button("Close", type="tertiary", key="why-close", on_click=_open, args=(-1,))
            with reported():
                answer: Why | Job = desk.why(study, view.feature, token)
                if not waiting(answer, desk, "why"):
                    render(answer)
    markup.render("".join(body for _, body in rows[after:]))


def _render_key(parts: Sequence[examples.Part]) -> None:
    """The key that opens the first example's reasons, and closes what is open; each example has
    its link, so the button is out of sight."""
    items = [item for part in parts for item in part.draw.items]
    some = bool(items) and items[0].activation > 0
    is_open = address.get("why") >= 0
    st.button(
        "Why?",
        type="tertiary",
        shortcut="W",
        key="why-key",
        disabled=not (some or is_open),
        on_click=_open,
        args=(-1 if is_open or not items else items[0].token,),
    )


def _open(token: int) -> None:
    address.put(why=token)
    st.rerun([INSPECTOR])


# ---------------------------------------------------------------- the answer


def render(view: Why) -> None:
    """Text, curve, numbers, and how they were computed."""
    st.html(f"{head_html(view)}{text_html(view)}{legend_html()}")
    left, right = st.columns(2, gap="small")
    with left:
        alt = "Activation by the number of tokens before the peak that are read"
        palette.render_chart(runs_chart(view), "runs", alt)
    right.html(effects_html(view.tokens))
    st.html(how_html(view))
    render_provenance(view.provenance, "why")


def head_html(view: Why) -> str:
    """What is explained, the lengths of the shortest runs, and what rounding moves."""
    piece = view.passage.pieces[view.passage.focus]
    parts = [
        chip("fires on", markup.token(piece)),
        chip("activation", numbers.activation(view.stored), "as the corpus was read", "amber"),
    ]
    for row in view.shortest.iter_rows(named=True):
        name = f"{numbers.percent(row['share'])} from the last"
        parts.append(chip(name, escape(run_words(row)), f"“{row['text']}”"))
    kind = "note" if view.agrees else "note warn"
    words = rereading(view)
    return chips(parts) + (f'<p class="{kind}">{escape(words)}</p>' if words else "")


def rereading(view: Why) -> str:
    """That the activation read again is another than the stored one, and why; empty where both
    are shown by the same digits."""
    full, stored = numbers.activation(view.full), numbers.activation(view.stored)
    if full == stored:
        return ""
    off = f"{(view.full - view.stored) / view.stored:+.1%}".replace("-", "−")
    why = (
        f"Here the text is read again in other batches, where the model's number format rounds "
        f"differently: {full} instead of {stored} ({off})."
        if view.agrees
        else f"Read again the activation is {full}; it was {stored} when the corpus was read "
        f"({off}), which is more than rounding usually moves it."
    )
    return f"{why} Shares are of {full}."


def run_words(row: dict[str, object]) -> str:
    """How long a shortest run is, and from which length on all runs give as much."""
    length, steady = int(str(row["length"])), int(str(row["steady"]))
    tokens = "1 token" if length == 1 else f"{length} tokens"
    return tokens if steady == length else f"{tokens}, always from {steady} on"


# ---------------------------------------------------------------- the text


def text_html(view: Why) -> str:
    """The text up to the peak: tinted by effect, the shortest runs underlined."""
    marks = zip(view.shortest["length"].to_list(), ("half", "most"), strict=True)
    begins = {name: len(view.passage.pieces) - length for length, name in marks}
    rows = view.tokens.iter_rows(named=True)
    body = "".join(_piece(view, i, row, begins) for i, row in enumerate(rows))
    return f'<div class="passage why" dir="auto">{body}</div>'


def _piece(view: Why, index: int, row: dict[str, object], begins: dict[str, int]) -> str:
    effect = float(str(row["effect"]))
    classes = ["t", *(name for name, first in begins.items() if index >= first)]
    style = ""
    if abs(effect) >= FAINT:
        classes.append("up" if effect > 0 else "down")
        style = f' style="--a:{strength(effect):.2f}"'
    if index == view.passage.focus:
        classes.append("focus")
    text = piece_html(view.passage.pieces[index])
    title = escape(f"{row['text']!r} · {words(row)} · token {view.passage.first + index:,}")
    return f'<span class="{" ".join(classes)}"{style} title="{title}">{text}</span>'


def words(row: dict[str, object]) -> str:
    """What replacing a token does, with the range over what stood in for it."""
    effect, low, high = (numbers.known(row[name]) or 0.0 for name in ("effect", "low", "high"))
    does = "keeps it firing" if effect > 0 else "holds it back"
    verdict = does if abs(effect) >= FAINT else "no effect to speak of"
    return f"{verdict}: lost {effect:.1%} ({low:.1%} to {high:.1%})"


def strength(effect: float) -> float:
    """Opacity of a tint; the root lets small effects be seen."""
    return min(1.0, abs(effect)) ** 0.5


def legend_html() -> str:
    """What tints and lines mean: full blue is all of the activation."""
    steps = [("down", i / 4) for i in (4, 3, 2, 1)] + [("up", i / 4) for i in (1, 2, 3, 4)]
    strip = "".join(
        f'<span class="t {side}" style="--a:{strength(effect):.2f}"></span>'
        for side, effect in steps
    )
    return (
        '<div class="legend why"><span>holds it back −100% '
        f'<span class="steps">{strip}</span> 100% keeps it firing</span>'
        '<span>shortest run: <span class="t half">50%</span> <span class="t most">80%</span></span>'
        "</div>"
    )


# ---------------------------------------------------------------- curve and numbers


def runs_chart(view: Why) -> go.Figure:
    """Activation by how many tokens before the peak are read; rings mark the shortest runs."""
    colours, runs = palette.current(), view.runs
    chart = palette.figure(168)
    for share in (*view.shortest["share"], 1.0):
        line = {"color": colours.muted, "width": 1, "dash": "dot"}
        chart.add_hline(share * view.full, line=line, opacity=0.5)
    chart.add_scatter(
        x=(runs["length"] - 1).to_list(),
        y=runs["activation"].to_list(),
        mode="lines+markers",
        line={"color": colours.amber, "width": 1.5},
        marker={"size": 3.5},
        customdata=list(zip(map(repr, runs["first"]), runs["share"], strict=True)),
        hovertemplate="from %{customdata[0]}, %{x} before<br>%{y:.3~g} · %{customdata[1]:.0%}"
        "<extra></extra>",
    )
    ring = {"color": colours.accent, "width": 2}
    shortest = runs[(view.shortest["length"] - 1).to_list()]
    chart.add_scatter(
        x=(shortest["length"] - 1).to_list(),
        y=shortest["activation"].to_list(),
        mode="markers",
        marker={"size": 9, "color": colours.ground, "line": ring},
        hoverinfo="skip",
    )
    chart.update_xaxes(title="tokens before the peak", rangemode="tozero", dtick=_step(len(runs)))
    chart.update_yaxes(title="", rangemode="tozero", nticks=4)
    return chart.update_layout(margin={"l": 0, "r": 4, "t": 6, "b": 4})


def _step(count: int) -> int:
    return next(step for step in (1, 2, 5, 10, 20, 50, 100, 10**6) if count <= 6 * step)


def effects_html(tokens: pl.DataFrame) -> str:
    """The tokens whose replacement moves the activation most."""
    most = tokens.sort(pl.col("effect").abs(), descending=True, maintain_order=True).head(LISTED)
    columns = (
        ("token", "t", markup.token, "text"),
        ("before", "n", lambda before: numbers.count(before) if before else "peak", "before"),
        ("", "b", lambda lost: markup.bar(abs(lost), "blue" if lost > 0 else "orange"), "effect"),
        ("lost", "n", numbers.percent, "effect"),
    )
    return frame_html(most, columns)


def how_html(view: Why) -> str:
    """How it was computed, in a line."""
    stand_ins = " ".join(markup.token(text) for text in view.stand_ins)
    return (
        '<p class="note">Each token up to the peak is replaced in turn by others that are '
        f"commonest in the corpus ({stand_ins}); the mean loss is shown. A run is the last tokens "
        "alone after a BOS, the shortest the first to reach its share. Later tokens cannot matter: "
        "the model reads from left to right.</p>"
    )
