"""Features as a list: search, filters, order, and the row that is open."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import streamlit as st

from backend.features.views import FeatureTable
from components.regions.table import one_line, token_cell
from components.shell import address, controls, numbers
from components.shell.markup import NOTHING, chip, chips, escape
from components.shell.rows import render_rows
from components.shell.selection import neighbour

LIST, INSPECTOR = "list", "inspector"
ROWS = "feature-rows"
LIMIT = 5_000  # rows sent to the browser
ORDERS = {
    "density": ("density", "densest first"),
    "max": ("max", "strongest first"),
    "lift": ("lift", "most topic-bound first"),
    "f1": ("f1", "most region-like first"),
    "feature": ("feature", "by number"),
}
COLUMNS = {
    "feature": st.column_config.NumberColumn("feature", width=60, format="%d", pinned=True),
    "top_token": st.column_config.TextColumn(
        "top token", width=84, help="where it fires most often"
    ),
    "hits": st.column_config.NumberColumn(
        "hits", width=50, help="matches of the search it fires on"
    ),
    "label": st.column_config.TextColumn(
        "label", width=168, help="of its labels the one nearest to the search"
    ),
    "cosine": st.column_config.NumberColumn(
        "cosine", width=56, format="%.2f", help="of the label and the search, as embedded"
    ),
    "density": st.column_config.NumberColumn(
        "density", width=62, format="%.2f%%", help="% of tokens it fires on"
    ),
    "max": st.column_config.NumberColumn("max", width=56, format="%.1f"),
    "mean": st.column_config.NumberColumn("mean", width=56, format="%.2f"),
    "topic": st.column_config.TextColumn("topic", width=84, help="of highest lift"),
    "lift": st.column_config.NumberColumn("lift", width=52, format="×%.1f"),
    "promoted": st.column_config.TextColumn(
        "promotes", width=112, help="tokens its decoder raises"
    ),
    "f1": st.column_config.NumberColumn("F1", width=48, format="%.2f", help="with its best region"),
    "region": st.column_config.NumberColumn("region", width=60, format="%d"),
    "top_token_share": st.column_config.NumberColumn("token share", width=80, format="percent"),
    "documents": st.column_config.NumberColumn("documents", width=84, format="localized"),
    "active": st.column_config.NumberColumn("tokens", width=72, format="localized"),
}
PLACEHOLDERS = {
    "text": "Search a token or text it fires on",
    "meaning": "Search its labels by meaning",
}
SHOWN = (
    "feature",
    "top_token",
    "label",
    "cosine",
    "hits",
    "promoted",
    "density",
    "max",
    "topic",
    "lift",
    "f1",
)


def columns(view: FeatureTable) -> dict[str, Any]:
    """How each column is shown; activations in as many digits as their scale needs."""
    strong = float(np.median(view.table["max"].to_numpy())) >= 100
    shown = {
        name: st.column_config.NumberColumn(name, width=60, format="%.0f" if strong else "%.1f")
        for name in ("max", "mean")
    }
    return COLUMNS | shown


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


def rows(view: FeatureTable, hits: pl.DataFrame | None) -> pl.DataFrame:
    """What the list shows, in order."""
    table = view.table
    found = {"hits", "label", "cosine"} & set(hits.columns if hits is not None else ())
    if hits is not None:
        table = table.join(hits.select("feature", *sorted(found)), on="feature", how="inner")
    token = address.get("token").strip().lower()
    kept = table.filter(
        (pl.col("density") >= address.get("sparse") / 100)
        & (pl.col("density") <= address.get("dense"))
        & (pl.col("max") >= address.get("strong"))
    )
    if address.get("topic"):
        kept = kept.filter(pl.col("topic") == address.get("topic"))
    if token:
        kept = kept.filter(pl.col("top_token").str.to_lowercase().str.contains(token, literal=True))
    column, _ = ORDERS[address.get("sort")]
    if hits is not None and address.get("sort") == "density":
        column = "cosine" if "cosine" in found else "hits"
    return kept.sort([column, "feature"], descending=[column != "feature", False], nulls_last=True)


def render_controls(view: FeatureTable) -> None:
    """Search, filters and order above the list."""
    with st.container(horizontal=True, gap="small", key="controls", vertical_alignment="center"):
        with st.container(key="search", width="stretch"):
            controls.text_input(
                "search",
                "Search",
                label_visibility="collapsed",
                placeholder=PLACEHOLDERS[address.get("by")],
                type="search",
                icon=":material/search:",
                rerun=(LIST,),
            )
        controls.segmented_control(
            "by",
            "Search by",
            list(PLACEHOLDERS),
            label_visibility="collapsed",
            help="Text that it fires on, or the meaning of its labels",
            rerun=(LIST,),
        )
        on = len(filter_words())
        with st.popover(f"Filter · {on}" if on else "Filter", key="filter"):
            _render_filters(view)
        controls.selectbox(
            "sort",
            "Order",
            address.SORTS,
            format_func=lambda sort: ORDERS[sort][1],
            label_visibility="collapsed",
            width=168,
            rerun=(LIST,),
        )


def _render_filters(view: FeatureTable) -> None:
    left, right = st.columns(2)
    fine = {"step": 0.01, "format": "%.3f", "rerun": (LIST,)}
    with left:
        controls.number_input("sparse", "Density from, %", **fine)
    with right:
        controls.number_input("dense", "Density to, share", **fine)
    controls.number_input("strong", "Maximum from", step=1.0, rerun=(LIST,))
    controls.selectbox(
        "topic",
        "Topic of highest lift",
        ["", *sorted(view.table["topic"].drop_nulls().unique().to_list())],
        format_func=lambda topic: topic or "any",
        rerun=(LIST,),
    )
    controls.text_input("token", "Top token contains", rerun=(LIST,))


def filter_words() -> list[str]:
    """The filters that are on, as a reader says them."""
    said = []
    if address.get("sparse") > 0:
        said.append(f"density ≥ {address.get('sparse'):g}%")
    if address.get("dense") < 1:
        said.append(f"density ≤ {100 * address.get('dense'):g}%")
    if address.get("strong") > 0:
        said.append(f"max ≥ {address.get('strong'):g}")
    if address.get("topic"):
        said.append(f"topic {address.get('topic')}")
    if address.get("token"):
        said.append(f"top token contains “{address.get('token')}”")
    return said


def render_list(listed: pl.DataFrame, view: FeatureTable) -> None:
    """The list; the open feature's row is marked."""
    with st.container(horizontal=True, key="listed", vertical_alignment="center"):
        st.html(f'<p class="note">{escape(_words(len(listed), view))}</p>', width="content")
        if filter_words() or address.get("search"):
            st.button("Show all", type="tertiary", on_click=_clear, key="show-all")
    frame = display(listed)
    with st.container(key="feature-box"):
        render_rows(
            frame,
            listed["feature"].head(LIMIT).to_list(),
            address.get("feature"),
            _on_row,
            ROWS,
            column_config=columns(view),
            column_order=[name for name in SHOWN if name in frame.columns],
            height="stretch",
            row_height=26,
            placeholder="–",
            alt="Features; click a row to open it",
        )


