"""What is shown of features, numbered from 0. Every table's columns are given beside it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from backend.corpus.views import Passage
from backend.schema import Job
from backend.store.views import Provenance

FEATURES = pl.Schema(
    {
        "feature": pl.Int32,
        "density": pl.Float64,  # share of all tokens
        "active": pl.Int32,  # tokens
        "contexts": pl.Int32,
        "documents": pl.Int32,
        "max": pl.Float32,
        "mean": pl.Float32,  # of the non-zero activations
        "top_token": pl.Int32,  # id of the token it fires on most often; -1: it never fires
        "top_token_share": pl.Float64,  # of the tokens it fires on
        "topic": pl.Int32,  # of highest lift, with SUPPORT tokens or more; -1: none
        "lift": pl.Float64,  # share of its tokens in that topic / the corpus's share
        "lift_low": pl.Float64,  # Wilson's 95% interval of the share / the corpus's share
        "lift_high": pl.Float64,
        "peak": pl.Int64,  # token row of the strongest activation; -1: it never fires
    }
)
FEATURE_TABLE = pl.Schema(
    FEATURES
    | {"top_token": pl.String, "topic": pl.String}
    | {"region": pl.Int32, "f1": pl.Float64}  # of the best match, -1: none
    | {"promoted": pl.String}  # tokens; empty while not computed
)
BINS = pl.Schema({"low": pl.Float64, "high": pl.Float64, "count": pl.Int64})
LOGIT_BINS = pl.Schema({"low": pl.Float32, "high": pl.Float32, "count": pl.Int32})
QUANTILES = pl.Schema(
    {"band": pl.Int32, "low": pl.Float64, "high": pl.Float64, "count": pl.Int32}  # of contexts
)
TOKENS = pl.Schema({"text": pl.String, "count": pl.UInt32, "share": pl.Float64, "mean": pl.Float32})
DOCUMENTS = pl.Schema(
    {"document": pl.Int32, "title": pl.String, "topic": pl.String}
    | {"count": pl.UInt32, "max": pl.Float32}  # tokens that it fires on
)
NEAREST = pl.Schema({"feature": pl.Int32, "cosine": pl.Float32, "top_token": pl.String})
COFIRING = pl.Schema(
    {"feature": pl.Int32, "count": pl.Int32}  # tokens with both
    | {"jaccard": pl.Float64, "lift": pl.Float64, "top_token": pl.String}
)
_F1 = dict.fromkeys(("f1", "precision", "recall"), pl.Float64)
MATCHING_REGIONS = pl.Schema({"region": pl.Int32, **_F1, "token": pl.String})
MATCHING_FEATURES = pl.Schema({"feature": pl.Int32, **_F1, "top_token": pl.String})
# an effect, and its range over what stood in for the token; `before`: how many tokens later the
# asked one comes
EFFECTS = pl.Schema(
    {"before": pl.Int64, "text": pl.String} | dict.fromkeys(("effect", "low", "high"), pl.Float32)
)
RUNS = pl.Schema(  # `first`: text of its first token
    {"length": pl.Int64, "first": pl.String, "activation": pl.Float32, "share": pl.Float32}
)
# the length and text of the shortest run that gives a share, and the length from which on all do
SHORTEST = pl.Schema(
    {"share": pl.Float64, "length": pl.Int64, "steady": pl.Int64, "text": pl.String}
)


@dataclass(frozen=True)
class Example:
    """A context in which a feature fires or, with an activation of 0, does not."""

    token: int  # token row of the peak
    activation: float  # at the peak
    passage: Passage  # the whole context, valued by the feature


@dataclass(frozen=True)
class FeatureTable:
    """All features of the SAE."""

    table: pl.DataFrame  # FEATURE_TABLE
    tokens: int
    l0: float
    fvu: float
    dead: int
    provenance: Provenance
    pending: Job | None = None  # logits or matching regions still being computed


@dataclass(frozen=True)
class FeatureView:
    """Everything about one feature but its examples, which are drawn by `examples`."""

    feature: int
    row: dict[str, object]  # its row of FeatureTable.table
    histogram: pl.DataFrame  # BINS of the non-zero activations
    quantiles: pl.DataFrame  # QUANTILES, ten, of the non-zero activations
    promoted: pl.DataFrame  # LOGITS
    suppressed: pl.DataFrame  # LOGITS
    logit_histogram: pl.DataFrame  # LOGIT_BINS over the vocabulary
    tokens: pl.DataFrame  # TOKENS that it fires on
    topics: pl.DataFrame  # TOPICS
    documents: pl.DataFrame  # DOCUMENTS
    nearest: pl.DataFrame  # NEAREST by decoder direction
    cofiring: pl.DataFrame  # COFIRING
    regions: pl.DataFrame  # MATCHING_REGIONS
    provenance: Provenance
    pending: Job | None = None  # logits or regions still being computed


@dataclass(frozen=True)
class Why:
    """Why a feature fires at a token: what the text before it adds. Later tokens cannot matter.

    An effect is the share of the activation that is lost where a token is replaced: 1 where the
    feature falls silent, below 0 where it fires more strongly. A run is the last tokens alone.
    """

    feature: int
    token: int  # token row
    stored: float  # the activation as the corpus was read
    full: float  # as read again from the text up to the token; what shares are of
    agrees: bool  # whether the two differ by no more than rounding
    passage: Passage  # the context up to the token, valued by effect
    tokens: pl.DataFrame  # EFFECTS
    runs: pl.DataFrame  # RUNS
    shortest: pl.DataFrame  # SHORTEST
    stand_ins: tuple[str, ...]  # what tokens were replaced by, commonest first
    provenance: Provenance
