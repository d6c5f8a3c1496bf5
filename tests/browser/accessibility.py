"""What axe-core finds wrong with a page for people who see, point or read otherwise."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

GRAVE = ("serious", "critical")
axe = Axe()


def findings(page: Page) -> list[str]:
    """Rule and element of each serious finding, in both themes."""
    lines = []
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme=theme)
        page.wait_for_timeout(500)  # the colours change over
        for violation in axe.run(page).response["violations"]:
            if violation["impact"] in GRAVE:
                nodes = (node["html"][:160] for node in violation["nodes"])
                lines += [f"{theme}: {violation['id']}: {html}" for html in nodes]
    return lines
