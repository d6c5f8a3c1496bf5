"""Looking changes nothing: what is opened and closed again leaves URL and page as they were, and
controls that the browser mounts late show what is in force."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.accessibility import findings
from tests.browser.visits import Visit, parameters, picture, settle

pytestmark = pytest.mark.browser
FILTERS = "beyond=1&least=5&most=4000&kappa=0.2&topic=sports&by=text"
LINKS = {
    "overview": "overview?study=demo",
    "regions": f"regions?study=demo&{FILTERS}&region=3",
    "features": "features?study=demo&sparse=0.1&dense=0.9&strong=2&token=a&feature=3&view=full",
    "document": "document?study=demo&document=2",
    "experiment": "experiment?study=demo&methods=token_frequency&count=4&split=post&window=8",
    "compare": "compare?study=demo",
    "judge": "judge?study=demo&person=ann",
    "tiers": "tiers?study=demo&tau_in=0.4&tier=input&weighted=1",
    "queue": "queue?study=demo&person=ann&tier=all&order=density&seed=3&compare=1",
    "concepts": "concepts?study=demo&ask=purity",
    "benchmarks": "benchmarks?study=demo&which=sage&task=ioi",
    "jobs": "jobs?study=demo&state=done",
    "glossary": "glossary?study=demo&term=lift",
}
STATE = """() => {
  const main = document.querySelector(".stMain"), all = (what) => [...main.querySelectorAll(what)];
  const words = all("[data-testid=stElementContainer]")
    .filter((each) => !each.querySelector(".js-plotly-plot")).map((each) => each.innerText);
  const controls = all("input, textarea, [role=radio]").map((each) => [
    each.getAttribute("aria-label") ?? each.innerText, each.value ?? "", Boolean(each.checked),
    each.getAttribute("aria-checked")]);
  return [words, controls];
}"""
OVER = "[data-testid=stPopoverBody], [data-testid=stDialog]"
MOST_ESCAPES = 5
MOST_LOOKS = 60  # half a second apart
LONG = 240_000  # ms: a job is cancelled between two of its steps


def rest(page: Page) -> None:
    """Stop what a page has begun to compute, so that nothing on it moves by itself."""
    cancel = page.locator(".stMain").get_by_role("button", name="Cancel")
    if cancel.count():
        cancel.click()
        cancel.wait_for(state="detached", timeout=LONG)


def state(page: Page) -> tuple[str, object]:
    """The URL, and what the page shows in words and controls, once it has stood still: a busy
    browser draws for a while after the script has ended."""
    settle(page)
    last: tuple[str, object] = "", None
    for _ in range(MOST_LOOKS):
        now = page.url, page.evaluate(STATE)
        if now == last:
            break
        last = now
        page.wait_for_timeout(500)
    return last


def openers(page: Page) -> list[Locator]:
    """What opens something over or within the page: popovers, expanders, the list of keys."""
    kinds = "[data-testid=stPopoverButton], [data-testid=stExpander] summary"
    return page.locator(f".stMain :is({kinds}), .st-key-keyboard button").all()


def open_and_close(page: Page, opener: Locator) -> None:
    """Open, wait until what is inside is there, and close as a person does."""
    wake(page, opener)
    opener.click()
    if opener.evaluate("each => each.tagName") == "SUMMARY":
        settle(page)
        opener.click()
    else:
        expect(page.locator(OVER)).to_be_visible()
        close(page)
    settle(page)


def wake(page: Page, opener: Locator) -> None:
    """On a busy machine Streamlit was seen to leave a page inert, with nothing open over it; a
    person reloads it then, and what is compared has to outlast that too."""
    if opener.evaluate("each => Boolean(each.closest('[inert]'))"):
        page.reload()
        state(page)


def close(page: Page) -> None:
    """Close what lies over the page. A run that was under way may open it once more."""
    for _ in range(MOST_ESCAPES):
        settle(page)
        page.keyboard.press("Escape")
        page.wait_for_timeout(500)
        if not page.locator(OVER).is_visible():
            return
    expect(page.locator(OVER)).to_be_hidden()


def run_again(page: Page) -> None:
    """Run the page's script with all that the browser holds by now: by its own link in the sidebar,
    which leads to where one is, or by Streamlit's key where there is none."""
    name = urlsplit(page.url).path.strip("/").capitalize() or "Overview"
    link = page.get_by_test_id("stSidebar").get_by_role("link", name=name, exact=True)
    if link.count():
        link.click()
    else:
        page.keyboard.press("r")
    state(page)


