"""Regions as a table: the same selection as the map's."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import streamlit as st

from components.shell.markup import visible
from components.shell.rows import render_rows

LIMIT = 5_000  # rows sent to the browser

COLUMNS = {
    "region": st.column_config.NumberColumn("region", width=58, format="%d", pinned=True),
    "text": st.column_config.TextColumn("exemplar", width=200, help="the token in its context"),
    "hits": st.column_config.NumberColumn("hits", width=50, help="members that the search finds"),
    "label": st.column_config.TextColumn("label", width=150, help="nearest to the search"),
    "cosine": st.column_config.NumberColumn(
        "cosine", width=56, format="%.2f", help="of the label and the search, as embedded"
    ),
    "size": st.column_config.NumberColumn("members", width=72, format="localized"),
    "coherence": st.column_config.NumberColumn("κ", width=52, format="%.2f"),
    "mean_distance": st.column_config.NumberColumn("d̄", width=52, format="%.2f"),
    "radius": st.column_config.NumberColumn("radius", width=58, format="%.2f"),
    "isolation": st.column_config.NumberColumn("isolation", width=68, format="%.2f"),
    "overlap": st.column_config.NumberColumn("L0", width=50, format="%.1f"),
    "margin": st.column_config.NumberColumn("margin", width=60, format="%.3f"),
    "gray": st.column_config.NumberColumn("gray", width=52, format="localized"),
    "topic": st.column_config.TextColumn("topic", width=92),
    "lift": st.column_config.NumberColumn("lift", width=50, format="×%.1f"),
    "token_share": st.column_config.NumberColumn("token", width=56, format="percent"),
    "token_driven": st.column_config.CheckboxColumn("token-driven", width=90),
    "feature": st.column_config.NumberColumn("feature", width=62, format="%d"),
    "f1": st.column_config.NumberColumn("F1", width=48, format="%.2f"),
}
SHOWN = (
    "region",
    "text",
    "hits",
    "label",
    "cosine",
    "size",
    "coherence",
    "isolation",
    "topic",
    "lift",
    "token_share",
    "f1",
)


def listed(table: pl.DataFrame, hits: pl.DataFrame | None) -> pl.DataFrame:
    """Rows in the order of the table: by hits where there was a search, else by members."""
    if hits is not None:
        found = [name for name in ("hits", "label", "cosine") if name in hits.columns]
        table = table.join(hits.select("region", *found), on="region", how="inner")
        order = [found[-1], "size"]
    else:
        order = ["size"]
    return table.sort([*order, "region"], descending=[True] * len(order) + [False])


def display(rows: pl.DataFrame) -> pl.DataFrame:
    """The columns that are shown, in few bytes."""
    wide = rows.head(LIMIT).with_columns(
        text=pl.concat_str(
            pl.col("before").str.tail(22),
            pl.lit("["),
            "token",
            pl.lit("]"),
            pl.col("after").str.head(22),
        ).map_elements(one_line, return_dtype=pl.String),
        feature=pl.when(pl.col("feature") >= 0).then("feature"),
    )
    kept = [name for name in COLUMNS if name in wide.columns]
    return wide.select(kept).cast({pl.Float64: pl.Float32, pl.Int64: pl.Int32})


def one_line(text: str) -> str:
    """Text for one cell: line feeds and control characters as symbols."""
    return visible(text.replace("\n", "⏎").replace("\t", "⇥"))


def token_cell(text: str) -> str:
    """One token for one cell, with the space before it."""
    shown = one_line(text)
    return shown.replace(" ", "·") if not shown.strip() else shown.replace(" ", "·", 1)


def render_regions(
    rows: pl.DataFrame, selected: int | None, on_open: Callable[[int | None], None], key: str
) -> None:
    """The table; the selected region's row is marked."""
    frame = display(rows)
    render_rows(
        frame,
        rows["region"].head(LIMIT).to_list(),
        selected,
        on_open,
        key,
        column_config=COLUMNS,
        column_order=[name for name in SHOWN if name in frame.columns],
        height=232,
        row_height=26,
        placeholder="–",
        alt="Regions; click a row to open it",
    )
