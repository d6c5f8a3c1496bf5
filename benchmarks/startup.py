"""How long a newcomer waits: from the command to a region map that answers the mouse.

    python -m benchmarks.startup [--json]          second start, on the cache as it is
    python -m benchmarks.startup --full [--json]   also first map and whole demo, empty cache

The app is started as a user starts it and opened in Chromium; a map counts once plotly has drawn
its points. Dependencies are in place. Targets are for two cores with AMX.
"""

from __future__ import annotations

import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Error, Page, sync_playwright

from backend import settings
from benchmarks.report import Figure, main

CHROMIUM = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
CHART = "() => document.querySelector('.js-plotly-plot .scatterlayer, .js-plotly-plot .gl-canvas')"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def app(cache: Path, script: str = "app.py", annotations: str = "") -> Iterator[str]:
    """The app, or another script, on a cache of its own and, where a folder is named, annotations;
    yields its address and ends every process it started."""
    port = _free_port()
    command = [sys.executable, "-m", "streamlit", "run", script, "--server.headless=true"]
    folders = {"TESSERA_CACHE": str(cache)}
    if annotations:
        folders["TESSERA_ANNOTATIONS"] = annotations
    process = subprocess.Popen(
        [*command, f"--server.port={port}"],
        cwd=settings.ROOT,
        env=os.environ | folders | {"TESSERA_WORKER_IDLE": "5"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@contextmanager
def browser() -> Iterator[Page]:
    """A page of a system Chromium, or of Playwright's own."""
    system = next(
        (p for p in ("/usr/bin/chromium", "/usr/bin/google-chrome") if Path(p).exists()), None
    )
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=system, args=CHROMIUM)
        yield opened.new_page(viewport={"width": 1280, "height": 720})
        opened.close()


def visit(page: Page, address: str) -> None:
    """Opens an address of an app that may still be starting."""
    until = time.monotonic() + 60
    while True:
        try:
            page.goto(address, timeout=30_000)
            return
        except Error:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def open_map(page: Page, address: str, started: float, limit: float) -> float:
    """Seconds from `started` until the region map is drawn."""
    visit(page, f"{address}/regions?study=demo")
    page.wait_for_function(CHART, timeout=limit * 1_000)
    return time.monotonic() - started


def second_map(cache: Path) -> float:
    with app(cache) as address, browser() as page:
        return open_map(page, address, time.monotonic(), 60)


def first_run() -> tuple[float, float, float]:
    """First map, whole demo and second map, in seconds, from an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        started = time.monotonic()
        with app(cache) as address, browser() as page:
            first = open_map(page, address, started, 1_800)
            subprocess.run(
                [sys.executable, "-m", "backend", "prepare", "--study", "demo"],
                cwd=settings.ROOT,
                env=os.environ | {"TESSERA_CACHE": folder},
                check=True,
                stdout=subprocess.DEVNULL,
            )
            whole = time.monotonic() - started
        return first, whole, second_map(cache)


def measure(full: bool) -> tuple[int, list[Figure]]:
    if not full:
        seconds = statistics.median(second_map(settings.current().cache) for _ in range(3))
        return 3, [Figure("second_map_s", seconds, "s", 5.0, seconds <= 5.0)]
    runs = [first_run() for _ in range(3)]
    first, whole, second = (statistics.median(column) for column in zip(*runs, strict=True))
    return 3, [
        Figure("first_map_s", first, "s", 90.0, first <= 90),
        Figure("demo_s", whole, "s", 360.0, whole <= 360),
        Figure("second_map_s", second, "s", 5.0, second <= 5),
    ]


if __name__ == "__main__":
    main("startup", measure)
