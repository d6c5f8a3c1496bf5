"""From what a person selects to what is selected, as pure functions.

A lasso or box is kept as its outline, not as the points inside it: an outline fits into a URL, and
the same outline picks the same regions again when the page is opened cold.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import polars as pl

VERTICES = 40  # of one outline, kept in the URL

Id = TypeVar("Id", int, str)
Outline = tuple[tuple[float, float], ...]
Selected = tuple[tuple[int, ...], tuple[tuple[int, str], ...]]  # rows and cells that are selected


@dataclass(frozen=True)
class Area:
    """Outlines on a map, and points picked one by one. Empty: nothing is selected."""

    outlines: tuple[Outline, ...] = ()
    picked: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.outlines or self.picked)


# ---------------------------------------------------------------- events


def clicked(event: Mapping[str, Any], last: int | None = None) -> int | None:
    """The one region that was clicked on a chart, if that is what happened.

    A click on the point that was clicked `last` takes plotly's selection back: an empty event.
    """
    selection = event.get("selection", {})
    if not any(selection.get(kind) for kind in ("points", "box", "lasso")):
        return last
    points = [point for point in selection.get("points", ()) if _number(point) is not None]
    if len(points) != 1 or selection.get("box") or selection.get("lasso"):
        return None
    return _number(points[0])


def area_of(event: Mapping[str, Any]) -> Area:
    """The area that a box, a lasso or several clicked points cover."""
    selection = event.get("selection", {})
    outlines = [_box(shape) for shape in selection.get("box", ())]
    outlines += [_lasso(shape) for shape in selection.get("lasso", ())]
    if outlines:
        return Area(tuple(outline for outline in outlines if len(outline) > 2))
    numbers = [_number(point) for point in selection.get("points", ())]
    picked = tuple(sorted({number for number in numbers if number is not None}))
    return Area((), picked if len(picked) > 1 else ())


def row_of(event: Mapping[str, Any], marked: list[int], ids: Sequence[Id]) -> Id | None:
    """Which of `ids`, the rows of a table, was chosen: by its mark, which then is another than the
    one `marked` before, or by a click on one of its cells."""
    selection = event.get("selection", {})
    rows = list(selection.get("rows", ()))
    if rows == marked:
        rows = [row for row, _ in selection.get("cells", ())] or marked
    return ids[rows[0]] if rows and rows[0] < len(ids) else None


def selected_in(event: Mapping[str, Any]) -> Selected:
    """Rows and cells that a table's event says are selected."""
    selection = event.get("selection", {})
    cells = ((int(row), str(column)) for row, column in selection.get("cells", ()))
    return tuple(selection.get("rows", ())), tuple(cells)


def interpret(
    event: Mapping[str, Any], marked: list[int], past: Collection[Selected]
) -> dict[str, Any]:
    """A table's event as it is to be understood of a browser that may not have heard yet which
    row is `marked`: what it held in the `past` is no choice, a click on a cell is."""
    rows, cells = selected_in(event)
    if (rows, cells) in past:
        cells = ()
    elif not (rows or cells) or not any(rows == before for before, _ in past):
        return {"selection": {"rows": list(rows), "cells": list(cells)}}
    return {"selection": {"rows": marked, "cells": list(cells)}}


def _number(point: Mapping[str, Any]) -> int | None:
    data = point.get("customdata")
    if isinstance(data, Sequence) and not isinstance(data, str):
        data = data[0] if data else None
    return int(data) if isinstance(data, int | float) else None


def _box(shape: Mapping[str, Any]) -> Outline:
    (x0, x1), (y0, y1) = shape["x"][:2], shape["y"][:2]
    return _rounded([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def _lasso(shape: Mapping[str, Any]) -> Outline:
    points = list(zip(shape["x"], shape["y"], strict=True))
    return _rounded(points[:: math.ceil(len(points) / VERTICES)] if points else [])


def _rounded(points: Sequence[tuple[float, float]]) -> Outline:
    return tuple((round(float(x), 2), round(float(y), 2)) for x, y in points)


# ---------------------------------------------------------------- the URL


def spell(area: Area) -> str:
    """An area as a URL parameter: `1.2_3_4_5.5~…` outlines, or `n1.5.9` picked regions."""
    if area.picked:
        return "n" + ".".join(map(str, area.picked))
    return "~".join("_".join(f"{x:g}_{y:g}" for x, y in outline) for outline in area.outlines)


def parse(text: str) -> Area:
    """The area that a URL parameter spells; raises ValueError for anything else."""
    if not text:
        return Area()
    if text.startswith("n"):
        return Area((), tuple(int(number) for number in text[1:].split(".")))
    outlines = []
    for part in text.split("~"):
        numbers = [float(number) for number in part.split("_")]
        if len(numbers) % 2 or len(numbers) < 6 or not all(map(math.isfinite, numbers)):
            raise ValueError(text)
        outlines.append(tuple(zip(numbers[::2], numbers[1::2], strict=True)))
    return Area(tuple(outlines))


# ---------------------------------------------------------------- what is inside


def inside(area: Area, table: pl.DataFrame) -> np.ndarray:
    """[regions] whether each lies in the area, by its `x`, `y` and number."""
    covered = table["region"].is_in(list(area.picked)).to_numpy().copy()
    x, y = table["x"].to_numpy(), table["y"].to_numpy()
    for outline in area.outlines:
        covered |= within(outline, x, y)
    return covered


def within(outline: Outline, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """[points] whether each lies inside a closed outline (even–odd rule)."""
    odd = np.zeros(len(x), dtype=bool)
    for (x0, y0), (x1, y1) in zip(outline, outline[1:] + outline[:1], strict=True):
        if y0 == y1:
            continue
        crosses = (y0 > y) != (y1 > y)
        odd ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return odd


def neighbour(ids: Sequence[int], current: int | None, step: int) -> int | None:
    """The number before (-1) or after (+1) another in a list; None past either end. Of one that
    is not listed, as where none is open, the first (+1) or the last."""
    numbers = list(ids)
    if current in numbers:
        place = numbers.index(current) + step
    else:
        place = 0 if step > 0 else len(numbers) - 1
    return int(numbers[place]) if 0 <= place < len(numbers) else None
