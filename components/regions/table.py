"""Regions as a table: the same selection as the map's."""

from __future__ import annotations

import polars as pl
import streamlit as st

from components.shell import address
from components.shell.browsing import LIMIT, SEARCH_COLUMNS, Filter, Hits, Listing, number, text
from components.shell.markup import visible

MAP, TABLE = "map", "table"
COLUMNS = {
    "region": st.column_config.NumberColumn("region", width=58, format="%d", pinned=True),
    "text": text("exemplar", 200, "the token in its context"),
    **SEARCH_COLUMNS,
    "size": number("members", 72, "localized"),
    "coherence": number("κ", 52, "%.2f"),
    "mean_distance": number("d̄", 52, "%.2f"),
    "radius": number("radius", 58, "%.2f"),
    "isolation": number("isolation", 68, "%.2f"),
    "overlap": number("L0", 50, "%.1f"),
    "margin": number("margin", 60, "%.3f"),
    "gray": number("gray", 52, "localized"),
    "topic": text("topic", 92),
    "lift": number("lift", 50, "×%.1f"),
    "token_share": number("token", 56, "percent"),
    "token_driven": st.column_config.CheckboxColumn("token-driven", width=90),
    "feature": number("feature", 62, "%d"),
    "f1": number("F1", 48, "%.2f"),
}
SHOWN = "region text hits label cosine size coherence isolation topic lift token_share f1".split()
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
    spelled="“{}” among their members",
    placeholders={
        "text": "Search a token or text · * for parts of words",
        "meaning": "Search labels by meaning",
    },
    fresh={"seed": 0},
)


def listed(table: pl.DataFrame, hits: Hits) -> pl.DataFrame:
    """Rows in the order of the table: by hits where there was a search, else by members."""
    table, found_by = REGIONS.left(table, hits)
    order = [found_by, "size"] if found_by else ["size"]
    return table.sort([*order, "region"], descending=[True] * len(order) + [False])


def display(rows: pl.DataFrame) -> pl.DataFrame:
    """The first rows, as their cells show them."""
    before, after = pl.col("before").str.tail(22), pl.col("after").str.head(22)
    context = pl.concat_str(before, pl.lit("["), "token", pl.lit("]"), after)
    return rows.head(LIMIT).with_columns(
        text=context.map_elements(one_line, return_dtype=pl.String),
        feature=pl.when(pl.col("feature") >= 0).then("feature"),
    )


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
    REGIONS.render_rows(display(rows), COLUMNS, "region-rows", 232, SHOWN)
