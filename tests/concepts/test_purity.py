"""Purity, coverage and splitting of a concept over regions, and what goes with their shape."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import polars as pl
import pytest
import scipy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.concepts.purity import (
    CORRELATIONS,
    PURITY,
    entropy,
    purity_of_counts,
    purity_of_owners,
    shape_correlations,
    split_over_regions,
)
from backend.regions.nearest import assign
from backend.statistics.correlation import partial_spearman
from backend.statistics.intervals import Z, wilson

RATIOS = [name for name, kind in PURITY.items() if kind == pl.Float64]


def planted(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Owners of 4,000 tokens in 12 cones, and which 1,000 are a concept's: 500, 300 and 200 in
    cones 7, 2 and 9, which hold 100 others each."""
    rng = np.random.default_rng(seed)
    axes = np.eye(24, dtype=np.float32)[:12]
    sizes = {7: 100, 2: 100, 9: 100} | dict.fromkeys((0, 1, 3, 4, 5, 6, 8, 10, 11), 300)
    others = np.repeat([*sizes], [*sizes.values()])
    home = np.append(np.repeat([7, 2, 9], [500, 300, 200]), others)
    raw = axes[home] + 0.05 * rng.standard_normal((len(home), 24))
    points = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
    owner = assign(torch.from_numpy(points), torch.from_numpy(axes), 0.3).owner
    return owner, np.arange(len(home)) < 1000


# ---------------------------------------------------------------- purity and coverage


def test_a_planted_concept_is_found_where_it_lies() -> None:
    owner, positive = planted()
    table = purity_of_owners(owner, positive, 12)
    assert table.schema == PURITY
    best = table.sort("f1", descending=True)
    assert best["region"][:3].to_list() == [7, 2, 9]
    assert best["coverage"][:4].to_list() == [0.5, 0.3, 0.2, 0.0]
    assert best["purity"][:3].to_list() == pytest.approx([5 / 6, 3 / 4, 2 / 3])
    assert best["lift"][0] == pytest.approx(5 / 6 * 4)
    split = split_over_regions(table["hits"].to_numpy())
    assert split["effective"] == pytest.approx(
        math.exp(-sum(p * math.log(p) for p in (0.5, 0.3, 0.2)))
    )
    assert (split["half"], split["most"], split["positives"], split["uncovered"]) == (1, 3, 1000, 0)


def test_shuffled_labels_are_as_pure_as_the_corpus_everywhere() -> None:
    owner, positive = planted()
    rng = np.random.default_rng(1)
    prior, holds = float(positive.mean()), []
    for _ in range(40):
        table = purity_of_owners(owner, rng.permutation(positive), 12)
        holds += table.select(inside(prior)).to_series().to_list()
        assert (split_over_regions(table["hits"].to_numpy())["effective"] or 0) > 10
    assert np.mean(holds) > 0.92
    assert not purity_of_owners(owner, positive, 12).select(inside(prior)).to_series().any()


def inside(prior: float) -> pl.Expr:
    return pl.lit(prior).is_between(pl.col("low"), pl.col("high"))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 80), st.integers(1, 7))
def test_the_table_is_what_counting_token_by_token_gives(
    seed: int, tokens: int, regions: int
) -> None:
    rng = np.random.default_rng(seed)
    owner, positive = rng.integers(-1, regions, tokens), rng.random(tokens) < 0.4
    positive[0] = True
    for row in purity_of_owners(owner, positive, regions).iter_rows(named=True):
        mine, positives = owner == row["region"], positive.sum()
        n, hits = int(mine.sum()), int((mine & positive).sum())
        assert (row["count"], row["hits"]) == (n, hits)
        assert row["coverage"] == pytest.approx(hits / positives)
        ends = np.stack(wilson(hits, positives, Z)).tolist()
        assert [row["coverage_low"], row["coverage_high"]] == pytest.approx(ends)
        assert row["f1"] == pytest.approx(2 * hits / (n + positives))
        assert row["f1_low"] - 1e-9 <= row["f1"] <= row["f1_high"] + 1e-9
        if not n:
            assert row["purity"] is row["low"] is row["high"] is row["lift"] is None
            continue
        assert row["purity"] == pytest.approx(hits / n)
        assert row["lift"] == pytest.approx(hits / n / positive.mean())
        assert [row["low"], row["high"]] == pytest.approx(np.stack(wilson(hits, n, Z)).tolist())
        assert row["lift_high"] == pytest.approx(row["high"] / positive.mean())


def test_features_that_overlap_are_measured_alike() -> None:
    table = purity_of_counts(np.array([8, 10]), np.array([6, 6]), positives=6, tokens=20)
    assert table["coverage"].to_list() == [1, 1]
    assert table["purity"].to_list() == pytest.approx([0.75, 0.6])
    assert table["f1"].to_list() == pytest.approx([12 / 14, 12 / 16])


def test_uncovered_positives_lower_coverage_and_are_counted_apart() -> None:
    owner, positive = np.array([0, 0, 1, -1, -1]), np.array([1, 1, 0, 1, 1], dtype=bool)
    table = purity_of_owners(owner, positive, 3)
    assert table["coverage"].to_list() == [0.5, 0, 0]
    assert table["purity"].to_list() == [1, 0, None]
    split = split_over_regions(table["hits"].to_numpy(), uncovered=2)
    assert (split["effective"], split["positives"], split["uncovered"]) == (1.0, 2, 2)


