"""Labels in the shape of Neuronpedia's explanations, in its export batches.

Fields are those of its `Explanation` and `ExplanationScore` tables. What only its database can give
(id, authorId, embedding, umap_*) is left out. Names of methods, writers and scorers stay Tessera's:
its own type and model names have to be added there before such rows can be.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import polars as pl

from backend.labels.interchange.records import json_bytes, pack
from backend.labels.tables import LABELS, SCORES, VALID
from backend.schema import Study, conform

BATCH = 1024  # rows


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
    valued = conform(scores, SCORES).fill_nan(None).filter(of="label").drop_nulls("value")
    for row in valued.iter_rows(named=True):
        scored.setdefault((row["feature"], row["method"], row["label"]), []).append(_score(row))
    for row in conform(labels, LABELS).filter(VALID).iter_rows(named=True):
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
