"""The files of experiments, as backend and pages share them: title, ending and type of each format.
Imports nothing."""

from __future__ import annotations

FORMATS = {
    "jsonl": ("labels as JSONL", "jsonl", "application/jsonl"),
    "csv": ("labels as CSV", "csv", "text/csv"),
    "parquet": ("labels as Parquet", "parquet", "application/vnd.apache.parquet"),
    "neuronpedia": ("labels as Neuronpedia explanations", "zip", "application/zip"),
    "baez": ("all, as a folder of the baez post", "zip", "application/zip"),
}
