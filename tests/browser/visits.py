"""A person's tabs in a browser, and what the journeys ask of them."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Generator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser, Page, expect

ROOT = Path(__file__).parent.parent.parent
ARTEFACTS = ROOT / "artefacts"
PATIENCE = 60_000  # ms
expect.set_options(timeout=20_000)  # a busy machine; a test that fails waits as long
WIDE, NARROW = (1280, 720), (390, 844)


# counts what a person does, over all pages of a tab: clicks, and keys that are no typed text
COUNTER = """(() => {
  const add = (what) =>
    sessionStorage.setItem(what, 1 + Number(sessionStorage.getItem(what) ?? 0));
  const types = (place) => place.isContentEditable || /^(INPUT|TEXTAREA)$/.test(place.tagName);
  addEventListener("pointerdown", (event) => event.isTrusted && add("clicks"), true);
  addEventListener("keydown", (event) => {
    const typed = event.key.length === 1 && types(event.target);
    if (event.isTrusted && !event.repeat && !typed) add("keys");
  }, true);
})()"""
COUNTS = "() => ['clicks', 'keys'].map((what) => Number(sessionStorage.getItem(what) ?? 0))"


@contextlib.contextmanager
def journey(page: Page, name: str) -> Generator[None]:
    """Counts clicks, keys and seconds until the goal is reached, in artefacts/journeys.json."""
    before, start = page.evaluate(COUNTS), time.monotonic()
    yield
    seconds = round(time.monotonic() - start, 1)
    clicks, keys = (a - b for a, b in zip(page.evaluate(COUNTS), before, strict=True))
    ARTEFACTS.mkdir(exist_ok=True)
    path = ARTEFACTS / "journeys.json"
    counts = json.loads(path.read_text()) if path.exists() else {}
    counts.setdefault(name, []).append({"clicks": clicks, "keys": keys, "seconds": seconds})
    path.write_text(json.dumps(counts, indent=1))


class Visit:
    """One person's tabs. Every uncaught error in the browser fails the journey."""

    def __init__(self, browser: Browser, app: str) -> None:
        self.browser, self.app = browser, app
        self.errors: list[str] = []
        self.pages: list[Page] = []

    def open(self, path: str, size: tuple[int, int] = WIDE, dark: bool = False) -> Page:
        """A tab of its own, opened cold at a path of the app."""
        width, height = size
        page = self.browser.new_page(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
        )
        page.add_init_script(COUNTER)
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.pages.append(page)
        page.goto(f"{self.app}/{path}")
        settle(page)
        return page

    def close(self) -> None:
        for page in self.pages:
            page.close()
        assert self.errors == []


def settle(page: Page) -> None:
    """Wait until the script has run and nothing is a placeholder any more."""
    page.wait_for_selector(".stApp[data-test-script-state=notRunning] .strip")
    page.wait_for_function("() => !document.querySelector('[data-testid=stSkeleton]')")
    page.wait_for_timeout(300)


def picture(page: Page, name: str) -> None:
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")


def parameters(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}
