"""Short tables that regions and features share: tokens, logits, topics, matches."""

from __future__ import annotations

import math

import polars as pl

from components.shell import markup, numbers
from components.shell.links import anchor
from components.shell.markup import escape

REACH = 3.0  # lifts are drawn from 1/8 to 8, in powers of two


def share_html(frame: pl.DataFrame, note: str) -> str:
    """Texts with their count and share; with a mean activation where there is one."""
    means = "mean" in frame.columns
    rows = [
        [
            markup.token(row["text"]),
            markup.bar(row["share"], "teal" if not means else "amber"),
            numbers.count(row["count"]),
            numbers.percent(row["share"]),
            *([numbers.activation(row["mean"])] if means else []),
        ]
        for row in frame.iter_rows(named=True)
    ]
    heads = ("token", "", "count", "share", *(["mean"] if means else []))
    return markup.table(heads, rows, "tbnn" + "n" * means, note)


def logits_html(promoted: pl.DataFrame, suppressed: pl.DataFrame, note: str) -> str:
    """Promoted tokens in blue beside suppressed ones in orange."""
    both = [*promoted["logit"].to_list(), *suppressed["logit"].to_list()]
    peak = max((abs(value) for value in both), default=1.0) or 1.0
    if not both:
        return f'<p class="note">{escape(note)} Not computed yet.</p>'
    sides = (
        ("promoted", promoted, "blue"),
        ("suppressed", suppressed, "orange"),
    )
    tables = "".join(
        markup.table(
            (name, "", "logit"),
            [
                [
                    markup.token(row["text"]),
                    markup.bar(abs(row["logit"]) / peak, hue),
                    numbers.fraction(row["logit"]),
                ]
                for row in frame.head(12).iter_rows(named=True)
            ],
            "tbn",
        )
        for name, frame, hue in sides
    )
    return f'<p class="note">{escape(note)}</p><div class="pair">{tables}</div>'


def topics_html(frame: pl.DataFrame, note: str) -> str:
    """Topics against the corpus: lift as a dot with its interval on a doubling scale."""
    rows = [
        [
            escape(row["topic"]),
            interval(row["lift"], row["low"], row["high"]),
            numbers.times(row["lift"]),
            numbers.count(row["count"]),
            numbers.percent(row["share"]),
            numbers.percent(row["prior"]),
        ]
        for row in frame.head(16).iter_rows(named=True)
    ]
    heads = ("topic", "⅛ … 1 … 8", "lift", "n", "share", "corpus")
    return markup.table(heads, rows, "tbnnnn", note)


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


def features_html(frame: pl.DataFrame) -> str:
    """SAE features that fire on a region's members."""
    rows = [
        [
            anchor(str(row["feature"]), "features", feature=row["feature"]),
            markup.token(str(row["top_token"])),
            markup.bar(row["f1"], "amber"),
            numbers.fraction(row["f1"]),
            numbers.fraction(row["precision"]),
            numbers.fraction(row["recall"]),
        ]
        for row in frame.iter_rows(named=True)
    ]
    note = "How well “the feature fires” says “the token is in this region”."
    return markup.table(("feature", "top token", "", "F1", "prec.", "recall"), rows, "ttbnnn", note)


def regions_html(frame: pl.DataFrame) -> str:
    """Regions whose members a feature fires on."""
    rows = [
        [
            anchor(str(row["region"]), "regions", region=row["region"]),
            markup.token(str(row["token"])),
            markup.bar(row["f1"], "amber"),
            numbers.fraction(row["f1"]),
            numbers.fraction(row["precision"]),
            numbers.fraction(row["recall"]),
        ]
        for row in frame.iter_rows(named=True)
    ]
    note = "How well “the feature fires” says “the token is in the region”."
    return markup.table(("region", "exemplar", "", "F1", "prec.", "recall"), rows, "ttbnnn", note)
