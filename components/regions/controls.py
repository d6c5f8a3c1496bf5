"""The controls of the Regions page: stops, colour, search, filters, draws, and what they leave."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import streamlit as st

from backend.regions.views import RegionMap
from backend.schema import Job
from components.regions import stops
from components.regions.map import area
from components.regions.table import MAP, REGIONS, listed
from components.shell import address, controls, markup, numbers
from components.shell.browsing import Hits
from components.shell.frame import Place
from components.shell.markup import chip, chips
from components.shell.selection import inside
from components.shell.status import Desk, reported

DRAG_NAMES = {
    "pan": ":material/pan_tool_alt:",
    "lasso": ":material/lasso_select:",
    "select": ":material/select:",
}


def render_stops(
    desk: Desk, place: Place, stop_table: pl.DataFrame, view: RegionMap | Job | None = None
) -> None:
    """The settings of the partition, and the numbers of one that is shown."""
    here = stop_table.filter(p=place.p, k=place.k)
    with st.container(horizontal=True, key="stops", vertical_alignment="center"):
        stops.render_stops(place, stop_table)
        with st.popover("About k", type="tertiary"):
            markup.note(about_k(place.k, here["theta"][0] if len(here) else None))
        if view is not None and not isinstance(view, Job):
            st.html(summary_html(view), width="content")
    stops.render_building(desk, place, stop_table)


def about_k(k: float, theta: float | None) -> str:
    """What to do about the gray zone, and what it can and cannot do at this threshold."""
    text = (
        "Leave k at 1, unless you want fewer regions that lie farther apart. At k = 1 every point "
        "within θ of an exemplar is a member, and any other becomes an exemplar. At a larger k "
        "only a point farther than kθ does, and those between θ and kθ are gray: shown with the "
        "nearest region, counted in none. Fewer points are ambiguous then; that none is needs "
        "k ≥ 4 − 2θ and kθ below 1, which no θ above .293 allows."
    )
    if theta is None:
        return text
    text += f" Here θ is {numbers.fraction(theta, 3)}, so 4 − 2θ is {4 - 2 * theta:.2f}."
    if k * theta > 1:
        bound = 1 + 1 / (k * theta - 1)
        text += f" With kθ = {k * theta:.2f} there can be at most {bound:.0f} exemplars."
    return text


def summary_html(view: RegionMap) -> str:
    """K, θ, and how well the exemplars cover the points."""
    parts = [
        chip("regions", numbers.count(len(view.table))),
        chip("θ", numbers.fraction(view.theta, 3)),
        chip("uncovered", numbers.percent(view.uncovered)),
        chip("gray", numbers.percent(view.gray)),
        chip("overlap", numbers.fraction(view.overlap)),
        chip("ambiguous", numbers.percent(view.ambiguous)),
    ]
    if view.is_preview:
        parts.append(chip("n", numbers.count(view.tokens), "points in the partition", "warn"))
    elif view.tokens < view.asked_tokens:
        words = f"the study asks for {view.asked_tokens:,}; the corpus has no more"
        parts.append(chip("tokens", numbers.count(view.tokens), words, "warn"))
    if not view.saturated:
        parts.append(chip("not saturated", "", kind="warn"))
    return chips(parts)


def preview_words(view: RegionMap) -> str:
    """What is provisional about a map; empty where nothing is."""
    parts = []
    if view.is_preview:
        total = f"{view.corpus_tokens:,}" if view.corpus_tokens else "more"
        parts.append(
            f"Preview on {view.tokens:,} of {total} tokens: numbers and regions will change"
        )
    if view.layout == "pca":
        parts.append("PCA layout until UMAP is ready")
    return "; ".join(parts) + "." if parts else ""


def open_token(region_of: Callable[[int], int | Job]) -> None:
    """A link may name a token instead of a region: it holds for every partition."""
    token = address.get("token")
    if token >= 0 and address.get("region") is None:
        with reported():
            region = region_of(token)
            if not isinstance(region, Job):
                address.put(region=region, token=-1)


# ---------------------------------------------------------------- the map's controls


def render_controls(view: RegionMap) -> None:
    """Colour, search and filters above the map."""
    with st.container(horizontal=True, gap="small", key="controls", vertical_alignment="center"):
        controls.selectbox(
            "colour",
            "Colour",
            address.COLOURS,
            label_visibility="collapsed",
            width=150,
            rerun=(MAP,),
        )
        REGIONS.render_search()
        controls.segmented_control(
            "drag",
            "Drag",
            address.DRAGS,
            format_func=DRAG_NAMES.__getitem__,
            label_visibility="collapsed",
            help="What dragging does: move the map, draw a lasso, draw a box",
            rerun=(MAP,),
        )
        REGIONS.render_filters(view.table["topic"], _render_filters)


def _render_filters() -> None:
    both = REGIONS.fragments
    controls.toggle("beyond", "Not token-driven", rerun=both)
    left, right = st.columns(2)
    with left:
        controls.number_input("least", "At least members", step=10, rerun=both)
    with right:
        controls.number_input("most", "At most (0: any)", step=100, rerun=both)
    controls.slider("kappa", "Coherence κ from", step=0.05, rerun=both)


# ---------------------------------------------------------------- what is left, what is selected


def rows(view: RegionMap, hits: Hits, labels: pl.DataFrame) -> pl.DataFrame:
    """What the table lists, in order. `labels`: the best of each, by number."""
    selection = area()
    table = view.table.join(labels.rename({"number": "region"}), on="region", how="left")
    return listed(table.filter(pl.Series(inside(selection, table))) if selection else table, hits)
