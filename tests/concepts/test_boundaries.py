"""The three tests of boundaries, on planted pairs."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.concepts import boundaries
from backend.concepts.boundaries import Segment, envelope
from backend.regions import partitioning
from backend.schema import (
    PartitionSpec,
)
from backend.study import loading as studies
from tests.concepts.conftest import interpolated, units
from tests.conftest import WIDTH


def planted(pairs: int = 40) -> dict[str, np.ndarray]:
    """Pairs in the plane. Exemplars are the axes, so that regions end at 45°; half of the pairs
    stay near an axis, and the output of the others jumps at the boundary between them."""
    rng = np.random.default_rng(0)
    size = rng.uniform(2, 4, pairs)
    ends = np.zeros((pairs, 2, 2))
    ends[:, 0] = np.column_stack([size, 0.1 * size])
    cross = np.arange(pairs) % 2 == 1
    ends[:, 1] = np.where(
        cross[:, None],
        np.column_stack([0.1 * size, rng.uniform(0.5, 2, pairs) * size]),
        ends[:, 0] + np.column_stack([rng.uniform(0.5, 2, pairs) * size, 0 * size]),
    )
    axes = np.eye(2)
    steepest = np.full(pairs, 0.5)
    for pair in np.flatnonzero(cross):
        steepest[pair] = envelope(ends[pair, 0], ends[pair, 1], axes, np.zeros(2)).bounds[0]
    sharp = np.where(cross, 6.0, 2.0) + rng.normal(0, 0.1, pairs)
    following = np.column_stack([np.zeros(pairs), cross]).astype(np.int64)
    return {"ends": ends, "sharpness": sharp, "steepest": steepest, "next": following}


def findings(coreset: np.ndarray, **changed: np.ndarray) -> dict[str, pl.DataFrame]:
    return tables_of(planted() | changed, np.eye(2), coreset, np.zeros(2))


def tables_of(
    arrays: dict[str, np.ndarray], exemplars: np.ndarray, coreset: np.ndarray, centre: np.ndarray
) -> dict[str, pl.DataFrame]:
    directions = {"exemplars": exemplars, "coreset": coreset}
    return boundaries.boundary_tests(arrays, directions, centre, seed=0)


def turned(degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def test_jumps_at_the_boundaries_are_found_there() -> None:
    table = findings(turned(30))["boundaries"]
    rows = {(r["measure"], r["of"]): r for r in table.iter_rows(named=True)}
    row = rows["distance", "exemplars"]
    assert row["mean"] == pytest.approx(0, abs=1e-12)
    assert (row["n"], row["without"], row["boundaries"]) == (20, 20, 1.0)
    assert rows["distance", "difference"]["high"] < 0
    assert rows["distance", "difference"]["n"] == rows["distance", "coreset"]["n"] == 20
    assert rows["beyond", "exemplars"]["high"] < 0
    assert rows["beyond", "exemplars"]["mean"] < rows["beyond", "coreset"]["mean"]


def test_many_boundaries_are_near_but_not_beyond_what_other_pairs_show() -> None:
    angle = np.radians(np.arange(0, 360, 2.0))
    rng = np.random.default_rng(3)
    table = findings(
        np.column_stack([np.cos(angle), np.sin(angle)]), steepest=rng.uniform(0, 1, 40)
    )["boundaries"]
    rows = {(r["measure"], r["of"]): r for r in table.iter_rows(named=True)}
    assert rows["distance", "coreset"]["mean"] < rows["distance", "exemplars"]["mean"] / 2
    assert rows["distance", "coreset"]["boundaries"] > 10
    for kind in ("exemplars", "coreset"):
        assert rows["beyond", kind]["low"] < 0 < rows["beyond", kind]["high"]


def test_beyond_is_the_distance_less_that_of_the_other_pairs() -> None:
    segments = [
        Segment(np.array([0.5]), np.array([0, 1])),
        Segment(np.array([]), np.array([2])),
        Segment(np.array([0.2, 0.8]), np.array([0, 1, 2])),
    ]
    own, margin = boundaries.boundary_distances(segments, np.array([0.4, 0.9, 0.8]))
    assert np.allclose(own, [0.1, np.nan, 0.0], equal_nan=True)
    assert np.allclose(margin, [0.1 - 0.3, np.nan, 0.0 - 0.2], equal_nan=True)


def test_pairs_within_a_region_are_less_sharp() -> None:
    table = findings(np.eye(2))["sharper"]
    for row in table.iter_rows(named=True):
        assert row["one_region"] == row["two_regions"] == 20
        assert 5 < row["n"] <= 20
        assert row["one"] == pytest.approx(2, abs=0.2)
        assert row["two"] == pytest.approx(6, abs=0.2)
        assert row["low"] < -4 < row["high"]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 60))
def test_matches_are_near_and_nobody_is_matched_twice(seed: int, pairs: int) -> None:
    rng = np.random.default_rng(seed)
    apart, one = rng.uniform(0, 1, pairs), rng.random(pairs) < 0.5
    matches = boundaries.match_pairs(apart, one, seed)
    assert one[matches[:, 0]].all()
    assert not one[matches[:, 1]].any()
    assert len(set(matches.ravel().tolist())) == 2 * len(matches)
    gaps = np.abs(apart[matches[:, 0]] - apart[matches[:, 1]])
    assert (gaps <= 0.2 * apart.std(ddof=1)).all()
    free = np.setdiff1d(np.flatnonzero(~one), matches[:, 1])
    for row in np.setdiff1d(np.flatnonzero(one), matches[:, 0]):  # nobody near was left for these
        assert not (np.abs(apart[free] - apart[row]) <= 0.2 * apart.std(ddof=1)).any()


def test_same_region_tells_same_next_token() -> None:
    table = findings(turned(30))["prediction"]
    exemplars = table.row(0, named=True)
    assert exemplars["auroc"] == 1.0
    assert exemplars["low"] > 0.8
    assert (exemplars["n"], exemplars["agree"], exemplars["one_region"]) == (40, 20, 20)
    shuffled = planted()["next"][np.random.default_rng(5).permutation(40)]
    chance = findings(turned(30), next=shuffled)["prediction"].row(0, named=True)
    assert chance["low"] < 0.5 < chance["high"]


def test_groups_without_a_pair_say_nothing_and_raise_nothing() -> None:
    alone = np.ones((1, 2)) / np.sqrt(2)
    tables = tables_of(planted(), alone, alone, np.zeros(2))
    assert tables["boundaries"]["mean"].to_list() == [None] * 6
    assert tables["boundaries"]["n"].to_list() == [0] * 6
    assert tables["boundaries"]["without"].to_list() == [40] * 6
    assert tables["sharper"]["difference"].to_list() == [None] * 2
    assert tables["sharper"]["n"].to_list() == [0] * 2
    assert tables["prediction"]["auroc"].to_list() == [0.5] * 2
    unlike = findings(np.eye(2), next=np.array([[0, 1]] * 40))
    assert unlike["prediction"]["auroc"].to_list() == [None] * 2
    assert unlike["prediction"]["agree"].to_list() == [0] * 2


def test_pairs_without_a_distance_are_left_out() -> None:
    whole = planted()
    sharp = whole["sharpness"].copy()
    sharp[:4] = np.nan
    tables = findings(np.eye(2), sharpness=sharp)
    assert tables["prediction"]["n"].to_list() == [36, 36]
    assert tables["sharper"]["one_region"].to_list() == [18, 18]
    none = findings(np.eye(2), sharpness=np.full(40, np.nan))
    assert none["prediction"]["n"].to_list() == [0, 0]
    assert none["boundaries"]["n"].to_list() == [0] * 6


def test_what_is_read_can_be_tested(small: str) -> None:
    entry = interpolated(small, pairs=16)
    study = studies.load(small)
    partition = partitioning.build_partition(study.cut(PartitionSpec(p=10)))
    centre = partitioning.centre(study.reading).array("centre")
    exemplars = partition.array("exemplars")
    coreset = units(np.random.default_rng(0), len(exemplars), WIDTH)
    arrays = {name: entry.array(name) for name in ("ends", "sharpness", "steepest", "next")}
    tables = tables_of(arrays, exemplars, coreset, centre)
    same = tables["sharper"]["one_region"][0]
    rows = entry.array("first") + entry.array("length") - 1
    owner = partition.array("owner")[rows]
    assert same == int((owner[:, 0] == owner[:, 1]).sum()) >= 8
    crossed = [
        [len(s.bounds) > 0 for s in segments_of(arrays, vectors, centre)]
        for vectors in (exemplars, coreset)
    ]
    assert sum(crossed[0]) == 16 - same
    both = np.logical_and(crossed[0], crossed[1]).sum()
    assert tables["boundaries"]["n"].to_list() == [both] * 6
    assert tables["boundaries"]["without"].to_list() == [16 - both] * 6


def segments_of(
    arrays: dict[str, np.ndarray], exemplars: np.ndarray, centre: np.ndarray
) -> list[Segment]:
    return [envelope(a, b, exemplars.astype(np.float64), centre) for a, b in arrays["ends"]]


def test_the_difference_is_that_of_the_means_beside_it() -> None:
    """All pairs cross a boundary of the coreset, half of them one of both."""
    angle = np.radians(np.arange(0, 360, 2.0))
    fan = np.column_stack([np.cos(angle), np.sin(angle)])
    table = findings(fan, steepest=np.random.default_rng(2).uniform(0, 1, 40))["boundaries"]
    for measure in ("distance", "beyond"):
        rows = {r["of"]: r for r in table.filter(measure=measure).iter_rows(named=True)}
        assert {r["n"] for r in rows.values()} == {20}
        left = rows["exemplars"]["mean"] - rows["coreset"]["mean"]
        assert rows["difference"]["mean"] == pytest.approx(left, abs=1e-12)
