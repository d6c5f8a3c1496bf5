"""Labels and commands of the queue, in a browser."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.labelling import (
    Labeller,
    command,
    events,
    pairs,
    say,
    slot,
    wait_for_item,
    wait_until_saved,
)
from tests.browser.queue_world import Server
from tests.browser.visits import NARROW, picture

pytestmark = pytest.mark.browser


# ---------------------------------------------------------------- labels and commands


def test_labels_empty_huge_in_any_script_and_with_markup(
    labeller: Labeller, server: Server
) -> None:
    page = labeller.open()
    first = wait_for_item(page)
    page.keyboard.press("Enter")
    page.keyboard.type("   ")
    page.keyboard.press("Enter")
    expect(page.locator(".q-said")).to_contain_text("Type a label first")
    field = page.locator(".q-label")
    field.fill("x" * 10_000)
    page.keyboard.press("Enter")
    expect(page.locator(".q-said")).to_contain_text("at most 2,000 characters; this has 10,000")
    assert field.input_value() == "x" * 10_000
    assert slot(page) == first
    field.fill("")
    hostile = "<img src=x onerror=alert(1)> & <b>bold</b>"
    text = ["שלום עולם", "漢字かな", "🙂‍↔️ naïve", hostile, "x" * 2_000]
    for label in text:
        wait_for_item(page)
        page.keyboard.insert_text(label)
        page.keyboard.press("Enter")
    wait_until_saved(page)
    assert [label for _, label in pairs(server)] == text
    command(page, "l")
    expect(page.locator(".q-past").nth(1)).to_contain_text(hostile)
    assert page.locator(".q-past img").count() == 0


def test_every_command_does_what_it_says(labeller: Labeller, server: Server) -> None:
    page = labeller.open()
    first = wait_for_item(page)
    command(page, "f")
    command(page, "c", "c", "g", "2", "5", "g", "m")
    page.keyboard.type("a note")
    command(page, "s")
    second = wait_for_item(page)
    command(page, "n")
    third = wait_for_item(page)
    command(page, "v")
    expect(page.locator(".q-hints")).to_be_visible()
    page.keyboard.press("i")
    say(page, "seen")
    wait_until_saved(page)
    skip, none, label = events(server)
    assert (skip["action"], skip["flagged"], skip["confidence"]) == ("skip", True, "middle")
    assert (skip["tags"], skip["notes"]) == (["syntax", "topic"], "a note")
    assert (none["action"], none["label"], label["hinted"]) == ("none", "", True)
    assert [item for item, _ in pairs(server)] == [first, second, third]
    command(page, "u")
    assert (wait_for_item(page), page.locator(".q-label").input_value()) == (third, "seen")
    command(page, "u")
    assert wait_for_item(page) == second
    command(page, "r")
    command(page, "r")
    command(page, "l")
    for key in ("ArrowDown", "ArrowDown", "u"):
        page.keyboard.press(key)
    assert wait_for_item(page) == first
    expect(page.locator(".q-past.undone")).to_have_count(1)
    wait_until_saved(page)
    assert len(events(server, "undo")) == 3
    assert len(events(server, "redo")) == 2
    page.keyboard.press("h")
    expect(page.get_by_role("dialog")).to_contain_text("leave the field")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("c")
    page.keyboard.press("r")
    page.wait_for_timeout(300)
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_after_each_act_one_types_and_commands_are_loud(labeller: Labeller, server: Server) -> None:
    page = labeller.open()
    field, mode = page.locator(".q-label"), page.locator(".q-mode")
    save = page.locator(".q-keys .first kbd")
    for key in "snfurue":  # skip, none, flag, undo, redo, undo, attach: which says what is missing
        expect(mode).to_have_text("Esc for commands")
        expect(save).to_be_visible()
        page.keyboard.press("Escape")
        expect(mode).to_contain_text("COMMANDS")
        expect(mode).to_contain_text("⏎ or I to type")
        expect(save).to_be_hidden()
        page.keyboard.press(key)
        expect(field).to_be_focused()
    wait_for_item(page)
    field.fill("")
    page.keyboard.press("Escape")
    page.keyboard.down("s")  # held: it skips one, and types nothing
    for _ in range(5):
        page.keyboard.down("s")
    page.keyboard.up("s")
    wait_for_item(page)
    wait_until_saved(page)
    assert [event["action"] for event in events(server)] == ["skip", "none", "skip"]
    assert field.input_value() == ""
    page.keyboard.type("sports news")
    assert field.input_value() == "sports news"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Save").dblclick()
    wait_until_saved(page)
    assert [label for _, label in pairs(server)][3:] == ["sports news"]


def test_a_new_decision_clears_what_could_be_redone_of_its_item(
    labeller: Labeller, server: Server
) -> None:
    page = labeller.open()
    first = wait_for_item(page)
    expect(page.locator(".q-name")).to_contain_text(f"Feature {first.split('.')[0]}")
    say(page, "old")
    wait_for_item(page)
    command(page, "u")
    assert wait_for_item(page) == first
    command(page, "n")
    for label in ("one", "two"):
        wait_for_item(page)
        say(page, label)
    for key in "uurrr":
        command(page, key)
    expect(page.locator(".q-said")).to_contain_text("nothing to redo")
    page.keyboard.type("x")
    expect(page.locator(".q-said")).not_to_contain_text("nothing to redo")
    page.keyboard.press("Backspace")
    wait_until_saved(page)
    assert len(events(server, "redo")) == 2
    command(page, "l", "ArrowDown", "u", "r", "r")
    page.keyboard.press("Enter")
    expect(page.locator(".q-label")).to_have_value("one")
    expect(page.locator(".q-history")).to_be_hidden()
    assert wait_for_item(page) == pairs(server)[2][0]


def test_with_the_tags_open_only_digits_and_what_closes_them_act(
    labeller: Labeller, server: Server
) -> None:
    page = labeller.open()
    say(page, "kept")
    item = wait_for_item(page)
    command(page, "g", "u", "n", "s", "Enter", "2")
    expect(page.locator(".q-tags")).to_contain_text("Press a digit")
    page.keyboard.press("x")
    expect(page.locator(".q-said")).to_contain_text("press a digit")
    assert wait_for_item(page) == item
    page.keyboard.press("Escape")
    expect(page.locator(".q-tags")).to_be_hidden()
    page.wait_for_timeout(1200)
    page.reload()
    assert wait_for_item(page) == item
    command(page, "n")
    wait_until_saved(page)
    event, none = events(server)
    assert (event["label"], none["action"], none["tags"]) == ("kept", "none", ["syntax"])
    assert none["seconds"] >= 1.2, "what was spent before the reload counts"
    assert events(server, "undo") == []


def test_a_text_is_tried_and_kept_as_evidence(labeller: Labeller, server: Server) -> None:
    page = labeller.open()
    item = wait_for_item(page)
    command(page, "t")
    page.keyboard.type("The captain paints <b>the</b> anchor.")
    page.keyboard.press("Enter")
    tried = page.locator(".q-probe")
    command(page, "e")
    words = page.locator(".q-said").inner_text()
    assert "still being read" in words or "attached" in tried.inner_text()
    expect(tried).to_contain_text(re.compile("E attaches it|attached"), timeout=60_000)
    expect(tried).to_contain_text("captain")
    assert tried.locator("b").count() == 0
    page.keyboard.press("Escape")
    command(page, "e")
    say(page, "boats")
    wait_until_saved(page)
    (event,) = events(server)
    assert (f"{event['feature']}.{event['occurrence']}", event["label"]) == (item, "boats")
    assert "The captain paints" in json.dumps(event["evidence"])


def test_buttons_do_the_same_on_a_phone(chromium: Browser, server: Server) -> None:
    person = Labeller(chromium, server, NARROW)
    page = person.open()
    first = wait_for_item(page)
    page.locator(".q-label").fill("by hand")
    page.get_by_role("button", name="Save").click()
    second = wait_for_item(page)
    page.get_by_role("button", name="Skip").click()
    wait_for_item(page)
    wait_until_saved(page)
    assert pairs(server) == [(first, "by hand"), (second, "")]
    assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= NARROW[0]
    expect(page.locator(".q-label")).to_be_in_viewport()
    picture(page, "queue-narrow")
    person.close()


def test_a_name_is_typed_at_once_and_four_labels_tell_the_pace(labeller: Labeller) -> None:
    page = labeller.open("tier=all", wait=False)
    expect(page.get_by_label("Your name, kept with every answer")).to_be_focused()
    page.keyboard.type("Cleo")
    page.keyboard.press("Enter")
    for label in ("one", "two", "three", "four"):
        wait_for_item(page)
        expect(page.locator(".q-label")).to_be_focused()
        say(page, label)
    wait_until_saved(page)
    expect(page.locator(".q-count")).to_have_text(re.compile(r"4 of .* a minute .* at that pace"))
    page.get_by_role("button", name="Confidence").hover()
    expect(page.get_by_role("tooltip")).to_contain_text("how sure its maker is")
    page.locator(".q-count a").hover()
    expect(page.get_by_role("tooltip")).to_contain_text("asked twice")


def test_a_phone_on_its_side_shows_examples_and_field_at_once(
    chromium: Browser, server: Server
) -> None:
    person = Labeller(chromium, server, (NARROW[1], NARROW[0]))
    page = person.open()
    field = page.locator(".q-label").bounding_box()
    second = page.locator(".q-example").nth(1).bounding_box()
    assert field
    assert second
    assert second["y"] + second["height"] < field["y"] < NARROW[0] - field["height"]
    person.close()
