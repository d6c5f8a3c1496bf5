"""Every page as a script: cold, empty, populated, and from a pasted link."""

from __future__ import annotations

import re

import polars as pl
import pytest

from backend import queries
from backend.features.views import FeatureTable
from backend.regions.views import RegionMap, RegionView
from tests.helpers.pages import html_of, opened, param, text_of

# ---------------------------------------------------------------- cold


@pytest.mark.parametrize("page", ["overview", "regions", "features"])
def test_a_cold_page_says_what_is_being_computed(no_worker: str, page: str) -> None:
    app = opened(page)
    assert "waiting for its turn" in text_of(app)
    assert any(button.label == "Cancel" for button in app.button)


def test_cancelling_ends_the_job_and_offers_to_go_on(no_worker: str) -> None:
    app = opened("features")
    next(button for button in app.button if button.label == "Cancel").click()
    app.run()
    assert "cancelled" in text_of(app)
    assert any(button.label == "Resume" for button in app.button)


def test_without_jobs_the_page_says_what_would_start_one(no_worker: str) -> None:
    text = text_of(opened("jobs"))
    assert "Nothing runs and nothing waits." in text
    assert "Open Regions or Features" in text


def test_a_page_without_a_document_says_how_to_open_one(ready: str) -> None:
    assert "No document is open." in text_of(opened("document"))


# ---------------------------------------------------------------- populated


def test_the_overview_names_the_corpus_and_links_to_regions_and_features(ready: str) -> None:
    app = opened("overview")
    text = text_of(app)
    for words in ("harbour", "Largest", "Tightest", "Densest"):
        assert words in text or words in str(app.get("plotly_chart"))
    assert re.search(r'href="regions\?[^"]*region=\d+', html_of(app))
    assert re.search(r'href="features\?[^"]*feature=\d+', html_of(app))


def test_regions_show_the_map_the_table_and_the_way_in(ready: str) -> None:
    app = opened("regions")
    view = queries.regions(ready)
    assert isinstance(view, RegionMap)
    text = text_of(app)
    assert f"regions {len(view.table):,}" in text
    assert f"{len(view.table):,} of {len(view.table):,} regions" in text
    assert "No region is open." in text
    assert len(app.get("plotly_chart")) == 1
    assert len(app.dataframe[0].value) == len(view.table)


def test_a_link_to_a_region_opens_its_inspector(ready: str) -> None:
    app = opened("regions", region=0, draw="farthest")
    text = text_of(app)
    assert "Region 0" in text
    assert "exemplar, d = 0" in text
    members = html_of(app).split('<div class="sample">')[1:]
    assert members
    for place, member in enumerate(members):  # Tab stops at the marks of the first alone
        assert all(f'data-name="{name}"' in member for name in ("distance d", "margin"))
        assert member.count('tabindex="-1"') == (0 if place == 0 else 2)
    assert "farthest" in text
    for words in ("Lift over the corpus", "read as logits", "second nearest", "random points"):
        assert words in text
    rows = app.session_state["region-rows"]["selection"]["rows"]
    assert app.dataframe[0].value["region"].tolist()[rows[0]] == 0


def test_a_link_to_a_token_opens_its_region(ready: str) -> None:
    view = queries.wait(lambda: queries.region(ready, 2))
    assert isinstance(view, RegionView)
    app = opened("regions", token=view.exemplar.token)
    assert "Region 2" in text_of(app)
    assert param(app, "region") == "2"
    assert "There is no token 999999999" in text_of(opened("regions", False, token=999_999_999))


def test_next_walks_down_the_table(ready: str) -> None:
    app = opened("regions")
    order = app.dataframe[0].value["region"].tolist()
    app.button(key="step-N").click().run()
    assert param(app, "region") == str(order[0])
    app.run()
    app.button(key="step-N").click().run()
    assert param(app, "region") == str(order[1])


@pytest.mark.parametrize("page", ["regions", "features"])
def test_next_begins_where_nothing_is_open_and_ends_with_the_list(ready: str, page: str) -> None:
    kind = page.removesuffix("s")
    app = opened(page)
    assert app.button(key="step-P").disabled
    assert not app.button(key="step-N").disabled
    order = app.dataframe[0].value[kind].tolist()
    for number, step, words in ((order[-1], "N", "the last"), (order[0], "P", "the first")):
        app = opened(page, **{kind: number})
        app.button(key=f"step-{step}").click().run()
        assert param(app, kind) == str(number)
        assert f"{words} of the list" in text_of(app)
        app.run()
        assert "of the list" not in text_of(app)


def test_searching_lists_regions_with_hits_and_stays_in_the_address(ready: str) -> None:
    app = opened("regions")
    app.text_input(key="regions:search").set_value("anchor").run()
    app.run()
    hits = queries.find_regions(ready, "anchor")
    assert param(app, "search") == "anchor"
    assert app.dataframe[0].value["region"].tolist() == hits["region"].to_list()
    assert f"{len(hits)} of" in text_of(app)
    reopened = opened("regions", search="anchor")
    assert (
        reopened.dataframe[0].value["region"].tolist() == app.dataframe[0].value["region"].tolist()
    )


