"""A table of labelled texts of one's own: JSONL, CSV or Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.corpus import sources
from backend.corpus.concept_tables import (
    ConceptSource,
    Labelled,
    Row,
    existing,
    frame,
    kind_of,
    labelled,
    place_of,
)
from backend.schema import ConceptRef, CorpusError

TEXTS = ("text", "output", "sentence")


def read_table(path: Path) -> Labelled:
    """A JSONL, CSV or Parquet file: a concept of its name (or one for each value of `concept`)
    where labels are positive and negative, else one for each label.

    Raises:
        CorpusError: a column is missing, or a row is not understood; it is named.
    """
    rows = list(sources.TABLES[path.suffix.lower()](path))
    columns = _columns(path, rows)
    cells = [_cells(row, columns, f"{path}, row {number},") for number, row in enumerate(rows, 1)]
    kinds = [kind_of(cell["label"]) for cell in cells]
    rest = "concept" not in columns and not all(kinds)
    name = "label" if rest else "concept"
    texts: list[Row] = []
    for number, (cell, kind) in enumerate(zip(cells, kinds, strict=True)):
        kind = "positive" if rest else kind
        if kind is None:
            raise CorpusError(
                f"{path}, row {number + 1}, has the label {cell['label']!r}.",
                "Beside a column `concept`, label texts positive, negative or hard negative.",
            )
        concept = cell.get(name, path.stem)
        texts.append(labelled(number, cell["text"], concept, kind, cell["split"]))
    return Labelled(frame(texts), {row[3]: (row[3], "") for row in texts}, rest)


def _columns(path: Path, rows: list[Any]) -> dict[str, Any]:
    """The names of the columns text, label, concept and split as the file spells them."""
    bad = next((number for number, row in enumerate(rows, 1) if not isinstance(row, Mapping)), None)
    if bad or not rows:
        problem = f", row {bad}, is no object." if bad else " holds no texts."
        raise CorpusError(f"{path}{problem}", "Give every row a text and a label.")
    spelled = {str(name).strip().casefold(): name for row in rows for name in row}
    columns = {name: spelled[name] for name in ("label", "concept", "split") if name in spelled}
    text = next((spelled[name] for name in TEXTS if name in spelled), None)
    for name, column in (("text", text), ("label", columns.get("label"))):
        if column is None:
            fields = ", ".join(map(str, spelled.values()))
            called = " or ".join(TEXTS) if name == "text" else name
            raise CorpusError(
                f"{path} has no {name} column.", f"Its columns are {fields}: call one {called}."
            )
    if "split" in columns and not any(str(row.get(columns["split"]) or "").strip() for row in rows):
        del columns["split"]  # a column with nothing in it
    return {"text": text, **columns}


def _cells(row: Mapping[str, Any], columns: dict[str, Any], where: str) -> dict[str, str]:
    text = row.get(columns["text"])
    if text is not None and not isinstance(text, str):
        raise CorpusError(f"{where} has {text!r:.40} for a text.", "Write it as text.")
    cells = {"text": text or "", "split": ""}
    for name in columns.keys() - {"text"}:
        value = row.get(columns[name])
        cells[name] = "" if value is None else sources.mended(str(value)).strip()
        if not cells[name]:
            raise CorpusError(f"{where} has no {name}.", "Fill it in or remove the row.")
    if "split" in columns:
        cells["split"] = cells["split"].casefold()
        if cells["split"] not in ("train", "test"):
            raise CorpusError(
                f"{where} is of the split {cells['split']!r}.", "Call it train or test."
            )
    return cells


def _files(ref: ConceptRef) -> list[Path]:
    path = place_of(ref)
    if path.is_dir() or path.suffix.lower() not in sources.TABLES:
        kinds = ", ".join(sources.TABLES)
        raise CorpusError(f"{path} is no table of labelled texts.", f"Name a {kinds} file.")
    return existing([path], "Correct the path of the concept set.")


SOURCE = ConceptSource(
    "file", "your texts", "file", _files, lambda ref, _: read_table(place_of(ref))
)
