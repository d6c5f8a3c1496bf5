"""A person with a keyboard at the queue, and what is on disk of what they said."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.browser.queue_world import Server
from tests.browser.visits import WIDE

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
            wait_for_item(page)
            expect(page.locator(".q-label")).to_be_focused()
        return page

    def close(self) -> None:
        self.context.close()
        assert self.errors == []


def wait_for_item(page: Page) -> str:
    """The item whose examples are on the screen."""
    page.wait_for_selector(".q-item[data-slot]:not([data-slot=''])")
    return slot(page)


def slot(page: Page) -> str:
    return page.locator(".q-item").evaluate("(item) => item.dataset.slot")


def wait_until_saved(page: Page) -> None:
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
