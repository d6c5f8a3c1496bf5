"""The form that all benchmarks share.

    python -m benchmarks.<name> [--json] [--full]

prints a table, or one JSON object {"name", "n", "seconds", "figures": [{"what", "value", "unit",
"target", "ok"}]}. `ok` is null, with a `note`, where a figure cannot be had on this machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Callable, Iterable

import torch


@dataclasses.dataclass(frozen=True)
class Figure:
    """One measured number, what was aimed at, and whether it was reached."""

    what: str
    value: float | bool | None
    unit: str
    target: float | bool | None
    ok: bool | None
    note: str = ""

    def as_json(self) -> dict[str, object]:
        """Its fields; the note only where there is one."""
        fields = dataclasses.asdict(self)
        if not self.note:
            fields.pop("note")
        return fields


def main(name: str, measure: Callable[[bool], tuple[int, list[Figure]]]) -> None:
    """Runs a benchmark from the command line; `measure(full)` gives n and the figures."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--full", action="store_true", help="measure more, for longer")
    options = parser.parse_args()
    started = time.perf_counter()
    n, figures = measure(options.full)
    seconds = round(time.perf_counter() - started, 1)
    if options.json:
        rows = [figure.as_json() for figure in figures]
        print(json.dumps({"name": name, "n": n, "seconds": seconds, "figures": rows}))
    else:
        print(f"{name}: n = {n:,}, {seconds} s")
        print("\n".join(_line(figure) for figure in figures))


def _line(figure: Figure) -> str:
    value = figure.value
    shown = f"{value:.4g}" if isinstance(value, float) else "–" if value is None else str(value)
    state = {True: "", False: "missed", None: "not measured"}[figure.ok]
    target = "" if figure.target is None else f"target {figure.target}"
    return (
        f"  {figure.what:<18}{shown:>10} {figure.unit:<8}{target:<14}{state} {figure.note}".rstrip()
    )


def seconds_of(work: Callable[[], object]) -> float:
    """Wall-clock seconds, until a GPU is done too."""
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def alternated(
    blocks: Iterable[tuple[Callable[[], object], Callable[[], object]]],
) -> tuple[float, float]:
    """Seconds in all of two sides that do the same blocks of work by turns. Which goes first
    changes from block to block, so that noise and warm caches fall on both."""
    totals = [0.0, 0.0]
    for number, sides in enumerate(blocks):
        for side in (0, 1) if number % 2 == 0 else (1, 0):
            totals[side] += seconds_of(sides[side])
    return totals[0], totals[1]


def median_ratio(measure: Callable[[], tuple[float, float]], rounds: int = 5) -> float:
    """Median over rounds of the first side's seconds over the second's, after one to warm up."""
    measure()
    return statistics.median(one / other for one, other in (measure() for _ in range(rounds)))
