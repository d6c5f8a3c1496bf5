"""The file formats of labels by hand: a file of this package each, and a line below."""

from __future__ import annotations

from backend.annotations.formats.contract import DecisionFormat
from backend.annotations.formats.events import EVENTS
from backend.annotations.formats.label_tables import TABLES
from backend.annotations.formats.neuronpedia import NEURONPEDIA

FORMATS: dict[str, DecisionFormat] = {
    each.name: each
    for each in (
        EVENTS,
        *TABLES,  # jsonl, csv, parquet
        NEURONPEDIA,
    )
}
