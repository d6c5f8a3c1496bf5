"""Journeys of a person with a browser, on the shortened demo. Screenshots go to `artefacts/`."""

from __future__ import annotations

import re
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Error, Locator, Page, expect

from tests.browser.visits import NARROW, PATIENCE, Visit, journey, parameters, picture, settle

pytestmark = pytest.mark.browser
NAMES = "club team captain eleven striker visitor champion neighbour".split()


def title(page: Page) -> str:
    return page.locator(".st-key-inspector .title").inner_text()


def opened(page: Page, what: str) -> None:
    expect(page.locator(".st-key-inspector .title")).to_have_text(what, timeout=PATIENCE)


def lonely(page: Page, rank: int = 0) -> tuple[float, float, int]:
    """Where the map shows the region that stands most (`rank` 0), second most … by itself, and
    its number: no other mark is in the way of a click."""
    script = """(rank) => {
      const chart = document.querySelector(".st-key-map-chart .js-plotly-plot");
      const { xaxis, yaxis } = chart._fullLayout, box = chart.getBoundingClientRect();
      const trace = chart._fullData.find((each) => each.name === "regions");
      const marks = Array.from(trace.x, (x, index) => [
        xaxis.l2p(x), yaxis.l2p(trace.y[index]), trace.customdata[index]]);
      const room = ([x, y]) => Math.min(...marks.map(([a, b]) =>
        a === x && b === y ? Infinity : Math.hypot(a - x, b - y)));
      const [x, y, number] = marks.map((mark) => [room(mark), mark])
        .sort(([a], [b]) => b - a)[rank][1];
      return [box.x + xaxis._offset + x, box.y + yaxis._offset + y, number];
    }"""
    x, y, number = page.evaluate(script, rank)
    return x, y, int(number)


def click_map(page: Page, rank: int) -> int:
    """Click a region of the map; gives its number."""
    x, y, number = lonely(page, rank)
    page.mouse.move(x + 2, y)
    page.mouse.move(x, y)
    expect(page.locator(".hovertext").first).to_contain_text(f"region {number} ·")
    page.mouse.click(x, y)
    return number


# ---------------------------------------------------------------- open


def test_a_newcomer_finds_a_region_and_comes_back(visit: Visit) -> None:
    page = visit.open("")
    expect(page.locator(".lists").first).to_contain_text("Tightest")
    picture(page, "overview")
    link = page.locator(".lists a.go").first
    number = link.inner_text()
    with journey(page, "from the first page to a region worth a look"):
        link.click()
        opened(page, f"Region {number}")
    settle(page)
    assert parameters(page)["region"] == number
    picture(page, "regions")
    page.reload()
    settle(page)
    opened(page, f"Region {number}")
    page.go_back()
    expect(page.locator(".strip h1")).to_have_text("Overview", timeout=PATIENCE)


def test_a_feature_is_opened_by_its_number_and_read(visit: Visit) -> None:
    page = visit.open("jobs")
    field = page.get_by_label("Go to a feature or region by number")
    with journey(page, "from any page to a feature by its number, and its examples"):
        press_until_focused(page, "g", field)
        page.keyboard.type("feature 3")
        page.keyboard.press("Enter")
        opened(page, "Feature 3")
        expect(page.locator(".st-key-inspector .sample .passage").first).to_be_in_viewport()
    expect(page.locator(".logits").first).to_be_in_viewport()
    picture(page, "feature-by-number")


def press_until_focused(page: Page, key: str, field: Locator) -> None:
    """The browser fetches what listens to keys after it has drawn the page."""
    for _ in range(40):
        page.keyboard.press(key)
        if field.evaluate("(it) => it === document.activeElement"):
            return
        page.wait_for_timeout(250)
    expect(field).to_be_focused()


def test_every_page_opens_cold_from_its_own_link(visit: Visit) -> None:
    for path, words in {
        "regions?region=3&draw=random&seed=2": "Region 3",
        "features?feature=3&view=full": "Feature 3",
        "document?document=2": "document 2",
        "jobs": "Ended",
        "overview": "Corpus",
    }.items():
        page = visit.open(path)
        expect(page.locator(".stMain")).to_contain_text(words, timeout=PATIENCE)
        expect(page.locator(".problem")).to_have_count(0)
        page.close()
        visit.pages.remove(page)


# ---------------------------------------------------------------- select


def test_map_table_and_inspector_follow_each_other(visit: Visit) -> None:
    page = visit.open("regions")
    number = click_map(page, 0)
    opened(page, f"Region {number}")
    expect(page.locator(".ring")).to_be_visible()
    page.wait_for_timeout(800)
    before = page.locator(".ring").bounding_box()
    grid = page.locator("[data-testid=stDataFrame]").bounding_box()
    assert grid
    page.mouse.click(grid["x"] + 220, grid["y"] + 36 + 13)  # not its mark: the text
    expect(page.locator(".st-key-inspector .title")).not_to_have_text(f"Region {number}")
    page.wait_for_timeout(600)
    assert page.locator(".ring").bounding_box() != before
    assert title(page) == f"Region {parameters(page)['region']}"
    listed_title = title(page)
    page.keyboard.press("n")
    expect(page.locator(".st-key-inspector .title")).not_to_have_text(listed_title)
    page.wait_for_timeout(600)
    page.keyboard.press("p")
    opened(page, listed_title)
    number = click_map(page, 0)
    opened(page, f"Region {number}")


