"""What is shown of the labels of one feature or region."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from backend.store.views import Provenance


@dataclass(frozen=True)
class Labels:
    """Labels of one feature or region, and what they were made from."""

    number: int
    # method, text, detail (why, or why there is none), n (excerpts), known (False: not written yet)
    labels: pl.DataFrame
    evidence: str  # how train, test and negatives were drawn
    writer: str  # the model that is asked
    # context, real, random, other: texts of the verbalizer at peaks, and of controls; may be empty
    verbalizations: pl.DataFrame = field(default_factory=pl.DataFrame)


@dataclass(frozen=True)
class LabelScores:
    """How well labels tell held-out contexts from others, beside their controls."""

    number: int
    scores: pl.DataFrame  # of (label, shuffled, empty), label, and the columns of a score
    provenance: Provenance
