"""What a study holds and what is worth a look."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from backend.features.views import FeatureTable
from backend.regions.views import RegionMap
from backend.schema import Job

TOPICS = pl.Schema({"topic": pl.String, "documents": pl.UInt32, "tokens": pl.Int32})


@dataclass(frozen=True)
class Overview:
    """What a study holds and what is worth a look."""

    documents: int
    contexts: int
    tokens: int  # read so far
    corpus_tokens: int  # that there will be; 0 while that is not known
    repeats: int  # documents dropped because they repeat others
    topics: pl.DataFrame  # TOPICS
    regions: RegionMap | Job
    features: FeatureTable | Job | None  # None: the study has no SAE
    stops: pl.DataFrame  # STOPS of regions
