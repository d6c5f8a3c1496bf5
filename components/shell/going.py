"""To a feature or a region by its number, from every page."""

from __future__ import annotations

import re

import streamlit as st

from components.shell import address, links, markup
from components.shell.markup import escape

KINDS = {"f": "feature", "r": "region"}  # by their first letter
FORM = re.compile(
    r"\s*(?P<kind>features?|regions?|f|r)?\s*(?P<mark>#?)\s*(?P<number>\d{1,15}|\d{1,3}(,\d{3})+)\s*",
    re.IGNORECASE | re.ASCII,
)
GO_TO = "go-to"  # the fragment that says what is wrong with what was typed
HERE = ("tiers",)  # pages that open a feature of their own
EXAMPLES = "Type a number, or feature 1205, or region 17."
OTHERS = {"feature": "“region 17” goes to a region", "region": "“feature 1205” goes to a feature"}


def read_number(text: str, kind: str) -> tuple[str, int] | None:
    """The kind and number that a text names, as "1205", "#1205", "feature 1205" or "r17"; a number
    alone is of `kind`. None where it names none."""
    match = FORM.fullmatch(text)
    if match is None:
        return None
    named = match["kind"]
    number = int(match["number"].replace(",", ""))
    return KINDS[named[0].lower()] if named else kind, number


def own_kind() -> str:
    """What a number alone means on this page."""
    return "region" if address.page() == "regions" else "feature"


def meaning() -> str:
    """What the field takes a number for on this page, and how to say the other."""
    kind = own_kind()
    return f"Here a number is a {kind}’s; {OTHERS[kind]}."


def destination(text: str) -> str:
    """The address of what a text names; "" where it names nothing."""
    named = read_number(text, own_kind())
    if named is None:
        return ""
    kind, number = named
    alone = FORM.fullmatch(text)["kind"] is None  # pyright: ignore[reportOptionalSubscript]
    page = address.page() if alone and address.page() in HERE else f"{kind}s"
    return links.href(page, **{kind: number})


def render_go_to(fragments: tuple[str, ...], key: str) -> None:
    """The field behind the key G; on the page itself `fragments` are run again. `key`: G, or ""
    where the page has another use for it."""
    with st.form("go-to-form", border=False, clear_on_submit=True):
        st.text_input(
            f"Go to a feature or region by number. {meaning()}",
            key="go-to-text",
            label_visibility="collapsed",
            placeholder=" · ".join(filter(None, (f"{own_kind().capitalize()} number", key))),
        )
        st.html(f'<p class="note">{escape(meaning())}</p>')
        st.form_submit_button("Go", on_click=_go, args=(fragments,))
    _render_problem()
    if link := st.session_state.pop("go-to.link", ""):
        links.switch(link)


@st.fragment(key=GO_TO)
def _render_problem() -> None:
    if problem := st.session_state.pop("go-to.problem", ""):
        markup.note(problem)


def _go(fragments: tuple[str, ...]) -> None:
    text = st.session_state["go-to-text"]
    link = destination(text)
    if link:
        links.select_here(link, fragments and (*fragments, GO_TO))
        st.session_state["go-to.link"] = link  # it lies elsewhere
        return
    if text.strip():
        st.session_state["go-to.problem"] = f"“{text[:40]}” names no feature or region. {EXAMPLES}"
    st.rerun([GO_TO])
