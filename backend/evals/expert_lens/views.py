"""What ExpertLens' tab is given: plain data, no behaviour."""

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


@dataclass(frozen=True)
class ExpertLens:
    """Concepts by their experts. `taus` are the stops of τ; arrays that depend on it begin so.

    `concepts`: concept, positives, negatives (of a half), documents, length (AUROC of length
    alone), best (unit), train, test (its AP). `refused`: concept, train, test (sentences).
    `named`: whether concepts were asked for by name.
    `agreement`, `pairs` as `similarity.agreement` has them. `stability`: tau, of (same, other,
    random), value, low, high, n: Jaccard of experts from train and test. `chosen`: tau, experts
    (median of a concept), share (of all units), kept (share of them that reach τ on test), low,
    high, n, null (share of all units under shuffled labels). `again`: measure, value, low, high, n,
    null, null_low, null_high. `elsewhere`: as `stability`, with the other source of sentences.
    """

    units: str
    sentences: str
    width: int
    taus: tuple[float, ...]
    concepts: pl.DataFrame
    refused: pl.DataFrame
    named: bool
    looked: int
    often: int
    agreement: pl.DataFrame
    pairs: pl.DataFrame
    centred: np.ndarray
    experts: np.ndarray
    tree: Tree
    stability: pl.DataFrame
    chosen: pl.DataFrame
    again: pl.DataFrame
    elsewhere: pl.DataFrame
    seed: int
    provenance: Provenance


@dataclass(frozen=True)
class ExpertConcept:
    """The experts of one concept. `top`: rank, unit, layer, module, within, train, test, of the
    highest on train. `bins` [2, BINS] shares of units by AP on train and on test, `null_bins` under
    shuffled labels, `null_ends` the middle 95% there and `null_best` the best unit of each shuffle.
    `heat` [taus, layers, modules]: share of a map's units with AP of τ or more on train. `sizes`:
    tau, experts, kept, low, high, null. `texts`: half, positive, text, a few of each."""

    concept: str
    units: str
    width: int
    positives: int
    negatives: int
    taus: tuple[float, ...]
    top: pl.DataFrame
    bins: np.ndarray
    null_bins: np.ndarray
    null_ends: tuple[float, float]
    null_best: tuple[float, ...]
    layers: tuple[int, ...]
    modules: tuple[str, ...]
    heat: np.ndarray
    sizes: pl.DataFrame
    texts: pl.DataFrame
    provenance: Provenance
