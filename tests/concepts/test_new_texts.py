"""Where new texts lie in a region, and how far apart its members can be."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.concepts.new_texts import LEVELS, RegionSample, farthest, place_texts
from backend.concepts.views import NEAREST, QUANTILES
from backend.regions.nearest import Nearest, assign

THETA = float(np.float32(0.3))


def units(raw: np.ndarray) -> np.ndarray:
    return (raw / np.linalg.norm(raw, axis=-1, keepdims=True)).astype(np.float32)


def cone(rng: np.random.Generator, axis: np.ndarray, n: int, spread: float = 0.1) -> np.ndarray:
    """[n, width] float32 unit vectors around an axis."""
    return units(axis + spread * rng.standard_normal((n, len(axis))))


def given_to(points: np.ndarray, exemplars: np.ndarray) -> Nearest:
    return assign(torch.from_numpy(points), torch.from_numpy(exemplars), THETA)


Tables = dict[str, pl.DataFrame]


def place(
    points: np.ndarray, offsets: np.ndarray, exemplars: np.ndarray, sample: RegionSample
) -> Tables:
    return place_texts(points, offsets, given_to(points, exemplars), sample, "positive")


def world(seed: int = 0) -> tuple[Tables, Tables, np.ndarray]:
    """Texts of three tokens, one of them in the cone of region 0, and texts with none there."""
    rng = np.random.default_rng(seed)
    exemplars, offsets = np.eye(16, dtype=np.float32)[:4], np.arange(0, 91, 3)
    members, random = cone(rng, exemplars[0], 80), units(rng.standard_normal((50, 16)))
    texts = cone(rng, exemplars[1], 90)
    with_one = texts.copy()
    with_one[1::3] = cone(rng, exemplars[0], 30)
    sample = RegionSample(0, THETA, exemplars[0], members, random)
    inside, outside = (place(points, offsets, exemplars, sample) for points in (with_one, texts))
    return inside, outside, members


def test_new_texts_of_the_concept_land_in_its_region_and_others_do_not() -> None:
    inside, outside, _ = world()
    assert inside["nearest"]["token"].to_list() == list(range(1, 90, 3))
    for name in ("within", "owned"):
        row = share(inside, name)
        assert (row["share"], row["n"], row["kind"]) == (1.0, 30, "positive")
        assert row["low"] == pytest.approx(30 / (30 + 1.96**2), abs=1e-3)
        assert share(outside, name)["share"] == 0
    assert inside["nearest"]["margin"].min() > 0.3
    # as far from members as members are from each other, or farther than any
    assert 0.2 < inside["nearest"]["among_members"].mean() < 0.8
    assert outside["nearest"]["among_members"].min() == outside["nearest"]["among_pairs"].min() == 1


def test_distances_are_quantiles_of_the_regions_own() -> None:
    inside, _, members = world(1)
    exact = members.astype(np.float64)
    own = (1 - exact @ exact.T)[np.triu_indices(80, 1)]
    table = inside["quantiles"]
    assert table.schema == QUANTILES
    assert table["own"].to_list() == pytest.approx(np.quantile(own, LEVELS))
    for row in table.iter_rows(named=True):
        assert row["among_pairs"] == pytest.approx((own < row["to_members"]).mean())
    assert table["to_members"].is_sorted()
    others = np.array([(1 - np.delete(exact, i, 0) @ exact[i]).mean() for i in range(80)])
    assert inside["nearest"].schema == NEAREST
    for row in inside["nearest"].iter_rows(named=True):
        assert row["among_pairs"] == pytest.approx((own < row["to_members"]).mean())
        assert row["among_members"] == pytest.approx((others < row["to_members"]).mean())
    assert inside["nearest"]["among_members"].n_unique() > 5


def test_at_a_real_threshold_the_check_of_two_theta_passes_anything() -> None:
    rng = np.random.default_rng(5)
    exemplars = np.eye(16, dtype=np.float32)[:2]
    other, members = cone(rng, exemplars[1], 20, 0.01), cone(rng, exemplars[0], 40)
    random = units(rng.standard_normal((30, 16)))
    sample = RegionSample(0, 0.9, exemplars[0], members, random)
    large = place(other, np.arange(21), exemplars, sample)
    assert share(large, "owned")["share"] == share(large, "within")["share"] == 0
    assert share(large, "pairs")["share"] == share(large, "each")["share"] == 1
    assert share(large, "random_pairs")["share"] == 1
    assert share(large, "random_pairs")["n"] == 30
    small = place(other, np.arange(21), exemplars, replace(sample, theta=0.1))
    assert share(small, "pairs")["share"] == 0
    own = share(small, "own_pairs")
    apart = 1 - members @ members.T
    assert own["share"] == pytest.approx((apart[np.triu_indices(40, 1)] < 0.2).mean())
    assert 0.5 < own["share"] < 1
    assert own["n"] == 20


def test_members_or_texts_may_be_missing_but_no_text_is_empty() -> None:
    points, exemplar = np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32)[0]
    nothing = points[:0]
    sample = RegionSample(0, THETA, exemplar, points[:1], nothing)
    alone = place(points, np.array([0, 4]), points, sample)
    assert alone["nearest"]["among_pairs"].to_list() == [None]
    assert alone["quantiles"]["own"].to_list() == [None] * len(LEVELS)
    row = share(alone, "random_pairs")
    assert [row[name] for name in ("share", "low", "high", "n")] == [None, None, None, 0]
    sample = replace(sample, members=points, random=points)
    none = place(nothing, np.array([0]), points, sample)
    assert share(none, "within")["share"] is None
    assert none["quantiles"]["to_members"].null_count() == len(LEVELS)
    with pytest.raises(ValueError, match="text 1 has no token"):
        place(points, np.array([0, 2, 2, 4]), points, sample)


def share(tables: Tables, name: str) -> dict[str, float]:
    return tables["shares"].filter(of=name).row(0, named=True)


# ---------------------------------------------------------------- how far members can be apart


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    width=st.integers(2, 12),
    theta=st.floats(0.001, 1.0),
    parts=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_two_points_within_theta_of_a_third_are_at_most_so_far_apart(
    seed: int, width: int, theta: float, parts: tuple[float, float]
) -> None:
    rng = np.random.default_rng(seed)
    centre, *sides = rng.standard_normal((3, width))
    centre /= np.linalg.norm(centre)
    pair = []
    for side, part in zip(sides, parts, strict=True):
        side = side - (side @ centre) * centre
        angle = part * math.acos(1 - theta)
        pair.append(math.cos(angle) * centre + math.sin(angle) * side / np.linalg.norm(side))
        assert 1 - pair[-1] @ centre <= theta + 1e-9
    assert 1 - pair[0] @ pair[1] <= farthest(theta) + 1e-9


@given(st.floats(0.001, 1.0))
def test_that_far_apart_they_can_be_which_is_more_than_two_theta(theta: float) -> None:
    angle = math.acos(1 - theta)
    one, other = (np.array([math.cos(a), math.sin(a)]) for a in (angle, -angle))
    assert 1 - one @ other == pytest.approx(farthest(theta), abs=1e-9)
    assert farthest(theta) > 2 * theta or theta > 0.999
    assert farthest(1.0) == farthest(1.3) == 2.0
