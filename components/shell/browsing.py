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
from components.shell import address, controls, going, links, markup
from components.shell.markup import NOTHING
from components.shell.rows import ROW, Opening, Sort, render_rows
from components.shell.selection import neighbour
from components.shell.status import (
    Desk,
    render_empty,
    render_estimate,
    render_pending,
    reported,
    waiting,
)
from components.shell.stepping import INSPECTOR, STEPS, render_steps, stay

LIMIT = 5_000  # rows sent to the browser
BY_MEANING, BY_WORDS = "labels nearest to “{}”", "with “{}”"  # what a search finds


def text(name: str, width: int, help: str | None = None) -> ColumnConfig:
    """How a column of text is shown."""
    return st.column_config.TextColumn(name, width=width, help=help)


def number(
    name: str, width: int, format: str | None = None, help: str | None = None
) -> ColumnConfig:
    """How a column of numbers is shown."""
    return st.column_config.NumberColumn(name, width=width, format=format, help=help)


# the label of each, and columns that a search adds
LABEL_COLUMNS = {
    "label": text("label", 112, "the best there is: by hand, else by a model, else by counting"),
    "matched": text("found by", 66, "number, label, commonest token or text"),
    "hits": number("hits", 50, help="tokens that spell the search"),
    "cosine": number("cosine", 56, "%.2f", "of the label and the search, as embedded"),
    "method": text("label by", 110, "how the label was made"),
}
# of these the first in the alphabet, or the smallest, comes first
ASCENDING = frozenset(("feature", "region", "label", "method", "matched", "topic", "top_token"))
NUMBERED = pl.Schema({"matched": pl.String, "rank": pl.Float64})  # found by number
ENDED = ("failed", "cancelled")  # states of a job that has left no answer
FIRST = 99.0  # the rank of what is found by its number
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
    fresh: Mapping[str, Any]  # parameters that start anew with another one
    usual: str  # the column that orders them where nothing else is asked for
    sorts: Mapping[str, str]  # columns that can order them, in words
    rising: frozenset[str] = ASCENDING  # of these the smallest comes first

    # ------------------------------------------------------------ what is left

    def search(self, desk: Desk, study: str, *where: float) -> Hits:
        """What the page's search finds, or the job that does; None where nothing is searched, or
        where a search by meaning has no labels yet, which are counted only when asked for."""
        text = address.get("search").strip()
        if not text:
            return None
        if address.get("by") == "meaning":
            labels = desk.count_labels.live(study, self.kind, *where)
            if labels is None or isinstance(labels, Job):
                return labels
            return desk.search_labels(study, text, self.kind, *where)
        if going.read_number(text, self.kind) and not text.isdigit():  # it can be nothing else
            return pl.DataFrame(schema={self.kind: pl.Int32, **NUMBERED})
        find = desk.find_features if self.kind == "feature" else desk.find_regions
        return find(study, text, *where)

    def named(self, text: str) -> int | None:
        """The number of one of this kind that a search names."""
        kind, number = going.read_number(text, self.kind) or ("", None)
        return number if kind == self.kind else None

    def filter_words(self) -> list[str]:
        """The filters that are on, as a reader says them."""
        return [each.words(value) for each, value in self._on()]

    def left(self, table: pl.DataFrame, hits: Hits) -> tuple[pl.DataFrame, str]:
        """The rows that pass the filters and that a search found, and the column of `hits` that
        orders them; "" where nothing is searched, or not found yet."""
        rows = table.filter(pl.lit(True), *(each.passes(v) for each, v in self._on()))
        if hits is None or isinstance(hits, Job):
            return rows, ""
        found_by = "cosine" if "cosine" in hits.columns else "rank"
        if found_by == "rank" and (number := self.named(address.get("search"))) is not None:
            own = rows.filter(pl.col(self.kind) == number).select(
                self.kind, matched=pl.lit("number"), rank=pl.lit(FIRST)
            )
            hits = pl.concat([own, hits], how="diagonal_relaxed").unique(self.kind, keep="first")
        replaced = set(hits.columns) & set(rows.columns) - {self.kind}  # the label that was found
        return rows.drop(replaced).join(hits, on=self.kind), found_by

    def order(self, found_by: str = "") -> tuple[str, bool]:
        """The column that orders the rows, and whether its natural order is reversed."""
        return address.get("sort") or found_by or self.usual, address.get("reverse")

    def ordered(self, rows: pl.DataFrame, found_by: str) -> pl.DataFrame:
        """Rows in the order that is in force, those without a value last."""
        column, reverse = self.order(found_by)
        if column not in rows.columns:  # a column of a search, where nothing is searched
            column = self.usual
        descending = (column not in self.rising) != reverse
        columns = [column] if column == self.kind else [column, self.kind]
        return rows.sort(columns, descending=[descending, False][: len(columns)], nulls_last=True)

    def _on(self) -> list[tuple[Filter, Any]]:
        fields = address.fields(f"{self.kind}s")
        values = {name: address.get(name) for name in self.filters}
        return [(self.filters[n], v) for n, v in values.items() if v != fields[n].default]

    # ------------------------------------------------------------ controls

    def render_search(self) -> None:
        """The field that is searched by; a number in it opens what has it."""
        by_meaning = address.get("by") == "meaning"
        with st.container(key="search", width="stretch"):
            controls.text_input(
                "search",
                "Search",
                label_visibility="collapsed",
                placeholder="Label by meaning" if by_meaning else "Label, token, text or number",
                type="search",
                icon=":material/search:",
                also=self._follow_search,
                rerun=(*self.fragments, INSPECTOR),
            )

    def _follow_search(self, text: str) -> dict[str, Any]:
        """What changes with the text that is searched: a number opens what has it, and no text is
        searched by words, as every text is that comes next."""
        number = self.named(text)
        # digits alone may be a text, so they open nothing that is not there
        if number is not None and not (
            text.strip().isdigit() and number not in self._state("all", ())
        ):
            return {self.kind: number, **self.fresh}
        return {} if text.strip() else {"by": "text"}

    def _state(self, name: str, otherwise: Any) -> Any:
        """What the list on the page was last: `rows` in their order, and `all` numbers."""
        return st.session_state.get(f"{address.page()}.{name}", otherwise)

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
        """How many of how many are listed, why only those, in which order, and the way back to
        all."""
        st.session_state[f"{address.page()}.all"] = range(total)
        search, by_meaning = address.get("search").strip(), address.get("by") == "meaning"
        words = [f"{count:,} of {total:,} {self.kind}s", *where]
        if search:
            words.append((BY_MEANING if by_meaning else BY_WORDS).format(search))
        if search and not count and not by_meaning and not going.read_number(search, self.kind):
            words.append(NOTHING)
        if count > LIMIT:
            words.append(f"the first {LIMIT:,} are listed")
        filters = self.filter_words()
        with st.container(horizontal=True, key="listed", vertical_alignment="center"):
            note = markup.escape(" · ".join([*words, *filters])) + self._number_html(total)
            st.html(f'<p class="note">{note}</p>', width="content")
            if where or search or filters:
                st.button("Show all", type="tertiary", on_click=self._clear, key="show-all")
            if search:
                other = "By words" if by_meaning else "By meaning"
                st.button(other, type="tertiary", on_click=self._turn, key="other-search")
            self._render_order()

    def is_waiting(self, hits: Hits, desk: Desk, study: str, *where: float) -> bool:
        """Whether a search has nothing to list yet; if so, show what it waits for, and the way
        back from a search by meaning."""
        by_meaning = address.get("by") == "meaning" and bool(address.get("search").strip())
        if not isinstance(hits, Job) and not (by_meaning and hits is None):
            return False
        if hits is None:
            what = f"{self.kind}s: none is labelled by counting yet"
            markup.note(f"A search by meaning reads the labels of all {what}.")
            self.render_counting(desk, study, *where)
        else:
            waiting(hits, desk, "search")
        if by_meaning:
            st.button("By words", type="tertiary", on_click=self._turn, key="other-search")
        return True

    def _number_html(self, total: int) -> str:
        """What a number in the search field comes to, where it is not in the list."""
        named = going.read_number(address.get("search"), self.kind)
        if named is None or address.get("by") == "meaning":
            return ""
        kind, number = named
        if kind != self.kind:
            where: dict[str, Any] = {kind: number}
            link = links.anchor(f"Open {kind} {number}", f"{kind}s", **where)
            return f" · {link}"
        if number < total:
            return ""
        return f" · There is no {kind} {number}: they are numbered 0 to {total - 1:,}."

    def _render_order(self) -> None:
        """The order in force; a click on a column's heading sets it too."""
        searched = bool(address.get("search").strip())
        usual = "best match" if searched else self.sorts[self.usual]
        others = {n: words for n, words in self.sorts.items() if searched or n != self.usual}
        names = {"": usual, **others}
        controls.selectbox(
            "sort",
            "Order",
            list(names),
            format_func=lambda name: f"{names.get(name, name)} {self._arrow(name)}",
            label_visibility="collapsed",
            width=150,
            also={"reverse": False},
            rerun=self.fragments[-1:],
        )
        st.button("Reverse", type="tertiary", on_click=self._reverse, key="reverse-order")

    def _arrow(self, column: str) -> str:
        """Whether values fall or rise down the list, were it ordered by a column."""
        column = column or ("rank" if address.get("search").strip() else self.usual)
        return "↓" if (column not in self.rising) != address.get("reverse") else "↑"

    def _reverse(self) -> None:
        address.put(reverse=not address.get("reverse"))
        st.rerun(list(self.fragments[-1:]))

    def _turn(self) -> None:
        address.put(by="text" if address.get("by") == "meaning" else "meaning")
        st.rerun([*self.fragments, INSPECTOR])

    def _clear(self) -> None:
        fields = address.fields(f"{self.kind}s")
        names = {"search", "by", "area", *self.filters} & set(fields)
        address.put(**{name: fields[name].default for name in names})
        st.rerun([*self.fragments, INSPECTOR])

    def render_counting(self, desk: Desk, study: str, *where: float) -> None:
        """The way to labels by counting, where there are none: how far they are, or a button."""
        question = (study, self.kind, *where)
        labels = desk.count_labels.live(*question)
        if isinstance(labels, Job):
            return render_pending(labels, desk, "Labels by counting are being made.", "counted")
        if labels is not None:
            return None
        with st.container(horizontal=True, vertical_alignment="center", key="counting"):
            st.button(
                f"Label all {self.kind}s by counting",
                key="count-labels",
                help="By the tokens that are commonest at the peak, before and after it",
                on_click=self._count,
                args=(desk, *question),
            )
            render_estimate(desk.count_labels, *question)

    def _count(self, desk: Desk, *question: Any) -> None:
        with reported():
            job = desk.count_labels(*question)
            if isinstance(job, Job) and job.state in ENDED:
                desk.retry(job.id)
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
        numbers = rows[self.kind].to_list()
        st.session_state[f"{address.page()}.rows"] = numbers
        sortable = "sort" in address.fields(address.page())
        column = address.get("sort") if sortable else ""
        if column in columns:
            heading = f"{columns[column]['label']} {self._arrow(column)}"
            columns = {**columns, column: {**columns[column], "label": heading}}
        render_rows(
            rows.select(names).cast({pl.Float64: pl.Float32, pl.Int64: pl.Int32}),
            Opening(numbers, address.get(self.kind), self.open_row),
            key,
            sort=Sort(column, address.get("reverse"), self.sort) if sortable else None,
            column_config=columns,
            column_order=[name for name in order or names if name in names],
            height=height,
            row_height=ROW,
            placeholder="–",
            alt=f"{self.kind.capitalize()}s; click a row to open it",
        )

    def sort(self, column: str, reverse: bool) -> None:
        """Order the rows by a column whose heading was clicked."""
        if column in self.sorts:
            address.put(sort=column, reverse=reverse)
        st.rerun(list(self.fragments[-1:]))

    def open_row(self, number: int | None) -> None:
        """Open what a row or a point stands for."""
        if number == address.get(self.kind):  # the table repeats what it was told to mark
            st.rerun([address.IDLE])
        self.open(number)

    def open(self, number: int | None, **also: Any) -> None:
        """Open one, or none, and set other parameters."""
        address.put(**{self.kind: number, **self.fresh, **also})
        st.rerun([INSPECTOR, self.fragments[-1]])

    def render_nothing_open(self) -> None:
        """What to do while none is open."""
        with st.container(key="nothing-open"):
            render_empty(
                f"No {self.kind} is open.", "Click one, press N, or G and then its number."
            )

    def render_title(self, ids: list[int] | None = None) -> None:
        """Which one is open, and the way to the previous and next of the list as it stands, or of
        `ids`."""
        number, kind = address.get(self.kind), self.kind.capitalize()

        def take(step: int) -> None:
            # from what is open and listed now, which may have changed since the button was drawn
            listed = self._state("rows", []) if ids is None else ids
            target = neighbour(listed, address.get(self.kind), step)
            if target is None:
                stay(step)
            self.open(target)

        empty = not (self._state("rows", []) if ids is None else ids)
        ways = () if empty else STEPS[1:] if number is None else STEPS
        render_steps(f"{kind}s" if number is None else f"{kind} {number}", take, ways)
