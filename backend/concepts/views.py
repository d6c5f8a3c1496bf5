"""What the Concepts page is given: plain data, and the columns of every table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from backend.schema import ConceptRef, Job
from backend.store.views import Provenance

ENDS = dict.fromkeys(("low", "high"), pl.Float64)  # of a 95% interval


@dataclass(frozen=True)
class ConceptChoice:
    """A concept set that can be chosen; `name` stands in links, `title` says where it is from."""

    name: str
    ref: ConceptRef
    title: str


CONCEPTS = pl.Schema(
    {"concept": pl.Int32, "name": pl.String, "genre": pl.String}
    | {
        f"{split}_{kind}": pl.Int64  # texts
        for split in ("train", "test")
        for kind in ("positive", "negative", "hard")
    }
)


@dataclass(frozen=True)
class ConceptsView:
    """A concept set: its concepts, how many texts were left out for which reason, and how many
    were read in several windows."""

    name: str
    concepts: pl.DataFrame  # CONCEPTS
    texts: int
    tokens: int
    dropped: dict[str, int]
    windowed: int
    regions: int
    theta: float
    provenance: Provenance


# AUROC on test texts, of text length, readers fitted to the concept, and of the unit of each kind
# that training texts choose
READERS = pl.Schema(
    {"method": pl.String}
    | {"of": pl.Int64}  # how many the unit was chosen among
    | {"column": pl.Int64}  # -1: fitted, not chosen
    | {"train": pl.Float64, "value": pl.Float64, **ENDS}
    | dict.fromkeys(("positives", "negatives"), pl.Int64)
    | {"best": pl.Float64}  # of all units on the test texts themselves
    | dict.fromkeys(("null_mean", "null_high"), pl.Float64)  # the best under shuffled labels
    | {"tied": pl.Int64}  # units that are as good on training texts
    | dict.fromkeys(("tied_mean", "tied_low", "tied_high"), pl.Float64)  # AUROC of these
)
LEVELS = (0.6, 0.7, 0.8, 0.9)
LEVEL_SHARES = pl.Schema(  # the share of units with an AUROC above each level
    {"method": pl.String, "of": pl.Int64} | {f"above {level:.1f}": pl.Float64 for level in LEVELS}
)
MEANS = pl.Schema(
    {"method": pl.String, "contrast": pl.String, "mean": pl.Float64, **ENDS}
    | dict.fromkeys(("concepts", "positives", "negatives", "texts"), pl.Int64)
    | dict.fromkeys(("chance", "gain", "gain_low", "gain_high"), pl.Float64)
)


@dataclass(frozen=True)
class ConceptAurocs:
    """How well directions tell one concept from a contrast, on test texts. `aurocs` [K] of each
    kind of direction, and of features where the study has an SAE; `over`: means over the concepts
    of the set."""

    contrast: str
    readers: pl.DataFrame  # READERS
    aurocs: dict[str, np.ndarray]
    shares: pl.DataFrame  # LEVEL_SHARES
    over: pl.DataFrame  # MEANS
    provenance: Provenance


# null where a class has no text, and so for its interval; J = TPR + TNR − 1
RATE_ENDS = [f"{name}{end}" for name in ("tpr", "tnr", "j") for end in ("", "_low", "_high")]
CHOSEN_RATES = pl.Schema(
    {"method": pl.String, "rule": pl.String}
    | {"what": pl.String, "regions": pl.Int64}  # best (of 1) | union (of so many)
    | dict.fromkeys(("tp", "fn", "fp", "tn"), pl.Int64)
    | dict.fromkeys(RATE_ENDS, pl.Float64)
    | {"tied": pl.Int64}  # regions that are as good on training texts as the best
    | {f"tied_{name}": pl.Float64 for name in RATE_ENDS}  # mean, lowest and highest of these
)
J_QUANTILES = pl.Schema(
    {"method": pl.String, "rule": pl.String, "regions": pl.Int64}
    | dict.fromkeys(("p5", "median", "p95", "above_half"), pl.Float64)
)


@dataclass(frozen=True)
class Membership:
    """Hard membership on test texts. `js` [K] are J of every region, by method and rule; `best` and
    `unions` the chosen regions."""

    table: pl.DataFrame  # CHOSEN_RATES
    every: pl.DataFrame  # J_QUANTILES
    js: dict[str, np.ndarray]
    best: dict[str, int]
    unions: dict[str, list[int]]
    provenance: Provenance


NEAREST = pl.Schema(
    {
        "text": pl.Int32,
        "token": pl.Int64,  # the text's token nearest to the exemplar
        "distance": pl.Float64,  # to the exemplar
        "owner": pl.Int32,
        "margin": pl.Float64,
        "to_members": pl.Float64,  # mean distance; null without members
        "among_pairs": pl.Float64,  # share of the region's own pairs that are nearer; ties half
        "among_members": pl.Float64,  # share of members whose mean to the others is less
        "kind": pl.String,  # positive | negative
    }
)
QUANTILES = pl.Schema(
    {
        "level": pl.Float64,
        "to_members": pl.Float64,  # of the distances from each nearest token to each member
        "among_pairs": pl.Float64,  # where that lies among the region's own pairs
        "own": pl.Float64,  # of the distances between its members
        "margin": pl.Float64,  # of the nearest tokens
        "kind": pl.String,
    }
)
# null where n is 0. `n` is what Wilson's interval takes as independent: texts, random tokens,
# pairs of members that share none
SHARES = pl.Schema({"of": pl.String, "share": pl.Float64, **ENDS, "n": pl.Int64, "kind": pl.String})


@dataclass(frozen=True)
class NewTextMembership:
    """New texts in one region; `tied` regions are as good on training texts. Two members may be
    `farthest` apart."""

    region: int
    tied: int
    theta: float
    farthest: float
    shares: pl.DataFrame  # SHARES
    quantiles: pl.DataFrame  # QUANTILES
    texts: pl.DataFrame  # NEAREST
    provenance: Provenance


# null, with its interval, where it would divide by nothing
PURITY = pl.Schema(
    {"region": pl.Int32, "count": pl.Int32}  # tokens
    | {"hits": pl.Int32}  # positive ones among them
    | {"purity": pl.Float64, **ENDS}  # hits / count
    | dict.fromkeys(("lift", "lift_low", "lift_high"), pl.Float64)  # purity / share of positives
    | dict.fromkeys(("coverage", "coverage_low", "coverage_high"), pl.Float64)  # of all positives
    | dict.fromkeys(("f1", "f1_low", "f1_high"), pl.Float64)  # 2 hits / (count + all positives)
)
UNITS = pl.Schema({**PURITY, "method": pl.String})
SPLIT = pl.Schema(
    {"units": pl.Int64, "used": pl.Int64}  # parts, and those with a positive token
    | {"effective": pl.Float64, "half": pl.Int64, "most": pl.Int64}  # `split_over_regions`
    | dict.fromkeys(("positives", "uncovered"), pl.Int64)
    | {"whole": pl.Float64}  # `effective` of all tokens
    | {"best_region": pl.Int64}  # the part of highest F1
    | dict.fromkeys(("best_purity", "best_lift", "best_coverage", "best_f1"), pl.Float64)
    | {"f1_low": pl.Float64, "f1_high": pl.Float64}
)
SPLITTING = pl.Schema({"method": pl.String, **SPLIT})
CORRELATIONS = pl.Schema(
    {
        "measure": pl.String,
        "of": pl.String,
        "rho": pl.Float64,  # null below 5 regions, or where size leaves nothing to compare
        **ENDS,  # null likewise, and at ±1
        "n": pl.Int32,  # regions
        "left_out": pl.Int32,  # fewer than 5 tokens, or one of the two unknown
    }
)


@dataclass(frozen=True)
class PurityCoverage:
    """Purity and coverage, of units with a positive token. `whole_f1` is that of calling every
    token positive."""

    units: pl.DataFrame  # UNITS
    splitting: pl.DataFrame  # SPLITTING
    relations: pl.DataFrame  # CORRELATIONS
    prior: float
    whole_f1: float
    left_out: int
    provenance: Provenance


GRAY = pl.Schema(
    {"k": pl.Float64}
    | {"read": pl.Boolean}  # whether the set's tokens are placed in the partition of this k
    | {"theta": pl.Float64, "reach": pl.Float64, "regions": pl.Int64}  # null: no partition yet
    | dict.fromkeys(("gray", "overlap", "ambiguous"), pl.Float64)
    | SPLIT
)


@dataclass(frozen=True)
class GrayZone:
    """What a gray zone does to the partition and to a concept."""

    table: pl.DataFrame  # GRAY
    theta: float
    prior: float
    whole_f1: float
    provenance: Provenance
    pending: Job | None = None  # what computes the missing rows


BOUNDARIES = pl.Schema(
    {
        "measure": pl.String,  # distance | beyond
        "of": pl.String,  # exemplars | coreset | difference
        "mean": pl.Float64,
        **ENDS,
        "n": pl.Int64,  # pairs
        "without": pl.Int64,  # pairs without a boundary of both, left out
        "boundaries": pl.Float64,  # of a pair, on average
    }
)
SHARPNESS = pl.Schema(
    {
        "of": pl.String,
        "one": pl.Float64,  # mean sharpness of matched pairs whose ends are in one region
        "two": pl.Float64,  # … in two
        "difference": pl.Float64,
        **ENDS,
        "n": pl.Int64,  # matches
        "one_region": pl.Int64,  # pairs before matching
        "two_regions": pl.Int64,
    }
)
PREDICTION = pl.Schema(
    {
        "of": pl.String,
        "auroc": pl.Float64,
        **ENDS,
        "n": pl.Int64,  # pairs
        "agree": pl.Int64,  # with the same next token
        "one_region": pl.Int64,
    }
)


@dataclass(frozen=True)
class StableRegions:
    """Prompts patched along segments: `apart` [pairs, steps] D(α), `sharpness` [pairs], and the
    tests of `concepts.boundaries`."""

    pairs: int
    apart: np.ndarray
    sharpness: np.ndarray
    boundaries: pl.DataFrame  # BOUNDARIES
    sharper: pl.DataFrame  # SHARPNESS
    prediction: pl.DataFrame  # PREDICTION
    provenance: Provenance


AGREEMENT = pl.Schema(
    {
        "measure": pl.String,  # found | weighted | agreement
        "of": pl.String,  # exemplars | coreset
        "value": pl.Float64,
        **ENDS,
        "n": pl.Int64,  # regions, or tokens
    }
)
REPEATS = pl.Schema({"how": pl.String, "regions": pl.Int64, **AGREEMENT})


@dataclass(frozen=True)
class Robustness:
    """A corpus partitioned again, and the best F1 of each region over features (`f1` [K])."""

    measures: pl.DataFrame  # REPEATS
    regions: int
    f1: np.ndarray | None
    # share of regions with F1 of .5 or more, its ends
    good: tuple[float | None, float | None, float | None] | None
    provenance: Provenance
