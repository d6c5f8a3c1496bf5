"""How soon pages answer once everything is computed.

    python -m benchmarks.pages [--full] [--json]

`regions_ms` is a whole run of the Regions page on the server; `inspector_ms` and `feature_ms` what
an open region or feature adds to a run; `browser_select_ms` the time in Chromium from a click on
"Next" to a painted inspector. `tiers_step_ms` is the time from a key on a slider of Tiers to the
new counts, `tiers_settled_ms` to when charts and tables have followed; `judge_next_ms` from the key
that saves to the painted next question. `empty_ms` is the rerun of a page that does nothing, before
and after these: what they may take is 100 ms more. Medians over 7 runs (--full: 20) after two to
warm up. The demo has to be computed (`python -m backend prepare`), with its tiers.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any

import polars as pl
from playwright.sync_api import Page
from streamlit.testing.v1 import AppTest

from backend import queries, settings
from backend.regions.views import RegionMap
from backend.schema import Plan
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


# ms until the chips say something else, and until nothing is stale any more
CHIPS = """() => {
  const chips = () => document.querySelector('.chips')?.innerText;
  const before = chips(), started = performance.now();
  window.step = new Promise(done => {
    let first = 0;
    const look = () => {
      if (!first && chips() && chips() !== before) first = performance.now() - started;
      const rests = document.querySelector('.stApp').dataset.testScriptState === 'notRunning'
        && !document.querySelector('[data-stale="true"]');
      if (first && rests) requestAnimationFrame(() => done([first, performance.now() - started]));
      else requestAnimationFrame(look);
    };
    look();
  });
}"""
NEXT = """() => new Promise(done => {
  const item = () => document.querySelector('.j-root')?.dataset.item;
  const before = item(), started = performance.now();
  const look = () => {
    if (item() && item() !== before)
      requestAnimationFrame(() => setTimeout(() => done(performance.now() - started)));
    else requestAnimationFrame(look);
  };
  const key = { key: 's', code: 'KeyS', bubbles: true, cancelable: true };
  window.dispatchEvent(new KeyboardEvent('keydown', key));
  look();
})"""
TO_JUDGE = Plan(methods=("token_frequency",), scorers=("embedding",), features=20)


def steps_ms(page: Page, act: Callable[[], None], runs: int) -> tuple[float, float]:
    """Median milliseconds of an act until new chips, and until all has come to rest."""
    times = []
    for _ in range(runs + 2):
        page.evaluate(CHIPS)
        act()
        times.append(page.evaluate("() => window.step"))
        page.wait_for_timeout(800)
    first, settled = zip(*times[2:], strict=True)
    return statistics.median(first), statistics.median(settled)


def empty_ms(page: Page, runs: int) -> float:
    """Median milliseconds of the rerun of a page that does nothing."""
    with app(settings.current().cache, "benchmarks/empty_page.py") as address:
        visit(page, address)
        button = page.get_by_role("button", name="again")
        button.wait_for(timeout=60_000)
        return steps_ms(page, button.click, runs)[1]


def tiers_ms(page: Page, address: str, runs: int) -> tuple[float, float]:
    """Median milliseconds of a step of τ."""
    visit(page, f"{address}/tiers?study=demo")
    slider = page.locator(".stSlider input").first
    slider.wait_for(state="attached", timeout=60_000)
    page.wait_for_timeout(5_000)
    slider.focus()
    return steps_ms(page, lambda: page.keyboard.press("ArrowRight"), runs)


def judge_ms(page: Page, address: str, runs: int) -> float:
    """Median milliseconds from saving an answer to the next question, of a round's."""
    run = queries.start_experiment("demo", TO_JUDGE)
    queries.wait(lambda: queries.experiment("demo", run))
    times: list[float] = []
    for person in range(-(-(runs + 2) // (TO_JUDGE.features - 2))):
        visit(page, f"{address}/judge?study=demo&run={run}&person=measured{person}")
        page.wait_for_selector(".j-text", timeout=60_000)
        for _ in range(min(TO_JUDGE.features - 2, runs + 2 - len(times))):
            page.wait_for_timeout(800)
            times.append(page.evaluate(NEXT))
    return statistics.median(times[2:])


def flow(runs: int) -> list[Figure]:
    """A step of τ and the next question beside the rerun of an empty page."""
    with tempfile.TemporaryDirectory() as folder, browser() as page:
        before = empty_ms(page, runs)
        with app(settings.current().cache, annotations=folder) as address:
            (step, settled), judging = tiers_ms(page, address, runs), judge_ms(page, address, runs)
        empty = statistics.median([before, empty_ms(page, runs)])
    limit = round(empty + 100)
    return [
        Figure("empty_ms", empty, "ms", None, True),
        Figure("tiers_step_ms", step, "ms", limit, step <= limit),
        Figure("tiers_settled_ms", settled, "ms", None, True),
        Figure("judge_next_ms", judging, "ms", limit, judging <= limit),
    ]


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
    rows = [Figure(what, value, "ms", goal, value <= goal) for what, value, goal in figures]
    return runs, [*rows, *flow(runs)]


if __name__ == "__main__":
    main("pages", measure)
