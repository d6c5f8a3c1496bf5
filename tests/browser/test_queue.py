"""Labelling in a browser: nothing typed is lost, doubled, merged or given to another feature."""

from __future__ import annotations

import signal
import time
from random import Random
from statistics import median

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.labelling import (
    KILLS,
    MANY,
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
from tests.browser.visits import picture

pytestmark = pytest.mark.browser
# ms that the browser takes to draw two frames and to come to rest
TWO_FRAMES = """() => new Promise((done) => {
  const from = performance.now();
  const rest = () => setTimeout(() => done(performance.now() - from));
  requestAnimationFrame(() => requestAnimationFrame(rest));
})"""


# ---------------------------------------------------------------- typing


def test_two_hundred_labels_typed_without_a_pause(labeller: Labeller, server: Server) -> None:
    page = labeller.open()
    text = page.locator(".q-count").inner_text()
    assert int(text.removeprefix("0 of ").split()[0].replace(",", "")) > 10_000
    for number in range(MANY):
        say(page, f"label number {number}")
    wait_until_saved(page)
    entries = pairs(server)
    assert [label for _, label in entries] == [f"label number {n}" for n in range(MANY)]
    assert len({item for item, _ in entries}) == MANY
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
            items.append(wait_for_item(page))
        assert len(set(items)) == 21
        expect(page.locator(".q-saved")).not_to_have_text("all saved")
    finally:
        server.process.send_signal(signal.SIGCONT)
    wait_until_saved(page)
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
    wait_until_saved(page)
    expect(page.locator(".q-label")).to_have_value("and half a word")
    page.wait_for_function("() => !document.querySelector('.q-said b').textContent")
    wait_until_saved(page)
    assert [label for _, label in pairs(server)] == [f"burst {n}" for n in range(100)]
    assert len({item for item, _ in pairs(server)}) == 100


def test_a_slow_server_and_a_reload_in_mid_word_lose_nothing(
    chromium: Browser, slow: Server
) -> None:
    person = Labeller(chromium, slow)
    page = person.open()
    texts = []
    for number in range(MANY):
        texts.append(wait_for_item(page))
        if number == 77:
            page.keyboard.type("label num")
            page.keyboard.press("ArrowLeft")
            page.reload()
            assert wait_for_item(page) == texts[-1]
            expect(page.locator(".q-label")).to_have_value("label num")
            expect(page.locator(".q-label")).to_be_focused()
            page.keyboard.press("ArrowRight")
            say(page, f"ber {number}")
        else:
            say(page, f"label number {number}")
    wait_until_saved(page)
    assert pairs(slow) == [(item, f"label number {n}") for n, item in enumerate(texts)]
    person.close()


# ---------------------------------------------------------------- when it cannot be saved


def test_what_is_typed_while_the_file_is_gone_is_saved_when_it_is_back(
    labeller: Labeller, server: Server
) -> None:
    page = labeller.open()
    say(page, "before")
    wait_until_saved(page)
    folder, away = server.annotations, server.annotations.with_name("away")
    folder.rename(away)
    folder.mkdir()
    (folder / "annotations.sqlite").mkdir()
    for number in range(5):
        wait_for_item(page)
        say(page, f"during {number}")
    expect(page.locator(".q-banner")).to_contain_text("cannot be opened")
    expect(page.locator(".q-banner")).to_contain_text("5 decisions are kept in this browser")
    picture(page, "queue-outage")
    page.reload()
    expect(page.locator(".q-banner")).to_contain_text("5 decisions are kept")
    (folder / "annotations.sqlite").rmdir()
    folder.rmdir()
    away.rename(folder)
    wait_until_saved(page)
    wait_for_item(page)
    say(page, "after")
    wait_until_saved(page)
    text = ["before", *(f"during {number}" for number in range(5)), "after"]
    assert [label for _, label in pairs(server)] == text
    assert len({item for item, _ in pairs(server)}) == len(text)
    expect(page.locator(".q-banner")).to_be_hidden()


def test_a_read_only_database_is_told_and_saved_when_it_is_not(
    labeller: Labeller, server: Server
) -> None:
    page = labeller.open()
    say(page, "before")
    wait_until_saved(page)
    server.stop()
    file = server.annotations / "annotations.sqlite"
    file.chmod(0o444)
    server.start()
    page.reload()
    wait_for_item(page)
    for number in range(3):
        wait_for_item(page)
        say(page, f"during {number}")
    expect(page.locator(".q-banner")).to_contain_text("cannot be opened or written")
    expect(page.locator(".q-banner")).to_contain_text("3 decisions are kept in this browser")
    file.chmod(0o644)
    wait_until_saved(page)
    assert [label for _, label in pairs(server)] == ["before", *(f"during {n}" for n in range(3))]


def test_a_server_killed_while_one_types_loses_nothing(labeller: Labeller, server: Server) -> None:
    page, random = labeller.open(), Random(3)
    text: list[str] = []
    for _ in range(KILLS):
        until = time.monotonic() + random.uniform(0.2, 1.5)
        while time.monotonic() < until:
            text.append(f"label {len(text)}")
            say(page, text[-1])
            page.wait_for_timeout(random.choice([0, 20, 80, 200]))
        server.stop(signal.SIGKILL)
        page.keyboard.type("half ")
        server.start()
    expect(page.locator(".q-saved")).to_have_text("all saved", timeout=90_000)
    result = pairs(server)
    assert [label.removeprefix("half ") for _, label in result] == text
    assert len({item for item, _ in result}) == len(text)


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
    wait_until_saved(page)
    assert [label for _, label in pairs(server)] == ["one", "two", "three"]


# ---------------------------------------------------------------- tabs


def test_the_same_item_in_two_tabs_keeps_both(labeller: Labeller, server: Server) -> None:
    one, two = labeller.open(), labeller.open()
    item = wait_for_item(one)
    assert wait_for_item(two) == item
    one.bring_to_front()
    one.keyboard.type("from the fir")
    two.bring_to_front()
    say(two, "from the second")
    wait_until_saved(two)
    one.bring_to_front()
    notice = one.locator(".q-meanwhile")
    expect(notice).to_have_text("decided meanwhile: from the second (a new decision supersedes it)")
    say(one, "st")
    wait_until_saved(one)
    expect(notice).to_have_text("")
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
