"""Labels in the shape of Neuronpedia's explanations, in its export batches and back.

Fields are those of its `Explanation` and `ExplanationScore` tables. What only its database can give
(id, authorId, embedding, umap_*) is left out. Names of methods, writers and scorers stay Tessera's:
its own type and model names have to be added there before such rows can be.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from typing import Any

import polars as pl

from backend.labels.interchange.records import (
    Name,
    Problem,
    Record,
    Whole,
    gunzip,
    json_bytes,
    json_lines,
    pack,
    unpack,
)
from backend.labels.interchange.tables import Imported, fresh
from backend.labels.tables import GIVEN, LABELS, SCORES
from backend.schema import Study, conform

BATCH = 1024  # rows
BATCHES = re.compile(r"(?:.*/)?explanations/batch-\d+\.jsonl\.gz")
UNNAMED = "neuronpedia"  # method of an explanation whose type is not given


def names(study: Study) -> tuple[str, str]:
    """Model and source as Neuronpedia has them: short names."""
    assert study.sae
    model = study.model.source.partition(":")[2].rsplit("/", 1)[-1]
    return model, f"{study.site.layer}-{study.sae.source.rsplit('/', 1)[-1]}"


def explanations(labels: pl.DataFrame, scores: pl.DataFrame, model: str, source: str) -> bytes:
    """A zip of `explanations/batch-N.jsonl.gz`, ordered by index as a string. Failed labels have no
    description and are left out, as are scores without a value and those of controls.

    `model` and `source` are Neuronpedia's modelId and source id, which it calls `layer`.
    """
    rows = sorted(_rows(labels, scores, model, source), key=lambda row: row["index"])
    batches = (rows[first : first + BATCH] for first in range(0, len(rows), BATCH))
    return pack(
        {
            f"explanations/batch-{number}.jsonl.gz": gzip.compress(json_bytes(batch), mtime=0)
            for number, batch in enumerate(batches)
        }
    )


def _rows(
    labels: pl.DataFrame, scores: pl.DataFrame, model: str, source: str
) -> Iterator[dict[str, Any]]:
    scored: dict[tuple[int, str, str], list[dict[str, Any]]] = {}
    held = conform(scores, SCORES).fill_nan(None).filter(of="label").drop_nulls("value")
    for row in held.iter_rows(named=True):
        scored.setdefault((row["feature"], row["method"], row["label"]), []).append(_score(row))
    for row in conform(labels, LABELS).filter(GIVEN).iter_rows(named=True):
        yield {
            "modelId": model,
            "layer": source,
            "index": str(row["feature"]),
            "description": row["text"],
            "typeName": row["method"],
            "explanationModelName": row["writer"] or None,
            "notes": row["detail"] or None,
            "scores": scored.get((row["feature"], row["method"], row["text"]), []),
        }


def _score(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "value": row["value"],
        "explanationScoreTypeName": row["scorer"],
        "explanationScoreModelName": row["judge"],
        "jsonDetails": json.dumps(row),
    }


# ---------------------------------------------------------------- in


class Explanation(Record):
    """What is read of one."""

    modelId: str  # noqa: N815
    layer: str
    index: Whole
    description: Name
    typeName: str | None = None  # noqa: N815
    explanationModelName: str | None = None  # noqa: N815
    notes: str | None = None


def read(data: bytes, model: str, source: str, known: pl.DataFrame | None = None) -> Imported:
    """Labels from a zip of batches or from one batch, gzipped or not. Explanations of another model
    or source are not of these features: they are left out and named, as broken ones are.

    Raises:
        FormatError: the zip or gzip cannot be unpacked.
    """
    bad: list[Problem] = []
    rows = [
        {
            "feature": one.index,
            "method": one.typeName or UNNAMED,
            "writer": one.explanationModelName or "",
            "text": one.description,
            "detail": one.notes or "",
            "failed": "",
        }
        for file, text in _batches(data)
        for line, one in json_lines(Explanation, text, file, bad)
        if _is_of(one, model, source, file, line, bad)
    ]
    return fresh(pl.DataFrame(rows, schema=LABELS), known, bad)


def _is_of(
    one: Explanation, model: str, source: str, file: str, line: int, bad: list[Problem]
) -> bool:
    for field, value, asked in (("modelId", one.modelId, model), ("layer", one.layer, source)):
        if value != asked:
            bad.append(Problem(file, line, field, f"is {value!r}, not {asked!r}"))
            return False
    return True


def _batches(data: bytes) -> Iterator[tuple[str, bytes]]:
    if data[:2] == b"PK":
        inside = unpack(data, BATCHES)
        for file in sorted(inside):
            yield file, gunzip(inside[file], file)
    elif data[:2] == b"\x1f\x8b":
        yield "explanations", gunzip(data, "explanations")
    else:
        yield "explanations", data
