"""Regions as a table: the same selection as the map's."""

from __future__ import annotations

import polars as pl
import streamlit as st

from components.shell import address
from components.shell.browsing import LABEL_COLUMNS, LIMIT, Filter, Hits, Listing, number, text
from components.shell.markup import plain_label, visible
from components.shell.terms import key

MAP, TABLE = "map", "table"
COLUMNS = {
    "region": st.column_config.NumberColumn("region", width=52, format="%d", pinned=True),
    "text": text("exemplar", 130, "the token in its context"),
    **LABEL_COLUMNS,
    "size": number("members", 70, "localized"),
    "coherence": number("κ", 44, "%.2f"),
    "mean_distance": number("d̄", 50, "%.2f"),
    "radius": number("radius", 58, "%.2f"),
    "isolation": number("isolation", 72, "%.3f"),
    "overlap": number("overlap", 64, "%.1f", "mean number of exemplars within θ of a member"),
    "margin": number("margin", 60, "%.3f"),
    "gray": number("gray", 52, "localized"),
    "topic": text("topic", 86),
    "lift": number("lift", 50, "×%.1f"),
    "token_share": number("one token", 74, "%.1f%%", "members with the commonest word as token"),
    "token_driven": st.column_config.CheckboxColumn("token-driven", width=90),
    "feature": number("feature", 62, "%d"),
    "f1": number("F1", 48, "%.2f", "with its best feature"),
}
SORTS = {
    "size": "members",
    "region": "number",
    "label": "label",
    "coherence": "coherence κ",
    "mean_distance": "mean distance",
    "lift": "lift of its topic",
    "token_share": "one token",
    "f1": "F1 with a feature",
    "method": "label by",
    **{name: name for name in "radius isolation overlap margin gray topic feature".split()},
    **{name: name for name in ("matched", "hits", "cosine")},
}
# what fits beside an open region at 1280 pixels, as it is and while something is searched
SHOWN = ("region", "text", "label", "size", "coherence", "topic")
SEARCHED = ("region", "text", "label", "matched", "hits", "cosine", "size")
REGIONS = Listing(
    kind="region",
    fragments=(MAP, TABLE),
    filters={
        "least": Filter(
            lambda least: pl.col("size") >= least, lambda least: f"at least {least:,} members"
        ),
        "most": Filter(
            lambda most: pl.col("size") <= most, lambda most: f"at most {most:,} members"
        ),
        "kappa": Filter(lambda low: pl.col("coherence") >= low, lambda low: f"κ ≥ {low:.2f}"),
        "topic": Filter(lambda topic: pl.col("topic") == topic, lambda topic: f"topic {topic}"),
        "beyond": Filter(lambda _: ~pl.col("token_driven"), lambda _: "not token-driven"),
    },
    fresh={"seed": 0},
    usual="size",
    sorts=SORTS,
)


def listed(table: pl.DataFrame, hits: Hits) -> pl.DataFrame:
    """The rows that filters and search leave, in the order that is in force."""
    return REGIONS.ordered(*REGIONS.left(table, hits))


def display(rows: pl.DataFrame) -> pl.DataFrame:
    """The first rows, as their cells show them."""
    before, after = pl.col("before").str.tail(8), pl.col("after").str.head(16)
    context = pl.concat_str(before, pl.lit("["), "token", pl.lit("]"), after)
    return rows.head(LIMIT).with_columns(
        pl.col("token_share") * 100,
        pl.col("^label$").map_elements(plain_label, return_dtype=pl.String),
        text=context.map_elements(one_line, return_dtype=pl.String),
        feature=pl.when(pl.col("feature") >= 0).then("feature"),
    )


def columns_on(rows: pl.DataFrame) -> tuple[str, ...]:
    """The columns that are on at first, that by which the rows are ordered among them."""
    names = SEARCHED if {"hits", "cosine"} & set(rows.columns) else SHOWN
    ordered = address.get("sort")
    return names if ordered in ("", *names) else (*names[:-1], ordered)


def one_line(text: str) -> str:
    """Text for one cell: line feeds and control characters as symbols."""
    return visible(text.replace("\n", "⏎").replace("\t", "⇥"))


def token_cell(text: str) -> str:
    """One token for one cell, with the space before it."""
    line = one_line(text)
    return line.replace(" ", "·") if not line.strip() else line.replace(" ", "·", 1)


def render_table(rows: pl.DataFrame, total: int) -> None:
    """The table of some of all regions; the open one's row is marked."""
    where = ["in the selected area"] if address.get("area") else []
    REGIONS.render_listed(len(rows), total, where)
    REGIONS.render_rows(display(rows), COLUMNS, "region-rows", 232, columns_on(rows))
    st.html(key("κ", "d̄", "radius", "isolation", "overlap", "margin", "gray", "lift", "F1"))
