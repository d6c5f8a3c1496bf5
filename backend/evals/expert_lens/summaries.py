"""Experts and concepts summed up: sets over τ, beside what chance gives; a tree and a map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import scipy  # its parts load when they are used

from backend import run
from backend.evals.expert_lens import experts, similarity
from backend.evals.expert_lens.experts import TAUS
from backend.evals.expert_lens.views import Tree
from backend.statistics.intervals import Ends, mean_interval, wilson
from backend.store.memo import Entry, memoize

TOP = 40  # units listed
GROUPS = 8  # branches of the tree that are told apart
STABILITY = pl.Schema(
    {"tau": pl.Float64, "of": pl.String, "value": pl.Float64, "low": pl.Float64,
     "high": pl.Float64, "n": pl.Int64}
)  # fmt: skip
AGAIN = pl.Schema(
    {"measure": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64,
     "n": pl.Int64, "null": pl.Float64, "null_low": pl.Float64, "null_high": pl.Float64}
)  # fmt: skip


def tree(likeness: np.ndarray) -> Tree:
    """Average linkage and classical scaling of 1 − likeness [concepts, concepts]."""
    distance = np.clip(1 - likeness, 0, None)
    np.fill_diagonal(distance, 0)
    distance = (distance + distance.T) / 2
    hierarchy = scipy.cluster.hierarchy
    linked = hierarchy.linkage(scipy.spatial.distance.squareform(distance), "average")
    drawn = hierarchy.dendrogram(linked, no_plot=True)
    # scikit-learn's ClassicalMDS keeps two eigenvalues only, and `shown` is a share of them all
    middle = np.eye(len(distance)) - 1 / len(distance)
    values, vectors = np.linalg.eigh(-middle @ distance**2 @ middle / 2)
    kept = np.clip(values[:-3:-1], 0, None)
    positive = np.clip(values, 0, None).sum()
    return Tree(
        order=tuple(drawn["leaves"]),
        x=np.array(drawn["icoord"]),
        y=np.array(drawn["dcoord"]),
        groups=tuple(hierarchy.fcluster(linked, GROUPS, "maxclust").tolist()),
        places=vectors[:, :-3:-1] * np.sqrt(kept),
        shown=float(kept.sum() / positive) if positive else 0.0,
    )


def stability(compared: Entry) -> pl.DataFrame:
    """`STABILITY`: mean Jaccard of train and test sets, of one concept, of two, and by chance; of
    concepts that have an expert in either."""
    rows = []
    crossed, chance = (np.asarray(compared.array(name)) for name in ("across", "random"))
    for at, tau in enumerate(TAUS):
        across, random = crossed[at], chance[at]
        others = np.where(np.eye(len(across), dtype=bool), np.nan, across)
        empty = np.asarray(np.isnan(others).all(axis=1))
        apart = np.nanmean(np.where(empty[:, None], 0, others), axis=1)[~empty]
        each = {"same": across.diagonal(), "other": apart, "random": random.diagonal()}
        for kind, shares in each.items():
            defined = np.asarray(shares)[np.isfinite(shares)]
            rows.append((tau, kind, *within(defined), len(defined)))
    return pl.DataFrame(rows, schema=STABILITY, orient="row")


def within(shares: np.ndarray) -> Ends:
    """Mean of shares and its 95% t interval, cut to what a share can be."""
    mean, low, high = mean_interval(shares)
    return mean, None if low is None else max(low, 0.0), None if high is None else min(high, 1.0)


def chosen(compared: Entry, concepts: Sequence[Entry]) -> pl.DataFrame:
    """How many units are experts at each τ, how many of them again on test, and by chance: tau,
    experts, share, kept, low, high, n, null."""
    null = np.mean([entry.array("null_above") for entry in concepts], axis=0)
    width = len(concepts[0].array("train"))
    sizes, across = (np.asarray(compared.array(name)) for name in ("sizes", "across"))
    rows = []
    for at, tau in enumerate(TAUS):
        one, other = sizes[at].astype(float)
        shared = across[at].diagonal()
        both = np.nan_to_num(shared * (one + other) / (1 + shared))
        kept = both[one > 0] / one[one > 0]
        counted = float(np.median(one)), float(one.mean() / width)
        rows.append((tau, *counted, *within(kept), len(kept), float(null[at])))
    names = ["tau", "experts", "share", "kept", "low", "high", "n", "null"]
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


@memoize("expert_lens.repeatability", version=1)
def again(compared: Entry, seed: int) -> dict[str, Any]:
    """Table `again` (`AGAIN`): are concepts as alike in the other half, and is each known there by
    its experts at τ = .5, of which test must share more with its own train set than with another's?
    """
    run.report(0, 1, "Comparing halves")
    one, other = (np.asarray(compared.array(f"cosine_{half}")) for half in ("train", "test"))
    rho, low, high, *null = similarity.reliability(one, other, seed)
    across = np.nan_to_num(np.asarray(compared.array("across"))[TAUS.index(0.5)])
    own = across.diagonal()
    rival = np.where(np.eye(len(across), dtype=bool), 0, across).max(axis=1)
    right, n = int((own > rival).sum()), len(across)
    low_share, high_share = wilson(right, n)
    middle = None if None in null else sum(null) / 2
    rows = [
        ("likeness", rho, low, high, n, middle, *null),
        ("known", right / n, float(low_share), float(high_share), n, 1 / n, None, None),
    ]
    return {"again": pl.DataFrame(rows, schema=AGAIN, orient="row")}


@memoize("expert_lens.likeness_agreement", version=1)
def alike(
    one: Entry, other: Entry, rows: list[int], columns: list[int], seed: int
) -> dict[str, Any]:
    """Table `again` (`AGAIN`, one row): are concepts as alike in another run? Given are `compared`,
    and the numbers of the same concepts in each."""
    run.report(0, 1, "Comparing runs")
    parts = ((one, rows), (other, columns))
    first, second = (np.asarray(entry.array("centred"))[np.ix_(at, at)] for entry, at in parts)
    rho, low, high, *null = similarity.reliability(first, second, seed)
    middle = None if None in null else sum(null) / 2
    row = "elsewhere", rho, low, high, len(rows), middle, *null
    return {"again": pl.DataFrame([row], schema=AGAIN, orient="row")}


def top(train: np.ndarray, test: np.ndarray, maps: pl.DataFrame) -> pl.DataFrame:
    """The units of highest AP on train: rank (shared by equals), unit, layer, module, within (the
    map), train, test."""
    chosen = np.argsort(-train, kind="stable")[:TOP]
    at = np.searchsorted(maps["first"].to_numpy(), chosen, side="right") - 1
    return pl.DataFrame(
        {
            "rank": [1 + int((train > train[unit]).sum()) for unit in chosen],
            "unit": chosen,
            "layer": maps["layer"].gather(at),
            "module": maps["module"].gather(at),
            "within": chosen - maps["first"].to_numpy()[at],
            "train": train[chosen],
            "test": test[chosen],
        }
    )


def heat_of(
    train: np.ndarray, maps: pl.DataFrame
) -> tuple[tuple[int, ...], tuple[str, ...], np.ndarray]:
    """Layers, modules, and [taus, layers, modules] the share of a map's units with AP of τ or more;
    NaN where a layer has no such module."""
    layers, modules = (
        maps[name].unique(maintain_order=True).to_list() for name in ("layer", "module")
    )
    heat = np.full((len(TAUS), len(layers), len(modules)), np.nan)
    for layer, module, first, width in maps.iter_rows():
        part = train[first : first + width] if width else train
        heat[:, layers.index(layer), modules.index(module)] = experts.above(part)
    return tuple(layers), tuple(modules), heat


def sizes(train: np.ndarray, test: np.ndarray, null: np.ndarray) -> pl.DataFrame:
    """Of one concept: tau, experts on train, kept (share on test) with its interval, null."""
    rows = []
    for at, tau in enumerate(TAUS):
        chosen = train >= np.float32(tau)
        kept, count = int((test[chosen] >= np.float32(tau)).sum()), int(chosen.sum())
        ends = [float(end) if count else None for end in wilson(kept, count)]
        rows.append((tau, count, kept / count if count else None, *ends, null[at] * len(train)))
    names = ["tau", "experts", "kept", "low", "high", "null"]
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)
