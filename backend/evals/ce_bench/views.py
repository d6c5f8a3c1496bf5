"""What CE-Bench's tab is given: plain data, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from backend.corpus.views import Passage
from backend.store.views import Provenance


@dataclass(frozen=True)
class Heat:
    """Mean independent distance [features, subjects] of the first features of each subject."""

    features: tuple[int, ...]
    values: np.ndarray


@dataclass(frozen=True)
class CeBench:
    """CE-Bench of a study's SAE beside random directions; `reader` is sae or random_topk.

    `scores`: reader, definition, score, value, low, high, null, null_low, null_high, pairs,
    subjects. `readers`: reader, l0, bos_l0. `halves`: reader, definition, score, half, value,
    agreement, pairs, subjects. `held_out`: reader, definition, median, share, low, high,
    other_median, other_share, null, null_high, chance, pairs, subjects. `overlap`: reader, of,
    value, low, high, subjects. `pairs`: definition, pair, subject, aspects, the three scores,
    feature. `clouds`: by definition, contrastive and independent distance of each feature, means
    over pairs. `sweep` and `rankings` as `sweep_table` in answers; `listed` SAEs of the study are
    in the sweep, `missing` of them not computed.
    """

    name: str
    source: str  # whose stories they are
    subjects: tuple[str, ...]
    tokens: int
    counts: dict[str, int]
    width: int
    seed: int
    scores: pl.DataFrame
    readers: pl.DataFrame
    halves: pl.DataFrame
    held_out: pl.DataFrame
    overlap: pl.DataFrame
    pairs: pl.DataFrame
    tops: pl.DataFrame
    clouds: dict[str, tuple[np.ndarray, np.ndarray]]
    heat: dict[str, Heat]
    sweep: pl.DataFrame
    rankings: pl.DataFrame
    listed: int
    missing: int
    provenance: Provenance


@dataclass(frozen=True)
class CeSubject:
    """The first features of a subject (`tops`: rank, feature, independent, contrastive, above), and
    its stories valued by one of them: of each pair both."""

    subject: str
    definition: str
    feature: int
    tops: pl.DataFrame
    stories: tuple[tuple[Passage, Passage], ...]
    peak: float


@dataclass(frozen=True)
class CeSteer:
    """A prompt continued with features shifted: `texts` (kind, text, tokens, same, mentions,
    moved), and the words that count as mentions."""

    subject: str
    prompt: str
    strength: float
    texts: pl.DataFrame
    words: tuple[str, ...]
    provenance: Provenance
