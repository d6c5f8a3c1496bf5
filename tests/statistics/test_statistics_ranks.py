"""Ranks, correlations and agreement against scipy, scikit-learn or a count by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    roc_auc_score,
)
from sklearn.metrics.pairwise import cosine_similarity

from backend.statistics import agreement, intervals, ranking
from backend.statistics.correlation import (
    mean_ranks,
    partial_spearman,
    percentile_ranks,
    spearman_interval,
    weighted_spearman,
)

# ---------------------------------------------------------------- correlation


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False) | st.integers(0, 3).map(float)))
def test_mean_ranks_are_scipys(values: list[float]) -> None:
    assert np.array_equal(mean_ranks(np.array(values)), scipy.stats.rankdata(values))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 40))
def test_spearman_is_scipys_with_fishers_interval(seed: int, n: int) -> None:
    x, y = np.random.default_rng(seed).integers(0, 6, (2, n)).astype(float)
    rho, low, high = spearman_interval(x, y)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert rho is None
        return
    assert rho is not None
    assert rho == pytest.approx(scipy.stats.spearmanr(x, y).statistic)
    assume(abs(rho) < 0.999)
    half = 1.96 * math.sqrt((1 + rho**2 / 2) / (n - 3))
    assert np.arctanh(np.array([low, high], float)) == pytest.approx(
        math.atanh(rho) + np.array([-half, half])
    )


def test_a_rank_correlation_of_few_values_is_not_told() -> None:
    line = np.arange(4.0)
    assert spearman_interval(line, line) == intervals.NOTHING


def test_percentile_ranks_are_scipys() -> None:
    rng = np.random.default_rng(10)
    values, reference = rng.integers(0, 9, 30).astype(float), rng.integers(2, 9, 50).astype(float)
    expected = scipy.stats.percentileofscore(reference, values, kind="mean") / 100
    assert percentile_ranks(values, reference) == pytest.approx(expected, abs=1e-14)
    assert np.isnan(percentile_ranks(values, reference[:0])).all()


def test_spearman_is_scipys_and_weights_are_repeats() -> None:
    rng = np.random.default_rng(3)
    one, other = rng.integers(0, 9, 40), rng.normal(size=40)
    expected = scipy.stats.spearmanr(one, other).statistic
    assert weighted_spearman(one, other)[0] == pytest.approx(expected)
    weights = rng.integers(0, 4, (3, 40))
    for rho, counts in zip(weighted_spearman(one, other, weights), weights, strict=True):
        repeated = scipy.stats.spearmanr(one.repeat(counts), other.repeat(counts)).statistic
        assert rho == pytest.approx(repeated)
    assert np.isnan(weighted_spearman(np.ones(5), np.arange(5))[0])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(8, 40))
def test_partial_rank_correlation_is_that_of_the_three_plain_ones(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    one, other, control = rng.integers(0, 9, (3, n)) + 0.0
    one[:2] = other[1:3] = control[2:4] = [0, 9]
    plain = scipy.stats.spearmanr(np.stack([one, other, control]), axis=1).statistic
    ab, ac, bc = plain[0, 1], plain[0, 2], plain[1, 2]
    rho, low, high = partial_spearman(one, other, control)
    assume(low is not None)
    assert rho == pytest.approx((ab - ac * bc) / math.sqrt((1 - ac**2) * (1 - bc**2)), abs=1e-9)
    for end, sign in ((low, -1), (high, 1)):
        z = math.atanh(rho) + sign * 1.959964 / math.sqrt(n - 4)
        assert end == pytest.approx(math.tanh(z), abs=1e-6)


# ---------------------------------------------------------------- agreement


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=60))
def test_kappa_is_agreement_less_chance(pairs: list[tuple[int, int]]) -> None:
    one, other = np.array(pairs, dtype=int).reshape(-1, 2).T
    kappa = agreement.cohen_kappa(one, other)
    if len(set(one) | set(other)) < 2:
        assert math.isnan(kappa)
        return
    same = np.mean(one == other)
    chance = sum(np.mean(one == label) * np.mean(other == label) for label in range(5))
    assert kappa == pytest.approx((same - chance) / (1 - chance), abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_f1_is_that_of_scikit_learn(pairs: list[tuple[bool, bool]]) -> None:
    truth, called = np.array(pairs).T
    ours = agreement.f1_scores((truth & called).sum(), called.sum(), truth.sum())
    assert ours == pytest.approx(f1_score(truth, called, zero_division=0))
    always = agreement.constant_f1(float(truth.mean()))
    assert always == pytest.approx(f1_score(truth, np.ones_like(truth), zero_division=0))


def test_cosines_are_those_of_scikit_learn() -> None:
    rows = np.random.default_rng(11).normal(size=(5, 7))
    rows[2] = 0
    assert np.allclose(agreement.cosines(rows), cosine_similarity(rows), atol=1e-14)


def test_jaccard_and_what_chance_shares() -> None:
    rng = np.random.default_rng(4)
    one, other = rng.random((4, 50)) < 0.3, rng.random((3, 50)) < 0.2
    one[0] = other[0] = False
    shares = agreement.jaccard(one, other)
    for i, j in np.ndindex(4, 3):
        either = (one[i] | other[j]).sum()
        if either:
            assert shares[i, j] == pytest.approx((one[i] & other[j]).sum() / either)
        else:
            assert np.isnan(shares[i, j])
    sets = [rng.permutation(1000)[:size] for size in (300, 200) for _ in range(1)]
    counts = []
    for _ in range(200):
        a, b = (set(rng.permutation(1000)[: len(part)].tolist()) for part in sets)
        counts.append(len(a & b) / len(a | b))
    chance = agreement.chance_jaccard(np.array([300]), np.array([200]), 1000)[0, 0]
    assert chance == pytest.approx(np.mean(counts), abs=0.004)


# ---------------------------------------------------------------- ranking


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 30), st.integers(1, 4))
def test_ranks_are_those_of_scikit_learn(seed: int, m: int, n: int, grain: int) -> None:
    """With ties and without, columns at once."""
    rng = np.random.default_rng(seed)
    scores = np.round(rng.normal(size=(m + n, 5)), grain - 1).astype(np.float32)
    positive = np.arange(m + n) < m
    areas = ranking.aurocs(scores[:m], scores[m:])
    precise = ranking.average_precisions(scores, positive)
    for column in range(5):
        expected = roc_auc_score(positive, scores[:, column])
        assert areas[column] == pytest.approx(expected, abs=1e-12)
        expected = average_precision_score(positive, scores[:, column])
        assert precise[column] == pytest.approx(expected, abs=1e-12)


def test_columns_are_ranked_in_blocks_as_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(20, 33)).astype(np.float32)
    whole = ranking.aurocs(scores[:8], scores[8:])
    monkeypatch.setattr(ranking, "CELLS", 100)
    assert np.array_equal(ranking.aurocs(scores[:8], scores[8:]), whole)


def test_a_class_without_rows_has_no_auroc() -> None:
    assert np.isnan(ranking.aurocs(np.zeros((0, 3)), np.ones((2, 3)))).all()
    assert np.isnan(ranking.average_precisions(np.ones((2, 3)), np.zeros(2, bool))).all()


def test_both_zeros_are_one_score() -> None:
    scores = np.array([[0.0], [-0.0], [-1.0]], dtype=np.float32)
    for positive in ([True, False, False], [False, True, False]):
        assert ranking.average_precisions(scores, np.array(positive)) == [0.5]


def test_the_best_of_many_is_far_from_chance_by_chance() -> None:
    """Thousands of random columns over 36 + 36 texts: the best is near .75 and above."""
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(72, 3000)).astype(np.float32)
    null = ranking.permuted(ranking.ranks(noise), 36, 20, 0)
    best = ranking.aurocs(noise[:36], noise[36:]).max()
    assert null.min() > 0.68
    assert null.min() - 0.05 < best < null.max() + 0.05
    assert ranking.permuted(ranking.ranks(noise[:, :1]), 36, 400, 0).mean() == pytest.approx(
        0.5, abs=0.02
    )


def test_column_ranks_are_scipys_to_the_bit() -> None:
    scores = np.random.default_rng(12).integers(0, 9, (40, 6)).astype(np.float32)
    assert np.array_equal(ranking.ranks(scores), scipy.stats.rankdata(scores, axis=0))


def test_areas_stay_exact_where_sums_of_ranks_outgrow_float32() -> None:
    scores = np.random.default_rng(13).normal(size=(12_000, 2)).astype(np.float32)
    positive = np.arange(len(scores)) < 6000
    areas = ranking.aurocs(scores[positive], scores[~positive])
    expected = [roc_auc_score(positive, column) for column in scores.T]
    assert areas == pytest.approx(expected, abs=1e-12)
