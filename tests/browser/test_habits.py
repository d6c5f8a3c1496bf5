"""What people do without thinking of it: wander back and forward, open one thing over another, turn
a phone, and look at one study from two browsers."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from backend.store import jobs
from tests.browser.test_popovers import close, openers, rest, state, wake
from tests.browser.visits import NARROW, PATIENCE, Visit, parameters, settle

pytestmark = pytest.mark.browser
SIDEWAYS = NARROW[1], NARROW[0]
TEN = [
    "Regions",
    "Features",
    "Experiment",
    "Compare",
    "Judge",
    "Tiers",
    "Queue",
    "Concepts",
    "Jobs",
    "Glossary",
]


def heading(page: Page, name: str) -> None:
    expect(page.locator(".strip h1")).to_have_text(name, timeout=PATIENCE)
    settle(page)
    expect(page.locator(".stMain .stException")).to_have_count(0)
    expect(page.locator(".problem")).to_have_count(0)


def test_back_and_forward_through_ten_pages(visit: Visit) -> None:
    page = visit.open("overview?study=demo")
    paths = [urlsplit(page.url).path]
    for name in TEN:
        link = page.get_by_test_id("stSidebar").get_by_role("link", name=name, exact=True)
        wake(page, link)
        link.click()
        heading(page, name)
        paths.append(urlsplit(page.url).path)
    names = ["Overview", *TEN]
    for step in range(len(TEN) - 1, -1, -1):
        page.go_back()
        heading(page, names[step])
        assert urlsplit(page.url).path == paths[step]
        assert parameters(page)["study"] == "demo"
    for step in range(1, len(names)):
        page.go_forward()
        heading(page, names[step])
        assert urlsplit(page.url).path == paths[step]
        assert parameters(page)["study"] == "demo"


def test_back_returns_to_what_was_open(visit: Visit) -> None:
    page = visit.open("regions?study=demo&region=3")
    title = page.locator(".st-key-inspector .title")
    expect(title).to_have_text("Region 3")
    page.get_by_test_id("stSidebar").get_by_role("link", name="Features", exact=True).click()
    heading(page, "Features")
    page.go_back()
    heading(page, "Regions")
    expect(title).to_have_text("Region 3")
    assert parameters(page)["region"] == "3"


def test_what_is_opened_one_over_another_leaves_all_as_it_was(visit: Visit) -> None:
    page = visit.open("regions?study=demo&region=3")
    rest(page)
    before = state(page)
    for opener in openers(page) * 2:
        opener.dispatch_event("click")  # as one who does not wait for what is over it to close
    close(page)
    for opened in page.locator(".stMain details[open] > summary").all():
        opened.click()
    page.keyboard.press("Escape")
    settle(page)
    for opener in page.locator(".stMain [data-testid=stExpander] details[open] summary").all():
        opener.click()
    assert state(page) == before


@pytest.mark.parametrize("path", ["features?feature=3", "judge?person=ann"])
def test_a_phone_turned_sideways_keeps_its_place(visit: Visit, path: str) -> None:
    page = visit.open(f"{path}&study=demo", NARROW)
    rest(page)
    before = state(page)
    for width, height in (SIDEWAYS, NARROW):
        page.set_viewport_size({"width": width, "height": height})
        settle(page)
        assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= width
        assert page.url == before[0]
    assert state(page) == before


def test_two_browsers_look_at_one_study_each_for_itself(visit: Visit) -> None:
    one, other = visit.open("regions?study=demo&region=3"), visit.open("regions?study=demo")
    rest(one)
    before = state(other)
    one.get_by_label("Search", exact=True).fill("goal")
    one.keyboard.press("Enter")
    one.wait_for_url("**search=goal**")
    other.reload()
    assert state(other) == before
    assert parameters(one)["region"] == "3"


def test_two_browsers_that_ask_the_same_wait_for_one_job(visit: Visit, demo: str) -> None:
    text = "Two people ask about one and the same sentence."
    pages = [visit.open("features?study=demo&feature=3") for _ in range(2)]
    for page in pages:
        page.get_by_text("Try your own text").click()
        field = page.locator(".st-key-inspector textarea")
        field.fill(text)
        field.press("Control+Enter")
    for page in pages:
        answer = page.locator(".st-key-inspector .answer", has_text=" tokens")
        expect(answer).to_be_visible(timeout=3 * PATIENCE)
    same = [job for job in jobs.recent() if text in str(job.arguments)]
    assert [job.state for job in same] == ["done"]
