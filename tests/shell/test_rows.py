"""Tables in the order of the page: what a browser says of headings and rows, and its meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
import streamlit as st

from components.shell import rows
from components.shell.rows import Opening, Sort, render_rows

FRAME = pl.DataFrame({"feature": [5, 7, 9], "max": [3.0, 2.0, 1.0]})


class Browser:
    """What stands for a browser: the marks the table was given, and a way to speak as it does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state: dict[str, Any] = {}
        self.now = 100.0
        self.take: Any = None
        self.chosen: list[Any] = []
        monkeypatch.setattr(st, "session_state", self.state)
        monkeypatch.setattr(st, "dataframe", self._draw)
        monkeypatch.setattr(rows, "_reveal", lambda **_: None)
        monkeypatch.setattr(rows.time, "monotonic", lambda: self.now)

    def _draw(self, frame: pl.DataFrame, on_select: Any, **look: Any) -> None:
        self.take, self.modes = on_select, look["selection_mode"]

    def render(
        self, opened: int | None, column: str = "", reverse: bool = False, n: int = 3
    ) -> None:
        frame = FRAME.head(n)
        sort = Sort(column, reverse, lambda *order: self.chosen.append(order))
        opening = Opening(frame["feature"].to_list(), opened, self.chosen.append)
        render_rows(frame, opening, "t", sort=sort)

    def says(
        self, marked: list[int], columns: Sequence[str] = (), cells: Sequence[Any] = ()
    ) -> Any:
        marks = {"rows": marked, "columns": list(columns), "cells": list(cells)}
        self.state["t"] = {"selection": marks}
        self.take()
        return self.chosen.pop()

    @property
    def marks(self) -> dict[str, Any]:
        return self.state["t"]["selection"]


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Browser:
    return Browser(monkeypatch)


def test_a_click_on_a_heading_orders_by_it_and_a_second_reverses(browser: Browser) -> None:
    browser.render(7)
    assert "single-column" in browser.modes
    assert browser.says([1], ["max"]) == ("max", False)
    browser.render(7, "max")
    assert browser.marks == {"rows": [1], "columns": ["max"], "cells": []}
    assert browser.says([1], []) == ("max", True)
    browser.render(7, "max", reverse=True)
    assert browser.marks["columns"] == []
    assert browser.says([1], ["max"]) == ("max", False)


def test_an_order_set_elsewhere_marks_its_heading_and_an_echo_does_not_undo_it(
    browser: Browser,
) -> None:
    browser.render(7, "max")
    browser.render(7, "feature")
    assert browser.marks["columns"] == ["feature"]
    assert browser.says([1], ["max"]) == 7  # sent before it had heard
    browser.render(7, "feature")
    browser.now += 10
    assert browser.says([1], ["max"]) == ("max", False)


def test_a_row_opens_by_its_text_and_closes_by_its_tick_box(browser: Browser) -> None:
    browser.render(None)
    browser.now += 10
    assert browser.says([], cells=[(2, "max")]) == 9
    browser.render(9)
    assert browser.marks["rows"] == [2]
    browser.now += 1
    assert browser.says([]) is None  # though nothing was marked long ago either


def test_marks_that_are_all_taken_back_close_what_is_open_and_keep_the_order(
    browser: Browser,
) -> None:
    browser.render(9, "max")
    browser.now += 10
    assert browser.says([], []) is None


def test_what_is_open_stays_open_where_the_list_no_longer_has_it(browser: Browser) -> None:
    browser.render(9)
    browser.render(9, n=0)
    assert browser.marks["rows"] == []
    assert browser.says([2]) == 9  # the browser still speaks of its row
    browser.now += 10
    assert browser.says([]) == 9
