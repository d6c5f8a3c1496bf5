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
from backend.evals.expert_lens.views import CHOSEN, RECOVERY, SIZES, STABILITY, TOP, Tree
from backend.statistics.intervals import Ends, mean_interval, share_interval
from backend.store.memo import Entry, memoize

LISTED = 40  # units
GROUPS = 8  # branches of the tree that are told apart


def tree(likeness: np.ndarray) -> Tree:
    """Average linkage and classical scaling of 1 − likeness [concepts, concepts]."""
    distance = np.clip(1 - likeness, 0, None)
    np.fill_diagonal(distance, 0)
    distance = (distance + distance.T) / 2
    hierarchy = scipy.cluster.hierarchy
    linked = hierarchy.linkage(scipy.spatial.distance.squareform(distance), "average")
    drawing = hierarchy.dendrogram(linked, no_plot=True)
    # scikit-learn's ClassicalMDS keeps two eigenvalues only, and `shown` is a share of them all
    middle = np.eye(len(distance)) - 1 / len(distance)
    values, vectors = np.linalg.eigh(-middle @ distance**2 @ middle / 2)
    largest = np.clip(values[:-3:-1], 0, None)
    positive = np.clip(values, 0, None).sum()
    return Tree(
        order=tuple(drawing["leaves"]),
        x=np.array(drawing["icoord"]),
        y=np.array(drawing["dcoord"]),
        groups=tuple(hierarchy.fcluster(linked, GROUPS, "maxclust").tolist()),
        places=vectors[:, :-3:-1] * np.sqrt(largest),
        shown=float(largest.sum() / positive) if positive else 0.0,
    )


def stability(compared: Entry) -> pl.DataFrame:
    """`STABILITY`: mean Jaccard of train and test sets, of one concept, of two, and by chance; of
    concepts that have an expert in either."""
    rows = []
    crossed, chance = (np.asarray(compared.array(name)) for name in ("across", "random"))
    for tau, across, random in zip(TAUS, crossed, chance, strict=True):
        others = np.where(np.eye(len(across), dtype=bool), np.nan, across)
        empty = np.asarray(np.isnan(others).all(axis=1))
        apart = np.nanmean(np.where(empty[:, None], 0, others), axis=1)[~empty]
        each = {"same": across.diagonal(), "other": apart, "random": random.diagonal()}
        for kind, shares in each.items():
            defined = np.asarray(shares)[np.isfinite(shares)]
            rows.append((tau, kind, *mean_share(defined), len(defined)))
    return pl.DataFrame(rows, schema=STABILITY, orient="row")


def mean_share(shares: np.ndarray) -> Ends:
    """Mean of shares and its 95% t interval, cut to what a share can be."""
    mean, low, high = mean_interval(shares)
    return mean, None if low is None else max(low, 0.0), None if high is None else min(high, 1.0)


def expert_counts(compared: Entry, concepts: Sequence[Entry]) -> pl.DataFrame:
    """`CHOSEN`: how many units are experts at each τ, of them on test, and by chance."""
    null = np.mean([entry.array("null_above") for entry in concepts], axis=0)
    width = len(concepts[0].array("train"))
    sizes, crossed = (np.asarray(compared.array(name)) for name in ("sizes", "across"))
    rows = []
    for tau, (one, other), across, chance in zip(TAUS, sizes, crossed, null, strict=True):
        shared = across.diagonal()
        both = np.nan_to_num(shared * (one + other) / (1 + shared))
        shares = both[one > 0] / one[one > 0]
        averages = float(np.median(one)), float(one.mean() / width)
        rows.append((tau, *averages, *mean_share(shares), len(shares), float(chance)))
    return pl.DataFrame(rows, CHOSEN, orient="row")


@memoize("expert_lens.repeatability", version=1)
def repeatability(compared: Entry, seed: int) -> dict[str, Any]:
    """Table `again` (`RECOVERY`): are concepts as alike in the other half, and is each known there
    by its experts at τ = .5, of which test must share more with its own train set than
    with another's?"""
    run.report(0, 1, "Comparing halves")
    one, other = (np.asarray(compared.array(f"cosine_{half}")) for half in ("train", "test"))
    likeness = _likeness("likeness", one, other, seed)
    across = np.nan_to_num(np.asarray(compared.array("across"))[TAUS.index(0.5)])
    own = across.diagonal()
    rival = np.where(np.eye(len(across), dtype=bool), 0, across).max(axis=1)
    right, n = int((own > rival).sum()), len(across)
    known = ("known", *share_interval(right, n), n, 1 / n, None, None)
    return {"again": pl.DataFrame([likeness, known], RECOVERY, orient="row")}


def _likeness(name: str, one: np.ndarray, other: np.ndarray, seed: int) -> tuple[Any, ...]:
    """A row of `RECOVERY`: `similarity.reliability` of two matrices over the same concepts."""
    rho, low, high, *null = similarity.reliability(one, other, seed)
    return name, rho, low, high, len(one), None if None in null else sum(null) / 2, *null


@memoize("expert_lens.likeness_agreement", version=1)
def likeness_agreement(
    one: Entry, other: Entry, rows: list[int], columns: list[int], seed: int
) -> dict[str, Any]:
    """Table `again` (`RECOVERY`, one row): are concepts as alike in another run? Given are two
    `concept_likeness`, and the numbers of the same concepts in each."""
    run.report(0, 1, "Comparing runs")
    parts = ((one, rows), (other, columns))
    first, second = (
        np.asarray(entry.array("centred"))[np.ix_(indices, indices)] for entry, indices in parts
    )
    row = _likeness("elsewhere", first, second, seed)
    return {"again": pl.DataFrame([row], RECOVERY, orient="row")}


def top(train: np.ndarray, test: np.ndarray, maps: pl.DataFrame) -> pl.DataFrame:
    """`TOP`: the units of highest AP on train; equals share a rank."""
    units = np.argsort(-train, kind="stable")[:LISTED]
    index = np.searchsorted(maps["first"].to_numpy(), units, side="right") - 1
    return pl.DataFrame(
        {
            "rank": [1 + int((train > train[unit]).sum()) for unit in units],
            "unit": units,
            "layer": maps["layer"].gather(index),
            "module": maps["module"].gather(index),
            "within": units - maps["first"].to_numpy()[index],
            "train": train[units],
            "test": test[units],
        },
        TOP,
    )


def expert_shares(
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
    """`SIZES` of one concept: experts on train, and the share of them that are so on test."""
    rows = []
    for tau, chance in zip(TAUS, null, strict=True):
        is_expert = train >= np.float32(tau)
        repeated, count = int((test[is_expert] >= np.float32(tau)).sum()), int(is_expert.sum())
        rows.append((tau, count, *share_interval(repeated, count), chance * len(train)))
    return pl.DataFrame(rows, SIZES, orient="row")
