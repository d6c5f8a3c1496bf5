"""Labels as JSONL, CSV and Parquet, out and back in.

Texts go out as they are. That includes a label beginning with = + - or @, which a spreadsheet takes
for a formula when it opens the CSV: import such a file there as text.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Container, Iterator
from typing import Any, Literal, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationInfo, field_validator, model_validator

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

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_default(cls, value: Any, info: ValidationInfo) -> Any:
        """What is not known is null, or an empty cell."""
        field = cls.model_fields[str(info.field_name)]
        return field.default if value in ("", None) and not field.is_required() else value

    @model_validator(mode="after")
    def _says_something(self) -> Row:
        if not self.text and not self.failed:
            raise ValueError("neither a text nor why it failed")
        return self


Row_ = TypeVar("Row_", bound=Row)


def jsonl(labels: pl.DataFrame, schema: pl.Schema = LABELS) -> bytes:
    """UTF-8, one label a line."""
    return json_bytes(conform(labels, schema).fill_nan(None).iter_rows(named=True))


def csv(labels: pl.DataFrame, schema: pl.Schema = LABELS) -> bytes:
    """UTF-8 with a head; a number that is not known is an empty cell."""
    return csv_bytes(list(schema), conform(labels, schema).fill_nan(None).iter_rows())


def parquet(labels: pl.DataFrame, schema: pl.Schema = LABELS) -> bytes:
    """Columns as in the schema."""
    packed = io.BytesIO()
    conform(labels, schema).write_parquet(packed)
    return packed.getvalue()


WRITERS: dict[Format, Callable[..., bytes]] = {
    "jsonl": jsonl,
    "csv": csv,
    "parquet": parquet,
}


def lines(
    kind: type[Row_], data: bytes, format: Format, file: str, bad: list[Problem]
) -> Iterator[tuple[int, Row_]]:
    """Line and record of each label of a file; what is wrong with the others goes into `bad`.

    Raises:
        FormatError: the Parquet file cannot be read.
    """
    if format == "jsonl":
        yield from json_lines(kind, data, file, bad)
        return
    columns = kind.model_fields
    cells = csv_lines(data, file, bad) if format == "csv" else _cells(data, file, columns)
    for line, each in cells:
        row = check(kind, each, file, line, bad)
        if row is not None:
            yield line, row


def _cells(data: bytes, file: str, columns: Container[str]) -> list[tuple[int, dict[str, Any]]]:
    try:
        # by pyarrow: a damaged file can end the whole process in the reader of polars 2.1
        reader = pq.ParquetFile(io.BytesIO(data))
        names = [name for name in reader.schema_arrow.names if name in columns]
        table = reader.read(columns=names)
        table.validate(full=True)
        return list(enumerate(table.to_pylist(), 1))
    except DAMAGED as error:
        raise FormatError(f"{file} cannot be read as Parquet ({error}).", "Check it.") from error