@pytest.mark.parametrize("page", ["regions", "features"])
def test_next_follows_the_order_of_the_address_and_of_the_headings(ready: str, page: str) -> None:
    kind = page.removesuffix("s")
    app = opened(page, sort="f1", reverse=1)
    values = [value for value in app.dataframe[0].value["f1"].tolist() if value == value]
    assert values == sorted(values)
    order = app.dataframe[0].value[kind].tolist()
    for number in order[:3]:
        app.button(key="step-N").click().run()
        app.run()
        assert param(app, kind) == str(number)
    app.button(key="reverse-order").click().run()
    app.run()
    assert "reverse" not in app.query_params
    values = [value for value in app.dataframe[0].value["f1"].tolist() if value == value]
    assert values == sorted(values, reverse=True)
    assert app.session_state[f"{kind}-rows"]["selection"]["columns"] == ["f1"]


def test_next_follows_what_a_search_has_left(ready: str) -> None:
    app = opened("features")
    app.text_input(key="features:search").set_value("boat").run()
    app.run()
    order = app.dataframe[0].value["feature"].tolist()
    assert order == queries.find_features(ready, "boat")["feature"].to_list()
    orders = next(box.options for box in app.selectbox if box.label == "Order")
    assert orders[0] == "best match ↓"
    app.button(key="step-N").click().run()
    app.run()
    assert param(app, "feature") == str(order[0])


@pytest.mark.parametrize("text", ["3", "#3", "feature 3"])
def test_a_number_in_the_search_field_opens_what_has_it(ready: str, text: str) -> None:
    app = opened("features")
    app.text_input(key="features:search").set_value(text).run()
    app.run()
    assert param(app, "feature") == "3"
    assert "Feature 3" in text_of(app)
    first = app.dataframe[0].value.iloc[0]
    assert (first["feature"], first["matched"]) == (3, "number")
    assert text == "3" or len(app.dataframe[0].value) == 1


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("64", "There is no feature 64: they are numbered 0 to 63."),
        ("region 2", "Open region 2"),
        ("9" * 200, "0 of 64 features"),
        ("#", "of 64 features"),
        ("12abc", "0 of 64 features"),
        ("*", "of 64 features"),
    ],
)
def test_a_search_that_finds_nothing_says_so_and_opens_nothing(
    ready: str, text: str, answer: str
) -> None:
    app = opened("features", feature=5)
    app.text_input(key="features:search").set_value(text).run()
    app.run()
    assert answer in text_of(app)
    assert param(app, "feature") == "5"


def test_densities_are_filtered_in_percent(ready: str) -> None:
    app = opened("features", dense=0.25, sparse=1)
    assert app.number_input(key="features:dense").value == 25
    assert app.number_input(key="features:sparse").value == 1
    app.number_input(key="features:dense").set_value(29.0).run()
    assert param(app, "dense") == "0.29"
    table = queries.features(ready).table
    inside = table.filter(pl.col("density").is_between(0.01, 0.29))
    app.run()
    assert len(app.dataframe[0].value) == len(inside)


def test_filters_and_draws_come_from_the_address(ready: str) -> None:
    view = queries.regions(ready)
    assert isinstance(view, RegionMap)
    app = opened("regions", least=20, beyond=1, colour="topic", region=0, draw="random", seed=3)
    remaining = view.table.filter((pl.col("size") >= 20) & ~pl.col("token_driven"))
    assert len(app.dataframe[0].value) == len(remaining)
    assert "at least 20 members" in text_of(app)
    assert "seed 3" in text_of(app)
    assert app.selectbox(key="regions:colour").value == "topic"


def test_an_area_of_the_map_fills_the_table(ready: str) -> None:
    app = opened("regions", area="-99_-99_99_-99_99_99_-99_99")
    assert "in the selected area" in text_of(app)
    nothing = opened("regions", area="900_900_901_900_901_901")
    assert len(nothing.dataframe[0].value) == 0


def test_features_list_and_open(ready: str) -> None:
    view = queries.features(ready)
    assert isinstance(view, FeatureTable)
    app = opened("features")
    assert len(app.dataframe[0].value) == len(view.table)
    assert "No feature is open." in text_of(app)
    busy = int(view.table.sort("active", descending=True)["feature"][0])
    for draw in ("top", "quantile 3", "random", "silent"):
        app = opened("features", feature=busy, draw=draw, view="full")
        assert f"Feature {busy}" in text_of(app)
        assert "decoder direction, read as logits" in text_of(app)
        assert 'class="passage"' in html_of(app)


def test_a_document_is_whole_by_region_and_by_feature(ready: str) -> None:
    passage = queries.document(ready, 0)
    whole = "".join(passage.pieces)
    for params in ({"document": 0}, {"document": 0, "feature": 3}):
        page_html = html_of(opened("document", **params))
        article = page_html[page_html.index("<article") : page_html.index("</article>")]
        assert re.sub(r"<[^>]+>", "", article).split() == whole.split()


def test_hostile_text_is_shown_and_never_run(ready: str) -> None:
    matches = queries.search_regions(ready, "alert")
    app = opened("regions", search="alert", region=int(matches["region"][0]))
    assert "<script>alert" not in html_of(app)
    hostile = [n for n in range(25) if "<script>" in "".join(queries.document(ready, n).pieces)]
    page_html = html_of(opened("document", document=hostile[0]))
    assert "<script>alert" not in page_html
    assert "␇" in page_html


def test_every_number_says_how_it_was_computed(ready: str) -> None:
    app = opened("regions", region=0)
    for key in ("how-regions", "how-region", "download-region"):
        app.session_state[key] = True
    app.run()
    commands = [code.value for code in app.code if code.value.startswith("python -m backend")]
    assert any(command.startswith("python -m backend region ") for command in commands)
    assert any(command.startswith("python -m backend regions ") for command in commands)
    assert "cache key" in text_of(app)
    assert "region 0 topics" in text_of(app)
