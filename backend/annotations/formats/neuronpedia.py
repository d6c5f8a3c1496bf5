"""The current labels as Neuronpedia's explanations."""

from __future__ import annotations

import polars as pl

from backend.annotations.formats.contract import DecisionFormat
from backend.annotations.hand_labels import labels_of
from backend.labels import tables
from backend.labels.interchange import neuronpedia
from backend.schema import Study


def write(study: Study) -> bytes:
    no_scores = pl.DataFrame(schema=tables.SCORES)
    return neuronpedia.explanations(labels_of(study), no_scores, *neuronpedia.names(study))


NEURONPEDIA = DecisionFormat(
    name="neuronpedia",
    title="current labels as Neuronpedia explanations",
    ending="zip",
    mime="application/zip",
    loses="Holds the labels alone, and cannot be imported again",
    write=write,
)
