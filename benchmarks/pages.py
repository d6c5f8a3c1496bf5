"""How soon pages answer once everything is computed.

    python -m benchmarks.pages [--full] [--json]

`regions_ms` is a whole run of the Regions page on the server; `inspector_ms` and `feature_ms` what
an open region or feature adds to a run; `browser_select_ms` the time in Chromium from a click on
"Next" to a painted inspector. Medians over 7 runs (--full: 20) after two to warm up. The demo
has to be computed (`python -m backend prepare`).
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import polars as pl
from playwright.sync_api import Page
from streamlit.testing.v1 import AppTest

from backend import queries, settings
from backend.regions.views import RegionMap
from benchmarks.report import Figure, main
from benchmarks.startup import app, browser, visit

SELECT = """() => new Promise(done => {
  const box = document.querySelector('.st-key-inspector');
  const before = box.innerText.slice(0, 24);
  const started = performance.now();
  const look = () => {
    if (box.innerText.slice(0, 24) !== before && !box.querySelector('[data-stale="true"]'))
      requestAnimationFrame(() => done(performance.now() - started));
    else requestAnimationFrame(look);
  };
  [...box.querySelectorAll('button')].find(b => b.innerText.startsWith('Next')).click();
  look();
})"""


def run_ms(page: str, runs: int, **params: Any) -> float:
    """Median milliseconds of a run of a page on the server."""
    script = AppTest.from_file(str(settings.ROOT / "app.py"), default_timeout=120)
    script.switch_page(f"pages/{page}.py")
    for name, value in params.items():
        script.query_params[name] = str(value)
    seconds = []
    for _ in range(runs + 2):
        started = time.perf_counter()
        script.run()
        seconds.append(time.perf_counter() - started)
    if script.exception:
        raise RuntimeError(script.exception[0].value)
    return 1_000 * statistics.median(seconds[2:])


def select_ms(page: Page, address: str, region: int, runs: int) -> float:
    """Median milliseconds from a click on "Next" to the painted inspector."""
    visit(page, f"{address}/regions?study=demo&region={region}")
    page.wait_for_selector(".st-key-inspector button:has-text('Next')", timeout=60_000)
    page.wait_for_timeout(5_000)
    times = []
    for _ in range(runs + 2):
        times.append(page.evaluate(SELECT))
        page.wait_for_timeout(800)
    return statistics.median(times[2:])


def measure(full: bool) -> tuple[int, list[Figure]]:
    runs = 20 if full else 7
    answer = queries.wait(lambda: queries.regions("demo"))
    assert isinstance(answer, RegionMap)
    typical = answer.table.filter(pl.col("size") >= answer.table["size"].median())
    region = int(typical.sort("size")["region"][0])
    plain, opened = run_ms("regions", runs), run_ms("regions", runs, region=region)
    listed, read = run_ms("features", runs), run_ms("features", runs, feature=17)
    with app(settings.current().cache) as address, browser() as page:
        selected = select_ms(page, address, region, runs)
    figures = [
        ("regions_ms", plain, 300),
        ("inspector_ms", opened - plain, 150),
        ("feature_ms", read - listed, 150),
        ("browser_select_ms", selected, 300),
    ]
    return runs, [Figure(what, value, "ms", goal, value <= goal) for what, value, goal in figures]


if __name__ == "__main__":
    main("pages", measure)
