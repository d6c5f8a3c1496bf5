"""Likeness of concepts and sets over τ, with planted experts."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from backend.evals.expert_lens import (
    similarity,
    summaries,
)
from backend.evals.expert_lens.experts import TAUS
from backend.models import linear_maps
from backend.statistics.agreement import cosines


def test_agreement_with_people_beside_its_null_and_the_embedder() -> None:
    rng = np.random.default_rng(5)
    places = rng.normal(size=(30, 3))
    near = cosines(places)
    noise = cosines(rng.normal(size=(30, 3)))
    one, other = (part[:80] for part in np.triu_indices(30, 1))
    every: list[similarity.Measure] = [("cosine", None, near), ("embedder", None, noise)]
    ours, base = similarity.agreements(near[one, other] * 10, one, other, every, 0)
    names = list(similarity.AGREEMENT)[1:]
    ours, base = (dict(zip(names, row, strict=True)) for row in (ours, base))
    assert ours["rho"] == pytest.approx(1)
    assert ours["low"] == pytest.approx(1)
    assert ours["over"] == pytest.approx(1 - base["rho"])
    assert ours["over_low"] > 0
    assert ours["null_low"] < 0 < ours["null_high"] < 0.7
    assert base["low"] < 0.3
    assert base["high"] > -0.3
    assert base["over_low"] is None
    assert (ours["n"], ours["words"]) == (80, len(np.union1d(one, other)))


# ---------------------------------------------------------------- sets over τ


class Stored:
    """What a memo entry gives of arrays at hand."""

    def __init__(self, **arrays: Any) -> None:
        self.arrays = arrays

    def array(self, name: str) -> np.ndarray:
        return self.arrays[name]


def planted(seed: int = 0) -> list[Any]:
    """Six concepts in two groups over 400 units, read in two halves; the first 20 units know all of
    the first group."""
    rng = np.random.default_rng(seed)
    entries = []
    for concept in range(6):
        train, test = (rng.normal(0.33, 0.03, 400).astype(np.float32) for _ in range(2))
        own = slice(100 + 20 * concept, 110 + 20 * concept)
        shared = slice(0, 20) if concept < 3 else slice(20, 40)
        for half in (train, test):
            half[own] = half[shared] = 0.9
        entries.append(Stored(train=train, test=test, null_above=np.zeros(len(TAUS))))
    return entries


def test_planted_groups_stand_together_and_are_found_again() -> None:
    entries = planted()
    likeness = Stored(**similarity.concept_likeness.function(entries, entries))  # type: ignore[arg-type]
    tree = summaries.tree(likeness.array("centred"))
    assert {frozenset(tree.order[:3]), frozenset(tree.order[3:])} == {
        frozenset(range(3)), frozenset(range(3, 6))
    }  # fmt: skip
    stop = TAUS.index(0.5)
    assert likeness.array("sizes")[stop].tolist() == [[30] * 6] * 2
    assert likeness.array("experts")[stop][0, 1] == pytest.approx(20 / 40)
    rows = {
        row["of"]: row["value"]
        for row in summaries.stability(likeness).filter(tau=0.5).iter_rows(named=True)
    }  # type: ignore[arg-type]
    assert rows["same"] == 1
    assert rows["other"] == pytest.approx((2 * 0.5 + 3 * 0) / 5)
    assert rows["random"] == pytest.approx((900 / 400) / (60 - 900 / 400))
    row = summaries.expert_counts(likeness, entries).row(stop, named=True)  # type: ignore[arg-type]
    assert (row["experts"], row["kept"], row["n"]) == (30, 1, 6)
    repeated = {
        row["measure"]: row["value"]
        for row in summaries.repeatability.function(likeness, 0)["again"].iter_rows(named=True)
    }  # type: ignore[arg-type]
    assert repeated["known"] == 1


def test_concepts_without_experts_are_not_known_again() -> None:
    rng = np.random.default_rng(0)
    noise = [
        Stored(
            **{half: rng.normal(0.33, 0.03, 400).astype(np.float32) for half in ("train", "test")}
        )
        for _ in range(5)
    ]
    likeness = Stored(**similarity.concept_likeness.function(noise, noise))  # type: ignore[arg-type]
    repeated = {
        row["measure"]: row
        for row in summaries.repeatability.function(likeness, 0)["again"].iter_rows(named=True)
    }  # type: ignore[arg-type]
    assert repeated["known"]["value"] == 0
    assert not len(
        summaries.stability(likeness).filter((pl.col("tau") == 0.95) & (pl.col("n") > 0))
    )  # type: ignore[arg-type]


def test_heat_is_the_share_of_each_map() -> None:
    maps = pl.DataFrame(
        [(0, "q", 0, 4), (0, "v", 4, 2), (1, "q", 6, 4)], schema=linear_maps.MAPS, orient="row"
    )
    train = np.array([1, 1, 0, 0, 0, 1, 0, 0, 0, 1], dtype=np.float32)
    layers, modules, heat = summaries.expert_shares(train, maps)
    assert (layers, modules) == ((0, 1), ("q", "v"))
    assert heat[0, 0].tolist() == [0.5, 0.5]
    assert heat[0, 1, 0] == 0.25
    assert np.isnan(heat[0, 1, 1])
