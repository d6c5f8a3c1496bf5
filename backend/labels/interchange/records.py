"""Files of others, read record by record: each is checked, and what is wrong with it is named.

Nothing in a file is executed or unpickled, and nothing in it says which file is opened next.
"""

from __future__ import annotations

import csv
import io
import json
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from backend.schema import TesseraError

LIMIT = 2**30  # bytes that one import may come to, unpacked
# what damaged or encrypted archives raise
DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, RuntimeError, ValueError),
)
MOST_PROBLEMS = 5  # problems of one record that are named
csv.field_size_limit(LIMIT)  # by default a cell beyond 131,072 characters ends the reading


class FormatError(TesseraError):
    """A file is not what it is said to be, or cannot be written."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with one record, which is left out."""

    file: str
    line: int  # from 1; 0 of the whole file
    field: str  # "" of the whole record
    problem: str

    def __str__(self) -> str:
        line = f", line {self.line}" if self.line else ""
        return f"{self.file}{line}: {f'`{self.field}` ' if self.field else ''}{self.problem}"


# ---------------------------------------------------------------- one record


class Record(BaseModel):
    """What is not known is passed over: other tools write more than is read here."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, allow_inf_nan=False)


# numbers may be written as text, which is all a CSV file and Neuronpedia's indices have
Whole = Annotated[int, Field(ge=0, lt=2**63, strict=False)]
Amount = Annotated[float, Field(ge=0, strict=False)]
Name = Annotated[str, Field(min_length=1)]
Any_ = TypeVar("Any_", bound=Record)


def check(
    kind: type[Any_], data: bytes | Mapping[str, Any], file: str, line: int, bad: list[Problem]
) -> Any_ | None:
    """The record, or None and what is wrong with it in `bad`. Bytes are JSON."""
    try:
        if isinstance(data, bytes):
            return kind.model_validate_json(data)
        return kind.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False)[:MOST_PROBLEMS]
        bad += [Problem(file, line, *_complaint(each)) for each in details]
        return None


def _complaint(detail: ErrorDetails) -> tuple[str, str]:
    """Which field, and what is wrong with it."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in detail["loc"])
    field = "".join(steps).removeprefix(".")
    message = detail["msg"][:1].lower() + detail["msg"][1:]
    if detail["type"] == "missing":
        return field, "is missing"
    if detail["type"] == "json_invalid":
        return field, f"is not JSON ({message.removeprefix('invalid JSON: ')})"
    value = repr(detail["input"])
    return field, f"cannot be {value if len(value) <= 60 else f'{value[:57]}…'} ({message})"


# ---------------------------------------------------------------- lines and cells


def json_lines(
    kind: type[Any_], data: bytes, file: str, bad: list[Problem]
) -> Iterator[tuple[int, Any_]]:
    """Number and record of each line of JSON that is one; empty lines are passed over."""
    for line, text in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if text.strip():
            record = check(kind, text, file, line, bad)
            if record is not None:
                yield line, record


def csv_lines(data: bytes, file: str, bad: list[Problem]) -> Iterator[tuple[int, dict[str, str]]]:
    """Number of the first line, and cells by column, of each row that has all its cells."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        bad.append(Problem(file, data.count(b"\n", 0, error.start) + 1, "", "is not UTF-8"))
        return
    rows: Any = csv.reader(io.StringIO(text, newline=""))
    head, line = None, 1
    for cells in rows:
        if head is None:
            head = cells
        elif len(cells) == len(head):
            yield line, dict(zip(head, cells, strict=True))
        elif cells:
            bad.append(Problem(file, line, "", f"has {len(cells)} cells, not {len(head)}"))
        line = rows.line_num + 1


def json_bytes(records: Iterable[Mapping[str, Any]], ascii: bool = False) -> bytes:
    """One line of JSON a record."""
    return "".join(
        json.dumps(record, sort_keys=ascii, ensure_ascii=ascii, allow_nan=False) + "\n"
        for record in records
    ).encode()


def csv_bytes(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """UTF-8 CSV. Text is written as it is, also where it begins with = + - or @ and a spreadsheet
    would take it for a formula: what is exported is what is imported."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)  # ends lines with \r\n, so that cells with either are quoted
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode()


# ---------------------------------------------------------------- packed files


def pack(files: Mapping[str, bytes]) -> bytes:
    """A zip of these files; the same files give the same bytes."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def unpack(data: bytes, pattern: re.Pattern[str], anchor: str = "") -> dict[str, bytes]:
    """Files of a zip whose whole name fits a pattern, beside the first one called `anchor`.

    Raises:
        FormatError: it is no zip, is damaged, or unpacks to more than `LIMIT`.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            inside = {each.filename: each for each in archive.infolist()}
            homes = [path.parent for path in map(PurePosixPath, inside) if path.name == anchor]
            home = min(homes, key=lambda path: len(path.parts), default=PurePosixPath())
            start = "" if home == PurePosixPath() else f"{home}/"
            names = {name.removeprefix(start): name for name in inside if name.startswith(start)}
            names = {short: name for short, name in names.items() if pattern.fullmatch(short)}
            if sum(inside[name].file_size for name in names.values()) > LIMIT:
                raise FormatError(
                    f"The files come to more than {LIMIT / 2**30:g} GiB.",
                    "Import fewer features at once.",
                )
            return {short: archive.read(name) for short, name in names.items()}
    except DAMAGE as error:
        raise FormatError(f"The zip cannot be read ({error}).", "Pack the folder again.") from error
