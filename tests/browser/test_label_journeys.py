"""An experiment from the form to the exported file, and a blind vote, in a browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visits import Visit, journey, parameters, picture, settle

pytestmark = pytest.mark.browser
PLAN = "methods=token_frequency,eleuther_acts_top5&scorers=detection,embedding&count=3"
LONG = 240_000  # ms: the study's own model is loaded, and judges


def started(visit: Visit) -> Page:
    page = visit.open(f"experiment?study=demo&{PLAN}")
    if not page.get_by_role("button", name="Start", exact=True).is_visible():
        page.get_by_text("New experiment").click()
    expect(page.get_by_text("Prompts to the study's own model")).to_be_visible()
    settle(page)  # a form that is drawn anew takes the click with it
    with journey(page, "an experiment is under way"):
        page.get_by_role("button", name="Start", exact=True).click()
        page.wait_for_url("**run=**")
    return page


def test_an_experiment_is_started_cancelled_gone_on_with_and_exported(visit: Visit) -> None:
    page = started(visit)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Resume").click(timeout=LONG)
    expect(page.get_by_text("Differences between methods")).to_be_visible(timeout=LONG)
    settle(page)
    picture(page, "experiment")
    assert len(parameters(page)["run"]) == 32
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="all, as a folder of the baez post").click()
    assert download.value.suggested_filename.endswith("-baez.zip")
    reopened = visit.open(f"experiment?study=demo&run={parameters(page)['run']}")
    expect(reopened.get_by_text("Differences between methods")).to_be_visible()


def test_labels_are_compared_blind_and_a_vote_is_kept(visit: Visit) -> None:
    page = started(visit)
    expect(page.get_by_text("Differences between methods")).to_be_visible(timeout=LONG)
    run = parameters(page)["run"]
    compared = visit.open(f"compare?study=demo&run={run}&person=ann", dark=True)
    expect(compared.get_by_text("held-out excerpt", exact=True)).to_be_visible()
    before = compared.locator(".st-key-inspector .title").inner_text()
    with journey(compared, "a blind vote between two labels"):
        compared.keyboard.press("b")
        expect(compared.get_by_role("button", name="Prefer A")).to_be_visible()
        inspector = compared.locator(".st-key-inspector").inner_text()
        compared.keyboard.press("1")
        expect(compared.locator(".st-key-inspector .title")).not_to_have_text(before)
    assert "token_frequency" not in inspector
    expect(compared.get_by_text("Votes are kept")).to_be_visible()
    picture(compared, "compare-blind")


def test_a_person_judges_the_same_excerpts(visit: Visit) -> None:
    page = started(visit)
    expect(page.get_by_text("Differences between methods")).to_be_visible(timeout=LONG)
    judge = visit.open(f"judge?study=demo&run={parameters(page)['run']}")
    judge.get_by_label("Your name").fill("ann")
    judge.keyboard.press("Enter")
    expect(judge.get_by_text("0 of ")).to_be_visible()
    first = judge.locator(".j-root").get_attribute("data-item")
    boxes = judge.get_by_role("checkbox")
    boxes.nth(2).locator(".passage").click()
    with journey(judge, "marks on a text to judge"):
        for key in ("1", "2", "2", "Shift+1"):
            judge.keyboard.press(key)
        expect(boxes.nth(10)).to_have_attribute("aria-checked", "true")
    marks = [0, 2, 10]
    for place in range(boxes.count()):
        expect(boxes.nth(place)).to_have_attribute("aria-checked", str(place in marks).lower())
    judge.reload()
    settle(judge)
    expect(boxes.nth(10)).to_have_attribute("aria-checked", "true")
    expect(judge.get_by_role("button", name="Save and next")).to_be_in_viewport()
    judge.get_by_role("button", name="Save and next").dblclick()
    expect(judge.get_by_text("1 of ")).to_be_visible()
    expect(judge.get_by_text("all saved")).to_be_visible()
    assert judge.locator(".j-root").get_attribute("data-item") != first
    picture(judge, "judge")
    judge.keyboard.down("Enter")  # held: it saves one
    for _ in range(5):
        judge.keyboard.down("Enter")
    judge.keyboard.up("Enter")
    expect(judge.get_by_text("2 of ")).to_be_visible()
    expect(judge.get_by_text("all saved")).to_be_visible()
    judge.keyboard.press("u")
    judge.keyboard.press("u")
    expect(boxes.nth(10)).to_have_attribute("aria-checked", "true")
    assert judge.locator(".j-root").get_attribute("data-item") == first
    judge.set_viewport_size({"width": 390, "height": 844})
    expect(judge.get_by_role("button", name="Save and next")).to_be_in_viewport()
    assert judge.evaluate("document.querySelector('.stMain').scrollWidth") <= 390
    picture(judge, "judge-narrow")
