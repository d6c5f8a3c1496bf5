"""Features as a list: search, filters, order, and the row that is open."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import streamlit as st

from backend.features.views import FeatureTable
from components.experiments.form import MOST
from components.regions.table import one_line, token_cell
from components.shell import controls, numbers
from components.shell.browsing import LABEL_COLUMNS, LIMIT, Filter, Hits, Listing, number, text
from components.shell.links import anchor
from components.shell.markup import chip, chips, plain_label
from components.shell.terms import key

LIST = "list"
COLUMNS = {
    "feature": st.column_config.NumberColumn("feature", width=56, format="%d", pinned=True),
    "top_token": text("top token", 74, "where it fires most often"),
    **LABEL_COLUMNS,
    "promoted": text("promotes", 96, "tokens its decoder raises"),
    "density": number("density", 60, "%.2f%%", "% of tokens it fires on"),
    "max": number("max", 62, "%.1f"),
    "mean": number("mean", 60, "%.2f"),
    "topic": text("topic", 84, "of highest lift"),
    "lift": number("lift", 52, "×%.1f"),
    "f1": number("F1", 48, "%.2f", "with its best region"),
    "region": number("region", 60, "%d"),
    "top_token_share": number("token share", 80, "%.1f%%", "of the tokens it fires on"),
    "documents": number("documents", 84, "localized"),
    "active": number("tokens", 72, "localized"),
}
# those that say most of what the lists can be ordered by
SORTS = {
    "feature": "number",
    "label": "label",
    "top_token": "top token",
    "density": "density",
    "max": "maximum",
    "topic": "topic",
    "lift": "lift of its topic",
    "f1": "F1 with a region",
    **{name: name for name in ("matched", "hits", "cosine", "mean", "region", "documents")},
    "method": "label by",
    "promoted": "promotes",
    "top_token_share": "token share",
    "active": "tokens",
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
    fresh={"seed": 0, "facet": ""},
    usual="feature",
    sorts=SORTS,
)
SHOWN = "feature label matched hits cosine top_token promoted density max topic lift f1".split()
SHARES = ("density", "top_token_share")  # shown in percent


def columns(view: FeatureTable) -> dict[str, Any]:
    """How each column is shown; activations in as many digits as their scale needs."""
    digits = "localized" if is_strong(view.table) else "%.1f"  # with separators of thousands
    return COLUMNS | {name: number(name, 62, digits) for name in ("max", "mean")}


def is_strong(table: pl.DataFrame) -> bool:
    """Whether activations are in the hundreds and more, so that their fractions say nothing."""
    return bool(len(table)) and float(np.median(table["max"].to_numpy())) >= 100


def summary_html(view: FeatureTable) -> str:
    """How good the SAE is here."""
    return chips(
        [
            chip("features", numbers.count(len(view.table))),
            chip("tokens", numbers.count(view.tokens)),
            chip("L0", f"{view.l0:.1f}"),
            chip("FVU", numbers.fraction(view.fvu, 3)),
            chip("dead", numbers.count(view.dead)),
        ]
    )


def rows(view: FeatureTable, hits: Hits, labels: pl.DataFrame) -> pl.DataFrame:
    """What the list shows, in order. `labels`: the best of each, by number."""
    table = view.table.join(labels.rename({"number": "feature"}), on="feature", how="left")
    return FEATURES.ordered(*FEATURES.left(table, hits))


def render_controls(view: FeatureTable) -> None:
    """Search, filters and order above the list."""
    with st.container(horizontal=True, gap="small", key="controls", vertical_alignment="center"):
        FEATURES.render_search()
        FEATURES.render_filters(view.table["topic"], _render_filters)


def _render_filters() -> None:
    left, right = st.columns(2)
    fine = {"step": 0.01, "format": "%.3f", "rerun": (LIST,)}
    with left:
        controls.number_input("sparse", "Density from, %", **fine)
    with right:
        controls.number_input("dense", "Density to, %", scale=100, **fine)
    controls.number_input("strong", "Maximum from", step=1.0, rerun=(LIST,))
    controls.text_input("token", "Top token contains", rerun=(LIST,))


def render_list(rows: pl.DataFrame, view: FeatureTable) -> None:
    """The list; the open feature's row is marked."""
    FEATURES.render_listed(len(rows), len(view.table))
    with st.container(key="feature-box"):
        cells = display(rows, is_strong(view.table))
        FEATURES.render_rows(cells, columns(view), "feature-rows", "stretch", SHOWN)
    st.html(key("density", "lift", "F1") + experiment_html(rows, len(view.table)))


def experiment_html(rows: pl.DataFrame, total: int) -> str:
    """The way to an experiment on the features that a search or filter left, in their order."""
    if not 2 <= len(rows) < total:
        return ""
    numbers_listed = ",".join(map(str, rows["feature"].head(MOST)))
    words = f"the first {MOST} of these" if len(rows) > MOST else f"these {len(rows)}"
    link = anchor(f"Experiment on {words}", "experiment", only=numbers_listed)
    return f'<p class="note">{link}</p>'


def display(rows: pl.DataFrame, strong: bool) -> pl.DataFrame:
    """The first rows, as their cells show them; activations that are `strong` without fractions."""
    promoted = pl.col("promoted").cast(pl.String).str.strip_chars(" ")
    return rows.head(LIMIT).with_columns(
        pl.col(SHARES) * 100,
        pl.col("^label$").map_elements(plain_label, return_dtype=pl.String),
        pl.col("max", "mean").round(0 if strong else 2),
        pl.col("top_token").map_elements(token_cell, return_dtype=pl.String),
        promoted.map_elements(one_line, return_dtype=pl.String),
        region=pl.when(pl.col("region") >= 0).then("region"),
    )
