"""AxBench (Wu et al., *AxBench*, 2025) keeps concepts in a folder: the training table is train, the
evaluation table test, and the text is `output`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.corpus import sources
from backend.corpus.concept_tables import (
    ConceptSource,
    Documents,
    Labelled,
    existing,
    frame,
    kind_of,
    labelled,
    place_of,
)
from backend.schema import ConceptRef, CorpusError

BENCH = {"train_data.parquet": "train", "latent_eval_data.parquet": "test"}
NAMES = "metadata.jsonl"
FIELDS = ("output", "category", "concept_id", "concept_genre", "output_concept")
SHARED = -1  # the concept_id of negatives that all concepts of a genre train on


def _bench_rows(folder: Path) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(number, split, row) of both tables; `category` becomes the kind."""
    numbers = itertools.count()
    for name, split in BENCH.items():
        for line, row in enumerate(sources.TABLES[".parquet"](folder / name), 1):
            missing = [field for field in FIELDS if field not in row]
            if missing:
                raise CorpusError(
                    f"{folder / name} has no {missing[0]}.",
                    "Name a folder of AxBench, or its tables as files of their own.",
                )
            kind = kind_of(str(row["category"]))
            if kind is None or row["concept_id"] is None:
                raise CorpusError(
                    f"{folder / name}, row {line}, is {row['category']!r} of {row['concept_id']}.",
                    "It must be positive, negative or hard negative of a concept.",
                )
            yield next(numbers), split, {**row, "output": row["output"] or "", "category": kind}


def _read(ref: ConceptRef, _documents: Documents) -> Labelled:
    """Concepts of a folder of AxBench; its shared negatives serve every concept of their genre,
    all of them a genre that has none.

    Raises:
        CorpusError: a table cannot be read, or a row is not understood; it is named.
    """
    folder = place_of(ref)
    rows_read = list(_bench_rows(folder))
    own = [item for item in rows_read if item[2]["concept_id"] != SHARED]
    shared = [item for item in rows_read if item[2]["concept_id"] == SHARED]
    concepts = {str(c): ("", "") for c in sorted({row["concept_id"] for _, _, row in own})}
    for _, _, row in own:
        if row["category"] == "positive":
            concepts[str(row["concept_id"])] = (row["output_concept"], row["concept_genre"] or "")
    names = _bench_names(folder / NAMES)
    concepts = {key: (names.get(key) or name or key, g) for key, (name, g) in concepts.items()}
    labels = [(str(item[2]["concept_id"]), item) for item in own]
    for key, (_, genre) in concepts.items():
        fitting = [item for item in shared if item[2]["concept_genre"] == genre] or shared
        labels += [(key, item) for item in fitting]
    rows = [labelled(n, row["output"], key, row["category"], s) for key, (n, s, row) in labels]
    return Labelled(frame(rows), concepts)


def _bench_names(path: Path) -> dict[str, str]:
    rows = sources.TABLES[".jsonl"](path) if path.is_file() else ()
    return {str(row.get("concept_id")): str(row.get("concept") or "") for row in rows}


def _files(ref: ConceptRef) -> list[Path]:
    folder = place_of(ref)
    remedy = "Name a folder with latent_eval_data.parquet and train_data.parquet."
    tables = existing([folder / name for name in BENCH], remedy)
    names = folder / NAMES
    return [*tables, names] if names.is_file() else tables


SOURCE = ConceptSource("axbench", "AxBench", "folder", _files, _read)
