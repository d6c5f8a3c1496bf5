"""What the Concepts page is given: plain data, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from backend.schema import ConceptRef, Job
from backend.store.views import Provenance


@dataclass(frozen=True)
class ConceptChoice:
    """A concept set that can be chosen; `name` stands in links, `title` says where it is from."""

    name: str
    ref: ConceptRef
    title: str


@dataclass(frozen=True)
class ConceptsView:
    """A concept set: `concepts` (concept, name, genre, and numbers of texts: train_positive,
    train_negative, test_positive, test_negative, hard), what was left out and why, how many texts
    were read in several windows."""

    name: str
    concepts: pl.DataFrame
    texts: int
    tokens: int
    dropped: dict[str, int]
    windowed: int
    regions: int
    theta: float
    provenance: Provenance


@dataclass(frozen=True)
class ConceptAurocs:
    """How well directions tell one concept from a contrast, on test texts.

    `readers`: method, of (how many it was chosen among), column (-1: fitted, not chosen), train,
    value, low, high, positives, negatives, best (of all columns on the test texts), null_mean and
    null_high (of the best column under shuffled labels), tied (how many are as good on training
    texts), tied_mean, tied_low and tied_high (mean, lowest and highest AUROC of these). `aurocs`
    [K] of each kind of direction, and of features where the study has an SAE. `shares`: method,
    of, and the shares of columns above .6, .7, .8 and .9.
    `over`: means over the concepts of the set, by method and contrast."""

    contrast: str
    readers: pl.DataFrame
    aurocs: dict[str, np.ndarray]
    shares: pl.DataFrame
    over: pl.DataFrame
    provenance: Provenance


@dataclass(frozen=True)
class Membership:
    """Hard membership on test texts. `table`: method, rule, what, regions, tpr, tnr, j with ends,
    and counts; of a best region also tied (how many are as good on training texts) and, as
    tied_tpr and so on, mean, lowest and highest of these. `every`: method, rule, and quantiles of J
    over all regions; `js` [K] by method and rule; `best` and `unions` the chosen regions."""

    table: pl.DataFrame
    every: pl.DataFrame
    js: dict[str, np.ndarray]
    best: dict[str, int]
    unions: dict[str, list[int]]
    provenance: Provenance


@dataclass(frozen=True)
class NewTextMembership:
    """New texts in one region: `shares` (of, share, low, high, n, kind), `quantiles`, `texts`
    (text, distance, owner, margin, kind). `tied` regions are as good on training texts."""

    region: int
    tied: int
    theta: float
    shares: pl.DataFrame
    quantiles: pl.DataFrame
    texts: pl.DataFrame
    provenance: Provenance


@dataclass(frozen=True)
class PurityCoverage:
    """Purity and coverage. `units`: method, region, count, hits, purity, low, high, lift, coverage,
    f1, of units with a positive token; `splitting`: method, units, effective, half, most,
    positives, uncovered, and the best unit by F1; `relations`: measure, of, rho, low, high, n.
    `whole_f1` is that of calling every token positive."""

    units: pl.DataFrame
    splitting: pl.DataFrame
    relations: pl.DataFrame
    prior: float
    whole_f1: float
    left_out: int
    provenance: Provenance


@dataclass(frozen=True)
class GrayZone:
    """What a gray zone does. `table`: k, theta, reach, regions, gray, overlap, ambiguous (null
    where there is no partition of that k), read (whether the set's tokens are placed in it),
    effective, half, best_purity, best_lift, best_coverage, best_f1 with its ends."""

    table: pl.DataFrame
    theta: float
    prior: float
    whole_f1: float
    provenance: Provenance
    pending: Job | None = None  # what computes the missing rows


@dataclass(frozen=True)
class StableRegions:
    """Prompts patched along segments: `apart` [pairs, steps] D(α), `sharpness` [pairs], and the
    tables of `concepts.boundaries.Findings`."""

    pairs: int
    apart: np.ndarray
    sharpness: np.ndarray
    boundaries: pl.DataFrame
    sharper: pl.DataFrame
    prediction: pl.DataFrame
    provenance: Provenance


@dataclass(frozen=True)
class Robustness:
    """A corpus partitioned again: `measures` (how, regions, measure, of, value, low, high, n), and
    the best F1 of each region over features (`f1` [K])."""

    measures: pl.DataFrame
    regions: int
    f1: np.ndarray | None
    good: tuple[float, float, float] | None  # share of regions with F1 of .5 or more, its ends
    provenance: Provenance
