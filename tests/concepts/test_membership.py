"""Hard membership: the three rules, their rates, and the choice of regions."""

from __future__ import annotations

import numpy as np
import pytest
import scipy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.concepts.membership import (
    RATES,
    ball_membership,
    greedy_union,
    in_any_region,
    owner_membership,
    rates,
    tied_regions,
)
from backend.regions.nearest import assign
from backend.statistics.estimates import balanced_accuracy

THETA = float(np.float32(0.3))


def units(raw: np.ndarray) -> np.ndarray:
    return (raw / np.linalg.norm(raw, axis=-1, keepdims=True)).astype(np.float32)


def rows(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The texts that a mask marks, and the others."""
    return np.flatnonzero(mask), np.flatnonzero(~mask)


# ---------------------------------------------------------------- rules


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 9))
def test_rules_are_what_they_say_for_every_text_and_region(
    seed: int, texts: int, regions: int
) -> None:
    rng = np.random.default_rng(seed)
    offsets = np.append(0, np.cumsum(rng.integers(1, 6, texts)))
    exemplars = units(rng.standard_normal((regions, 5)))
    points = units(rng.standard_normal((offsets[-1], 5)))
    near = assign(torch.from_numpy(points), torch.from_numpy(exemplars), THETA)
    similarity = np.maximum.reduceat(points @ exemplars.T, offsets[:-1])
    ball = ball_membership(similarity, THETA)
    owned, both = owner_membership(near.owner, near.distance, THETA, offsets, regions)
    for text in range(texts):
        tokens = range(offsets[text], offsets[text + 1])
        for region in range(regions):
            within = [1 - points[t] @ exemplars[region] <= THETA for t in tokens]
            owned_by = [near.owner[t] == region for t in tokens]
            assert ball[text, region] == any(within)
            assert owned.toarray()[text, region] == any(owned_by)
            assert both.toarray()[text, region] == any(map(all, zip(within, owned_by, strict=True)))


def test_one_token_must_do_both() -> None:
    """Token 0 is within θ of region 1 but nearer to 0; token 1 is owned by region 1 from afar."""
    owner, distance = np.array([0, 1]), np.array([0.1, 0.8])
    owned, both = owner_membership(owner, distance, THETA, np.array([0, 2]), 2)
    assert ball_membership(np.array([[0.9, 0.75]]), THETA).tolist() == [[True, True]]
    assert owned.toarray().tolist() == [[True, True]]
    assert both.toarray().tolist() == [[True, False]]


def test_a_token_of_no_region_puts_its_text_in_none() -> None:
    owned, both = owner_membership(np.array([-1, 2]), np.zeros(2), THETA, np.array([0, 1, 2]), 3)
    assert owned.toarray().tolist() == [[False] * 3, [False, False, True]]
    assert both.toarray().tolist() == owned.toarray().tolist()


# ---------------------------------------------------------------- rates


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(1, 8))
def test_rates_are_counts_with_the_interval_of_balanced_accuracy(
    seed: int, texts: int, regions: int
) -> None:
    rng = np.random.default_rng(seed)
    inside = rng.random((texts, regions)) < 0.4
    positive = np.arange(texts) < max(1, texts // 3)
    table = rates(inside, *rows(positive))
    assert table.schema == RATES
    for row in table.iter_rows(named=True):
        marks = inside[:, row["region"]]
        tp, fn = int(marks[positive].sum()), int((~marks[positive]).sum())
        fp, tn = int(marks[~positive].sum()), int((~marks[~positive]).sum())
        assert [row[name] for name in ("tp", "fn", "fp", "tn")] == [tp, fn, fp, tn]
        assert row["tpr"] == pytest.approx(tp / (tp + fn))
        assert row["tnr"] == pytest.approx(tn / (tn + fp))
        assert row["tpr_low"] - 1e-12 <= row["tpr"] <= row["tpr_high"] + 1e-12
        score = balanced_accuracy(tp, fp, tn, fn)
        for name, value in (("j", score.value), ("j_low", score.low), ("j_high", score.high)):
            assert row[name] == pytest.approx(2 * value - 1, abs=1e-12)


def test_rates_are_the_same_of_dense_and_sparse_marks() -> None:
    rng = np.random.default_rng(3)
    inside, positive = rng.random((30, 7)) < 0.3, rng.random(30) < 0.5
    texts, sparse = rows(positive), scipy.sparse.csr_array(inside)
    assert rates(sparse, *texts).equals(rates(inside, *texts))
    assert greedy_union(sparse, *texts) == greedy_union(inside, *texts)
    assert in_any_region(sparse, [1, 4]).tolist() == in_any_region(inside, [1, 4]).tolist()


def test_without_a_class_there_is_no_rate_and_no_choice() -> None:
    inside = np.ones((4, 3), dtype=bool)
    nothing, every = np.arange(0), np.arange(4)
    for texts, absent, there in (
        ((nothing, every), "tpr", "tnr"),
        ((every, nothing), "tnr", "tpr"),
    ):
        table = rates(inside, *texts)
        for name in (absent, f"{absent}_low", f"{absent}_high", "j", "j_low", "j_high"):
            assert table[name].to_list() == [None] * 3
        assert table[there].null_count() == 0
        assert not len(tied_regions(table))
        assert greedy_union(inside, *texts) == []
    assert not len(tied_regions(rates(np.ones((4, 0), dtype=bool), every[:1], every[1:2])))


def test_the_best_region_is_of_highest_j_then_more_hits_then_lowest() -> None:
    inside = np.zeros((9, 5), dtype=bool)  # three positives, six negatives
    inside[0, 1] = True  # J = 1/3
    inside[[0, 1, 3, 4], 2] = True  # 2/3 − 2/6 = 1/3 with more hits
    inside[[1, 2, 5, 6], 3] = True
    inside[3, 4] = True
    positive = np.arange(9) < 3
    assert tied_regions(rates(inside, *rows(positive))).tolist() == [2, 3]
    inside[[3, 4], 2] = inside[0, 2] = False
    assert tied_regions(rates(inside, *rows(positive))).tolist() == [3]


# ---------------------------------------------------------------- several regions together


def test_a_concept_split_over_regions_is_found_by_their_union() -> None:
    """Positives fall into regions 4, 1 and 6 by 10, 6 and 4; region 2 has all texts."""
    inside = np.zeros((60, 8), dtype=bool)
    inside[:10, 4] = inside[10:16, 1] = inside[16:20, 6] = True
    inside[:, 2] = True
    inside[30:40, 5] = True
    train, test = ((np.arange(first, 20, 2), np.arange(20 + first, 60, 2)) for first in (0, 1))
    union = greedy_union(inside, *train)
    assert union == [4, 1, 6]
    alone = rates(inside[:, union[:1]], *test)
    whole = rates(in_any_region(inside, union), *test)
    assert alone["j"].to_list() == pytest.approx([0.5])
    assert whole["j"].to_list() == [1.0]
    assert greedy_union(inside, *train, most=2) == [4, 1]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 7))
def test_no_region_is_added_that_does_not_raise_j(seed: int, regions: int) -> None:
    rng = np.random.default_rng(seed)
    inside, positive = rng.random((24, regions)) < 0.25, np.arange(24) < 9
    texts = rows(positive)
    union = greedy_union(inside, *texts)

    def j(chosen_regions: list[int]) -> float:
        return rates(in_any_region(inside, chosen_regions), *texts)["j"][0]

    steps = [j(union[:size]) for size in range(len(union) + 1)]
    for size, region in enumerate(union):
        rise = [j([*union[:size], other]) for other in range(regions)]
        assert steps[size + 1] == pytest.approx(max(rise))
        assert steps[size + 1] > steps[size] + 1e-9
        assert rise[region] == pytest.approx(max(rise))
    assert max(j([*union, other]) for other in range(regions)) <= steps[-1] + 1e-9
