"""The stops of p and k: those that have a map, and what it takes to build the map of another."""

from __future__ import annotations

import polars as pl
import streamlit as st

from backend.regions.views import RegionMap
from backend.schema import Job
from components.shell import address, controls
from components.shell.frame import Place
from components.shell.status import Desk, render_estimate, render_pending

Stop = tuple[float, float]  # p, k
FRESH = {"region": None, "area": "", "build": ""}  # regions of one partition are none of another's


def name_of(stop: Stop) -> str:
    """A stop in words."""
    return f"p {stop[0]:g} · k {stop[1]:g}"


def render_stops(place: Place, stops: pl.DataFrame) -> None:
    """The stops that have a map, and those that have none yet: choosing one of these leaves what
    is open as it is."""
    here = (place.p, place.k)
    there = {(p, k) for p, k, regions in stops.select("p", "k", "regions").rows() if regions}
    p_stops = [p for p in place.card.p_stops if (p, place.k) in there or p == place.p]
    k_stops = [k for k in place.card.k_stops if (place.p, k) in there or k == place.k]
    _control("p", place.p, p_stops)
    _control("k", place.k, k_stops)
    beside_here = [(p, k) for p, k in stops.select("p", "k").rows() if p == here[0] or k == here[1]]
    missing = [name_of(stop) for stop in beside_here if stop not in there and stop != here]
    if missing:
        st.html('<span class="name">no map yet</span>', width="content")
        controls.selectbox(
            "build", "Another stop", ["", *missing], label_visibility="collapsed", width=170,
            format_func=lambda name: name or "build another…",
        )  # fmt: skip


def _control(what: str, value: float, stops: list[float]) -> None:
    st.html(f'<span class="name">{what}</span>', width="content")
    controls.segmented_control(
        what, what, stops, value, format_func="{:g}".format, label_visibility="collapsed",
        also=FRESH,
    )  # fmt: skip


def render_building(desk: Desk, place: Place, stops: pl.DataFrame) -> None:
    """What building the chosen stop takes, or how far it is; opens it once its map stands."""
    by_name = {name_of((p, k)): (p, k, regions) for p, k, regions in
               stops.select("p", "k", "regions").rows()}  # fmt: skip
    name = address.get("build")
    if name not in by_name:
        return
    p, k, regions = by_name[name]
    if regions:
        address.put(p=p, k=k, **FRESH)
        st.rerun()
    view: RegionMap | Job | None = desk.regions.live(place.study, p, k)
    job = view if isinstance(view, Job) or view is None else view.pending
    if job is not None:
        words = f"The map of {name} is being built; this one stays until it stands."
        render_pending(job, desk, words, "build")
        return
    with st.container(horizontal=True, gap="small", key="building", vertical_alignment="center"):
        st.html(f'<p class="note">{name} has no map yet.</p>', width="content")
        render_estimate(desk.regions, place.study, p, k)
        start = desk.regions, desk.retry, place.study, p, k
        st.button("Build it", key="build-stop", type="primary", on_click=_build, args=start)
        dismiss = {"build": ""}
        st.button("Not now", key="build-not", type="tertiary", on_click=address.put, kwargs=dismiss)


def _build(regions: Desk, retry: Desk, study: str, p: float, k: float) -> None:
    """Asks for the map; one that failed or was cancelled is tried again."""
    answer = regions(study, p, k)
    if isinstance(answer, Job) and answer.state in ("failed", "cancelled"):
        retry(answer.id)