def display(listed: pl.DataFrame) -> pl.DataFrame:
    """The columns that are shown, in few bytes."""
    wide = listed.head(LIMIT).with_columns(
        pl.col("density") * 100,
        pl.col("top_token").map_elements(token_cell, return_dtype=pl.String),
        pl.col("promoted")
        .cast(pl.String)
        .str.strip_chars(" ")
        .map_elements(one_line, return_dtype=pl.String),
        region=pl.when(pl.col("region") >= 0).then("region"),
    )
    kept = [name for name in COLUMNS if name in wide.columns]
    return wide.select(kept).cast({pl.Float64: pl.Float32, pl.Int64: pl.Int32})


def _words(count: int, view: FeatureTable) -> str:
    said = [f"{count:,} of {len(view.table):,} features"]
    if address.get("search"):
        meant = address.get("by") == "meaning"
        verb = "whose labels are nearest to" if meant else "that fire on"
        said.append(f"{verb} “{address.get('search')}”")
        if not count and not meant:
            said.append(NOTHING)
    if count > LIMIT:
        said.append(f"the first {LIMIT:,} are listed")
    return " · ".join([*said, *filter_words()])


def render_title(ids: list[int]) -> None:
    """Which feature is open, and the way to the previous and next of the list."""
    current = address.get("feature")
    name = "Features" if current is None else f"Feature {current}"
    with st.container(horizontal=True, key="steps", vertical_alignment="center"):
        st.html(f'<h2 class="title">{name}</h2>')
        _render_steps(ids)


def _render_steps(ids: list[int]) -> None:
    for label, step, key in (("Previous", -1, "P"), ("Next", 1, "N")):
        st.button(
            label,
            type="tertiary",
            shortcut=key,
            key=f"step-{key}",
            on_click=_step,
            args=(ids, step),
            disabled=not ids,
        )


def _step(ids: list[int], step: int) -> None:
    # from what is open now, which may be another than when the button was drawn
    address.put(feature=neighbour(ids, address.get("feature"), step), seed=0, facet="")
    st.rerun([INSPECTOR, LIST])


def _on_row(feature: int | None) -> None:
    if feature == address.get("feature"):  # the list repeats what it was told to mark
        st.rerun([address.IDLE])
    address.put(feature=feature, seed=0, facet="")
    st.rerun([INSPECTOR, LIST])


def _clear() -> None:
    address.put(search="", sparse=0.0, dense=1.0, strong=0.0, topic="", token="")
    st.rerun([LIST])
