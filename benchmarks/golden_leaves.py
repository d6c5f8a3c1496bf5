"""An answer of `backend.queries` as a flat table of leaves, and the distance between two leaves.

A leaf is a number, a text, an array, a column of a table or a plain tuple of these. Its path names
the fields that lead to it: `table.coherence`, `items[2].passage.values`, `heat[sae].values`. A leaf
has a digest of its exact bytes, and what is needed to say how large a difference is: numbers, at
most `MOST_VALUES` of them, and of texts a short digest each.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from backend.schema import Job
from backend.store.views import Provenance

MOST_VALUES = 5_000  # values that are kept; of a longer leaf, evenly spaced ones
FIRST = 4  # values that stand in the file for a reader
TEXT_WIDTH = 60  # characters of a text that do

# fields and columns that say when, where or how fast something was computed, or what else was
NOT_RESULTS = {"created", "pending", "provenance", "revisions", "run", "seconds", "stops"}


@dataclasses.dataclass(frozen=True)
class Leaf:
    """One part of an answer: `values` are float64 numbers, or uint64 digests of texts."""

    path: str
    type: str
    count: int
    digest: str
    first: tuple[float | str | None, ...]
    values: np.ndarray

    def as_json(self) -> dict[str, Any]:
        """All but the values, and of numbers their least, largest and sum."""
        row = {"type": self.type, "count": self.count, "digest": self.digest, "first": self.first}
        finite = self.values[np.isfinite(self.values)] if self.numeric else np.empty(0)
        if len(finite):
            row |= {"min": finite.min(), "max": finite.max(), "sum": finite.sum()}
        return row

    @property
    def numeric(self) -> bool:
        return self.values.dtype == np.float64


# ---------------------------------------------------------------- taking an answer apart


def leaves(answer: Any, path: str = "") -> Iterator[Leaf]:
    """Every leaf of an answer that is a result, in the order of its fields."""
    if isinstance(answer, Job | Provenance):
        return
    if isinstance(answer, pl.DataFrame):
        yield from _columns(answer, path)
    elif dataclasses.is_dataclass(answer):
        names = [field.name for field in dataclasses.fields(answer)]
        yield from _parts({_join(path, name): getattr(answer, name) for name in names})
    elif isinstance(answer, dict):
        yield from _parts({f"{path}[{key}]": part for key, part in answer.items()})
    elif isinstance(answer, list | tuple) and any(map(_composite, answer)):
        yield _text(path, f"{type(answer).__name__} of answers", [str(len(answer))])
        yield from _parts({f"{path}[{index}]": part for index, part in enumerate(answer)})
    else:
        yield _plain(answer, path)


def _parts(parts: dict[str, Any]) -> Iterator[Leaf]:
    for path, part in parts.items():
        if path.rpartition(".")[2] not in NOT_RESULTS:
            yield from leaves(part, path)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _composite(value: Any) -> bool:
    """Whether a member of a tuple has leaves of its own."""
    if isinstance(value, list | tuple):
        return any(map(_composite, value))
    return dataclasses.is_dataclass(value) or isinstance(value, dict | pl.DataFrame | np.ndarray)


def _columns(frame: pl.DataFrame, path: str) -> Iterator[Leaf]:
    yield _text(_join(path, "columns"), "columns", frame.columns)
    for column in frame:
        if column.name in NOT_RESULTS:
            continue
        name, kind = _join(path, column.name), str(column.dtype)
        if column.dtype.is_numeric() or column.dtype == pl.Boolean:
            whole = column.fill_null(0).to_numpy()
            yield _numbers(name, kind, whole, column.is_null().to_numpy())
        else:
            yield _text(name, kind, column.to_list())


def _plain(value: Any, path: str) -> Leaf:
    """The leaf of a value without parts: an array, a number, a text, bytes, or a tuple of them."""
    if isinstance(value, np.ndarray):
        return _numbers(path, f"{value.dtype} {list(value.shape)}", value)
    if isinstance(value, bytes):
        return _text(path, "bytes", [hashlib.sha256(value).hexdigest()])
    several = isinstance(value, list | tuple)
    items = list(value) if several else [value]
    kinds = sorted({type(item).__name__ for item in items})
    kind = f"{type(value).__name__}[{', '.join(kinds)}]" if several else kinds[0]
    if items and all(isinstance(item, int | float) for item in items):
        return _numbers(path, kind, np.array(items))
    return _text(path, kind, items)


def _numbers(path: str, kind: str, values: np.ndarray, null: np.ndarray | None = None) -> Leaf:
    """A leaf of numbers; `null` marks those that a table leaves empty, which count as NaN."""
    flat = np.ascontiguousarray(values).reshape(-1)
    if flat.dtype.kind == "f":
        flat = np.where(np.isnan(flat), np.array(np.nan, flat.dtype), flat)  # one NaN of many
    exact = flat.astype(flat.dtype.newbyteorder("<"), copy=False).tobytes()
    as_float = flat.astype(np.float64)
    if null is not None:
        exact += np.packbits(null).tobytes()
        as_float[null] = np.nan
    first = tuple(None if np.isnan(value) else float(value) for value in as_float[:FIRST])
    return Leaf(path, kind, len(flat), _digest(kind, exact), first, sample_values(as_float))


def _text(path: str, kind: str, items: list[Any]) -> Leaf:
    rows = [json.dumps(item, ensure_ascii=False, default=_as_plain) for item in items]
    exact = "\n".join(rows).encode("utf-8", "surrogatepass")
    short = [hashlib.sha256(row.encode("utf-8", "surrogatepass")).digest()[:8] for row in rows]
    first = tuple(row[:TEXT_WIDTH] for row in rows[:FIRST])
    values = np.frombuffer(b"".join(short), dtype="<u8")
    return Leaf(path, kind, len(rows), _digest(kind, exact), first, sample_values(values))


def _as_plain(value: Any) -> Any:
    """What JSON has no word for: a column of lists, a plain class."""
    return value.to_list() if isinstance(value, pl.Series) else repr(value)


def _digest(kind: str, exact: bytes) -> str:
    return hashlib.sha256(kind.encode() + b"\0" + exact).hexdigest()


def sample_values(values: np.ndarray) -> np.ndarray:
    """`values`, or evenly spaced ones where there are more than `MOST_VALUES`."""
    return values[:: -(-len(values) // MOST_VALUES)] if len(values) > MOST_VALUES else values


# ---------------------------------------------------------------- how far two are apart


@dataclasses.dataclass(frozen=True)
class Difference:
    """One leaf that is not what it was. `what`: missing, type, count, numbers or texts; `largest`
    absolute difference, and `relative` to the largest kept magnitude; `cells` that differ among
    `compared`. None where it cannot be said."""

    question: str
    path: str
    what: str
    old: str
    new: str
    largest: float | None = None
    relative: float | None = None
    cells: int | None = None
    compared: int | None = None

    @property
    def line(self) -> str:
        """For a terminal."""
        parts = [f"{self.question} {self.path}: {self.what}"]
        if self.largest is not None:
            parts.append(f"max |Δ| {self.largest:.3g} (relative {self.relative:.2g})")
        if self.cells is not None:
            parts.append(f"{self.cells:,} of {self.compared:,} kept values differ")
        parts.append(f"{self.old} → {self.new}" if self.new else self.old)
        return ", ".join(part for part in parts if part)


def difference(
    question: str, path: str, record: dict[str, Any], values: np.ndarray, leaf: Leaf | None
) -> Difference | None:
    """How a leaf differs from the kept one; None where the digests agree."""
    if leaf is None:
        return Difference(question, path, "missing", str(record["first"]), "")
    if leaf.digest == record["digest"]:
        return None
    where = question, path
    if leaf.count != record["count"]:
        return Difference(*where, "count", f"{record['count']:,}", f"{leaf.count:,}")
    if leaf.numeric != (values.dtype == np.float64):
        return Difference(*where, "type", record["type"], leaf.type)
    unequal = ~_equal_cells(values, leaf.values)
    cells = int(unequal.sum()), len(values)
    if not cells[0] and leaf.type != record["type"]:
        return Difference(*where, "type", record["type"], leaf.type, None, None, *cells)
    index = int(unequal.argmax())  # the first that differs
    if leaf.numeric:
        samples = (f"{values[index]:.9g}", f"{leaf.values[index]:.9g}")
        if not cells[0]:  # what differs lies between the values that are kept
            samples = (f"sum {record['sum']:.9g}", f"sum {leaf.as_json()['sum']:.9g}")
        return Difference(*where, "numbers", *samples, *_magnitude(values, leaf.values), *cells)
    previous = cells[0] and index < FIRST and leaf.count <= MOST_VALUES
    samples = (str(record["first"][index]), str(leaf.first[index])) if previous else ("", "")
    return Difference(*where, "texts", *samples, None, None, *cells)


def _equal_cells(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    if old.dtype != np.float64:
        return old == new
    return (old == new) | (np.isnan(old) & np.isnan(new))


def _magnitude(old: np.ndarray, new: np.ndarray) -> tuple[float | None, float | None]:
    """The largest absolute difference, and that over the largest magnitude before."""
    both = np.isfinite(old) & np.isfinite(new)
    if not both.any():
        return None, None
    largest = float(np.abs(old[both] - new[both]).max())
    scale = float(np.abs(old[both]).max())
    return largest, largest / scale if scale else float("inf") if largest else 0.0
