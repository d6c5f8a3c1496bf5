"""The file formats of labels by hand: a file of this package each, and a line below."""

from __future__ import annotations

from backend.answers.decision_formats.contract import DecisionFormat
from backend.answers.decision_formats.events import EVENTS
from backend.answers.decision_formats.label_tables import TABLES
from backend.answers.decision_formats.neuronpedia import NEURONPEDIA

FORMATS: dict[str, DecisionFormat] = {
    each.name: each
    for each in (
        EVENTS,
        *TABLES,  # jsonl, csv, parquet
        NEURONPEDIA,
    )
}
