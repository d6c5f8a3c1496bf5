"""Links between pages. Each is a real address, so it can be copied or opened in a new tab; a
plain click stays in the session and is answered without loading the app again."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import streamlit as st
from streamlit.components.v2 import component

from components.shell import address

SCRIPT = Path(__file__).with_name("links.js").read_text()
_follow = component("tessera_links", js=SCRIPT)

QUICK = {"regions": "region", "features": "feature"}  # what changes without the rest of the page


def href(page: str, **params: Any) -> str:
    """The address of a page of this app, with the study and partition that are looked at."""
    page_fields = address.fields(page)
    lasting = address.SHARED | address.PERSON
    shared = {name: address.get(name) for name in lasting if name in page_fields}
    query = address.write(shared | params, page_fields)
    path = "./" if page == "overview" else page
    return f"{path}?{urlencode(query)}" if query else path


def anchor(label: str, page: str, title: str = "", **params: Any) -> str:
    """HTML of a link; the label is escaped."""
    hint = f' title="{html.escape(title)}"' if title else ""
    address_ = html.escape(href(page, **params))
    return f'<a class="go" href="{address_}"{hint} target="_self">{html.escape(label)}</a>'


def parse(link: str) -> tuple[str, dict[str, str]]:
    """Page and parameters of an address that `href` made."""
    parts = urlsplit(link)
    name = parts.path.strip("./") or "overview"
    return name, dict(parse_qsl(parts.query, keep_blank_values=True))


def render_links(*fragments: str) -> None:
    """Listen for clicks on links. On the page itself only `fragments` are run again, and of them
    only the first, the inspector, where what is open stays open."""
    clicked = _follow(key="links", on_to_change=lambda: _take(fragments))
    if clicked.to:
        switch(clicked.to)


def switch(link: str) -> None:
    """Leave for the page that a link names."""
    name, params = parse(link)
    address.follow()
    st.switch_page(f"pages/{name}.py", query_params=params)


def _take(fragments: tuple[str, ...]) -> None:
    if link := getattr(st.session_state.get("links"), "to", None):
        select_here(link, fragments)


def select_here(link: str, fragments: tuple[str, ...]) -> None:
    """Open what a link names, if it lies on the page itself; only `fragments` run again then."""
    name, params = parse(link)
    values, _ = address.read(params, address.fields(name))
    unchanged = all(address.get(n) == v for n, v in values.items() if n in address.SHARED)
    selected = QUICK.get(name)
    if fragments and name == address.page() and selected in values and unchanged:
        same = values[selected] == address.get(selected)  # so the list stands as it is
        address.put(**{n: v for n, v in values.items() if n not in address.SHARED})
        st.rerun(list(fragments[:1] if same else fragments))
