"""Statistics against scipy, scikit-learn or a count by brute force, and intervals that cover."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    balanced_accuracy_score,
    roc_auc_score,
)

from backend.labels import judges
from backend.statistics import agreement, bootstrap, estimates, intervals
from backend.statistics.correlation import (
    weighted_spearman,
)
from backend.statistics.intervals import wilson

# ---------------------------------------------------------------- intervals


@pytest.mark.parametrize(
    ("k", "n", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (0, 0, 0.0, 1.0)]
)
def test_wilson_intervals_match_published_values(k: int, n: int, low: float, high: float) -> None:
    ends = wilson(k, n)
    assert float(ends[0]) == pytest.approx(low, abs=1e-4)
    assert float(ends[1]) == pytest.approx(high, abs=1e-4)


@settings(deadline=None)
@given(st.integers(0, 200), st.integers(1, 200))
def test_wilson_is_scipys(k: int, more: int) -> None:
    n = k + more - 1 or 1
    ends = scipy.stats.binomtest(min(k, n), n).proportion_ci(method="wilson")
    ours = wilson(min(k, n), n, intervals.Z)
    assert [float(end) for end in ours] == pytest.approx([ends.low, ends.high], abs=1e-14)


def test_wilson_takes_arrays_and_halves() -> None:
    low, high = wilson([[1], [2.5]], [5, 10])
    assert low.shape == high.shape == (2, 2)
    assert low[1, 0] == pytest.approx(float(wilson(2.5, 5)[0]))
    assert low[1, 0] + high[1, 0] == pytest.approx(1)  # half of five


@settings(deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30))
def test_a_mean_has_the_t_interval_of_scipy(values: list[float]) -> None:
    assume(np.std(values) > 1e-6)
    ends = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    mean, low, high = intervals.mean_interval(values)
    assert mean == pytest.approx(np.mean(values))
    assert (low, high) == (pytest.approx(ends.low, rel=1e-9), pytest.approx(ends.high, rel=1e-9))


def test_few_values_have_a_mean_without_interval() -> None:
    assert intervals.mean_interval([]) == intervals.NOTHING
    assert intervals.mean_interval([2.0]) == (2.0, None, None)


def test_the_jackknife_of_a_mean_over_rows_is_its_t_interval() -> None:
    """Where each row is a group of its own, leaving one out gives the standard error exactly."""
    values = np.random.default_rng(2).normal(size=12)
    half = intervals.jackknife_half_width(lambda rows: float(values[rows].mean()), np.arange(12))
    mean, low, _ = intervals.mean_interval(values)
    assert half == pytest.approx(mean - low)
    assert intervals.jackknife_half_width(lambda rows: 0.0, np.zeros(5)) is None


def test_fishers_interval_is_that_of_scipys_pearson() -> None:
    x, y = np.random.default_rng(3).normal(size=(2, 40))
    theirs = scipy.stats.pearsonr(x, y)
    ends = theirs.confidence_interval(0.95)
    ours = intervals.fisher_interval(float(theirs.statistic), intervals.Z / math.sqrt(37))
    assert ours == pytest.approx((ends.low, ends.high), abs=1e-12)


@pytest.mark.parametrize("n", [5, 20, 80])
def test_the_smallest_difference_is_found_with_its_power(n: int) -> None:
    true = intervals.smallest_difference(n, 2.0)
    cases = np.random.default_rng(1).normal(true, 2.0, size=(8000, n))
    shown_by = scipy.stats.ttest_1samp(cases, 0, axis=1).pvalue < 0.05
    assert shown_by.mean() == pytest.approx(0.8, abs=0.015)
    assert intervals.smallest_difference(1, 2.0) == np.inf


# ---------------------------------------------------------------- estimates


def value(estimate: estimates.Estimate) -> float:
    assert estimate.value is not None
    return estimate.value


numbers = st.lists(st.one_of(st.integers(-3, 3), st.floats(-1e6, 1e6)), min_size=1, max_size=30)


@settings(deadline=None)
@given(numbers, numbers)
def test_auroc_is_that_of_scikit_learn(high: list[float], low: list[float]) -> None:
    estimate = estimates.auroc(high, low)
    theirs = roc_auc_score([1] * len(high) + [0] * len(low), [*high, *low])
    assert estimate.value == pytest.approx(theirs, abs=1e-12)
    assert -1e-9 <= estimate.low <= value(estimate) + 1e-9
    assert value(estimate) - 1e-9 <= estimate.high <= 1 + 1e-9


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=40))
def test_balanced_accuracy_is_that_of_scikit_learn(pairs: list[tuple[bool, bool]]) -> None:
    truth, answers = zip(*[(True, True), (False, True), *pairs], strict=True)
    kinds = [(True, True), (False, True), (False, False), (True, False)]
    counts = [list(zip(truth, answers, strict=True)).count(kind) for kind in kinds]
    estimate = estimates.balanced_accuracy(*counts)
    assert estimate.value == pytest.approx(balanced_accuracy_score(truth, answers), abs=1e-12)
    assert 0 <= estimate.low < estimate.high <= 1
    assert estimate.low <= value(estimate) <= estimate.high


CASES = 3000  # of true coverage .95, one run in a million is below .93


def coverage(true: float, case: Callable[[np.random.Generator], estimates.Estimate]) -> float:
    rng = np.random.default_rng(11)
    every = [case(rng) for _ in range(CASES)]
    return float(np.mean([each.low <= true <= each.high for each in every]))


@pytest.mark.parametrize(("tpr", "tnr"), [(0.5, 0.5), (0.8, 0.7), (0.95, 0.6)])
def test_intervals_of_balanced_accuracy_cover(tpr: float, tnr: float) -> None:
    def case(rng: np.random.Generator) -> estimates.Estimate:
        tp, tn = int(rng.binomial(10, tpr)), int(rng.binomial(10, tnr))
        return estimates.balanced_accuracy(tp, 10 - tn, tn, 10 - tp)

    assert coverage((tpr + tnr) / 2, case) >= 0.93


@pytest.mark.parametrize("area", [0.5, 0.75, 0.9])
def test_intervals_of_auroc_and_of_a_cut_at_the_median_cover(area: float) -> None:
    shift = float(scipy.stats.norm.ppf(area) * np.sqrt(2))

    def samples(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return rng.normal(shift, 1, 10), rng.normal(0, 1, 10)

    def at_median(rng: np.random.Generator) -> estimates.Estimate:
        answers = judges.cut_at_median(np.concatenate(samples(rng))).answers
        tp, fp = answers[:10].count(1), answers[10:].count(1)
        return estimates.balanced_accuracy(tp, fp, 10 - fp, 10 - tp)

    assert coverage(area, lambda rng: estimates.auroc(*samples(rng))) >= 0.93
    assert coverage(float(scipy.stats.norm.cdf(shift / 2)), at_median) >= 0.93


@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_intervals_of_gaps_cover(spread: float) -> None:
    def case(rng: np.random.Generator) -> estimates.Estimate:
        return estimates.gap(rng.normal(0.1, 0.05 * spread, 10), rng.normal(0.05, 0.05, 10))

    assert coverage(0.05, case) >= 0.93


def test_one_excerpt_a_class_says_nothing_and_nan_is_refused() -> None:
    assert estimates.gap([0.4], [0.1]).low == -2
    assert estimates.auroc([1.0], []).value is None
    assert estimates.auroc([1.0] * 10, [0.0] * 10).low < 0.9
    with pytest.raises(ValueError, match="NaN"):
        estimates.auroc([float("nan")], [0.0])


# ---------------------------------------------------------------- bootstrap


def resamples(columns: tuple[np.ndarray, ...], seed: int) -> list[np.ndarray]:
    """Each column's resamples [RESAMPLES, n], rows drawn together."""
    n = len(columns[0])
    rows = np.random.default_rng(seed).integers(n, size=(bootstrap.RESAMPLES, n))
    return [column[rows] for column in columns]


