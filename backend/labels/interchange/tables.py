"""Labels as JSONL, CSV and Parquet, out and back in.

Texts go out as they are. That includes a label beginning with = + - or @, which a spreadsheet takes
for a formula when it opens the CSV: import such a file there as text.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import field_validator, model_validator

from backend.labels.interchange.records import (
    Amount,
    FormatError,
    Name,
    Problem,
    Record,
    Whole,
    check,
    csv_bytes,
    csv_lines,
    json_bytes,
    json_lines,
)
from backend.labels.tables import LABELS
from backend.schema import conform

Format = Literal["jsonl", "csv", "parquet"]
# what pyarrow raises of files that are no Parquet, or are damaged
DAMAGED = (pa.ArrowException, ValueError, OSError, LookupError, TypeError, RuntimeError)
KEY = ("feature", "method", "writer", "text")  # what makes a label the same one


class Row(Record):
    """One label as a file has it."""

    feature: Whole
    method: Name
    writer: str = ""
    text: str = ""
    detail: str = ""
    failed: str = ""
    n: Whole | None = None
    seconds: Amount | None = None

    @field_validator("writer", "text", "detail", "failed", mode="before")
    @classmethod
    def _none_is_empty(cls, given: Any) -> Any:
        return "" if given is None else given

    @field_validator("n", "seconds", mode="before")
    @classmethod
    def _empty_is_none(cls, given: Any) -> Any:
        return None if given == "" else given

    @model_validator(mode="after")
    def _says_something(self) -> Row:
        if not self.text and not self.failed:
            raise ValueError("neither a text nor why it failed")
        return self


@dataclass(frozen=True, eq=False)
class Imported:
    """The labels of a file that are new; what is wrong with the rest."""

    labels: pl.DataFrame  # LABELS
    duplicates: int  # left out: the file, or what was known, has them already
    problems: tuple[Problem, ...]  # of records left out


def jsonl(labels: pl.DataFrame) -> bytes:
    """UTF-8, one label a line."""
    return json_bytes(conform(labels, LABELS).fill_nan(None).iter_rows(named=True))


def csv(labels: pl.DataFrame) -> bytes:
    """UTF-8 with a head; a number that is not known is an empty cell."""
    return csv_bytes(list(LABELS), conform(labels, LABELS).fill_nan(None).iter_rows())


def parquet(labels: pl.DataFrame) -> bytes:
    """Columns as in `LABELS`."""
    packed = io.BytesIO()
    conform(labels, LABELS).write_parquet(packed)
    return packed.getvalue()


WRITERS: dict[Format, Callable[[pl.DataFrame], bytes]] = {
    "jsonl": jsonl,
    "csv": csv,
    "parquet": parquet,
}


def read(
    data: bytes, format: Format, known: pl.DataFrame | None = None, file: str = ""
) -> Imported:
    """The labels of a file that are not `known` yet. Records that are broken are left out and
    named; the rest comes in. Columns beyond `LABELS` are passed over; all but feature, method and
    either text or failed may be missing.

    Raises:
        FormatError: the Parquet file cannot be read.
    """
    file, bad = file or f"labels.{format}", []
    rows = [row.model_dump() for row in _rows(data, format, file, bad)]
    return fresh(pl.DataFrame(rows, schema=LABELS), known, bad)


def fresh(labels: pl.DataFrame, known: pl.DataFrame | None, problems: list[Problem]) -> Imported:
    """Of labels with the same `KEY` the first, and none that is known."""
    new = labels.unique(KEY, keep="first", maintain_order=True)
    if known is not None:
        new = new.join(conform(known, LABELS), on=KEY, how="anti", maintain_order="left")
    return Imported(new, len(labels) - len(new), tuple(problems))


def _rows(data: bytes, format: Format, file: str, bad: list[Problem]) -> Iterator[Row]:
    if format == "jsonl":
        yield from (row for _, row in json_lines(Row, data, file, bad))
        return
    cells = csv_lines(data, file, bad) if format == "csv" else enumerate(_cells(data, file), 1)
    for line, each in cells:
        row = check(Row, each, file, line, bad)
        if row is not None:
            yield row


def _cells(data: bytes, file: str) -> list[dict[str, Any]]:
    try:
        # by pyarrow: a damaged file can end the whole process in the reader of polars 2.1
        held = pq.ParquetFile(io.BytesIO(data))
        table = held.read(columns=[name for name in held.schema_arrow.names if name in LABELS])
        table.validate(full=True)
        return table.to_pylist()
    except DAMAGED as error:
        raise FormatError(f"{file} cannot be read as Parquet ({error}).", "Check it.") from error
