"""Tables whose rows open: a click anywhere in a row selects it, the open row is marked."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import polars as pl
import streamlit as st

from components.shell.selection import Id, Selected, interpret, row_of, selected_in

GRACE = 3.0  # seconds in which a browser may still speak of a mark that was taken back


def render_rows(
    frame: pl.DataFrame,
    ids: list[Id],
    opened: Id | None,
    on_open: Callable[[Id | None], None],
    key: str,
    **look: Any,
) -> None:
    """A table with one row for each of `ids`; `on_open` is given the row that was chosen, or None
    where the open one was put away. `look` goes to `st.dataframe`.

    Every message of a browser, those of timers too, holds the selection that it knew when it was
    sent: what it knew before the last mark was set is no choice of a person's.
    """
    marked = [ids.index(opened)] if opened in ids else []
    state = st.session_state.get(key)
    if state is None or selected_in(state) != (tuple(marked), ()):
        _mark(key, marked)
    st.dataframe(
        frame,
        hide_index=True,
        key=key,
        on_select=lambda: on_open(row_of(_interpret(key, marked), marked, ids)),
        selection_mode=("single-row", "single-cell"),
        **look,
    )


def _mark(key: str, rows: list[int]) -> None:
    """Tell the browser which row is marked, and remember what it may hold until it has heard."""
    now, before = time.monotonic(), st.session_state.get(key)
    if before is not None:
        sent = st.session_state.get(f"{key}:told", selected_in(before))
        past = [(now, sent), (now, selected_in(before))]
        st.session_state[f"{key}:past"] = [*_past(key), *past]
    st.session_state[f"{key}:told"] = (tuple(rows), ())
    st.session_state[key] = {"selection": {"rows": rows, "columns": [], "cells": []}}


def _past(key: str) -> list[tuple[float, Selected]]:
    """What the browser may still hold, and when it was told otherwise."""
    since = time.monotonic() - GRACE
    return [(when, what) for when, what in st.session_state.get(f"{key}:past", ()) if when > since]


def _interpret(key: str, marked: list[int]) -> dict[str, Any]:
    """What the browser says, less what it says of the past."""
    event = st.session_state[key]
    past = {what for _, what in _past(key)}
    if selected_in(event) not in past:
        st.session_state[f"{key}:past"] = []  # messages arrive in order: it has heard by now
    return interpret(event, marked, past)
