"""What is shown of the labels of one feature or region."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from backend.store.views import Provenance

METHOD_LABELS = pl.Schema(
    {
        "method": pl.String,
        "text": pl.String,
        "detail": pl.String,  # why, or why there is none
        "n": pl.Int64,  # excerpts
        "known": pl.Boolean,  # False: no model has written it yet
    }
)
# what the verbalizer says at a peak (`real`), and of controls
PEAK_TEXTS = pl.Schema(
    {"row": pl.Int64} | dict.fromkeys(("context", "real", "random", "other"), pl.String)
)


# a label by a scorer (as in `tables.SCORES`) and less its control; null where either is not known
_ENDS = ("value", "low", "high")
ADVANTAGES = pl.Schema(
    {"label": pl.String, "scorer": pl.String, "judge": pl.String, "n": pl.Int64}
    | {"failures": pl.Int64, "chance": pl.Float64}
    | dict.fromkeys((*_ENDS, *(f"control_{end}" for end in _ENDS)), pl.Float64)
    | {"control": pl.String}  # the label of another that was scored in the same way
    | dict.fromkeys(("difference", "difference_low", "difference_high"), pl.Float64)
)


@dataclass(frozen=True)
class Labels:
    """Labels of one feature or region, and what they were made from."""

    number: int
    labels: pl.DataFrame  # METHOD_LABELS
    evidence: str  # how train, test and negatives were drawn
    writer: str  # the model that is asked
    verbalizations: pl.DataFrame  # PEAK_TEXTS; empty where none is known


@dataclass(frozen=True)
class LabelScores:
    """How well labels tell held-out contexts from others, beside their controls."""

    number: int
    scores: pl.DataFrame  # tables.SCORES
    provenance: Provenance
