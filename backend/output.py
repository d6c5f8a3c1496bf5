"""Answers as JSON data, as CSV, and as text for a terminal."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import Any

import numpy as np
import polars as pl
from pydantic_core import to_jsonable_python

from backend.schema import Job, NotFoundError

LISTED = 24  # values of a field that a terminal shows
WHOLE = 50  # rows up to which a terminal shows a table whole
ENDS = 10  # rows that it shows of both ends of a longer one
TIMES = frozenset({"created", "started", "finished", "heartbeat", "used"})  # in Unix seconds


# ---------------------------------------------------------------- for programs


def json_text(value: Any) -> str:
    """An answer as JSON; NaN and infinity become null."""
    plain = to_jsonable_python(value, fallback=_listed, inf_nan_mode="null")
    return json.dumps(plain, ensure_ascii=False, allow_nan=False)


def _listed(value: Any) -> list[Any]:
    """The rows of a table, the values of an array."""
    if isinstance(value, pl.DataFrame):
        return value.to_dicts()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def csv_text(value: Any, name: str = "") -> str:
    """A table of an answer as CSV; lists within a cell become JSON."""
    table = table_of(value, name)
    nested = [column for column, kind in table.schema.items() if kind.is_nested()]
    flat = [pl.col(column).map_elements(_cell, pl.String) for column in nested]
    return table.with_columns(flat).write_csv().rstrip("\n")


def _cell(value: Any) -> str:
    return json_text(value.to_list() if isinstance(value, pl.Series) else value)


# ---------------------------------------------------------------- one table of an answer


def tables_of(value: Any) -> dict[str, pl.DataFrame]:
    """The tables of an answer by the names of their fields; that of a table itself, or of a list of
    records, is "table"."""
    if isinstance(value, pl.DataFrame):
        return {"table": value}
    if isinstance(value, list) and value and all(map(dataclasses.is_dataclass, value)):
        return {"table": pl.DataFrame([_record(item) for item in value], infer_schema_length=None)}
    if not dataclasses.is_dataclass(value):
        return {}
    parts = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {name: part for name, part in parts.items() if isinstance(part, pl.DataFrame)}


def _record(item: Any) -> dict[str, Any]:
    values = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    plain = (str, int, float, type(None))
    return {name: v if isinstance(v, plain) else json_text(v) for name, v in values.items()}


def table_of(value: Any, name: str = "") -> pl.DataFrame:
    """One table of an answer; without a name its only one, or that called `table`.

    Raises:
        NotFoundError: it has none of that name, or several and none is named.
    """
    tables = tables_of(value)
    name = name or (next(iter(tables)) if len(tables) == 1 else "table")
    if name in tables:
        return tables[name]
    if not tables:
        raise NotFoundError("This answer has no table.", "Leave out --csv, --columns and --table.")
    problem = f"This answer has no table {name!r} but {', '.join(tables)}."
    raise NotFoundError(problem, f"Name one by --table, such as --table {next(iter(tables))}.")


def select(table: pl.DataFrame, columns: str) -> pl.DataFrame:
    """Some columns of a table, named with commas between; "" are all.

    Raises:
        NotFoundError: it does not have one of them.
    """
    names = [name.strip() for name in columns.split(",") if name.strip()]
    if missing := [name for name in names if name not in table.columns]:
        raise NotFoundError(
            f"The table has no column {' or '.join(missing)}.",
            f"Its columns are {', '.join(table.columns)}.",
        )
    return table.select(names) if names else table


# ---------------------------------------------------------------- for people


def text(value: Any) -> str:
    """An answer for a terminal: tables with all columns, passages as text."""
    if isinstance(value, pl.DataFrame):
        return table_text(value)
    if isinstance(value, Job):
        return _job_text(value)
    if isinstance(value, list) and not value:
        return "Nothing."
    if isinstance(value, list | tuple):
        return "\n".join(text(item) for item in value)
    if not dataclasses.is_dataclass(value):
        return str(value)
    lines = [_line(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)]
    return "\n".join(line for line in lines if line)


def table_text(table: pl.DataFrame, rows: int = WHOLE) -> str:
    """A table with all columns, in lines as long as they need; one of more than `rows` rows is cut
    to its first and last. -1 are all."""
    times = [name for name, kind in table.schema.items() if name in TIMES and kind.is_numeric()]
    readable = table.with_columns(pl.col(times).map_elements(ago, pl.String))
    is_long = 0 <= rows < len(table)
    with pl.Config(
        tbl_rows=2 * ENDS if is_long else -1,
        tbl_cols=-1,
        tbl_width_chars=10_000,
        fmt_str_lengths=60,
    ):
        shape = f"{len(table):,} rows, {table.width} columns"
        lines = str(readable).split("\n", 1)
    hint = "; --csv or --json print them all" if is_long else ""
    return f"{shape}{hint}\n{lines[1]}"


def _job_text(job: Job) -> str:
    """A job in a few lines, times as a reader wants them."""
    steps = f"{job.done:,.0f} of {job.total:,.0f} {job.unit}".rstrip() if job.total else ""
    took = span((job.finished or time.time()) - job.started) if job.started else ""
    parts = {
        "state": job.state,
        "asked": ago(job.created),
        "took" if job.finished else "running for": took,
        "step": ", ".join(part for part in (job.message, steps) if part),
        "left": span(job.eta) if job.eta is not None else "",
        "arguments": "" if job.arguments == "{}" else job.arguments,
        "error": job.error,
        "traceback": job.traceback and f"\n{job.traceback}",
    }
    lines = [f"  {name}: {words}" for name, words in parts.items() if words]
    return "\n".join([f"{job.id}  {job.title or job.query} of {job.study}", *lines])


def _line(name: str, item: Any) -> str:
    if name == "pending":
        return f"pending: {item.title or item.query}, {item.state}" if item else ""
    if isinstance(item, tuple) and len(item) > LISTED and not dataclasses.is_dataclass(item[0]):
        item = f"{len(item)} values; --json prints them"
    if isinstance(item, tuple) and not any(map(_is_whole, item)):
        item = ", ".join(map(str, item))
    if isinstance(item, tuple) and all(isinstance(part, tuple) for part in item):
        item = ", ".join(" ".join(map(str, part)) for part in item)
    if name in TIMES and isinstance(item, int | float):
        item = ago(item)
    words = text(item) if _is_whole(item) else str(item)
    if not words:
        return ""
    return f"{name}:\n{words}" if "\n" in words else f"{name}: {words}"


def _is_whole(item: Any) -> bool:
    """Whether it has lines of its own."""
    return dataclasses.is_dataclass(item) or isinstance(item, tuple | pl.DataFrame)


def span(seconds: float) -> str:
    """A length of time: 48 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    for size, name, small, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min")):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {name}" + (f" {rest} {smaller}" if rest else "")
    if whole >= 60:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    return f"{whole} s"


def ago(when: float) -> str:
    """How long ago a moment was, in Unix seconds: now, 40 s ago, 3 min ago, 2 d ago."""
    seconds = time.time() - when
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {name} ago"
    return "now" if seconds < 5 else f"{int(seconds)} s ago"
