"""Labels by hand as a table of labels, as any method's are."""

from __future__ import annotations

import polars as pl

from backend.annotations import hand_labels
from backend.labels import tables
from backend.schema import Study, conform

HUMAN = "human"  # the method of a label made by hand
NO_LABEL = "no label fits"
DATED_LABELS = pl.Schema(
    {**tables.LABELS, "occurrence": pl.Int64, "made": pl.Float64}  # Unix seconds
)


def labels_of(study: Study) -> pl.DataFrame:
    """`tables.LABELS`: what everybody calls features now, a first look and a repeat apart; a
    feature for which no label fits has failed."""
    return conform(dated_labels(study), tables.LABELS)


def dated_labels(study: Study) -> pl.DataFrame:
    """As `labels_of`, with the occurrence and the time of each: `DATED_LABELS`."""
    rows = [
        (
            decision.feature,
            HUMAN,
            decision.person,
            decision.label,
            decision.notes,
            "" if decision.action == "label" else NO_LABEL,
            None,
            decision.seconds,
            decision.occurrence,
            decision.made,
        )
        for decision in hand_labels.current(study)
        if decision.action != "skip"
    ]
    return pl.DataFrame(rows, schema=DATED_LABELS, orient="row")
