"""To a feature or region by its number, from any page."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from components.shell.frame import KEYS, keys_of
from components.shell.going import read_number
from tests.helpers.pages import opened, param, text_of


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("1205", "feature", ("feature", 1205)),
        ("17", "region", ("region", 17)),
        (" #1205 ", "feature", ("feature", 1205)),
        ("1,205", "feature", ("feature", 1205)),
        ("feature 1205", "region", ("feature", 1205)),
        ("Features #7", "region", ("feature", 7)),
        ("f7", "region", ("feature", 7)),
        ("region 17", "feature", ("region", 17)),
        ("R 17", "feature", ("region", 17)),
        ("007", "feature", ("feature", 7)),
        ("9" * 15, "feature", ("feature", 10**15 - 1)),
    ],
)
def test_a_number_is_read(text: str, kind: str, expected: tuple[str, int]) -> None:
    assert read_number(text, kind) == expected


@pytest.mark.parametrize(
    "text",
    ["", "#", "12abc", "-3", "1.5", "1,2", "feature", "token 3", "1 2", "9" * 16, "9" * 5000, "٣"],
)
def test_what_is_no_number_is_none(text: str) -> None:
    assert read_number(text, "feature") is None


def go(app: AppTest, text: str, here: bool = True) -> None:
    app.text_input(key="go-to-text").set_value(text)
    next(button for button in app.button if button.label == "Go").click().run()
    if here:  # fragments alone have run
        app.run()
    assert not app.exception


def test_a_number_opens_what_the_page_shows_and_a_word_leads_elsewhere(ready: str) -> None:
    app = opened("regions")
    go(app, "2")
    assert param(app, "region") == "2"
    assert "Region 2" in text_of(app)
    go(app, "feature 3", here=False)
    assert "Feature 3" in text_of(app)
    assert param(app, "feature") == "3"


def test_from_a_page_of_neither_a_number_is_a_features(ready: str) -> None:
    app = opened("jobs")
    go(app, "#3", here=False)
    assert "Feature 3" in text_of(app)


def test_a_number_that_nothing_has_is_said(ready: str) -> None:
    app = opened("features")
    go(app, "99999")
    assert "There is no feature 99999" in text_of(app)


def test_what_names_nothing_is_said_and_changes_nothing(ready: str) -> None:
    app = opened("features", feature=3)
    go(app, "12abc", here=False)
    assert "“12abc” names no feature or region." in text_of(app)
    assert param(app, "feature") == "3"


@pytest.mark.parametrize(
    ("page", "field", "words"),
    [
        ("regions", "Region number · G", "Here a number is a region’s; “feature 1205” goes to"),
        ("features", "Feature number · G", "Here a number is a feature’s; “region 17” goes to"),
        ("jobs", "Feature number · G", "Here a number is a feature’s"),
        ("queue", "Feature number", "Here a number is a feature’s"),  # G opens the tags there
    ],
)
def test_the_field_says_what_a_number_is(ready: str, page: str, field: str, words: str) -> None:
    app = opened(page)
    box = app.text_input(key="go-to-text")
    assert box.placeholder == field
    assert words in box.label
    assert words in text_of(app)


def test_a_page_with_another_use_for_a_key_lists_its_own() -> None:
    assert "G" in keys_of({"N": "next"})
    assert "G" not in keys_of({"F G": "flag, tags"})
    assert set(KEYS) - {"G"} < set(keys_of({"F G": "flag, tags"}))
