"""What is shown of regions, numbered from 0. Tables that features have too are in their views."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from backend.corpus.views import Passage
from backend.schema import Job
from backend.store.views import Provenance

# what the members of a region may have in common
ATTRIBUTES = ("token", "next", "position", "punctuation", "document")
_EXPLAINED = {
    f"{name}_{part}": pl.Int64 if part == "value" else pl.Float64
    for name in ATTRIBUTES
    for part in ("share", "null", "explained", "value")
}
REGIONS = pl.Schema(
    {
        "region": pl.Int32,
        "token": pl.Int64,  # token row of the exemplar
        "size": pl.Int32,  # members
        "gray": pl.Int32,  # tokens owned from beyond θ, up to kθ
        "share": pl.Float64,  # members, of all tokens
        "coherence": pl.Float64,  # κ, length of the mean of the unit members
        "mean_distance": pl.Float64,  # over all pairs of members; null where there is one
        "radius": pl.Float64,  # median distance of members to the exemplar
        "radius_10": pl.Float64,  # and its percentiles
        "radius_90": pl.Float64,
        "margin": pl.Float64,  # median over members
        "overlap": pl.Float64,  # mean over members of how many exemplars are within θ
        "isolation": pl.Float64,  # distance to the nearest other exemplar; null where none
        "topic": pl.Int16,  # of highest lift among topics with 5 members or more; -1: none
        "lift": pl.Float64,  # its share of members over its share of the corpus
        "lift_low": pl.Float64,  # Wilson interval of the former, over the latter
        "lift_high": pl.Float64,
        **_EXPLAINED,  # as in token_share; value is the commonest one's code
        "token_driven": pl.Boolean,
    }
)
REGION_TABLE = pl.Schema(
    REGIONS
    | {"token": pl.String, "topic": pl.String, "x": pl.Float32, "y": pl.Float32}  # exemplar's text
    | {"before": pl.String, "after": pl.String, "document": pl.Int32, "top_token": pl.String}
    | {"feature": pl.Int32, "f1": pl.Float64}  # of the best match, -1: none
)
_SHARES = dict.fromkeys(("share", "null", "explained"), pl.Float64)
EXPLAINED = pl.Schema({"what": pl.String} | _SHARES | {"value": pl.String})
BANDS = pl.Schema({"band": pl.Int64, "low": pl.Float64, "high": pl.Float64, "count": pl.Int64})
COMPETITORS = pl.Schema(
    {"region": pl.Int32, "token": pl.String, "count": pl.UInt32}  # text of its exemplar
    | {"share": pl.Float64, "margin": pl.Float32}  # median
)
STOPS = pl.Schema(  # null where not computed
    dict.fromkeys(("p", "k", "theta"), pl.Float64)
    | {"regions": pl.Int64}
    | dict.fromkeys(("gray", "overlap", "ambiguous"), pl.Float64)
)
STRONGEST = pl.Schema({"position": pl.Int64, "feature": pl.Int32, "activation": pl.Float32})


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
    """All regions of a partition."""

    table: pl.DataFrame  # REGION_TABLE
    layout: str  # "umap", or "pca" while UMAP is not ready
    p: float
    k: float
    theta: float
    tokens: int  # points in the partition
    corpus_tokens: int  # points there will be; 0 while that is not known
    asked_tokens: int  # that the study asks for; more than `corpus_tokens` where there are no more
    gray: float  # share of points with θ < d ≤ kθ
    uncovered: float  # share of points with d > kθ
    overlap: float  # mean number of exemplars within θ
    ambiguous: float  # share of points within θ of more than one exemplar
    saturated: bool
    provenance: Provenance
    pending: Job | None = None  # what is still being computed: the whole corpus, or UMAP

    @property
    def is_preview(self) -> bool:
        """Whether it stands on the beginning of the corpus."""
        return self.tokens != self.corpus_tokens


@dataclass(frozen=True)
class RegionView:
    """Everything about one region but its members, which are drawn by `members`."""

    region: int
    row: dict[str, object]  # its row of RegionMap.table
    theta: float
    exemplar: Member
    tokens: pl.DataFrame  # TOKENS: what the members' tokens are
    next_tokens: pl.DataFrame  # TOKENS
    topics: pl.DataFrame  # TOPICS
    explained: pl.DataFrame  # EXPLAINED: how much is just a token, …
    bands: pl.DataFrame  # BANDS: quarters of the distance range
    distances: tuple[float, ...]  # of a sample of members, for the histogram
    margins: tuple[float, ...]
    competitors: pl.DataFrame  # COMPETITORS: runner-up regions
    promoted: pl.DataFrame  # LOGITS
    suppressed: pl.DataFrame  # LOGITS
    features: pl.DataFrame  # MATCHING_FEATURES; empty without an SAE
    provenance: Provenance
    pending: Job | None = None  # logits or features still being computed


@dataclass(frozen=True)
class NearMiss:
    """Where a feature that fires nowhere comes nearest to it."""

    position: int  # of the token in the text
    preactivation: float  # what the encoder gives there
    needed: float  # what that has to exceed


@dataclass(frozen=True)
class Probe:
    """One's own text, read by the model."""

    passage: Passage  # valued by the asked feature, or by distance to the nearest exemplar
    top: pl.DataFrame  # STRONGEST features of each token
    near: NearMiss | None = None  # where the asked feature is silent
