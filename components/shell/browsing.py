"""What the pages of regions, features and tiers share: a list with a search and filters, the one of
it that is open, the way to those before and after it, and another draw of its examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from backend.schema import Job
from components.shell import address, controls, markup
from components.shell.markup import NOTHING
from components.shell.rows import render_rows
from components.shell.selection import neighbour

INSPECTOR = "inspector"  # the fragment that shows what is open
LIMIT = 5_000  # rows sent to the browser
BY_MEANING = "labels nearest to “{}”"  # what a search by meaning finds


def text(name: str, width: int, help: str | None = None) -> ColumnConfig:
    """How a column of text is shown."""
    return st.column_config.TextColumn(name, width=width, help=help)


def number(
    name: str, width: int, format: str | None = None, help: str | None = None
) -> ColumnConfig:
    """How a column of numbers is shown."""
    return st.column_config.NumberColumn(name, width=width, format=format, help=help)


# columns that a search adds
SEARCH_COLUMNS = {
    "hits": number("hits", 50, help="matches of the search"),
    "label": text("label", 160, "of its labels the one nearest to the search"),
    "cosine": number("cosine", 56, "%.2f", "of the label and the search, as embedded"),
}
Hits = pl.DataFrame | Job | None


@dataclass(frozen=True)
class Filter:
    """The rows that a URL parameter lets through, and in words; off where it is the default."""

    passes: Callable[[Any], pl.Expr]
    words: Callable[[Any], str]


@dataclass(frozen=True)
class Listing:
    """Regions or features as a list, of which one can be open."""

    kind: str  # "region" or "feature", the parameter that names the open one
    fragments: tuple[str, ...]  # that show what search and filters leave; the table is the last
    filters: Mapping[str, Filter]  # by parameter
    spelled: str  # what a search by text finds, {} for the text
    placeholders: Mapping[str, str]  # of a search by text or meaning
    fresh: Mapping[str, Any]  # parameters that start anew with another one

    # ------------------------------------------------------------ what is left

    def search(
        self, by_text: Callable[..., Any], by_meaning: Callable[..., Any], study: str, *where: Any
    ) -> Hits:
        """What the page's search finds, or the job that does; None where nothing is searched."""
        text = address.get("search").strip()
        if address.get("by") == "meaning":
            return by_meaning(study, text, self.kind, *where) if text else None
        return by_text(study, text, *where) if text else None

    def filter_words(self) -> list[str]:
        """The filters that are on, as a reader says them."""
        return [each.words(value) for each, value in self._on()]

    def left(self, table: pl.DataFrame, hits: Hits) -> tuple[pl.DataFrame, str]:
        """The rows that pass the filters and that a search found, and the column of `hits` that
        orders them; "" where nothing is searched, or not found yet."""
        rows = table.filter(pl.lit(True), *(each.passes(v) for each, v in self._on()))
        if hits is None or isinstance(hits, Job):
            return rows, ""
        columns = [name for name in ("hits", "label", "cosine") if name in hits.columns]
        return rows.join(hits.select(self.kind, *columns), on=self.kind), columns[-1]

    def _on(self) -> list[tuple[Filter, Any]]:
        fields = address.fields(f"{self.kind}s")
        values = {name: address.get(name) for name in self.filters}
        return [(self.filters[n], v) for n, v in values.items() if v != fields[n].default]

    # ------------------------------------------------------------ controls

    def render_search(self) -> None:
        """The field that is searched by."""
        with st.container(key="search", width="stretch"):
            controls.text_input(
                "search",
                "Search",
                label_visibility="collapsed",
                placeholder=self.placeholders[address.get("by")],
                type="search",
                icon=":material/search:",
                rerun=self.fragments,
            )

    def render_filters(self, topics: pl.Series, render_others: Callable[[], None]) -> None:
        """The filters behind a button that says how many are on."""
        on = len(self.filter_words())
        with st.popover(f"Filter · {on}" if on else "Filter", key="filter"):
            render_others()
            controls.selectbox(
                "topic",
                "Topic of highest lift",
                sorted({"", *topics.drop_nulls()}),
                format_func=lambda topic: topic or "any",
                rerun=self.fragments,
            )

    def render_listed(self, count: int, total: int, where: Sequence[str] = ()) -> None:
        """How many of how many are listed, why only those, and the way back to all."""
        words, search = [f"{count:,} of {total:,} {self.kind}s", *where], address.get("search")
        by_meaning = address.get("by") == "meaning"
        if search:
            words.append((BY_MEANING if by_meaning else self.spelled).format(search))
        if search and not count and not by_meaning:
            words.append(NOTHING)
        if count > LIMIT:
            words.append(f"the first {LIMIT:,} are listed")
        filters = self.filter_words()
        with st.container(horizontal=True, key="listed", vertical_alignment="center"):
            note = markup.escape(" · ".join([*words, *filters]))
            st.html(f'<p class="note">{note}</p>', width="content")
            if where or search or filters:
                st.button("Show all", type="tertiary", on_click=self._clear, key="show-all")

    def _clear(self) -> None:
        fields = address.fields(f"{self.kind}s")
        names = {"search", "area", *self.filters} & set(fields)
        address.put(**{name: fields[name].default for name in names})
        st.rerun(list(self.fragments))

    # ------------------------------------------------------------ the table and what is open

    def render_rows(
        self,
        rows: pl.DataFrame,
        columns: Mapping[str, Any],
        key: str,
        height: int | str,
        order: Sequence[str] | None = None,
    ) -> None:
        """Some rows in few bytes: a click opens one, and the open one is marked. `order`: the
        columns that are on at first."""
        names = [name for name in columns if name in rows.columns]
        render_rows(
            rows.select(names).cast({pl.Float64: pl.Float32, pl.Int64: pl.Int32}),
            rows[self.kind].to_list(),
            address.get(self.kind),
            self.open_row,
            key,
            column_config=columns,
            column_order=[name for name in order or names if name in names],
            height=height,
            row_height=26,
            placeholder="–",
            alt=f"{self.kind.capitalize()}s; click a row to open it",
        )

    def open_row(self, number: int | None) -> None:
        """Open what a row or a point stands for."""
        if number == address.get(self.kind):  # the table repeats what it was told to mark
            st.rerun([address.IDLE])
        self.open(number)

    def open(self, number: int | None, **also: Any) -> None:
        """Open one, or none, and set other parameters."""
        address.put(**{self.kind: number, **self.fresh, **also})
        st.rerun([INSPECTOR, self.fragments[-1]])

    def render_title(self, ids: list[int]) -> None:
        """Which one is open, and the way to the previous and next of the list."""
        number, kind = address.get(self.kind), self.kind.capitalize()

        def take(step: int) -> None:
            # from what is open now, which may be another than when the button was drawn
            self.open(neighbour(ids, address.get(self.kind), step))

        render_steps(f"{kind}s" if number is None else f"{kind} {number}", take, not ids)


def render_steps(title: str, on_step: Callable[[int], None], disabled: bool = False) -> None:
    """What is open, as HTML, and the way to the one before (-1) and after (+1)."""
    with st.container(horizontal=True, key="steps", vertical_alignment="center"):
        st.html(f'<h2 class="title">{title}</h2>')
        for label, step, key in (("Previous", -1, "P"), ("Next", 1, "N")):
            st.button(
                label, type="tertiary", shortcut=key, key=f"step-{key}",
                on_click=on_step, args=(step,), disabled=disabled,
            )  # fmt: skip


def render_draw_again(number: int, *fixed: str) -> None:
    """Another sample of what is open; for draws that are `fixed` there is none."""
    st.button(
        "Draw again",
        type="tertiary",
        shortcut="D",
        disabled=address.get("draw") in fixed,
        help="Another sample, with the next seed",
        on_click=_draw_again,
        key=f"again-{number}",
    )


def _draw_again() -> None:
    address.put(seed=address.get("seed") + 1)
    st.rerun([INSPECTOR])