def test_a_weighted_mean_is_resampled_with_its_weights() -> None:
    rng = np.random.default_rng(7)
    values, weights = rng.normal(size=25), rng.integers(1, 9, 25)
    some, heavy = resamples((values, weights), 0)
    ends = np.quantile((some * heavy).sum(axis=1) / heavy.sum(axis=1), [0.025, 0.975])
    value, low, high = bootstrap.weighted_mean(values, weights)
    assert value == pytest.approx((values * weights).sum() / weights.sum())
    assert (low, high) == (pytest.approx(ends[0]), pytest.approx(ends[1]))
    assert bootstrap.weighted_mean(values[:1], weights[:1]) == (values[0], None, None)


def test_a_grouped_mean_weighs_groups_by_their_rows() -> None:
    rng = np.random.default_rng(8)
    values, group_of = rng.normal(size=30), rng.integers(0, 5, 30)
    values[3] = np.nan
    expected = np.isfinite(values)
    sums, counts = (np.bincount(group_of[expected], w) for w in (values[expected], None))
    some, many = resamples((sums, counts), 4)
    ends = np.quantile(some.sum(axis=1) / many.sum(axis=1), [0.025, 0.975])
    value, low, high = bootstrap.grouped_mean(values, group_of, 4)
    assert (value, low, high) == pytest.approx((np.nanmean(values), *ends))
    nothing = bootstrap.grouped_mean(np.full(3, np.nan), np.arange(3), 0)
    assert np.isnan(nothing).all()


