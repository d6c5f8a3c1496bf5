"""The controls of the Regions page: stops, colour, search, filters, draws, and what they leave."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import streamlit as st

from backend.regions.views import RegionMap, RegionView
from backend.schema import Job, TesseraError
from components.regions.map import Marks
from components.regions.table import LIMIT, listed
from components.shell import address, controls, numbers
from components.shell.frame import Place
from components.shell.markup import NOTHING, chip, chips, escape
from components.shell.selection import (
    Area,
    Filters,
    area_of,
    clicked,
    inside,
    neighbour,
    parse,
    spell,
)
from components.shell.status import reported

MAP, TABLE, INSPECTOR = "map", "table", "inspector"
FILTERED = (MAP, TABLE)  # fragments that show what search and filters leave
CHART, ROWS = "map-chart", "region-rows"
DRAG_NAMES = {
    "pan": ":material/pan_tool_alt:",
    "lasso": ":material/lasso_select:",
    "select": ":material/select:",
}


def render_stops(place: Place, stops: pl.DataFrame) -> None:
    """The settings of the partition. A stop that is not computed yet begins a job."""
    done = {(row["p"], row["k"]): row["regions"] for row in stops.iter_rows(named=True)}

    def name(p: float, k: float, shown: float) -> str:
        return f"{shown:g}" if done.get((p, k)) else f"{shown:g} ◌"

    _stop("p", place.p, place.card.p_stops, lambda p: name(p, place.k, p))
    _stop("k", place.k, place.card.k_stops, lambda k: name(place.p, k, k))
    if len(done) > sum(map(bool, done.values())):
        st.html('<span class="name">◌ no map of it yet</span>', width="content")
    with st.popover("About k", type="tertiary"):
        st.html(f'<p class="note">{escape(about_k(place.k, theta_of(stops, place)))}</p>')


def _stop(what: str, value: float, stops: tuple[float, ...], name: Callable[[float], str]) -> None:
    st.html(f'<span class="name">{what}</span>', width="content")
    controls.segmented_control(
        what,
        what,
        stops,
        value,
        format_func=name,
        label_visibility="collapsed",
        also={"region": None, "area": ""},
    )


def theta_of(stops: pl.DataFrame, place: Place) -> float | None:
    """The threshold of the chosen setting, if it is known."""
    found = stops.filter((pl.col("p") == place.p) & (pl.col("k") == place.k))["theta"]
    return found[0] if len(found) else None


def about_k(k: float, theta: float | None) -> str:
    """What the gray zone can and cannot do at this threshold."""
    said = (
        "A new exemplar needs a distance above kθ; points between θ and kθ are gray: passed over "
        "while building, assigned afterwards. That a point be near at most one exemplar would "
        "need k ≥ 4 − 2θ, and kθ below 1 besides: both hold only for θ ≤ .293. At a real θ the "
        "number of ambiguous points only falls."
    )
    if theta is None:
        return said
    said = f"θ is {numbers.fraction(theta, 3)} here, so 4 − 2θ is {4 - 2 * theta:.2f}. {said}"
    if k * theta > 1:
        bound = 1 + 1 / (k * theta - 1)
        said += f" With kθ = {k * theta:.2f} there can be at most {bound:.0f} exemplars."
    return said


def summary_html(view: RegionMap) -> str:
    """K, θ, and how well the exemplars cover the points."""
    said = [
        chip("K", numbers.count(len(view.table)), "regions"),
        chip("θ", numbers.fraction(view.theta, 3), "threshold of distance"),
        chip("uncovered", numbers.percent(view.uncovered), "points with d > kθ to every exemplar"),
        chip("gray", numbers.percent(view.gray), "points with θ < d ≤ kθ"),
        chip("L0", f"{view.overlap:.2f}", "mean number of exemplars within θ of a point"),
        chip("ambiguous", numbers.percent(view.ambiguous), "points within θ of several exemplars"),
    ]
    if view.tokens < view.corpus_tokens:
        said.append(chip("n", numbers.count(view.tokens), "points in the partition", "warn"))
    if not view.saturated:
        said.append(chip("growing", "", "not saturated: the last batch still added exemplars"))
    return chips(said)


def preview_words(view: RegionMap) -> str:
    """What is provisional about a map; empty where nothing is."""
    said = []
    if view.tokens < view.corpus_tokens:
        said.append(
            f"Preview on {view.tokens:,} of {view.corpus_tokens:,} tokens: numbers and regions "
            "will change"
        )
    if view.layout == "pca":
        said.append("PCA layout until UMAP is ready")
    return "; ".join(said) + "." if said else ""


def open_token(region_of: Callable[[int], int | Job]) -> None:
    """A link may name a token instead of a region: it holds for every partition."""
    token = address.get("token")
    if token >= 0 and address.get("region") is None:
        with reported():
            region = region_of(token)
            if not isinstance(region, Job):
                address.put(region=region, token=-1)


# ---------------------------------------------------------------- the map's controls


def filters() -> Filters:
    """The filters that the URL names."""
    return Filters(
        address.get("least"),
        address.get("most"),
        address.get("kappa"),
        address.get("topic"),
        address.get("beyond"),
    )


def area() -> Area:
    """The selected area that the URL names."""
    text = address.get("area")
    try:
        return parse(text)
    except ValueError:
        raise TesseraError(
            f"The link names an area that cannot be read: {text[:60]!r}.",
            "Draw it again, or open the page without it.",
        ) from None


PLACEHOLDERS = {
    "text": "Search a token or text · * for parts of words",
    "meaning": "Search labels by meaning",
}


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
        with st.container(key="search", width="stretch"):
            controls.text_input(
                "search",
                "Search",
                label_visibility="collapsed",
                placeholder=PLACEHOLDERS[address.get("by")],
                type="search",
                icon=":material/search:",
                rerun=FILTERED,
            )
        controls.segmented_control(
            "drag",
            "Drag",
            address.DRAGS,
            format_func=DRAG_NAMES.__getitem__,
            label_visibility="collapsed",
            help="What dragging does: move the map, draw a lasso, draw a box",
            rerun=(MAP,),
        )
        on = len(filters().words())
        with st.popover(f"Filter · {on}" if on else "Filter", key="filter"):
            _render_filters(view)


def _render_filters(view: RegionMap) -> None:
    controls.segmented_control(
        "by",
        "Search finds",
        list(PLACEHOLDERS),
        format_func={"text": "what members spell", "meaning": "what labels mean"}.__getitem__,
        rerun=FILTERED,
    )
    controls.toggle("beyond", "Not token-driven", rerun=FILTERED)
    left, right = st.columns(2)
    with left:
        controls.number_input("least", "At least members", step=10, rerun=FILTERED)
    with right:
        controls.number_input("most", "At most (0: any)", step=100, rerun=FILTERED)
    controls.slider("kappa", "Coherence κ from", step=0.05, rerun=FILTERED)
    controls.selectbox(
        "topic",
        "Topic of highest lift",
        ["", *sorted(view.table["topic"].drop_nulls().unique().to_list())],
        format_func=lambda topic: topic or "any",
        rerun=FILTERED,
    )


# ---------------------------------------------------------------- what is left, what is selected


def marks(view: RegionMap, hits: pl.DataFrame | Job | None) -> Marks:
    """What the map shows: filters and search fade the rest."""
    return Marks(_shown(view, hits), address.get("colour"), area(), address.get("drag"))


def rows(view: RegionMap, hits: pl.DataFrame | Job | None) -> pl.DataFrame:
    """What the table lists, in order."""
    shown, chosen = _shown(view, hits), area()
    if chosen:
        shown &= inside(chosen, view.table)
    return listed(view.table.filter(pl.Series(shown)), None if isinstance(hits, Job) else hits)


def _shown(view: RegionMap, hits: pl.DataFrame | Job | None) -> np.ndarray:
    shown = filters().mask(view.table)
    if hits is not None and not isinstance(hits, Job):
        shown &= view.table["region"].is_in(hits["region"].to_list()).to_numpy()
    return shown


def on_map() -> None:
    """A click opens a region; a box or lasso fills the table; a double click empties it."""
    event = st.session_state[CHART]
    last = None if address.get("area") else st.session_state.get("map.clicked")
    region = clicked(event, last)
    st.session_state["map.clicked"] = region
    if region is not None:
        address.put(region=region, area="", seed=0)
        st.rerun([INSPECTOR, TABLE])
    address.put(area=spell(area_of(event)))
    st.rerun([TABLE, INSPECTOR])


def on_row(region: int | None) -> None:
    """A row of the table opens its region."""
    if region == address.get("region"):  # the table repeats what it was told to mark
        st.rerun([address.IDLE])
    address.put(region=region, seed=0)
    st.rerun([INSPECTOR, TABLE])


def table_words(listed: int, view: RegionMap) -> str:
    """What the table lists, and why only that."""
    said = [f"{listed:,} of {len(view.table):,} regions"]
    if address.get("area"):
        said.append("in the selected area")
    if address.get("search"):
        text, meant = address.get("search"), address.get("by") == "meaning"
        said.append(f"labels nearest to “{text}”" if meant else f"“{text}” among their members")
        if not listed:
            said.append(NOTHING)
    if listed > LIMIT:
        said.append(f"the largest {LIMIT:,} are listed")
    return " · ".join([*said, *filters().words()])


def render_listed(listed: int, view: RegionMap) -> None:
    """What the table lists, with the way back to everything."""
    with st.container(horizontal=True, key="listed", vertical_alignment="center"):
        st.html(f'<p class="note">{escape(table_words(listed, view))}</p>', width="content")
        _render_clear()


def _render_clear() -> None:
    if address.get("area") or address.get("search") or filters().words():
        st.button("Show all", type="tertiary", on_click=_clear, key="show-all")


def _clear() -> None:
    address.put(area="", search="", least=1, most=0, kappa=0.0, topic="", beyond=False)
    st.rerun([MAP, TABLE])


# ---------------------------------------------------------------- the inspector's controls


def render_draw(view: RegionView) -> None:
    """How members are drawn."""
    with st.container(horizontal=True, gap="small", key="draw", vertical_alignment="center"):
        controls.segmented_control(
            "draw",
            "Members",
            address.MEMBER_DRAWS,
            format_func=lambda draw: draw if draw == "band 1" else draw.removeprefix("band "),
            label_visibility="collapsed",
            rerun=(INSPECTOR,),
        )
        st.button(
            "Draw again",
            type="tertiary",
            shortcut="D",
            disabled=address.get("draw") in ("closest", "farthest"),
            help="Another sample, with the next seed",
            on_click=_draw_again,
            key=f"again-{view.region}",
        )


def _draw_again() -> None:
    address.put(seed=address.get("seed") + 1)
    st.rerun([INSPECTOR])


def render_title(ids: list[int]) -> None:
    """Which region is open, and the way to the previous and next of the table."""
    current = address.get("region")
    name = "Regions" if current is None else f"Region {current}"
    with st.container(horizontal=True, key="steps", vertical_alignment="center"):
        st.html(f'<h2 class="title">{name}</h2>')
        _render_steps(ids, current)


def _render_steps(ids: list[int], current: int | None) -> None:
    for label, step, key in (("Previous", -1, "P"), ("Next", 1, "N")):
        st.button(
            label,
            type="tertiary",
            shortcut=key,
            key=f"step-{key}",
            on_click=_step,
            args=(neighbour(ids, current, step),),
            disabled=not ids,
        )


def _step(region: int | None) -> None:
    address.put(region=region, seed=0)
    st.rerun([INSPECTOR, TABLE])
