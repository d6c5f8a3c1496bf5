"""What CE-Bench's tab is given: plain data, and the columns of every table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from backend.corpus.views import Passage
from backend.store.views import Provenance

READER = {"reader": pl.String}  # sae | random_topk
SCORE = {"definition": pl.String, "score": pl.String}
ENDS = dict.fromkeys(("low", "high"), pl.Float64)  # of a 95% interval, subjects resampled
COUNTS = {"pairs": pl.Int64, "subjects": pl.Int64}

SCORES = pl.Schema(
    {**SCORE, "value": pl.Float64, **ENDS}
    # mean and 95% of draws; null where the definition leaves nothing to shuffle
    | dict.fromkeys(("null", "null_low", "null_high"), pl.Float64)
    | COUNTS
)
HALVES = pl.Schema(
    {**SCORE, "half": pl.Int64, "value": pl.Float64, "agreement": pl.Float64, **COUNTS}
)
HELD_OUT = pl.Schema(
    {"definition": pl.String}
    | {"median": pl.Float64, "share": pl.Float64, **ENDS}  # rank; share in the first 10
    | {"other_median": pl.Float64, "other_share": pl.Float64}  # of other subjects' pairs
    | {"null": pl.Float64, "null_high": pl.Float64}  # shuffled subjects: mean, 97.5%
    | {"chance": pl.Float64, **COUNTS}
)
OVERLAP = pl.Schema({"of": pl.String, "value": pl.Float64, **ENDS, "subjects": pl.Int64})
LEVELS = pl.Schema({**READER, "l0": pl.Float64, "bos_l0": pl.Float64})
PAIRS = pl.Schema(
    {"definition": pl.String, "pair": pl.Int64, "subject": pl.String}
    | dict.fromkeys(("contrastive", "independent", "interpretability"), pl.Float64)
    | {"feature": pl.Int64}  # of largest interpretability
)
FIRSTS = pl.Schema(
    {"rank": pl.Int64, "feature": pl.Int64}
    | {"independent": pl.Float64, "contrastive": pl.Float64}
    | {"above": pl.Float64}  # share of pairs in which the subject has more of it
)
TOPS = pl.Schema({"definition": pl.String, "subject": pl.String, **FIRSTS})
SWEEP = pl.Schema(
    {"source": pl.String, "layer": pl.Int64, "width": pl.Int64, "l0": pl.Float64}
    | {**READER, **SCORE, "value": pl.Float64, **ENDS}
    | dict.fromkeys(("null", "half_0", "half_1"), pl.Float64)
)
RANKINGS = pl.Schema({**SCORE, "rho": pl.Float64, "saes": pl.Int64})


@dataclass(frozen=True)
class Heat:
    """Mean independent distance [features, subjects] of the first features of each subject."""

    features: tuple[int, ...]
    values: np.ndarray


@dataclass(frozen=True)
class CeBench:
    """CE-Bench of a study's SAE beside random directions. `clouds`: by definition, contrastive and
    independent distance of each feature, means over pairs. `listed` SAEs of the study are in the
    sweep, `missing` of them not computed."""

    name: str
    source: str  # whose stories they are
    subjects: tuple[str, ...]
    tokens: int
    counts: dict[str, int]
    width: int
    seed: int
    scores: pl.DataFrame  # READER, SCORES
    readers: pl.DataFrame  # LEVELS
    halves: pl.DataFrame  # READER, HALVES
    held_out: pl.DataFrame  # READER, HELD_OUT
    overlap: pl.DataFrame  # READER, OVERLAP
    pairs: pl.DataFrame  # PAIRS, aspects
    tops: pl.DataFrame  # TOPS
    clouds: dict[str, tuple[np.ndarray, np.ndarray]]
    heat: dict[str, Heat]
    sweep: pl.DataFrame  # SWEEP
    rankings: pl.DataFrame  # RANKINGS
    listed: int
    missing: int
    provenance: Provenance


@dataclass(frozen=True)
class CeSubject:
    """The first features of a subject, and its stories valued by one of them: of each pair both."""

    subject: str
    definition: str
    feature: int
    tops: pl.DataFrame  # FIRSTS
    stories: tuple[tuple[Passage, Passage], ...]
    peak: float


TEXTS = pl.Schema(
    {"kind": pl.String, "text": pl.String, "tokens": pl.Int64}
    | {"same": pl.Int64}  # how many tokens begin as unchanged
    | {"mentions": pl.Int64}  # of the words that the subject's stories mark
    # nats, divergence of the first token's distribution from that of the unchanged model
    | {"moved": pl.Float64}
)


@dataclass(frozen=True)
class CeSteer:
    """A prompt continued with features shifted, and the words that count as mentions."""

    subject: str
    prompt: str
    strength: float
    texts: pl.DataFrame  # TEXTS
    words: tuple[str, ...]
    provenance: Provenance
