"""What is shown of regions, numbered from 0. Every table's columns are given beside it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from backend.corpus.views import Passage
from backend.schema import Job
from backend.store.views import Provenance


@dataclass(frozen=True)
class MemberDraw:
    """How members of a region are drawn: closest, farthest, random, or of one distance band, such
    as "band 1"; how many, and by which seed."""

    kind: str = "closest"
    count: int = 8
    seed: int = 0


@dataclass(frozen=True)
class Member:
    """A token of a region, in its context."""

    token: int  # token row
    distance: float  # to the exemplar
    margin: float  # how much farther the runner-up is
    runner_up: int  # the region that is second nearest; -1: there is only one
    passage: Passage


@dataclass(frozen=True)
class RegionMap:
    """All regions of a partition.

    `table`: region, x, y, size, gray, share, coherence, mean_distance, radius (median distance),
    radius_90, margin (median), overlap (mean L0), isolation (distance to the nearest other
    exemplar), token (text of the exemplar), before, after, document, topic (of highest lift),
    lift, lift_low, lift_high, token_driven (bool), token_share, token_null, top_token,
    feature (best match, -1: none), f1.
    """

    table: pl.DataFrame
    layout: str  # "umap", or "pca" while UMAP is not ready
    p: float
    k: float
    theta: float
    tokens: int  # points in the partition
    corpus_tokens: int  # points there will be; more than `tokens` for a preview
    gray: float  # share of points with θ < d ≤ kθ
    uncovered: float  # share of points with d > kθ
    overlap: float  # mean number of exemplars within θ
    ambiguous: float  # share of points within θ of more than one exemplar
    saturated: bool
    provenance: Provenance
    pending: Job | None = None  # what is still being computed: the whole corpus, or UMAP


@dataclass(frozen=True)
class RegionView:
    """Everything about one region but its members, which are drawn by `members`."""

    region: int
    row: dict[str, object]  # its row of RegionMap.table
    theta: float
    exemplar: Member
    tokens: pl.DataFrame  # text, count, share: what the members' tokens are
    next_tokens: pl.DataFrame  # text, count, share
    topics: pl.DataFrame  # topic, count, share, prior, lift, low, high (Wilson, over prior)
    explained: pl.DataFrame  # what, share, null, explained, value: how much is just a token ...
    bands: pl.DataFrame  # band, low, high, count: quarters of the distance range
    distances: tuple[float, ...]  # of a sample of members, for the histogram
    margins: tuple[float, ...]
    competitors: pl.DataFrame  # region, token, count, share, margin: runner-up regions
    promoted: pl.DataFrame  # text, logit
    suppressed: pl.DataFrame  # text, logit
    features: pl.DataFrame  # feature, f1, precision, recall, top_token; empty without an SAE
    provenance: Provenance
    pending: Job | None = None  # logits or features still being computed


@dataclass(frozen=True)
class Probe:
    """One's own text, read by the model."""

    passage: Passage  # valued by the asked feature, or by distance to the nearest exemplar
    top: pl.DataFrame  # position, feature, activation: the strongest features of each token
