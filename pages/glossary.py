"""Glossary: every word and symbol on screen, with its meaning."""

from __future__ import annotations

from backend import queries
from components.shell import address, controls, markup, terms
from components.shell.frame import frame

frame("Glossary", queries)
controls.text_input(
    "search", "Search", placeholder="a word or symbol", label_visibility="collapsed", type="search"
)
markup.render(terms.glossary_html(address.get("search").strip(), address.get("term")))
