"""What is shown of features, numbered from 0. Every table's columns are given beside it."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from backend.corpus.views import Passage
from backend.schema import Job
from backend.store.views import Provenance


@dataclass(frozen=True)
class Example:
    """A context in which a feature fires or, with an activation of 0, does not."""

    token: int  # token row of the peak
    activation: float  # at the peak
    passage: Passage  # the whole context, valued by the feature


@dataclass(frozen=True)
class FeatureTable:
    """All features of the SAE.

    `table`: feature, density (share of tokens), active (tokens), documents, max, mean,
    top_token, top_token_share, topic, lift, region (best match, -1: none), f1, promoted (text).
    """

    table: pl.DataFrame
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
    histogram: pl.DataFrame  # low, high, count: of the non-zero activations
    quantiles: pl.DataFrame  # band, low, high, count: ten quantiles of the non-zero activations
    promoted: pl.DataFrame  # text, logit
    suppressed: pl.DataFrame  # text, logit
    logit_histogram: pl.DataFrame  # low, high, count: over the vocabulary
    tokens: pl.DataFrame  # text, count, share, mean: where it fires
    topics: pl.DataFrame  # topic, count, share, prior, lift, low, high
    documents: pl.DataFrame  # document, title, topic, count, max
    nearest: pl.DataFrame  # feature, cosine, top_token: by decoder direction
    cofiring: pl.DataFrame  # feature, count, jaccard, lift, top_token
    regions: pl.DataFrame  # region, f1, precision, recall, token
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
    tokens: pl.DataFrame  # before (tokens later, to the asked one), text, effect, low, high (range)
    runs: pl.DataFrame  # length, first (text of its first token), activation, share
    shortest: pl.DataFrame  # share, length of the shortest run that gives it, steady (length from
    # which on all runs give it), text (of the shortest)
    stand_ins: tuple[str, ...]  # what tokens were replaced by
    provenance: Provenance
