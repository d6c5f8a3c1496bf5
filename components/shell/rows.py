"""Tables whose rows open: a click anywhere in a row selects it, the open row is marked and in view.

A table whose order is the page's own says so by its headings: Streamlit tells nobody how a grid has
sorted itself, so a click on a heading selects the column, which is told, and sorts on the server.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

import polars as pl
import streamlit as st
from streamlit.components.v2 import component

from components.shell.selection import Id, Selected, interpret, row_of, selected_in

GRACE = 3.0  # seconds in which a browser may still speak of a mark that was taken back
ROW = 26  # pixels of a row
SCRIPT = """
const MOMENTS = 25; // of 100 ms, in which a grid that begins may still scroll back

const stay = (event) => { // else Escape would take all marks back, that of the order too
  if (event.key === "Escape" && event.target.tagName !== "INPUT") event.stopPropagation();
};

// A grid writes a negative number, at the right of its cell, with a hyphen. Drawn is the sign
// that means minus; what is sorted, copied and downloaded stays the number.
const draw = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
  const signed = this.textAlign === "right" ? String(text).replace(/^-(?=[.\\d])/, "−") : text;
  return draw.call(this, signed, ...place);
};

export default function ({ data, parentElement }) {
  const sought = `${data.row} ${data.order}`;
  if (parentElement.sought === sought) return;
  parentElement.sought = sought;
  clearInterval(parentElement.seeking);
  let moments = MOMENTS;
  const stop = () => { moments = 0; };
  const seek = () => {
    const grid = document.querySelector(`.st-key-${data.key}`);
    const ground = grid?.querySelector(".dvn-scroller");
    moments -= 1;
    if (moments <= 0) clearInterval(parentElement.seeking);
    if (data.order) grid?.addEventListener("keydown", stay, true);
    if (data.row < 0 || moments < 0) return;
    if (!ground || ground.scrollHeight <= ground.clientHeight) return;
    grid.addEventListener("wheel", stop, { once: true, passive: true }); // a person scrolls
    grid.addEventListener("pointerdown", stop, { once: true });
    const top = data.row * data.height, space = ground.clientHeight - 3 * data.height;
    if (top < ground.scrollTop || top > ground.scrollTop + space)
      ground.scrollTop = Math.max(0, top - space / 2);
  };
  parentElement.seeking = setInterval(seek, 100);
  seek();
  return () => clearInterval(parentElement.seeking);
}
"""
_reveal = component("tessera_rows", js=SCRIPT)


@dataclass(frozen=True)
class Opening(Generic[Id]):
    """What each row stands for, which is open, and what to do when another is chosen; None where
    the open one is put away."""

    ids: list[Id]
    opened: Id | None
    on_open: Callable[[Id | None], None]


@dataclass(frozen=True)
class Sort:
    """The column that orders the rows, and what to do when another is to."""

    column: str
    reverse: bool
    on_sort: Callable[[str, bool], None]

    @property
    def marked(self) -> list[str]:
        """The columns that the browser holds as selected. A second click on a heading takes its
        mark back, and that reverses the order, so the browser need be told nothing."""
        return [self.column] if self.column and not self.reverse else []


def render_rows(
    frame: pl.DataFrame,
    rows: Opening[Id],
    key: str,
    *,
    sort: Sort | None = None,
    **look: Any,
) -> None:
    """A table whose rows open. `look` goes to `st.dataframe`.

    Every message of a browser, those of timers too, holds the selection that it knew when it was
    sent: what it knew before the last mark was set is no choice of a person's.
    """
    ids, opened = rows.ids, rows.opened
    marked = [ids.index(opened)] if opened in ids else []
    columns = [name for name in (sort.marked if sort else []) if name in frame.columns]
    state = st.session_state.get(key)
    known = state is not None and list(state["selection"].get("columns", ())) == columns
    if state is not None and not known:  # another order, which the browser has not heard of
        earlier = list(state["selection"].get("columns", ()))
        st.session_state[f"{key}:heads"] = (time.monotonic(), earlier)
    if state is None or not known or selected_in(state) != (tuple(marked), ()):
        _mark(key, marked, columns)

    def take() -> None:
        selection = st.session_state[key]["selection"]
        heads = list(selection.get("columns", ()))
        emptied = marked and not heads and not selection.get("rows")  # of all marks at once
        when, earlier = st.session_state.get(f"{key}:heads", (0.0, None))
        stale = heads == earlier and time.monotonic() - when < GRACE
        if sort and heads != columns and not emptied and not stale:
            return sort.on_sort(*((heads[0], False) if heads else (sort.column, True)))
        event = _interpret(key, marked)
        if selected_in(event) == (tuple(marked), ()):
            return rows.on_open(opened)  # nothing was chosen, though what is open may not be listed
        return rows.on_open(row_of(event, marked, ids))

    st.dataframe(
        frame,
        hide_index=True,
        key=key,
        on_select=take,
        selection_mode=("single-row", "single-cell", *(("single-column",) if sort else ())),
        **look,
    )
    row = marked[0] if marked and sort else -1
    order = f"{sort.column} {sort.reverse} {len(ids)}" if sort else ""
    _reveal(data={"key": key, "row": row, "height": ROW, "order": order}, key=f"{key}-reveal")


def _mark(key: str, rows: list[int], columns: list[str]) -> None:
    """Tell the browser what is marked, and remember what it may hold until it has heard."""
    now, before = time.monotonic(), st.session_state.get(key)
    if before is not None:
        # what it was told last it may hold too, but what it said since has come after that
        past = [st.session_state[f"{key}:told"]] if f"{key}:told" in st.session_state else []
        st.session_state[f"{key}:past"] = [*_past(key), *past, (now, selected_in(before))]
    st.session_state[f"{key}:told"] = (now, (tuple(rows), ()))
    st.session_state[key] = {"selection": {"rows": rows, "columns": columns, "cells": []}}


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
