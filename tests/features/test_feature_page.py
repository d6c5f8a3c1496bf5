"""A feature's page: what is read first, all quantiles in one scroll, own texts."""

from __future__ import annotations

import polars as pl
import pytest
import streamlit as st

from backend import queries
from backend.corpus.views import Passage
from backend.features.views import FeatureTable
from backend.regions.views import STRONGEST, NearMiss, Probe
from components.features import examples
from components.features import table as table_view
from tests.helpers.pages import html_of, opened, text_of


@pytest.fixture
def table(ready: str) -> FeatureTable:
    return queries.wait(lambda: queries.features(ready))


def test_label_logits_and_examples_come_before_the_rest(table: FeatureTable) -> None:
    busy = int(table.table.sort("active", descending=True)["feature"][0])
    html = html_of(opened("features", feature=busy))
    marks = ('class="best"', 'class="logits"', 'class="sample"', ">Labels", "How it fires")
    places = [html.index(mark) for mark in marks]
    assert places == sorted(places)


def test_the_region_shows_label_logits_and_members_before_the_rest(ready: str) -> None:
    html = html_of(opened("regions", region=0))
    marks = ('class="logits"', 'class="exemplar"', 'class="sample"', ">Labels", "How tight it is")
    places = [html.index(mark) for mark in marks]
    assert places == sorted(places)
    assert "overlap" in html


def test_all_quantiles_stand_in_one_scroll(table: FeatureTable) -> None:
    busy = int(table.table.sort("contexts", descending=True)["feature"][0])
    html = html_of(opened("features", feature=busy, draw="all"))
    assert "Strongest · n = " in html
    for band in range(1, 11):
        assert f"Tenth {band} of 10 by peak" in html
    assert html.count('class="sample"') == examples.FIRST + 10 * examples.EACH
    assert "3rd tenth" in text_of(opened("features", feature=busy, draw="quantile 3"))


def test_of_few_contexts_all_are_listed_once(table: FeatureTable) -> None:
    few = table.table.filter(table.table["contexts"].is_between(1, examples.COUNT))
    number, contexts = few.select("feature", "contexts").row(0)
    html = html_of(opened("features", feature=number, draw="all"))
    assert html.count('class="sample"') == contexts
    assert "All there are" in html
    assert "Tenth" not in html


def test_what_a_search_left_can_be_experimented_on(
    table: FeatureTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Experiment on" not in text_of(opened("features"))
    assert len(table.table) > 2
    app = opened("features", search="anchor")
    numbers = app.dataframe[0].value["feature"].tolist()
    link = f"only={'%2C'.join(map(str, numbers))}"
    assert f"Experiment on these {len(numbers)}" in text_of(app)
    assert link in html_of(app)
    many = pl.DataFrame({"feature": range(900)})
    monkeypatch.setitem(st.session_state, "address.page", "features")
    assert "the first 500 of these" in table_view.experiment_html(many, 4096)
    assert table_view.experiment_html(many.head(1), 4096) == ""


def test_a_dead_feature_says_so(table: FeatureTable) -> None:
    dead = int(table.table.filter(table.table["active"] == 0)["feature"][0])
    for draw in ("top", "all", "random"):
        text = text_of(opened("features", feature=dead, draw=draw))
        assert "It is dead" in text
        assert examples.NONE in text


def test_the_answer_to_own_text_stands_above_the_examples(table: FeatureTable) -> None:
    busy, dead = (
        int(table.table.sort("active", descending=most)["feature"][0]) for most in (True, False)
    )
    text = "The captain keeps the anchor of the boat."
    for feature, words in ((busy, "Fires on"), (dead, "It comes nearest at")):
        queries.wait(lambda feature=feature: queries.probe("small", text, feature))
        app = opened("features", feature=feature, own=text)
        html = html_of(app)
        assert words in text_of(app)
        assert html.index(words) < html.index(
            'class="sample"' if feature == busy else examples.NONE
        )
        assert app.expander[0].proto.expanded
    assert not opened("features", feature=busy).expander[0].proto.expanded
    probe = queries.probe("small", text, dead)
    assert isinstance(probe, Probe)
    assert probe.near
    assert probe.near.preactivation <= probe.near.needed


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((0.0,) * 28, "Silent on all 28 tokens."),
        ((0.0,), "Silent on its only token."),
        ((0.0, 452.5, 3.0), "Fires on 2 of 3 tokens, at most 452."),
    ],
)
def test_own_text_says_whether_it_fires(values: tuple[float, ...], words: str) -> None:
    passage = Passage(-1, "", "", 0, ("a",) * len(values), values)
    probe = Probe(passage, STRONGEST.to_frame())
    html = examples.probe_html(probe, 500.0)
    assert words in html
    assert ('class="legend"' in html) == any(values)


def test_silence_says_how_near_it_came() -> None:
    passage = Passage(-1, "", "", 0, ("The", " goal", "\n"), (0.0, 0.0, 0.0))
    probe = Probe(passage, STRONGEST.to_frame(), NearMiss(1, 3.2, 12.1))
    words = examples.fires_words(probe)
    assert words == (
        "Silent on all 3 tokens. It comes nearest at “goal”: the encoder gives 3.2 there, 8.9 "
        "below the 12.1 from which it fires."
    )
    assert "focus" in examples.probe_html(probe, 500.0)
