"""Marks of terms: a symbol on screen that says its definition and leads to the glossary.

The definitions are those of `docs/glossary.md`, entries `**name**, **other name** — definition`.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from html import escape
from pathlib import Path

from streamlit.components.v2 import component

from components.shell.links import href

GLOSSARY = Path(__file__).parents[2] / "docs" / "glossary.md"
LONGEST = 280  # characters of a definition beside its mark; the glossary has the rest
# what the screen writes, where the glossary's entry has a longer name
SYMBOLS = {
    "p": "percentile p",
    "θ": "threshold θ",
    "d": "distance d",
    "κ": "coherence κ",
    "d̄": "mean pairwise distance d̄",
    "ρ": "correlation score ρ",
    "τ": "threshold τ",
}
LINK = r"\[([^\]]*)\]\([^)]*\)"  # of markdown, to its label
# labels of numbers and columns that carry their mark wherever they stand; p, k, d, ρ, τ and margin
# are not among them, since they are other things on other pages
MARKED = frozenset(
    "θ κ d̄ L0 gray ambiguous uncovered isolation overlap F1 lift FVU density dead".split()
) | {"not saturated", "loss recovered"}
SCRIPT = Path(__file__).with_name("terms.js").read_text(encoding="utf-8")
_tips = component("tessera_terms", js=SCRIPT)


@dataclass(frozen=True)
class Definition:
    """An entry of the glossary, as markdown."""

    name: str  # as written, of several names all
    section: str
    text: str


@functools.cache
def glossary() -> dict[str, Definition]:
    """Definitions by each of their names, in the glossary's order."""
    entries: dict[str, Definition] = {}
    for section, paragraph in _paragraphs():
        for title, text in _entries(paragraph):
            definition = Definition(title, section, text)
            for name in title.split(", "):
                entries[name] = definition
    return entries


@functools.cache
def introductions() -> dict[str, str]:
    """What stands before the definitions of each section, as markdown; under "" before them all."""
    return {section: text for section, text in _paragraphs() if not _entries(text)}


def _paragraphs() -> list[tuple[str, str]]:
    """Sections and paragraphs of the glossary, less the headings."""
    section, paragraphs = "", []
    for block in re.split(r"\n\s*\n", GLOSSARY.read_text(encoding="utf-8")):
        if block.startswith("#"):
            section = block.removeprefix("## ").strip() if block.startswith("## ") else ""
        else:
            paragraphs.append((section, " ".join(block.split())))
    return paragraphs


def _entries(block: str) -> list[tuple[str, str]]:
    """Titles and texts of a paragraph: one entry, and those that it defines on the way."""
    parts = re.split(r"(?:^|(?<=\. ))\*\*([^*]+)\*\*(?:, \*\*([^*]+)\*\*)? — ", block)
    titles = [", ".join(filter(None, pair)) for pair in zip(parts[1::3], parts[2::3], strict=True)]
    return list(zip(titles, (text.strip() for text in parts[3::3]), strict=True))


def find(term: str) -> Definition:
    """What a symbol or term means; a KeyError where the glossary has no such entry."""
    return glossary()[SYMBOLS.get(term, term)]


def words(term: str) -> str:
    """The definition as plain text, whole sentences as far as they are short."""
    sentences = re.split(r"(?<=[.?]) (?=[A-Z])", plain(find(term).text))
    text = sentences[0]
    for sentence in sentences[1:]:
        if len(text) + len(sentence) > LONGEST:
            break
        text += f" {sentence}"
    return text


def plain(markdown: str) -> str:
    """Markdown of the glossary without its marks."""
    return re.sub(r"[*`]", "", re.sub(LINK, r"\1", re.sub(r" \(\[decision[^)]*\)\)", "", markdown)))


def link(term: str) -> str:
    """The address of the term in the glossary."""
    return href("glossary", term=find(term).name)


def mark(term: str, label: str = "", stop: bool = True) -> str:
    """HTML of a term whose definition shows when it is pointed at, reached by keyboard or
    touched, and that leads to the glossary; `label` is what is written instead. `stop`: whether
    the Tab key stops at it, which of a mark in every row it does in the first."""
    passed = "" if stop else ' tabindex="-1"'
    return (
        f'<a class="go term"{passed} href="{escape(link(term))}" '
        f'aria-description="{escape(words(term))}" '
        f'data-name="{escape(find(term).name)}" target="_self">{escape(label or term)}</a>'
    )


def label_html(words: str) -> str:
    """The name of a number or a column as HTML, marked where it is a term."""
    return mark(words) if words in MARKED else escape(words)


def hint(term: str) -> str:
    """The definition as the help of a control or a column."""
    return f"{words(term)} [Glossary]({link(term)})"


def key(*terms: str) -> str:
    """One line of marks, to stand under what cannot carry them itself."""
    return f'<p class="note terms">{" ".join(mark(term) for term in terms)}</p>'


def render_tips() -> None:
    """Listen for terms that are pointed at, on the whole page."""
    _tips(key="terms")


# ---------------------------------------------------------------- the glossary as a page


def glossary_html(search: str, chosen: str) -> str:
    """All definitions that hold a text, by section; the chosen one first. Where no text is
    searched, what stands before them too."""
    entries = list(dict.fromkeys(glossary().values()))
    parts = [_entry_html(entry, "chosen") for entry in entries if entry.name == chosen]
    notes = {} if search else introductions()
    parts.append(_note_html(notes.get("", "")))
    hits = [each for each in entries if search.casefold() in f"{each.name} {each.text}".casefold()]
    for section in dict.fromkeys(entry.section for entry in hits):
        body = "".join(_entry_html(each) for each in hits if each.section == section)
        note = _note_html(notes.get(section, ""))
        head = f'<h3 class="head">{escape(section)}</h3>{note}'
        parts.append(f'{head}<dl class="glossary">{body}</dl>')
    return "".join(parts)


def _note_html(markdown: str) -> str:
    return f'<p class="note">{_html(markdown)}</p>' if markdown else ""


def _html(markdown: str) -> str:
    text = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", escape(re.sub(LINK, r"\1", markdown)))
    return re.sub(r"[*`]([^*`]+)[*`]", r"<i>\1</i>", text)


def _entry_html(entry: Definition, kind: str = "") -> str:
    body = f"<dt>{escape(entry.name)}</dt><dd>{_html(entry.text)}</dd>"
    return f'<dl class="glossary {kind}">{body}</dl>' if kind else body