def test_the_gap_has_the_resamples_of_scipy() -> None:
    """With as many values as make widening and Welch's t matter little, the ends are scipy's."""
    rng = np.random.default_rng(9)
    one, other = rng.normal(0.2, 0.1, 4000), rng.normal(0.1, 0.1, 3000)
    theirs = scipy.stats.bootstrap(
        (one, other),
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        n_resamples=bootstrap.RESAMPLES,
        method="percentile",
        vectorized=True,
        batch=bootstrap.RESAMPLES,
        rng=np.random.default_rng(0),
    ).confidence_interval
    ours = estimates.gap(one, other)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-5)


def test_groups_are_resampled_whole() -> None:
    values = np.repeat([0.0, 1.0], 20)
    assert bootstrap.grouped_mean(values, np.repeat([0, 1], 20), 0) == (0.5, 0.0, 1.0)
    value, low, _ = bootstrap.grouped_mean(values, np.zeros(40, int), 0)
    assert value == 0.5
    assert np.isnan(low)


def test_a_ratio_is_of_means_with_a_bootstrap_interval() -> None:
    top, bottom = np.array([1.0, 2.0, 3.0]), np.array([4.0, 2.0, 6.0])
    value, low, high = bootstrap.ratio_of_means(top, bottom, bootstrap.weight_rows(3))
    assert value == pytest.approx(0.5)
    assert (low, high) == (pytest.approx(0.25, abs=0.1), pytest.approx(1.0, abs=0.3))
    assert low < value < high


def test_the_wider_of_two_bootstraps_stands() -> None:
    """Pairs of one word hang together: a bootstrap over words knows, one over pairs does not."""
    rng = np.random.default_rng(6)
    one, other = np.triu_indices(8, 1)
    matrix = agreement.cosines(rng.normal(size=(8, 2)))
    human = matrix[one, other] + rng.normal(0, 0.5, len(one))
    weights = bootstrap.pair_weights(one, other, rng)
    each = [weighted_spearman(matrix[one, other], human, part) for part in weights]
    widths = [np.diff(np.nanquantile(part, [0.025, 0.975]))[0] for part in each]
    assert np.diff(np.array(bootstrap.wider_interval(each)))[0] == pytest.approx(max(widths))
    assert weights[0].sum(axis=1).tolist() == [len(one)] * bootstrap.RESAMPLES
