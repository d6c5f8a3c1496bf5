"""Features by tier: windows and thresholds, how many features they give each tier, a list."""

from __future__ import annotations

import polars as pl
import streamlit as st

from backend.schema import Job, Thresholds, Tier, TierSpec
from backend.tiers.views import TierTable
from backend.tiers.words import COUNTS, STOPS, TIERS, WINDOWS
from components.features.table import LIST
from components.regions.table import token_cell
from components.shell import address, controls, markup, palette
from components.shell.browsing import ASCENDING, LIMIT, Listing, number, text
from components.shell.status import Desk, waiting
from components.shell.stepping import INSPECTOR

BOARD = LIST  # the board holds the list
CHECK, ROUTES = "check", "routes"
STEP = "thresholds"
# fragments that show what the thresholds change, in the order in which they are looked at
SORTED = (STEP, BOARD, INSPECTOR, ROUTES, CHECK)
BOTH = "above both τ, the tier is of the ρ that exceeds its τ by more"
TAUS = {"tau_in": "input", "tau_out": "output", "tau_cross": "cross"}
HELP = {
    "input": "Tokens before the peak that the window holds, besides the peak itself",
    "output": "Tokens after the peak that the window holds",
    "cross": "Tokens on either side of the peak; 0: the whole context",
}


def spec() -> TierSpec:
    """What the controls say of windows and examples."""
    get = address.get
    return TierSpec(get("count"), get("input"), get("output"), get("cross"), get("weighted"))


def thresholds() -> Thresholds:
    """What the sliders say."""
    return Thresholds(*(address.get(name) for name in TAUS))


def dot(tier: Tier) -> str:
    """A tier's colour."""
    return f'<i class="dot" style="background:{palette.tier(tier)}"></i>'


def tier_of(title: str) -> Tier:
    """The tier of a name."""
    return next(tier for tier in Tier if tier.title == title)


def current(desk: Desk, study: str, spec: TierSpec, key: str) -> TierTable | None:
    """The tiers by the thresholds of now, since a fragment runs alone when a slider moves; None
    while they are computed, which is shown."""
    view: TierTable | Job = desk.tiers(study, spec, thresholds())
    return None if waiting(view, desk, key) else view


# ---------------------------------------------------------------- controls


def render_windows() -> None:
    """Examples and windows: another value embeds new windows, as a job."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="windows"):
        controls.segmented_control(
            "count", "Examples", COUNTS, help="The strongest, one a document"
        )
        for window, stops in STOPS.items():
            controls.selectbox(
                window,
                f"{window.capitalize()} window",
                stops,
                format_func=lambda side, window=window: side_words(window, side),
                help=HELP[window],
                width=150,
            )
        controls.toggle(
            "weighted",
            "Weight by activation",
            help="Pairs of strong examples count more, as in the post's footnote",
        )


def side_words(window: str, side: int) -> str:
    """A window as a reader says it."""
    if window == "input":
        return f"−{side} to peak" if side else "the peak alone"
    if window == "output":
        return f"+1 to +{side}" if side > 1 else "the next token"
    return f"−{side} to +{side}" if side else "whole context"


# ---------------------------------------------------------------- list


def labels(desk: Desk, study: str, view: TierTable) -> pl.DataFrame | None:
    """Labels by hand and by routing, those by hand first; None where there are none."""
    table: pl.DataFrame | Job = desk.tier_labels(study, view.spec, view.thresholds)
    return None if isinstance(table, Job) or not len(table) else table


def listed(view: TierTable, labels: pl.DataFrame | None = None) -> pl.DataFrame:
    """Features of the tier that is looked at, with labels, in the order that is in force."""
    tier = address.get("tier")
    table = view.table.with_columns(pl.col(*WINDOWS, "margin").fill_nan(None))
    if labels is not None:
        table = table.join(_one_each(labels), on="feature", how="left")
    if tier != "all":
        table = table.filter(tier=Tier[tier.upper()].title)
    return SORTED_FEATURES.ordered(table, "")


def steps(view: TierTable, labels: pl.DataFrame | None = None) -> list[int]:
    """The features that Previous and Next go through: those that are sorted into tiers."""
    return listed(view, labels).filter(pl.col("tier") != Tier.UNSCORED.title)["feature"].to_list()


def _one_each(labels: pl.DataFrame) -> pl.DataFrame:
    """feature, label, failed: a person's before a method's, with the person's name."""
    writer = pl.when(pl.col("writer") != "").then(pl.lit(" · by ") + pl.col("writer"))
    who, fails = writer.otherwise(pl.lit("")), pl.col("failed") != ""
    first = labels.unique("feature", keep="first", maintain_order=True)
    return first.select(
        "feature",
        label=pl.when(~fails).then(pl.col("label") + who),
        failed=pl.when(fails).then(pl.col("failed") + who),
    )


COLUMNS = {
    "feature": st.column_config.NumberColumn("feature", width=60, format="%d", pinned=True),
    "top_token": text("top token", 84),
    "tier": text("tier", 78),
    "label": text("label", 150, "by hand, or as routed; else why there is none"),
    "input": number("ρ in", 56, "%.3f"),
    "output": number("ρ out", 56, "%.3f"),
    "cross": number("ρ cross", 60, "%.3f"),
    "margin": number("margin", 58, "%.3f", "to the nearest τ"),
    "examples": number("examples", 70),
    "cut": number("cut", 44, help="windows that the end of a context cuts short"),
    "density": number("density", 66, "%.3f%%"),
}


SORTED_FEATURES = Listing(
    kind="feature",
    fragments=(BOARD,),
    filters={},
    fresh={},
    usual="margin",
    sorts={
        **{name: name for name in ("feature", "tier", "label", "examples", "density")},
        "top_token": "top token",
        "input": "ρ input",
        "output": "ρ output",
        "cross": "ρ cross",
        "margin": "distance to the nearest τ",
        "cut": "windows that are cut",
    },
    rising=ASCENDING | {"tier", "margin"},
)


def render_list(rows: pl.DataFrame, total: int) -> None:
    """Which tier is listed, and its features, of a total."""
    with st.container(horizontal=True, vertical_alignment="center"):
        controls.segmented_control(
            "tier", "Tier", TIERS, label_visibility="collapsed", rerun=(BOARD,)
        )
        markup.note(list_words(len(rows), total))
    cells = rows.head(LIMIT).with_columns(
        pl.col("density") * 100,
        pl.col("top_token").map_elements(token_cell, return_dtype=pl.String),
        pl.col("tier").cast(pl.String),
    )
    if "label" in cells:
        cells = cells.with_columns(
            label=pl.coalesce(
                pl.col("label").map_elements(markup.plain_label, return_dtype=pl.String), "failed"
            )
        )
    SORTED_FEATURES.render_rows(cells, COLUMNS, "tier-rows", 360)


def list_words(count: int, total: int) -> str:
    """How many of how many are listed, in which order, and how a tier of two is chosen."""
    column, reverse = SORTED_FEATURES.order()
    order = f"by {SORTED_FEATURES.sorts[column]}{', reversed' if reverse else ''}"
    if column == "margin" and not reverse:
        order = "nearest to another tier first"
    words = f"{count:,} of {total:,} features, {order}"
    if count > LIMIT:
        words += f" · the first {LIMIT:,} are listed"
    if address.get("tier") in ("all", "input", "output"):
        words += f" · {BOTH}"
    return words
