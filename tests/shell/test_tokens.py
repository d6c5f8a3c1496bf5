"""Passages as HTML: the text survives whole, nothing in it is read as markup."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.corpus.views import Passage
from components.shell.markup import token, visible
from components.shell.tokens import Look, hover, legend_html, passage_html, strength, window

TEXTS = st.lists(st.text(max_size=8), min_size=1, max_size=12)
HOSTILE = ("<script>alert(1)</script>", "<b>", "&amp;", '"quoted"', "a'b", "</div>", "<!--")


def passage(pieces: list[str], **also: Any) -> Passage:
    fields: dict[str, Any] = {"document": 4, "title": "a title", "topic": "a topic", "first": 100}
    fields["values"] = tuple(float(i % 3) for i in range(len(pieces)))
    return Passage(pieces=tuple(pieces), **(fields | also))


class Reader(HTMLParser):
    """What a browser would make of HTML: text, tags and their attributes."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(TEXTS)
def test_stripping_the_tags_gives_the_text_back(pieces: list[str]) -> None:
    read = Reader(passage_html(passage(pieces), Look(peak=2)))
    assert read.text == "".join(visible(piece) for piece in pieces)


@given(TEXTS, st.booleans())
def test_only_our_own_tags_appear(pieces: list[str], regions: bool) -> None:
    rendered = passage([*pieces, *HOSTILE], regions=tuple(range(len(pieces) + len(HOSTILE))))
    look = Look(peak=2, regions=regions, link=lambda region: f'regions?region={region}&x="y"')
    read = Reader(passage_html(rendered, look))
    assert {tag for tag, _ in read.tags} <= {"div", "span", "i", "a"}
    names = {name for _, attributes in read.tags for name in attributes}
    assert names <= {"class", "title", "style", "dir", "href", "target"}


@given(st.text(max_size=40))
def test_text_without_control_characters_is_shown_as_it_is(text: str) -> None:
    plain = "".join(c for c in text if c.isprintable() and not 0x202A <= ord(c) <= 0x2069)
    assert visible(plain) == plain


@pytest.mark.parametrize(("character", "rendered"), [("\0", "␀"), ("\x1b", "␛"), ("\x7f", "␡")])
def test_control_characters_become_symbols(character: str, rendered: str) -> None:
    assert rendered in Reader(passage_html(passage([f"a{character}b"]))).text


def test_an_override_of_direction_cannot_turn_the_line_around() -> None:
    assert "\u202e" not in passage_html(passage(["abc\u202edef"]))
    assert "‹202E›" in visible("\u202e")


def test_line_feeds_and_tabs_are_marked_and_kept() -> None:
    rendered = passage_html(passage(["one\n", "\ttwo"]))
    assert Reader(rendered).text == "one\n\ttwo"
    assert 'class="feed"' in rendered
    assert 'class="tab"' in rendered


def test_a_piece_without_text_is_still_seen_and_hovered() -> None:
    rendered = passage_html(passage(["", "é"]))
    assert 'class="none"' in rendered
    assert "no text of its own" in rendered


def test_every_token_keeps_its_own_direction() -> None:
    rendered = passage_html(passage([" שלום", " world"]))
    assert rendered.startswith('<div class="passage" dir="auto">')
    assert Reader(rendered).text == " שלום world"


def test_stronger_activations_are_more_visible_and_zero_is_not() -> None:
    rendered = passage_html(passage(["a", "b", "c"], values=(0.0, 1.0, 4.0)), Look(peak=4))
    alphas = [float(a) for a in re.findall(r"--a:([\d.]+)", rendered)]
    assert len(alphas) == 2
    assert 0 < alphas[0] < alphas[1] == 1
    assert strength(9, 4) == 1


def test_the_focus_is_outlined() -> None:
    rendered = passage_html(passage(["a", "b", "c"], focus=1))
    assert re.findall(r'class="t[^"]*focus"[^>]*>(.)<', rendered) == ["b"]


def test_hovering_says_token_value_and_row() -> None:
    text = hover(passage(["a", " <b>"], values=(0.0, 1.25)), 1, Look(peak=2))
    assert text == "' <b>' · activation 1.250 · token 101"
    rendered = passage_html(passage(["a", " <b>"], values=(0.0, 1.25)), Look(peak=2))
    assert html.escape(text, quote=True) in rendered


def test_by_region_each_token_links_to_its_region() -> None:
    look = Look(regions=True, link=lambda region: f"regions?region={region}")
    read = Reader(passage_html(passage(["a", "b"], regions=(7, 8)), look))
    links = [a["href"] for tag, a in read.tags if tag == "a"]
    assert links == ["regions?region=7", "regions?region=8"]


def test_a_window_keeps_the_focus_and_its_row() -> None:
    whole = passage([str(i) for i in range(30)], focus=20)
    part = window(whole, 3, 2)
    assert part.pieces == ("17", "18", "19", "20", "21", "22")
    assert part.pieces[part.focus] == "20"
    assert part.first == 117
    assert window(whole, 100, 100) == whole


def test_white_space_of_a_lone_token_is_made_visible() -> None:
    assert Reader(token(" the")).text == "·the"
    assert Reader(token("\n\n")).text == "⏎⏎"
    assert Reader(token("a b")).text == "a b"
    assert Reader(token("")).text == "∅"
    assert "<script" not in token("<script>")


def test_the_legend_names_the_peak() -> None:
    assert "12.3" in Reader(legend_html(12.3)).text
