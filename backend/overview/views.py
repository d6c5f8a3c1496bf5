"""What a study holds and what is worth a look."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from backend.features.views import FeatureTable
from backend.regions.views import RegionMap
from backend.schema import Job


@dataclass(frozen=True)
class Overview:
    """What a study holds and what is worth a look."""

    documents: int
    contexts: int
    tokens: int
    repeats: int  # documents dropped because they repeat others
    topics: pl.DataFrame  # topic, documents, tokens
    regions: RegionMap | Job
    features: FeatureTable | Job | None  # None: the study has no SAE
    stops: pl.DataFrame  # p, k, theta, regions, gray, overlap, ambiguous; of what is computed
