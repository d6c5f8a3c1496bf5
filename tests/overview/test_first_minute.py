"""The first minute: the map as it grows, lists without their artefacts, and what can be tried."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from backend import queries
from backend.features.views import FeatureTable
from backend.regions.partitioned import PREVIEWS, settled, stages
from backend.regions.views import RegionMap
from backend.schema import Find, Job
from backend.study import loading
from components.overview import lists, welcome
from components.shell import address
from tests.helpers.pages import html_of, opened, param, text_of

PAGE = address.page


@pytest.fixture
def view(ready: str, monkeypatch: pytest.MonkeyPatch) -> RegionMap:
    monkeypatch.setattr("components.shell.address.page", lambda: "overview")
    answer = queries.regions(ready)
    assert isinstance(answer, RegionMap)
    return answer


# ---------------------------------------------------------------- the map as it grows


def test_maps_stand_on_more_and_more_of_the_corpus() -> None:
    study = loading.parse("demo")
    counts = [part.reading.corpus.tokens for part in stages(study, study.partition)]
    assert counts == [*PREVIEWS, study.corpus.tokens]
    short = replace(study, corpus=replace(study.corpus, tokens=PREVIEWS[0]))
    assert [part.reading for part in stages(short, short.partition)] == [short.reading]


def test_a_corpus_that_ends_before_a_preview_has_no_preview(ready: str) -> None:
    study = loading.load(ready)
    study = replace(study, corpus=replace(study.corpus, tokens=0))  # all there is: less than 4,000
    first, *_, whole = stages(study, study.partition)
    assert first != whole
    assert settled(study, first) == whole
    assert settled(study, whole) == whole


def test_before_the_first_map_the_page_says_what_tessera_is_and_what_to_try(
    small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    app = opened("overview")
    assert "Tessera asks what a language model’s features mean." in text_of(app)
    assert html_of(app).count("<li>") == 3
    assert "Regions of the corpus" in text_of(app)


def test_a_click_on_the_map_opens_its_region_though_another_map_is_drawn_meanwhile(
    view: RegionMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = {"customdata": 3, "x": 0.0, "y": 0.0}
    state: dict[str, object] = {welcome.CHART: {"selection": {"points": [point]}}}
    with monkeypatch.context() as browser:
        browser.setattr(welcome.st, "session_state", state)
        welcome._take_click(view)
    monkeypatch.setattr("components.shell.address.page", PAGE)
    app = opened("overview")
    app.session_state[welcome.CLICKED] = state[welcome.CLICKED]
    app.run()
    assert "Region 3" in text_of(app)
    assert param(app, "region") == "3"
    assert welcome.CLICKED not in app.session_state


def test_a_growing_map_says_how_much_of_the_corpus_it_is(view: RegionMap) -> None:
    assert "to come" not in welcome.map_words(view)
    assert welcome.growing_words(view) == ""
    part = replace(view, corpus_tokens=4 * view.tokens)
    assert f"25% of the {4 * view.tokens:,} to come" in welcome.map_words(part)
    assert "will change" in welcome.growing_words(part)
    assert "the first of more to come" in welcome.map_words(replace(view, corpus_tokens=0))


def test_three_things_can_be_tried_with_whatever_is_there(view: RegionMap, ready: str) -> None:
    job = Job("1", "regions", ready, "{}", "queued", "cpu", 0, 0, "", "", None, None, 0.0, None,
              None, None, 0, "", "")  # fmt: skip
    features = queries.features(ready)
    assert isinstance(features, FeatureTable)
    for parts in ((job, None), (job, features), (view, job), (view, None), (view, features)):
        listed = welcome.tries(*parts)
        assert 1 <= len(listed) <= 3
        assert all("href=" in link for _, link in listed)


def test_a_find_is_offered_once_what_it_leads_to_is_computed(view: RegionMap) -> None:
    finds = Find("early", token=3), Find("late", token=view.tokens + 5), Find("one", feature=1)
    assert welcome.reachable(finds, view, None) == [finds[0]]


# ---------------------------------------------------------------- lists


def regions(**columns: list[object]) -> pl.DataFrame:
    count = len(next(iter(columns.values())))
    usual = {
        "region": list(range(count)), "size": [100] * count, "coherence": [0.5] * count,
        "document_explained": [0.0] * count, "token_driven": [False] * count,
    }  # fmt: skip
    return pl.DataFrame(usual | columns)


def test_one_token_and_one_text_are_no_tight_regions() -> None:
    table = regions(
        coherence=[0.99, 0.98, 0.5, 0.7, 0.97],
        token_driven=[True, False, False, False, False],
        document_explained=[0.0, 0.9, 0.0, 0.2, 0.0],
        size=[100, 100, 100, 100, 3],
    )
    assert lists.tightest(table)["region"].to_list() == [3, 2]


def test_a_rare_topic_does_not_fill_the_list_of_topics() -> None:
    table = regions(
        topic=["rare"] * 4 + ["common", "common", None],
        lift_low=[9.0, 8.0, 7.0, 6.0, 2.0, 3.0, 99.0],
    )
    assert lists.best_of_topics(table)["region"].to_list() == [0, 5]


def test_every_list_says_why(view: RegionMap, ready: str) -> None:
    features = queries.features(ready)
    assert isinstance(features, FeatureTable)
    for each in (*lists.of_regions(view), *lists.of_features(features)):
        assert len(each.reason) > 10
