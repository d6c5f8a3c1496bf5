"""Labelling in a browser: nothing typed is lost, doubled, merged or given to another feature."""

from __future__ import annotations

import json
import re
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.queue_world import Server, build, serving
from tests.browser.visits import NARROW, WIDE, picture

pytestmark = pytest.mark.browser
MANY, KILLS = 200, 6
# ms from each Enter until the next item was painted; it listens before the page does
WATCH = """(() => {
  window.times = [];
  const item = () => document.querySelector(".q-item")?.dataset.slot ?? "";
  window.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const before = item(), from = performance.now();
    const look = () => {
      if (item() && item() !== before) {
        requestAnimationFrame(() => setTimeout(() => window.times.push(performance.now() - from)));
      } else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }, true);
})()"""

# ms that the browser takes to draw two frames and to come to rest
TWO_FRAMES = """() => new Promise((done) => {
  const from = performance.now();
  const rest = () => setTimeout(() => done(performance.now() - from));
  requestAnimationFrame(() => requestAnimationFrame(rest));
})"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("queue"))


@pytest.fixture
def server(root: Path, tmp_path: Path) -> Iterator[Server]:
    with serving(root, tmp_path / "annotations") as running:
        yield running


@pytest.fixture
def slow(root: Path, tmp_path: Path) -> Iterator[Server]:
    with serving(root, tmp_path / "annotations", delay=0.5) as running:
        yield running


class Labeller:
    """A person with a keyboard, in a browser of their own with as many tabs as they like."""

    def __init__(self, browser: Browser, server: Server, size: tuple[int, int] = WIDE) -> None:
        self.server, self.errors = server, []
        self.context = browser.new_context(viewport={"width": size[0], "height": size[1]})
        self.context.add_init_script(WATCH)

    def open(self, params: str = "tier=all&person=Anna", wait: bool = True) -> Page:
        page = self.context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto(f"{self.server.address}/queue?study=small&{params}")
        if wait:
            shown(page)
            expect(page.locator(".q-label")).to_be_focused()
        return page

    def close(self) -> None:
        self.context.close()
        assert self.errors == []


@pytest.fixture
def labeller(chromium: Browser, server: Server) -> Iterator[Labeller]:
    person = Labeller(chromium, server)
    yield person
    person.close()


def shown(page: Page) -> str:
    """The item whose examples are on the screen."""
    page.wait_for_selector(".q-item[data-slot]:not([data-slot=''])")
    return slot(page)


def slot(page: Page) -> str:
    return page.locator(".q-item").evaluate("(item) => item.dataset.slot")


def saved(page: Page) -> None:
    expect(page.locator(".q-saved")).to_have_text("all saved", timeout=60_000)


def say(page: Page, label: str) -> None:
    page.keyboard.type(label)
    page.keyboard.press("Enter")


def command(page: Page, *keys: str) -> None:
    page.keyboard.press("Escape")
    for key in keys:
        page.keyboard.press(key)


def events(server: Server, kind: str = "decision") -> list[dict[str, Any]]:
    file = server.annotations / "annotations.sqlite"
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as base:
        rows = base.execute("SELECT value FROM events WHERE kind = ? ORDER BY id", [kind])
        return [json.loads(value) for (value,) in rows]


def pairs(server: Server) -> list[tuple[str, str]]:
    return [(f"{e['feature']}.{e['occurrence']}", e["label"]) for e in events(server)]


# ---------------------------------------------------------------- typing


def test_two_hundred_labels_typed_without_a_pause(labeller: Labeller, server: Server) -> None:
    page = labeller.open()
    said = page.locator(".q-count").inner_text()
    assert int(said.removeprefix("0 of ").split()[0].replace(",", "")) > 10_000
    for number in range(MANY):
        say(page, f"label number {number}")
    saved(page)
    kept = pairs(server)
    assert [label for _, label in kept] == [f"label number {n}" for n in range(MANY)]
    assert len({item for item, _ in kept}) == MANY
    assert len(page.evaluate("window.times")) == MANY


def test_the_next_item_takes_little_more_than_drawing_it(labeller: Labeller) -> None:
    """As a ratio to what the same browser takes to draw twice, so that it holds on any machine."""
    page = labeller.open()
    frames = []
    for number in range(40):
        say(page, f"label number {number}")
        frames.append(page.evaluate(TWO_FRAMES))
        page.wait_for_timeout(300)  # no person reads faster
    times = page.evaluate("window.times")
    assert len(times) == 40
    assert median(times) <= 4 * median(frames), (times, frames)


def test_the_next_items_come_without_the_server(labeller: Labeller, server: Server) -> None:
    page = labeller.open()
    page.wait_for_function(
        "() => document.querySelector('.q-root').parentElement.desk.items.size > 30"
    )
    server.process.send_signal(signal.SIGSTOP)
    try:
        items = [slot(page)]
        for number in range(20):
            say(page, f"label number {number}")
            items.append(shown(page))
        assert len(set(items)) == 21
        expect(page.locator(".q-saved")).not_to_have_text("all saved")
    finally:
        server.process.send_signal(signal.SIGCONT)
    saved(page)
    assert pairs(server) == [(item, f"label number {n}") for n, item in enumerate(items[:20])]


def test_typing_in_one_burst_is_kept_in_order(labeller: Labeller, server: Server) -> None:
    """Faster than any person: all at once, before most examples are there."""
    page = labeller.open()
    page.evaluate(
        """(many) => {
          const field = document.querySelector(".q-label");
          for (let n = 0; n < many; n += 1) {
            field.focus();
            document.execCommand("insertText", false, `burst ${n}`);
            field.dispatchEvent(new KeyboardEvent("keydown",
              { key: "Enter", bubbles: true, cancelable: true, composed: true }));
          }
          document.execCommand("insertText", false, "and half a");
        }""",
        100,
    )
    page.keyboard.type(" word")
    saved(page)
    expect(page.locator(".q-label")).to_have_value("and half a word")
    page.wait_for_function("() => !document.querySelector('.q-said b').textContent")
    saved(page)
    assert [label for _, label in pairs(server)] == [f"burst {n}" for n in range(100)]
    assert len({item for item, _ in pairs(server)}) == 100


def test_a_slow_server_and_a_reload_in_mid_word_lose_nothing(
    chromium: Browser, slow: Server
) -> None:
    person = Labeller(chromium, slow)
    page = person.open()
    seen = []
    for number in range(MANY):
        seen.append(shown(page))
        if number == 77:
            page.keyboard.type("label num")
            page.keyboard.press("ArrowLeft")
            page.reload()
            assert shown(page) == seen[-1]
            expect(page.locator(".q-label")).to_have_value("label num")
            expect(page.locator(".q-label")).to_be_focused()
            page.keyboard.press("ArrowRight")
            say(page, f"ber {number}")
        else:
            say(page, f"label number {number}")
    saved(page)
    assert pairs(slow) == [(item, f"label number {n}") for n, item in enumerate(seen)]
    person.close()


# ---------------------------------------------------------------- when it cannot be saved


def test_what_is_typed_while_the_file_is_gone_is_saved_when_it_is_back(
    labeller: Labeller, server: Server
) -> None:
    page = labeller.open()
    say(page, "before")
    saved(page)
    folder, away = server.annotations, server.annotations.with_name("away")
    folder.rename(away)
    folder.mkdir()
    (folder / "annotations.sqlite").mkdir()
    for number in range(5):
        shown(page)
        say(page, f"during {number}")
    expect(page.locator(".q-banner")).to_contain_text("cannot be opened")
    expect(page.locator(".q-banner")).to_contain_text("5 decisions are kept in this browser")
    picture(page, "queue-outage")
    page.reload()
    expect(page.locator(".q-banner")).to_contain_text("5 decisions are kept")
    (folder / "annotations.sqlite").rmdir()
    folder.rmdir()
    away.rename(folder)
    saved(page)
    shown(page)
    say(page, "after")
    saved(page)
    said = ["before", *(f"during {number}" for number in range(5)), "after"]
    assert [label for _, label in pairs(server)] == said
    assert len({item for item, _ in pairs(server)}) == len(said)
    expect(page.locator(".q-banner")).to_be_hidden()


def test_a_read_only_database_is_told_and_saved_when_it_is_not(
    labeller: Labeller, server: Server
) -> None:
    page = labeller.open()
    say(page, "before")
    saved(page)
    server.stop()
    file = server.annotations / "annotations.sqlite"
    file.chmod(0o444)
    server.start()
    page.reload()
    shown(page)
    for number in range(3):
        shown(page)
        say(page, f"during {number}")
    expect(page.locator(".q-banner")).to_contain_text("cannot be opened or written")
    expect(page.locator(".q-banner")).to_contain_text("3 decisions are kept in this browser")
    file.chmod(0o644)
    saved(page)
    assert [label for _, label in pairs(server)] == ["before", *(f"during {n}" for n in range(3))]


def test_a_server_killed_while_one_types_loses_nothing(labeller: Labeller, server: Server) -> None:
    page, random = labeller.open(), Random(3)
    said: list[str] = []
    for _ in range(KILLS):
        until = time.monotonic() + random.uniform(0.2, 1.5)
        while time.monotonic() < until:
            said.append(f"label {len(said)}")
            say(page, said[-1])
            page.wait_for_timeout(random.choice([0, 20, 80, 200]))
        server.stop(signal.SIGKILL)
        page.keyboard.type("half ")
        server.start()
    expect(page.locator(".q-saved")).to_have_text("all saved", timeout=90_000)
    found = pairs(server)
    assert [label.removeprefix("half ") for _, label in found] == said
    assert len({item for item, _ in found}) == len(said)


def test_a_browser_that_stores_nothing_still_saves_and_says_so(
    labeller: Labeller, server: Server
) -> None:
    labeller.context.add_init_script(
        "Storage.prototype.setItem = () => { throw new Error('full'); }"
    )
    page = labeller.open()
    for label in ("one", "two", "three"):
        say(page, label)
    expect(page.locator(".q-banner")).to_contain_text("its storage is full")
    saved(page)
    assert [label for _, label in pairs(server)] == ["one", "two", "three"]


# ---------------------------------------------------------------- tabs


def test_the_same_item_in_two_tabs_keeps_both(labeller: Labeller, server: Server) -> None:
    one, two = labeller.open(), labeller.open()
    item = shown(one)
    assert shown(two) == item
    one.bring_to_front()
    one.keyboard.type("from the fir")
    two.bring_to_front()
    say(two, "from the second")
    saved(two)
    one.bring_to_front()
    told = one.locator(".q-meanwhile")
    expect(told).to_have_text("decided meanwhile: from the second (a new decision supersedes it)")
    say(one, "st")
    saved(one)
    expect(told).to_have_text("")
    assert pairs(server) == [(item, "from the second"), (item, "from the first")]
    command(one, "l")
    expect(one.locator(".q-past.past")).to_contain_text("from the second")
    expect(one.locator(".q-past.past")).to_contain_text("superseded")
    assert events(server)[1]["old"]


def test_a_draft_of_a_closed_tab_is_taken_up(labeller: Labeller, server: Server) -> None:
    one = labeller.open()
    one.keyboard.type("half")
    one.close()
    two = labeller.open()
    expect(two.locator(".q-label")).to_have_value("half")


# ---------------------------------------------------------------- labels and commands


def test_labels_empty_huge_in_any_script_and_with_markup(
    labeller: Labeller, server: Server
) -> None:
    page = labeller.open()
    first = shown(page)
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
    said = ["שלום עולם", "漢字かな", "🙂‍↔️ naïve", hostile, "x" * 2_000]
    for label in said:
        shown(page)
        page.keyboard.insert_text(label)
        page.keyboard.press("Enter")
    saved(page)
    assert [label for _, label in pairs(server)] == said
    command(page, "l")
    expect(page.locator(".q-past").nth(1)).to_contain_text(hostile)
    assert page.locator(".q-past img").count() == 0


def test_every_command_does_what_it_says(labeller: Labeller, server: Server) -> None:
    page = labeller.open()
    first = shown(page)
    command(page, "f", "c", "c", "g", "2", "5", "g", "m")
    page.keyboard.type("a note")
    command(page, "s")
    second = shown(page)
    page.keyboard.press("n")
    third = shown(page)
    page.keyboard.press("v")
    expect(page.locator(".q-hints")).to_be_visible()
    page.keyboard.press("i")
    say(page, "seen")
    saved(page)
    skip, none, label = events(server)
    assert (skip["action"], skip["flagged"], skip["confidence"]) == ("skip", True, "middle")
    assert (skip["tags"], skip["notes"]) == (["syntax", "topic"], "a note")
    assert (none["action"], none["label"], label["hinted"]) == ("none", "", True)
    assert [item for item, _ in pairs(server)] == [first, second, third]
    command(page, "u")
    assert (shown(page), page.locator(".q-label").input_value()) == (third, "seen")
    page.keyboard.press("u")
    assert shown(page) == second
    page.keyboard.press("r")
    page.keyboard.press("r")
    page.keyboard.press("l")
    for key in ("ArrowDown", "ArrowDown", "u"):
        page.keyboard.press(key)
    assert shown(page) == first
    expect(page.locator(".q-past.undone")).to_have_count(1)
    saved(page)
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


def test_a_new_decision_clears_what_could_be_redone_of_its_item(
    labeller: Labeller, server: Server
) -> None:
    page = labeller.open()
    expect(page.locator(".q-said")).to_contain_text("Esc for commands")
    first = shown(page)
    expect(page.locator(".q-name")).to_contain_text(f"Feature {first.split('.')[0]}")
    say(page, "old")
    shown(page)
    command(page, "u")
    assert shown(page) == first
    expect(page.locator(".q-said")).not_to_contain_text("Esc for commands")
    page.keyboard.press("n")
    for label in ("one", "two"):
        shown(page)
        page.keyboard.press("i")
        say(page, label)
    command(page, *"uurrr")
    expect(page.locator(".q-said")).to_contain_text("nothing to redo")
    page.keyboard.press("Enter")
    expect(page.locator(".q-said")).not_to_contain_text("nothing to redo")
    saved(page)
    assert len(events(server, "redo")) == 2
    command(page, "l", "ArrowDown", "u", "r", "r")
    page.keyboard.press("Enter")
    expect(page.locator(".q-label")).to_have_value("one")
    expect(page.locator(".q-history")).to_be_hidden()
    assert shown(page) == pairs(server)[2][0]


def test_with_the_tags_open_only_digits_and_what_closes_them_act(
    labeller: Labeller, server: Server
) -> None:
    page = labeller.open()
    say(page, "kept")
    item = shown(page)
    command(page, "g", "u", "n", "s", "Enter", "2")
    expect(page.locator(".q-tags")).to_contain_text("Press a digit")
    page.keyboard.press("x")
    expect(page.locator(".q-said")).to_contain_text("press a digit")
    assert shown(page) == item
    page.keyboard.press("Escape")
    expect(page.locator(".q-tags")).to_be_hidden()
    page.wait_for_timeout(1200)
    page.reload()
    assert shown(page) == item
    command(page, "n")
    saved(page)
    kept, none = events(server)
    assert (kept["label"], none["action"], none["tags"]) == ("kept", "none", ["syntax"])
    assert none["seconds"] >= 1.2, "what was spent before the reload counts"
    assert events(server, "undo") == []


def test_a_text_is_tried_and_kept_as_evidence(labeller: Labeller, server: Server) -> None:
    page = labeller.open()
    item = shown(page)
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
    command(page, "e", "i")
    say(page, "boats")
    saved(page)
    (kept,) = events(server)
    assert (f"{kept['feature']}.{kept['occurrence']}", kept["label"]) == (item, "boats")
    assert "The captain paints" in json.dumps(kept["evidence"])


def test_buttons_do_the_same_on_a_phone(chromium: Browser, server: Server) -> None:
    person = Labeller(chromium, server, NARROW)
    page = person.open()
    first = shown(page)
    page.locator(".q-label").fill("by hand")
    page.get_by_role("button", name="Save").click()
    second = shown(page)
    page.get_by_role("button", name="Skip").click()
    shown(page)
    saved(page)
    assert pairs(server) == [(first, "by hand"), (second, "")]
    assert page.evaluate("document.querySelector('.stMain').scrollWidth") <= NARROW[0]
    expect(page.locator(".q-label")).to_be_in_viewport()
    picture(page, "queue-narrow")
    person.close()