def test_every_press_of_next_opens_another_feature(visit: Visit) -> None:
    page = visit.open("features")
    titles = []
    for _ in range(8):
        page.keyboard.press("n")
        page.wait_for_timeout(1500)  # as a reader does; what the list says late comes in between
        titles.append(title(page))
    assert len(set(titles)) == len(titles)
    assert titles[-1] == f"Feature {parameters(page)['feature']}"
    page.keyboard.press("p")
    opened(page, titles[-2])


def test_a_lasso_fills_the_table_and_the_address(visit: Visit) -> None:
    page = visit.open("regions?drag=lasso")
    box = page.locator(".st-key-map-chart").bounding_box()
    assert box
    centre, middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    with journey(page, "a part of the map as a list"):
        page.mouse.move(centre - 90, middle - 90)
        page.mouse.down()
        for x, y in ((90, -90), (90, 90), (-90, 90), (-90, -80)):
            page.mouse.move(centre + x, middle + y, steps=6)
        page.mouse.up()
        expect(page.locator(".st-key-listed")).to_contain_text("in the selected area")
    note = page.locator(".st-key-listed .note").inner_text()
    picture(page, "lasso")
    assert "area" in parameters(page)
    reopened = visit.open(page.url.removeprefix(f"{visit.app}/"))
    expect(reopened.locator(".st-key-listed .note")).to_have_text(note)
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(".st-key-listed")).not_to_contain_text("in the selected area")


def test_searching_and_filtering(visit: Visit) -> None:
    page = visit.open("regions")
    field = page.locator(".st-key-search input")
    with journey(page, "all regions that a word goes to"):
        press_until_focused(page, "/", field)
        page.keyboard.type("said")
        page.keyboard.press("Enter")
        expect(page.locator(".st-key-listed")).to_contain_text("with “said”")
    page.get_by_role("button", name="Filter").click()
    page.get_by_text("Not token-driven").click()
    expect(page.locator(".st-key-listed")).to_contain_text("not token-driven")
    page.keyboard.press("Escape")
    picture(page, "search")
    assert parameters(page)["search"] == "said"
    assert parameters(page)["beyond"] == "1"
    page.go_back()
    expect(page.locator(".st-key-listed")).not_to_contain_text("not token-driven")
    expect(page.locator(".st-key-search input")).to_have_value("said")


def test_another_sample_is_another_sample(visit: Visit) -> None:
    page = visit.open("regions?region=7&draw=random")
    samples = page.locator(".st-key-inspector .sample .passage")
    first = samples.all_inner_texts()
    page.keyboard.press("d")
    expect(page.locator(".st-key-inspector")).to_contain_text("seed 1")
    assert samples.all_inner_texts() != first
    assert parameters(page)["seed"] == "1"


# ---------------------------------------------------------------- features, documents, own text


def test_from_a_feature_to_its_region_and_its_document(visit: Visit) -> None:
    page = visit.open("features?sort=f1")
    grid = page.locator("[data-testid=stDataFrame]").bounding_box()
    assert grid
    page.mouse.click(grid["x"] + 20, grid["y"] + 36 + 13)
    expect(page.locator(".st-key-inspector .passage").first).to_be_visible()
    feature = parameters(page)["feature"]
    opened(page, f"Feature {feature}")
    page.get_by_text("stacked", exact=True).click()
    expect(page.locator(".sample.stacked").first).to_be_visible()
    page.wait_for_timeout(500)
    picture(page, "features")
    page.get_by_text("snippet", exact=True).click()
    with journey(page, "from an example of a feature to its document and the regions it crosses"):
        page.locator(".sample a.go", has_text="document").first.click()
        expect(page.locator(".document .t.focus")).to_be_in_viewport(timeout=PATIENCE)
        expect(page.locator(".document .t.on").first).to_be_attached()
        picture(page, "document")
        page.get_by_text("Colour by region").click()
        expect(page.locator(".document a.go").first).to_be_visible(timeout=PATIENCE)
        link = page.locator(".document a.go").nth(5)
        region = parse_qs(urlsplit(link.get_attribute("href") or "").query)["region"][0]
        link.click()
        opened(page, f"Region {region}")


def test_own_text_is_read_by_the_model(visit: Visit) -> None:
    page = visit.open("features?feature=3")
    field = page.locator(".st-key-inspector textarea")
    answer = page.locator(".st-key-inspector .answer", has_text=" tokens")
    with journey(page, "which features fire on a text of one's own"):
        page.get_by_text("Try your own text").click()
        field.fill("The minister said the film would win <b>three</b> prizes.")
        field.press("Control+Enter")
        expect(answer).to_be_in_viewport(timeout=3 * PATIENCE)
    expect(page.get_by_text("Strongest features of each token")).to_be_visible()
    read = page.locator(".st-key-inspector .passage", has_text="minister").last
    expect(read).to_contain_text("<b>three</b>")
    picture(page, "own-text")
    jobs = visit.open("jobs")
    expect(jobs.locator("[data-testid=stDataFrame]").first).to_be_visible()
    picture(jobs, "jobs")


