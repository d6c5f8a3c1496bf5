"""Answers as JSON data and as text for a terminal."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import polars as pl
from pydantic_core import to_jsonable_python

LISTED = 24  # values of a field, and rows of a table, that a terminal shows


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


def text(value: Any) -> str:
    """An answer for a terminal: tables with all columns and their first and last rows, passages
    as text."""
    if isinstance(value, pl.DataFrame):
        return table_text(value, LISTED)
    if isinstance(value, list | tuple):
        return "\n".join(text(item) for item in value)
    if not dataclasses.is_dataclass(value):
        return str(value)
    return "\n".join(_line(f.name, getattr(value, f.name)) for f in dataclasses.fields(value))


def table_text(table: pl.DataFrame, rows: int) -> str:
    """A table with all columns, in lines as long as they need; -1 `rows` are all."""
    with pl.Config(tbl_rows=rows, tbl_cols=-1, tbl_width_chars=10_000, fmt_str_lengths=60):
        return str(table)


def _line(name: str, item: Any) -> str:
    if isinstance(item, tuple) and len(item) > LISTED and not dataclasses.is_dataclass(item[0]):
        item = f"{len(item)} values; --json prints them"
    is_whole = dataclasses.is_dataclass(item) or isinstance(item, tuple | pl.DataFrame)
    words = text(item) if is_whole else str(item)
    return f"{name}:\n{words}" if "\n" in words else f"{name}: {words}"
