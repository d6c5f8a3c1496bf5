"""Tables whose rows open: a click anywhere in a row selects it, the open row is marked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import streamlit as st

from components.selection import Id, row_of


def render_rows(
    frame: pl.DataFrame,
    ids: list[Id],
    opened: Id | None,
    on_open: Callable[[Id | None], None],
    key: str,
    **look: Any,
) -> None:
    """A table with one row for each of `ids`; `on_open` is given the row that was chosen, or None
    where the open one was put away. `look` goes to `st.dataframe`."""
    marked = [ids.index(opened)] if opened in ids else []
    kept = st.session_state.get(key)
    if kept is None or list(kept["selection"]["rows"]) != marked or kept["selection"]["cells"]:
        st.session_state[key] = {"selection": {"rows": marked, "columns": [], "cells": []}}
    st.dataframe(
        frame,
        hide_index=True,
        key=key,
        on_select=lambda: on_open(row_of(st.session_state[key], marked, ids)),
        selection_mode=("single-row", "single-cell"),
        **look,
    )
