"""Names on the map, more of them as one zooms, and where one has zoomed to.

Names are laid over the map, since plotly knows no level of detail. The place is told because
Streamlit makes another element of every other figure, so a map in another colour would begin anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import streamlit as st
from streamlit.components.v2 import component

from backend.labels.words import QUOTED, says_something
from components.shell import address

SCRIPT = Path(__file__).with_name("names.js").read_text()
LONGEST = 22  # characters of a name
_names = component("tessera_names", js=SCRIPT)

Zoom = tuple[float, float, float, float]  # x from and to, y from and to


def name_of(region: Mapping[str, Any]) -> str:
    """What a region is called on the map: its label, else its token where that is a whole word,
    and of both only what means something; else nothing."""
    label = str(region.get("label") or "")
    counted = QUOTED.fullmatch(label)
    if counted and not says_something(counted[2]):
        label = ""
    elif counted and counted[1] == "token":
        label = counted[2]
    name = " ".join((label or _word(region)).split())
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"


def _word(region: Mapping[str, Any]) -> str:
    """The exemplar's token, if it is a word that means something and not a part of one."""
    token, before, after = (str(region[part]) for part in ("token", "before", "after"))
    begins = token[:1].isspace() or not before[-1:].isalnum()
    return token if begins and not after[:1].isalnum() and says_something(token) else ""


def named(table: pl.DataFrame) -> pl.DataFrame:
    """The regions that have a name, the largest first, with `name`. `table` may have labels."""
    parts = [part for part in ("token", "before", "after", "label") if part in table.columns]
    names = [name_of(region) for region in table.select(parts).iter_rows(named=True)]
    with_names = table.with_columns(name=pl.Series(names, dtype=pl.String))
    ordered = with_names.sort("size", "region", descending=[True, False])
    return ordered.filter(pl.col("name") != "")


def zoom(revision: str) -> Zoom | None:
    """Where the map was zoomed to, if it was that of the same layout."""
    text = st.session_state.get("map.zoom", {}).get(revision, "")
    try:
        first, second, third, fourth = map(float, text.split("_"))
    except ValueError:
        return None
    return first, second, third, fourth


def render_names(regions: pl.DataFrame, revision: str, chart: str) -> None:
    """Lay the names of some regions over the map, and hear where it is zoomed to."""
    columns = regions.select(pl.col("x", "y").round(3), "name")
    _names(
        data={"names": [list(row) for row in columns.iter_rows()], "chart": chart},
        key="map-names",
        default={"zoom": ""},
        on_zoom_change=_hear(revision),
    )


def _hear(revision: str) -> Callable[[], None]:
    def hear() -> None:
        st.session_state["map.zoom"] = {revision: st.session_state["map-names"].zoom}
        st.rerun([address.IDLE])

    return hear
