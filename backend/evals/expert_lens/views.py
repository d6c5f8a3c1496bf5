"""What ExpertLens' tab is given: plain data, and the columns of every table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from backend.store.views import Provenance

LEAST_ALIKE = 5  # concepts; of fewer, being centred makes likeness (of two it is −1 exactly)


@dataclass(frozen=True)
class Tree:
    """Average linkage of concepts: `x`, `y` [concepts - 1, 4] draw its branches (leaf i of `order`
    stands at x = 10 i + 5), `groups` [concepts] numbers branches at a cut, `places` [concepts, 2]
    is classical scaling and `shown` the share of its variance that two dimensions hold."""

    order: tuple[int, ...]
    x: np.ndarray
    y: np.ndarray
    groups: tuple[int, ...]
    places: np.ndarray
    shown: float


ENDS = dict.fromkeys(("low", "high"), pl.Float64)  # of a 95% interval

CONCEPTS = pl.Schema(
    {"concept": pl.String}
    | {"positives": pl.Int64, "negatives": pl.Int64}  # sentences of a half
    | {"documents": pl.Int64, "length": pl.Float64}  # AUROC of length alone
    | {"best": pl.Int64, "train": pl.Float64, "test": pl.Float64}  # unit, and its AP
)
REFUSED = pl.Schema({"concept": pl.String, "train": pl.Int64, "test": pl.Int64})  # sentences
AGREEMENT = pl.Schema(
    {
        "ratings": pl.String,
        "measure": pl.String,  # cosine, centred, experts; embedder, inputs, together
        "tau": pl.Float64,  # of experts
        "rho": pl.Float64,
        **ENDS,
        "n": pl.Int64,  # pairs
        "words": pl.Int64,
        "null_low": pl.Float64,
        "null_high": pl.Float64,
        "over": pl.Float64,  # ρ less that of the sentence embedder, on the same pairs
        "over_low": pl.Float64,
        "over_high": pl.Float64,
    }
)
PAIRS = pl.Schema(  # the value of each measure but experts
    {"ratings": pl.String, "word": pl.String, "other": pl.String}
    | dict.fromkeys(("human", "cosine", "centred", "embedder", "inputs", "together"), pl.Float64)
)
STABILITY = pl.Schema(  # Jaccard of experts from train and test
    {"tau": pl.Float64, "of": pl.String, "value": pl.Float64, **ENDS, "n": pl.Int64}
)
CHOSEN = pl.Schema(
    {"tau": pl.Float64, "experts": pl.Float64, "share": pl.Float64}  # median; of all units
    | {"kept": pl.Float64, **ENDS, "n": pl.Int64}  # share of them that reach τ on test
    | {"null": pl.Float64}  # share of all units under shuffled labels
)
RECOVERY = pl.Schema(
    {"measure": pl.String, "value": pl.Float64, **ENDS, "n": pl.Int64}
    | dict.fromkeys(("null", "null_low", "null_high"), pl.Float64)
)


@dataclass(frozen=True)
class ExpertLens:
    """Concepts by their experts. `taus` are the stops of τ; arrays that depend on it begin so."""

    units: str
    sentences: str
    width: int
    taus: tuple[float, ...]
    concepts: pl.DataFrame  # CONCEPTS
    refused: pl.DataFrame  # REFUSED
    named: bool  # whether concepts were asked for by name
    looked: int
    often: int
    agreement: pl.DataFrame  # AGREEMENT
    pairs: pl.DataFrame  # PAIRS
    centred: np.ndarray
    experts: np.ndarray
    tree: Tree
    stability: pl.DataFrame  # STABILITY
    chosen: pl.DataFrame  # CHOSEN
    again: pl.DataFrame  # AGAIN
    elsewhere: pl.DataFrame  # STABILITY, with the other source of sentences
    seed: int
    provenance: Provenance


TOP = pl.Schema(
    {"rank": pl.Int64, "unit": pl.Int64, "layer": pl.Int64, "module": pl.String}
    | {"within": pl.Int64, "train": pl.Float32, "test": pl.Float32}  # place in its map; AP
)
SIZES = pl.Schema(
    {"tau": pl.Float64, "experts": pl.Int64, "kept": pl.Float64, **ENDS, "null": pl.Float64}
)
TEXTS = pl.Schema({"half": pl.Int64, "text": pl.String, "positive": pl.Boolean})


@dataclass(frozen=True)
class ExpertConcept:
    """The experts of one concept. `bins` [2, BINS] shares of units by AP on train and on test,
    `null_bins` under shuffled labels, `null_ends` the middle 95% there and `null_best` the best
    unit of each shuffle. `heat` [taus, layers, modules]: share of a map's units with AP of τ or
    more on train."""

    concept: str
    units: str
    width: int
    positives: int
    negatives: int
    taus: tuple[float, ...]
    top: pl.DataFrame  # TOP
    bins: np.ndarray
    null_bins: np.ndarray
    null_ends: tuple[float, float]
    null_best: tuple[float, ...]
    layers: tuple[int, ...]
    modules: tuple[str, ...]
    heat: np.ndarray
    sizes: pl.DataFrame  # SIZES
    texts: pl.DataFrame  # TEXTS
    provenance: Provenance
