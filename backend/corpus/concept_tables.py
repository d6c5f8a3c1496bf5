"""Tables of labelled texts: AxBench's and one's own.

AxBench (Wu et al., *AxBench*, 2025) keeps concepts in a folder: the training table is train, the
evaluation table test, and the text is `output`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from backend.corpus import sources
from backend.schema import CorpusError

LEAST = 2  # texts of a class that a concept needs in either split
ROWS = pl.Schema(
    {
        "row": pl.Int32,  # of the source; one row may label several concepts
        "title": pl.String,
        "text": pl.String,
        "concept": pl.String,  # key of `Labelled.concepts`
        "kind": pl.String,
        "split": pl.String,  # "" where the source has none
    }
)
KINDS = {
    **dict.fromkeys(("positive", "pos", "1", "1.0", "true"), "positive"),
    **dict.fromkeys(("negative", "neg", "0", "0.0", "false"), "negative"),
    "hard negative": "hard",
}
Row = tuple[int, str, str, str, str, str]


@dataclass(frozen=True)
class Labelled:
    """What a source gives: `rows` (ROWS) and of each concept its name and genre by its key.

    `rest`: all rows are positive, and a concept's negatives are to be drawn from the others.
    `too_few`: rows of topics or domains with too few texts to be a concept.
    """

    rows: pl.DataFrame
    concepts: dict[str, tuple[str, str]]
    rest: bool = False
    too_few: int = 0


def labelled(number: int, text: str, concept: str, kind: str, split: str, title: str = "") -> Row:
    text = sources.mended(text)
    return number, title or " ".join(text[:200].split()[:8])[:60], text, concept, kind, split


def frame(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=ROWS, orient="row")


def _kind(label: str) -> str | None:
    return KINDS.get(re.sub(r"[\s_-]+", " ", label).strip().casefold())


# ---------------------------------------------------------------- AxBench

BENCH = {"train_data.parquet": "train", "latent_eval_data.parquet": "test"}
NAMES = "metadata.jsonl"
FIELDS = ("output", "category", "concept_id", "concept_genre", "output_concept")
SHARED = -1  # the concept_id of negatives that all concepts of a genre train on


def _bench_rows(folder: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(number, split, row) of both tables; `category` becomes the kind."""
    numbers = itertools.count()
    for name, split in BENCH.items():
        for at, row in enumerate(sources.TABLES[".parquet"](folder / name), 1):
            missing = [field for field in FIELDS if field not in row]
            if missing:
                raise CorpusError(
                    f"{folder / name} has no {missing[0]}.",
                    "Name a folder of AxBench, or its tables as files of their own.",
                )
            kind = _kind(str(row["category"]))
            if kind is None or row["concept_id"] is None:
                raise CorpusError(
                    f"{folder / name}, row {at}, is {row['category']!r} of {row['concept_id']}.",
                    "It must be positive, negative or hard negative of a concept.",
                )
            yield next(numbers), split, {**row, "output": row["output"] or "", "category": kind}


def axbench(folder: Path) -> Labelled:
    """Concepts of a folder of AxBench; its shared negatives serve every concept of their genre,
    all of them a genre that has none.

    Raises:
        CorpusError: a table cannot be read, or a row is not understood; it is named.
    """
    given = list(_bench_rows(folder))
    own = [item for item in given if item[2]["concept_id"] != SHARED]
    shared = [item for item in given if item[2]["concept_id"] == SHARED]
    concepts = {str(c): ("", "") for c in sorted({row["concept_id"] for _, _, row in own})}
    for _, _, row in own:
        if row["category"] == "positive":
            concepts[str(row["concept_id"])] = (row["output_concept"], row["concept_genre"] or "")
    names = _bench_names(folder / NAMES)
    concepts = {key: (names.get(key) or name or key, g) for key, (name, g) in concepts.items()}
    told = [(str(item[2]["concept_id"]), item) for item in own]
    for key, (_, genre) in concepts.items():
        fitting = [item for item in shared if item[2]["concept_genre"] == genre] or shared
        told += [(key, item) for item in fitting]
    rows = [labelled(n, row["output"], key, row["category"], s) for key, (n, s, row) in told]
    return Labelled(frame(rows), concepts)


def _bench_names(path: Path) -> dict[str, str]:
    rows = sources.TABLES[".jsonl"](path) if path.is_file() else ()
    return {str(row.get("concept_id")): str(row.get("concept") or "") for row in rows}


# ---------------------------------------------------------------- a table of one's own

TEXTS = ("text", "output", "sentence")


def table(path: Path) -> Labelled:
    """A JSONL, CSV or Parquet file: a concept of its name (or one for each value of `concept`)
    where labels are positive and negative, else one for each label.

    Raises:
        CorpusError: a column is missing, or a row is not understood; it is named.
    """
    rows = list(sources.TABLES[path.suffix.lower()](path))
    columns = _columns(path, rows)
    cells = [_cells(row, columns, f"{path}, row {at},") for at, row in enumerate(rows, 1)]
    kinds = [_kind(cell["label"]) for cell in cells]
    rest = "concept" not in columns and not all(kinds)
    if not rest and not all(kinds):
        at = kinds.index(None)
        raise CorpusError(
            f"{path}, row {at + 1}, has the label {cells[at]['label']!r}.",
            "Beside a column `concept`, label texts positive, negative or hard negative.",
        )
    name = "label" if rest else "concept"
    found = [
        labelled(
            at,
            cell["text"],
            cell.get(name, path.stem),
            "positive" if rest else str(kind),
            cell["split"],
        )
        for at, (cell, kind) in enumerate(zip(cells, kinds, strict=True))
    ]
    return Labelled(frame(found), {row[3]: (row[3], "") for row in found}, rest)


def _columns(path: Path, rows: list[Any]) -> dict[str, Any]:
    """The names of the columns text, label, concept and split as the file spells them."""
    bad = next((at for at, row in enumerate(rows, 1) if not isinstance(row, Mapping)), None)
    if bad or not rows:
        problem = f", row {bad}, is no object." if bad else " holds no texts."
        raise CorpusError(f"{path}{problem}", "Give every row a text and a label.")
    spelled = {str(name).strip().casefold(): name for row in rows for name in row}
    found = {name: spelled[name] for name in ("label", "concept", "split") if name in spelled}
    text = next((spelled[name] for name in TEXTS if name in spelled), None)
    for name, column in (("text", text), ("label", found.get("label"))):
        if column is None:
            fields = ", ".join(map(str, spelled.values()))
            called = " or ".join(TEXTS) if name == "text" else name
            raise CorpusError(
                f"{path} has no {name} column.", f"Its columns are {fields}: call one {called}."
            )
    if "split" in found and not any(str(row.get(found["split"]) or "").strip() for row in rows):
        del found["split"]  # a column with nothing in it
    return {"text": text, **found}


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