def test_no_and_only_positives_are_no_error_and_no_nan() -> None:
    owner = np.array([0, 0, 2])
    none = purity_of_owners(owner, np.zeros(3, dtype=bool), 3)
    assert none["purity"].to_list() == [0, None, 0]
    for name in ("lift", "lift_high", "coverage", "coverage_low", "f1", "f1_high"):
        assert none[name].to_list() == [None] * 3
    every = purity_of_owners(owner, np.ones(3, dtype=bool), 3)
    assert every["purity"].to_list() == every["lift"].to_list() == [1, None, 1]
    blank = purity_of_owners(owner[:0], np.zeros(0, dtype=bool), 2)
    assert all(blank[name].null_count() == 2 for name in RATIOS)
    for table in (none, every, blank):
        assert not any(table[name].is_nan().any() for name in RATIOS)
    with pytest.raises(ValueError, match="owner 2 of 2 regions"):
        purity_of_owners(owner, np.ones(3, dtype=bool), 2)


# ---------------------------------------------------------------- splitting


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40))
def test_splitting_is_what_the_tokens_say(hits: list[int]) -> None:
    split, total = split_over_regions(np.array(hits)), sum(hits)
    if not total:
        assert (split["effective"], split["half"], split["most"], split["positives"]) == (
            None,
            None,
            None,
            0,
        )
        return
    tokens = [region for region, count in enumerate(hits) for _ in range(count)]
    shares = [count / len(tokens) for count in Counter(tokens).values()]
    nats = -math.fsum(share * math.log(share) for share in shares)
    assert entropy(np.array(hits)) == pytest.approx(nats, abs=1e-12)
    assert split["effective"] == pytest.approx(math.exp(nats), rel=1e-12)
    ordered = sorted(hits, reverse=True)
    for number, percent in ((split["half"], 50), (split["most"], 90)):
        assert sum(ordered[:number]) * 100 >= total * percent
        assert sum(ordered[: (number or 0) - 1]) * 100 < total * percent


def test_equal_parts_are_as_many_as_there_are() -> None:
    split = split_over_regions(np.array([7, 0, 7, 7, 7, 0]))
    assert (split["effective"], split["half"], split["most"]) == (pytest.approx(4), 2, 4)


# ---------------------------------------------------------------- shape


def regions(n: int, seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Purity that falls with distance; coverage that only follows size, as coherence does."""
    rng = np.random.default_rng(seed)
    size = rng.permutation(np.arange(n)) * 3 + 10
    distance = rng.random(n)
    purity = purity_of_counts(
        size, (size * (1 - distance)).astype(int), int(size.sum()), 10 * n * n
    )
    shape = pl.DataFrame(
        {
            "region": np.arange(n),
            "size": size,
            "coherence": 1 / size + 0.002 * rng.random(n),
            "mean_distance": distance,
            "radius": rng.random(n),
        }
    )
    coverage = (size + 3 * rng.standard_normal(n)) / size.sum()
    return purity.with_columns(coverage=pl.Series(coverage)), shape


def relation(frame: pl.DataFrame, measure: str, shape_name: str) -> dict[str, float]:
    return frame.filter(measure=measure, of=shape_name).row(0, named=True)


def test_what_falls_with_distance_is_seen_and_what_follows_size_is_not() -> None:
    purity, shape = regions(200)
    frame = shape_correlations(purity, shape)
    assert frame.schema == CORRELATIONS
    assert len(frame) == 12
    of_size = scipy.stats.spearmanr(purity["coverage"], shape["size"]).statistic
    assert relation(frame, "coverage", "size")["rho"] == pytest.approx(of_size, abs=1e-12)
    falls = relation(frame, "purity", "mean_distance")
    assert falls["high"] < -0.95
    assert (falls["n"], falls["left_out"]) == (200, 0)
    by_size = relation(frame, "coverage", "coherence")
    plain = scipy.stats.spearmanr(purity["coverage"], shape["coherence"]).statistic
    assert plain < -0.9
    assert by_size["low"] < 0 < by_size["high"]
    unrelated = relation(frame, "purity", "radius")
    assert unrelated["low"] < 0 < unrelated["high"]


def test_small_and_unknown_regions_are_left_out_and_counted() -> None:
    purity, shape = regions(30)
    small = pl.when(pl.col("region") < 4).then(4).otherwise(pl.col("count")).cast(pl.Int32)
    single = pl.when(pl.col("region") == 9).then(None).otherwise(pl.col("mean_distance"))
    frame = shape_correlations(
        purity.with_columns(count=small), shape.with_columns(mean_distance=single)
    )
    rest = shape_correlations(purity[4:], shape)
    assert relation(frame, "f1", "radius")["left_out"] == 4
    assert relation(frame, "f1", "radius")["rho"] == relation(rest, "f1", "radius")["rho"]
    lost = relation(frame, "f1", "mean_distance")
    assert (lost["n"], lost["left_out"]) == (25, 5)


def test_where_nothing_can_be_compared_nothing_is_said() -> None:
    line, flat = np.arange(8.0), np.zeros(8)
    assert partial_spearman(line[:4], line[:4], flat[:4]) == (None, None, None)
    assert partial_spearman(flat, line, line[::-1] ** 2 % 5) == (None, None, None)
    assert partial_spearman(line**2, line % 3, line) == (None, None, None)
    assert partial_spearman(line, line**3, flat) == (1.0, None, None)
    blank = shape_correlations(pl.DataFrame(schema=PURITY), regions(5)[1])
    assert blank["rho"].null_count() == 12
    assert blank["n"].to_list() == [0] * 12
