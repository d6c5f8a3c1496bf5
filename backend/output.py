"""Answers as JSON data and as text for a terminal."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import polars as pl

LISTED = 24  # values of a field that a terminal shows


def plain(value: Any) -> Any:
    """An answer as JSON data; NaN becomes null."""
    if isinstance(value, pl.DataFrame):
        return [plain(row) for row in value.to_dicts()]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def json_text(value: Any) -> str:
    """An answer as JSON."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def text(value: Any) -> str:
    """An answer for a terminal: tables whole, passages as text."""
    if isinstance(value, list | tuple):
        return "\n".join(text(item) for item in value)
    if not dataclasses.is_dataclass(value):
        return str(value)
    return "\n".join(_line(f.name, getattr(value, f.name)) for f in dataclasses.fields(value))


def _line(name: str, item: Any) -> str:
    if isinstance(item, tuple) and len(item) > LISTED and not dataclasses.is_dataclass(item[0]):
        item = f"{len(item)} values; --json prints them"
    words = text(item) if dataclasses.is_dataclass(item) or isinstance(item, tuple) else str(item)
    return f"{name}:\n{words}" if "\n" in words else f"{name}: {words}"
