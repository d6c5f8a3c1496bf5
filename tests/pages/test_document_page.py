"""A document: the way back to where one came from, and what lies before and after it."""

from __future__ import annotations

import html
import re

from tests.helpers.pages import html_of, opened, text_of


def links(page_html: str) -> dict[str, str]:
    """Addresses of a page's links by their words."""
    pairs = re.findall(r'<a class="go" href="([^"]*)"[^>]*>([^<]*)</a>', page_html)
    return {words: html.unescape(address) for address, words in pairs}


def test_the_way_back_leads_to_the_feature_and_says_the_place(ready: str) -> None:
    from_example = opened("document", document=1, feature=3, place=2)
    there = links(html_of(from_example))
    assert re.fullmatch(r"features\?.*feature=3", there["Back to feature 3, example 2"])
    for words, number in (("← document before", ""), ("document after →", "document=2")):
        assert number in there[words]
        assert "feature=3" in there[words], "the next one is coloured alike, and leads back too"
        assert "place=2" in there[words]
    by_region = opened("document", document=1, feature=3, place=2, colour="region")
    there = links(html_of(by_region))
    assert "Back to feature 3, example 2" in there
    assert "colour" not in there["Colour by feature 3"]
    assert "Each colour is a region" in text_of(by_region)


def test_the_way_back_leads_to_the_region(ready: str) -> None:
    there = links(html_of(opened("document", document=0, region=4)))
    assert re.fullmatch(r"regions\?.*region=4", there["Back to region 4"])
    assert "← document before" not in there, "it is the first"
    assert not any(
        words.startswith("Back") for words in links(html_of(opened("document", document=0)))
    )


def test_examples_and_members_say_where_they_stand(ready: str) -> None:
    of_feature = html_of(opened("features", feature=3))
    places = re.findall(r"document\?[^\"]*place=(\d+)", of_feature)
    assert places
    assert places == [str(number) for number in range(1, len(places) + 1)]
    of_region = html.unescape(html_of(opened("regions", region=1)))
    assert re.search(r"document\?[^\"]*document=\d+&region=1&place=1&", of_region)


def test_a_document_that_is_not_there_has_no_neighbours(ready: str) -> None:
    app = opened("document", False, document=99999)
    assert "There is no document 99999" in text_of(app)
    assert "document after" not in text_of(app)
