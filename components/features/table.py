"""Features as a list: search, filters, order, and the row that is open."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import streamlit as st

from backend.features.views import FeatureTable
from components.regions.table import one_line, token_cell
from components.shell import address, controls, numbers
from components.shell.browsing import LIMIT, SEARCH_COLUMNS, Filter, Hits, Listing, number, text
from components.shell.markup import chip, chips

LIST = "list"
ORDERS = {
    "density": "densest first",
    "max": "strongest first",
    "lift": "most topic-bound first",
    "f1": "most region-like first",
    "feature": "by number",
}
COLUMNS = {
    "feature": st.column_config.NumberColumn("feature", width=60, format="%d", pinned=True),
    "top_token": text("top token", 84, "where it fires most often"),
    **SEARCH_COLUMNS,
    "density": number("density", 62, "%.2f%%", "% of tokens it fires on"),
    "max": number("max", 60, "%.1f"),
    "mean": number("mean", 60, "%.2f"),
    "topic": text("topic", 84, "of highest lift"),
    "lift": number("lift", 52, "×%.1f"),
    "promoted": text("promotes", 112, "tokens its decoder raises"),
    "f1": number("F1", 48, "%.2f", "with its best region"),
    "region": number("region", 60, "%d"),
    "top_token_share": number("token share", 80, "percent"),
    "documents": number("documents", 84, "localized"),
    "active": number("tokens", 72, "localized"),
}
FEATURES = Listing(
    kind="feature",
    fragments=(LIST,),
    filters={
        "sparse": Filter(
            lambda least: pl.col("density") >= least / 100, lambda least: f"density ≥ {least:g}%"
        ),
        "dense": Filter(
            lambda most: pl.col("density") <= most, lambda most: f"density ≤ {100 * most:g}%"
        ),
        "strong": Filter(lambda least: pl.col("max") >= least, lambda least: f"max ≥ {least:g}"),
        "topic": Filter(lambda topic: pl.col("topic") == topic, lambda topic: f"topic {topic}"),
        "token": Filter(
            lambda text: (
                pl.col("top_token")
                .str.to_lowercase()
                .str.contains(text.strip().lower(), literal=True)
            ),
            lambda text: f"top token contains “{text}”",
        ),
    },
    spelled="that fire on “{}”",
    placeholders={
        "text": "Search a token or text it fires on",
        "meaning": "Search its labels by meaning",
    },
    fresh={"seed": 0, "facet": ""},
)
SHOWN = "feature top_token label cosine hits promoted density max topic lift f1".split()


def columns(view: FeatureTable) -> dict[str, Any]:
    """How each column is shown; activations in as many digits as their scale needs."""
    strong = float(np.median(view.table["max"].to_numpy())) >= 100
    digits = "%.0f" if strong else "%.1f"
    return COLUMNS | {name: number(name, 60, digits) for name in ("max", "mean")}


def summary_html(view: FeatureTable) -> str:
    """How good the SAE is here."""
    return chips(
        [
            chip("features", numbers.count(len(view.table))),
            chip("L0", f"{view.l0:.1f}", "mean number of features that fire on a token"),
            chip("FVU", numbers.fraction(view.fvu, 3), "share of variance not explained"),
            chip("silent", numbers.count(view.dead), "features that fire nowhere in the corpus"),
            chip("n", numbers.count(view.tokens), "tokens"),
        ]
    )


def rows(view: FeatureTable, hits: Hits) -> pl.DataFrame:
    """What the list shows, in order."""
    table, found_by = FEATURES.left(view.table, hits)
    column = address.get("sort")
    if found_by and column == "density":
        column = found_by
    return table.sort([column, "feature"], descending=[column != "feature", False], nulls_last=True)


def render_controls(view: FeatureTable) -> None:
    """Search, filters and order above the list."""
    with st.container(horizontal=True, gap="small", key="controls", vertical_alignment="center"):
        FEATURES.render_search()
        controls.segmented_control(
            "by",
            "Search by",
            list(FEATURES.placeholders),
            label_visibility="collapsed",
            help="Text that it fires on, or the meaning of its labels",
            rerun=(LIST,),
        )
        FEATURES.render_filters(view.table["topic"], _render_filters)
        controls.selectbox(
            "sort",
            "Order",
            address.SORTS,
            format_func=ORDERS.__getitem__,
            label_visibility="collapsed",
            width=168,
            rerun=(LIST,),
        )


def _render_filters() -> None:
    left, right = st.columns(2)
    fine = {"step": 0.01, "format": "%.3f", "rerun": (LIST,)}
    with left:
        controls.number_input("sparse", "Density from, %", **fine)
    with right:
        controls.number_input("dense", "Density to, share", **fine)
    controls.number_input("strong", "Maximum from", step=1.0, rerun=(LIST,))
    controls.text_input("token", "Top token contains", rerun=(LIST,))


def render_list(rows: pl.DataFrame, view: FeatureTable) -> None:
    """The list; the open feature's row is marked."""
    FEATURES.render_listed(len(rows), len(view.table))
    with st.container(key="feature-box"):
        FEATURES.render_rows(display(rows), columns(view), "feature-rows", "stretch", SHOWN)


def display(rows: pl.DataFrame) -> pl.DataFrame:
    """The first rows, as their cells show them."""
    promoted = pl.col("promoted").cast(pl.String).str.strip_chars(" ")
    return rows.head(LIMIT).with_columns(
        pl.col("density") * 100,
        pl.col("top_token").map_elements(token_cell, return_dtype=pl.String),
        promoted.map_elements(one_line, return_dtype=pl.String),
        region=pl.when(pl.col("region") >= 0).then("region"),
    )
