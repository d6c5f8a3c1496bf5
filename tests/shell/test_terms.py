"""Terms on screen: each has its definition in the glossary, said whole."""

from __future__ import annotations

import re

import pytest

from components.shell import terms
from tests.helpers.pages import html_of, opened, text_of

# what the pages write as a symbol or a word of their own
ON_SCREEN = """p k θ κ d d̄ L0 ρ τ gray ambiguous uncovered isolation overlap margin F1 lift FVU
density dead saturated tier repeat confidence flag"""
IN_ORDER = "First words", "How regions are made"  # sections that say so of themselves


@pytest.mark.parametrize("term", [*ON_SCREEN.split(), "not saturated", "loss recovered"])
def test_every_symbol_has_a_definition_in_plain_words(term: str) -> None:
    words = terms.words(term)
    assert 20 < len(words) < 400
    assert not set("*`[]") & set(words)
    assert words.rstrip()[-1] in ".:)"


def test_a_name_defined_beside_another_is_found_too() -> None:
    assert terms.find("Distance band").text.startswith("a quarter")
    assert terms.find("coverage") is terms.find("purity")


def test_a_mark_says_its_definition_and_leads_to_the_glossary(ready: str) -> None:
    app = opened("overview")
    assert 'class="go term" href="glossary?' in html_of(app)
    assert terms.words("p") in html_of(app)


def test_the_glossary_shows_the_term_of_a_link_first_and_finds_text(ready: str) -> None:
    app = opened("glossary", term="coherence κ")
    body = html_of(app)
    assert body.index('glossary chosen"><dt>coherence κ') < body.index("First words</h3>")
    assert "of two features: active on the same tokens" in text_of(app)
    text = text_of(opened("glossary", search="jaccard"))
    assert "co-firing" in text
    assert "percentile p" not in text


def test_the_first_sections_are_explained_by_words_above() -> None:
    assert all("top to bottom" in terms.introductions()[section] for section in IN_ORDER)
    definitions = dict.fromkeys(terms.glossary().values())
    entries = [each for each in definitions if each.section in IN_ORDER]
    assert [each.section for each in list(definitions)[: len(entries)]] == sorted(
        each.section for each in entries
    )
    names = [{*each.name.split(", "), *re.findall(r"\*\*(.+?)\*\*", each.text)} for each in entries]
    for place, entry in enumerate(entries):
        later = {name for each in names[place + 1 :] for name in each} - names[place]
        text = re.sub(r"[^.]*\bbelow\b[^.]*", "", terms.plain(entry.text))
        early = [name for name in later if re.search(rf"\b{re.escape(name)}s?\b", text)]
        assert early == [], f"{entry.name} is explained by what stands below it"


def test_the_glossary_says_how_it_is_read_where_nothing_is_searched(ready: str) -> None:
    assert "From top to bottom" in text_of(opened("glossary"))
    assert "From top to bottom" not in text_of(opened("glossary", search="token"))


def test_a_first_sentence_stands_for_itself() -> None:
    """It alone is seen of a mark whose definition is long."""
    for name in ON_SCREEN.split():
        text = terms.plain(terms.find(name).text)
        assert len(re.split(r"(?<=[.?]) (?=[A-Z“])", text)[0]) <= 140, name