def walk(page: Page) -> None:
    """Open and close everything on a page, and look at each of its tabs: nothing changes."""
    before = state(page)
    for opener in openers(page):
        open_and_close(page, opener)
        assert state(page) == before
    for bar in page.locator(".stMain [role=tablist]").all():
        tabs = bar.get_by_role("tab").all()
        for tab in [*tabs[1:], tabs[0]]:
            tab.click()
        assert state(page) == before


@pytest.mark.parametrize("name", LINKS)
def test_what_is_opened_and_closed_leaves_all_as_it_was(visit: Visit, name: str) -> None:
    page = visit.open(LINKS[name])
    rest(page)
    assert findings(page) == []
    walk(page)
    _, content = state(page)
    address = parameters(page)
    run_again(page)
    assert state(page)[1] == content
    assert address.items() <= parameters(page).items()  # its link may say more of what is in force
    walk(page)


def searched(visit: Visit, path: str, text: str) -> Page:
    """A page whose list has run again on its own, after a search."""
    page = visit.open(path)
    page.get_by_label("Search", exact=True).fill(text)
    page.keyboard.press("Enter")
    page.wait_for_url("**search=**")
    settle(page)
    return page


def open_filter(page: Page) -> Locator:
    page.get_by_role("button", name="Filter").click()
    settle(page)
    return page.get_by_test_id("stPopoverBody")


def test_a_filter_that_is_opened_after_a_search_shows_none_and_sets_none(visit: Visit) -> None:
    page = searched(visit, "features?study=demo", "goal")
    before = page.locator(".st-key-listed").inner_text()
    filters = open_filter(page)
    expect(filters.get_by_label("Density to, %")).to_have_value(re.compile(r"^100(\.0+)?$"))
    close(page)
    run_again(page)
    assert page.locator(".st-key-listed").inner_text() == before
    assert parameters(page) == {"study": "demo", "search": "goal"}


def test_a_linked_filter_stands_in_the_popover_after_a_search(visit: Visit) -> None:
    linked = {"study": "demo", "beyond": "1", "least": "5", "kappa": "0.6", "topic": "sports"}
    page = searched(visit, "regions?" + "&".join(f"{k}={v}" for k, v in linked.items()), "goal")
    page.get_by_label("Search", exact=True).fill("")
    page.keyboard.press("Enter")
    expect(page.locator(".st-key-listed")).not_to_contain_text("goal")
    before = state(page)
    filters = open_filter(page)
    picture(page, "regions-filter")
    expect(filters.get_by_label("Not token-driven")).to_be_checked()
    expect(filters.get_by_label("At least members")).to_have_value("5")
    expect(filters.get_by_label("Topic of highest lift")).to_have_value("sports")
    close(page)
    run_again(page)
    assert state(page) == before
    assert parameters(page) == linked


def test_what_was_set_in_a_popover_and_cleared_beside_it_stays_cleared(visit: Visit) -> None:
    page = visit.open("regions?study=demo")
    open_filter(page).get_by_text("Not token-driven").click()
    page.wait_for_url("**beyond=1**")
    close(page)
    run_again(page)
    page.get_by_role("button", name="Show all").click()
    page.wait_for_url(lambda url: "beyond" not in url)
    run_again(page)
    expect(open_filter(page).get_by_label("Not token-driven")).not_to_be_checked()
    close(page)
    run_again(page)
    assert parameters(page) == {"study": "demo"}


def test_a_queue_keeps_name_and_order_when_change_and_files_are_looked_at(visit: Visit) -> None:
    page = visit.open("queue?study=demo&person=ann&tier=all&order=density&seed=3")
    before = page.url, page.locator(".st-key-queue-setup").inner_text()
    for name in ("Export / import", "Change", "Export / import"):
        page.get_by_role("button", name=name).click()
        settle(page)
        if name == "Change":
            body = page.get_by_test_id("stPopoverBody")
            expect(body.get_by_label("Your name")).to_have_value("ann")
            expect(body.get_by_label("Order")).to_have_value("density")
            expect(body.get_by_label("Seed")).to_have_value("3")
            picture(page, "queue-change")
        close(page)
        run_again(page)
        assert (page.url, page.locator(".st-key-queue-setup").inner_text()) == before


def test_what_is_typed_outlasts_a_rerun_of_its_fragment(visit: Visit) -> None:
    page = visit.open("features?study=demo")
    field = page.get_by_label("Search", exact=True)
    field.press_sequentially("goa")
    page.evaluate(
        "() => document.querySelector('.stMain [data-testid=stDataFrame] canvas').scrollIntoView()"
    )
    page.wait_for_timeout(4_000)  # the list of jobs in the sidebar runs every three seconds
    expect(field).to_have_value("goa")
    field.press_sequentially("l")
    page.keyboard.press("Enter")
    page.wait_for_url("**search=goal**")
