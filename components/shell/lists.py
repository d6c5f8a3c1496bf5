"""A frame as a table, and the short tables that regions and features share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import polars as pl
import streamlit as st

from components.shell import markup, numbers
from components.shell.links import anchor
from components.shell.markup import escape

ON_A_LINE = 10  # tokens of a line; what does not fit is cut
REACH = 3.0  # lifts are drawn from 1/8 to 8, in powers of two

# a column of a table: its name, its kind as in `markup.table`, how it shows fields, and these
Column = tuple[str, str, Callable[..., str], *tuple[str, ...]]
FEATURE: Column = ("feature", "t", lambda n: anchor(str(n), "features", feature=n), "feature")
REGION: Column = ("region", "t", lambda n: anchor(str(n), "regions", region=n), "region")
TOP_TOKEN: Column = ("top token", "t", lambda text: markup.token(str(text)), "top_token")
EXEMPLAR: Column = ("exemplar", "t", lambda text: markup.token(str(text)), "token")


def frame_html(frame: pl.DataFrame, columns: Sequence[Column], note: str = "") -> str:
    """The rows of a frame as a quiet table."""
    rows = [
        [show(*(row[name] for name in fields)) for _, _, show, *fields in columns]
        for row in frame.iter_rows(named=True)
    ]
    heads, kinds = [column[0] for column in columns], "".join(column[1] for column in columns)
    return markup.table(heads, rows, kinds, note)


def render_tabs(bodies: Mapping[str, str]) -> None:
    """What else is known of the open region or feature, a tab each."""
    for tab, body in zip(st.tabs(tuple(bodies), key="details"), bodies.values(), strict=True):
        tab.html(body)


def share_html(frame: pl.DataFrame, note: str) -> str:
    """Texts with their count and share; with a mean activation where there is one."""
    means = "mean" in frame.columns
    columns: list[Column] = [
        ("token", "t", markup.token, "text"),
        ("", "b", lambda share: markup.bar(share, "amber" if means else "teal"), "share"),
        ("count", "n", numbers.count, "count"),
        ("share", "n", numbers.percent, "share"),
    ]
    if means:
        columns.append(("mean", "n", numbers.activation, "mean"))
    return frame_html(frame, columns, note)


def logits_html(promoted: pl.DataFrame, suppressed: pl.DataFrame, note: str) -> str:
    """Promoted tokens in blue beside suppressed ones in orange."""
    both = [*promoted["logit"].to_list(), *suppressed["logit"].to_list()]
    peak = max((abs(value) for value in both), default=1.0) or 1.0
    if not both:
        return f'<p class="note">{escape(note)} Not computed yet.</p>'

    def side(name: str, frame: pl.DataFrame, hue: str) -> str:
        columns: tuple[Column, ...] = (
            (name, "t", markup.token, "text"),
            ("", "b", lambda logit: markup.bar(abs(logit) / peak, hue), "logit"),
            ("logit", "n", numbers.fraction, "logit"),
        )
        return frame_html(frame.head(12), columns)

    tables = side("promoted", promoted, "blue") + side("suppressed", suppressed, "orange")
    return f'<p class="note">{escape(note)}</p><div class="pair">{tables}</div>'


def logits_lines_html(promoted: pl.DataFrame, suppressed: pl.DataFrame) -> str:
    """A line of the tokens that are promoted most and one of those suppressed most; the larger
    the effect, the deeper the colour."""
    both = [*promoted["logit"].to_list(), *suppressed["logit"].to_list()]
    if not both:
        return '<p class="note">Logits: not computed yet.</p>'
    peak = max(map(abs, both)) or 1.0

    def line(name: str, frame: pl.DataFrame, side: str) -> str:
        tokens = " ".join(
            f'<span class="t {side}" style="--a:{abs(logit) / peak:.2f}" '
            f'title="{numbers.signed(logit)}">{markup.token(text)}</span>'
            for text, logit in frame.select("text", "logit").head(ON_A_LINE).iter_rows()
        )
        return f"<span>{name}</span><span>{tokens}</span>"

    lines = line("promotes", promoted, "up") + line("suppresses", suppressed, "down")
    return f'<div class="logits">{lines}</div>'


def topics_html(frame: pl.DataFrame) -> str:
    """Topics against the corpus: lift as a dot with its interval on a doubling scale."""
    columns: tuple[Column, ...] = (
        ("topic", "t", escape, "topic"),
        ("⅛ … 1 … 8", "b", interval, "lift", "low", "high"),
        ("lift", "n", numbers.times, "lift"),
        ("n", "n", numbers.count, "count"),
        ("share", "n", numbers.percent, "share"),
        ("corpus", "n", numbers.percent, "prior"),
    )
    note = "Lift over the corpus with 95% Wilson intervals; dashed: no lift."
    return frame_html(frame.head(16), columns, note)


def interval(value: float, low: float, high: float) -> str:
    """A dot with its interval around a dashed line at ×1."""
    centre, start, end = (place(number) for number in (value, low, high))
    return (
        '<span class="ci"><i class="chance"></i>'
        f'<i class="range" style="left:{start:.1f}%;width:{max(0.0, end - start):.1f}%"></i>'
        f'<i class="point" style="left:{centre:.1f}%"></i></span>'
    )


def place(lift: float | None) -> float:
    """Where a lift lies on the scale, 0..100."""
    if lift is None or math.isnan(lift) or lift <= 0:
        return 0.0
    return 50 + 50 * max(-1.0, min(1.0, math.log2(lift) / REACH))


_MATCH: tuple[Column, ...] = (
    ("", "b", lambda f1: markup.bar(f1, "amber"), "f1"),
    ("F1", "n", numbers.fraction, "f1"),
    ("prec.", "n", numbers.fraction, "precision"),
    ("recall", "n", numbers.fraction, "recall"),
)
_MATCH_NOTE = "How well “the feature fires” says “the token is in the region”."


def features_html(frame: pl.DataFrame) -> str:
    """SAE features that fire on a region's members."""
    return frame_html(frame, (FEATURE, TOP_TOKEN, *_MATCH), _MATCH_NOTE)


def regions_html(frame: pl.DataFrame) -> str:
    """Regions whose members a feature fires on."""
    return frame_html(frame, (REGION, EXEMPLAR, *_MATCH), _MATCH_NOTE)