# ---------------------------------------------------------------- wherever one is


@pytest.mark.parametrize(
    "path", ["", "regions?region=3", "features?feature=3", "document?document=2"]
)
def test_a_narrow_screen_needs_no_sideways_scrolling(visit: Visit, path: str) -> None:
    page = visit.open(path, NARROW)
    wide = page.evaluate("document.querySelector('.stMain').scrollWidth")
    assert wide <= NARROW[0]
    picture(page, f"narrow-{path.partition('?')[0] or 'overview'}")


@pytest.mark.parametrize("path", ["", "regions?region=3&colour=topic", "features?feature=3"])
def test_dark_is_dark_and_its_charts_too(visit: Visit, path: str) -> None:
    page = visit.open(path, dark=True)
    ground = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
    assert max(map(int, re.findall(r"\d+", ground)[:3])) < 60
    chart = page.locator(".js-plotly-plot").first
    ink = chart.evaluate("(chart) => chart._fullLayout.font.color")
    assert ink.lower() == "#e7e6e1"
    picture(page, f"dark-{path.partition('?')[0] or 'overview'}")


def test_the_keyboard_lists_itself(visit: Visit) -> None:
    page = visit.open("regions")
    keys = page.get_by_test_id("stPopoverBody")
    for _ in range(5):  # the browser fetches what listens to keys after it has drawn the page
        page.keyboard.press("h")
        with suppress(Error):
            keys.wait_for(timeout=5_000)
            break
    expect(keys).to_contain_text("draw another sample")
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()


def test_a_link_to_nothing_is_answered_kindly(visit: Visit) -> None:
    page = visit.open("regions?region=99999&study=demo&p=3.3")
    expect(page.locator(".problem").first).to_be_visible()
    expect(page.locator(".stMain")).to_contain_text("There is no region 99999")
    expect(page.locator(".stMain")).to_contain_text("not a stop of this study")
    picture(page, "wrong-link")


# ---------------------------------------------------------------- concepts


def test_a_concept_of_ones_own_is_answered(visit: Visit) -> None:
    page = visit.open("concepts")
    page.get_by_text("A concept of your own").click()
    page.get_by_label("Texts that express it").fill(
        "\n".join(f"The {name} won the match after extra time." for name in NAMES)
    )
    page.get_by_label("Its name").fill("football")
    page.get_by_role("button", name="Ask about it").click()
    expect(page.get_by_role("alert")).to_contain_text("0 negative texts")
    page.get_by_label("Texts that do not").fill(
        "\n".join(f"The {name} raised the price of bread again." for name in NAMES)
    )
    with journey(page, "what regions are worth for a concept of one's own"):
        page.get_by_role("button", name="Ask about it").click()
        answer = page.locator("p.answer")
        expect(answer).to_contain_text("tells the test texts apart", timeout=240_000)
    assert parameters(page)["set"] == "football.jsonl"
    picture(page, "concepts")
    page.get_by_text("Purity and coverage").click()
    expect(page.locator(".xtitle", has_text="coverage")).to_be_visible()
    page.reload()
    expect(page.locator(".xtitle", has_text="coverage")).to_be_visible()


# ---------------------------------------------------------------- benchmarks


def test_a_benchmark_is_run_read_and_found_again(visit: Visit) -> None:
    page = visit.open("benchmarks")
    page.get_by_role("button", name="Run CE-Bench").click()
    expect(page.locator("p.answer")).to_contain_text("on a pair held out", timeout=240_000)
    picture(page, "benchmarks")
    parts = page.get_by_test_id("stButtonGroup")
    parts.get_by_text("Features", exact=True).click()
    parts.get_by_text("published", exact=True).click()
    expect(page).to_have_url(re.compile("definition=published"), timeout=PATIENCE)
    page.reload()
    expect(page.locator("p.answer")).to_contain_text("on a pair held out", timeout=PATIENCE)
    assert parameters(page)["definition"] == "published"
    parts.get_by_text("Several SAEs", exact=True).click()
    page.get_by_role("button", name="Run them").click()
    expect(page.get_by_text("From four SAEs on")).to_be_visible(timeout=240_000)


def test_experts_of_ones_own_words_are_found(visit: Visit) -> None:
    page = visit.open("benchmarks?which=expert_lens&sentences=templates&units=features")
    page.get_by_label("Concepts").fill("music, market, football")
    page.get_by_label("Concepts").press("Enter")
    page.get_by_role("button", name="Run ExpertLens").click()
    expect(page.locator("p.answer").first).to_contain_text("experts", timeout=240_000)
    expect(page.locator(".stMain")).to_contain_text("football")
    picture(page, "experts")
