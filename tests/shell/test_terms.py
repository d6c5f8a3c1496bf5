"""Terms on screen: each has its definition in the glossary, said whole."""

from __future__ import annotations

import pytest

from components.shell import terms
from tests.helpers.pages import html_of, opened, text_of

# what the pages write as a symbol or a word of their own
ON_SCREEN = """p k θ κ d̄ L0 ρ τ gray ambiguous uncovered isolation overlap F1 lift FVU density dead
saturated"""


@pytest.mark.parametrize("term", [*ON_SCREEN.split(), "not saturated", "loss recovered"])
def test_every_symbol_has_a_definition_in_plain_words(term: str) -> None:
    words = terms.words(term)
    assert 20 < len(words) < 400
    assert not set("*`[]") & set(words)
    assert words.rstrip()[-1] in ".:)"


def test_a_name_defined_beside_another_is_found_too() -> None:
    assert terms.find("Margin").text.startswith("how much farther")
    assert terms.find("coverage") is terms.find("purity")


def test_a_mark_says_its_definition_and_leads_to_the_glossary(ready: str) -> None:
    app = opened("overview")
    assert 'class="go term" href="glossary?' in html_of(app)
    assert terms.words("p") in html_of(app)


def test_the_glossary_shows_the_term_of_a_link_first_and_finds_text(ready: str) -> None:
    app = opened("glossary", term="coherence κ")
    body = html_of(app)
    assert body.index('glossary chosen"><dt>coherence κ') < body.index("Regions</h3>")
    assert "of two features: active on the same tokens" in text_of(app)
    text = text_of(opened("glossary", search="jaccard"))
    assert "co-firing" in text
    assert "percentile p" not in text
