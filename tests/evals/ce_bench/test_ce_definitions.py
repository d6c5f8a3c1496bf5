"""CE-Bench's definitions against computations by hand."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from backend.evals.ce_bench import DEFINITIONS, definitions
from backend.evals.ce_bench.definitions import Means
from components.evals.ce_bench import tab as tab
from tests.evals.ce_bench.conftest import means_of

V = [[4.0, 0.0, 1.0], [1.0, 2.0, 1.0], [0.5, 3.0, 0.0], [0.5, 1.0, 2.0]]  # two pairs of stories
N, BOS = [3, 5, 4, 2], [8.0, 0.0, 2.0]


def test_published_scores_equal_a_hand_computation_its_slip_included() -> None:
    """Plain lists: means with the BOS, nothing subtracted from I1, z with n − 1."""
    distances = definitions.score(means_of(V, [0, 1], N, BOS), "published")
    for pair in (0, 1):
        a, b, n, m = V[2 * pair], V[2 * pair + 1], N[2 * pair], N[2 * pair + 1]
        v1 = [(n * x + start) / (n + 1) for x, start in zip(a, BOS, strict=True)]
        v2 = [(m * x + start) / (m + 1) for x, start in zip(b, BOS, strict=True)]
        i1 = [(n * x + m * y + 2 * s) / (n + m + 2) for x, y, s in zip(a, b, BOS, strict=True)]
        i2 = [0.0, 0.0, 0.0]
        far = [abs(x - y) for x, y in zip(v1, v2, strict=True)]
        apart = [abs(x - y) for x, y in zip(i1, i2, strict=True)]
        both = [x + y for x, y in zip(far, apart, strict=True)]
        best = []
        for part in (far, apart, both):
            middle, spread = statistics.mean(part), statistics.stdev(part)
            best.append(max((x - middle) / spread for x in part))
        assert distances.scores[pair].tolist() == pytest.approx(best, rel=1e-6)
        assert best[2] != pytest.approx(best[0] + best[1])  # it is no sum of the other two


def brute(means_: Means, pair: int) -> tuple[list[float], list[float]]:
    """Corrected distances of a pair, one number at a time."""
    pooled = []
    for each in range(len(means_.subject_of)):
        n, m = (int(means_.tokens[2 * each + side]) for side in (0, 1))
        one, other = (means_.mean[2 * each + side].tolist() for side in (0, 1))
        pooled.append([(n * x + m * y) / (n + m) for x, y in zip(one, other, strict=True)])
    rest = [
        p for p, s in zip(pooled, means_.subject_of, strict=True) if s != means_.subject_of[pair]
    ]
    away = [sum(column) / len(rest) for column in zip(*rest, strict=True)]
    parts = []
    for one, other in (
        (means_.mean[2 * pair].tolist(), means_.mean[2 * pair + 1].tolist()),
        (pooled[pair], away),
    ):
        low, high = min(one + other), max(one + other)
        parts.append([abs(x - y) / (high - low) for x, y in zip(one, other, strict=True)])
    return parts[0], parts[1]


def test_corrected_scores_equal_brute_force() -> None:
    rng = np.random.default_rng(0)
    story_means = means_of(
        rng.exponential(size=(14, 6)), [0, 0, 1, 1, 1, 2, 0], rng.integers(3, 30, 14)
    )
    distances = definitions.score(story_means, "corrected")
    for pair in range(7):
        far, apart = brute(story_means, pair)
        assert distances.contrastive[pair].tolist() == pytest.approx(far, rel=1e-5)
        assert distances.independent[pair].tolist() == pytest.approx(apart, rel=1e-5)
        expected = [max(far), max(apart), max(far) + max(apart)]
        assert distances.scores[pair].tolist() == pytest.approx(expected, rel=1e-5)


def test_the_seed_tells_marked_tokens_from_unmarked_ones() -> None:
    """Story 1 is tokens (6, 0), (0, 0), story 2 (2, 4), (0, 0), (1, 0); the first are marked."""
    story_means = Means(
        mean=np.array([[3, 0], [1, 4 / 3]], np.float32),
        marked=np.array([[6, 0], [2, 4]], np.float32),
        tokens=np.array([2, 3]),
        marks=np.array([1, 1]),
        bos=np.array([50, 0], np.float32),
        subject_of=np.array([0]),
    )
    distances = definitions.score(story_means, "seed")
    # marked (4, 2), unmarked (1/3, 0), so that 0 to 4 becomes 0 to 1
    assert distances.independent[0].tolist() == pytest.approx([11 / 12, 1 / 2], rel=1e-6)
    assert distances.contrastive[0].tolist() == pytest.approx([2 / 3, 4 / 9], rel=1e-6)
    assert distances.scores[0].tolist() == pytest.approx(
        [2 / 3, 11 / 12, 2 / 3 + 11 / 12], rel=1e-6
    )
    assert distances.above.tolist() == [[True, True]]


def test_without_its_words_a_story_is_its_other_tokens() -> None:
    """A story of (6, 0), (1, 3), (2, 3), the first marked; and one that is all marks."""
    story_means = Means(
        mean=np.array([[3, 2], [4, 0]], np.float32),
        marked=np.array([[6, 0], [4, 0]], np.float32),
        tokens=np.array([3, 2]),
        marks=np.array([1, 2]),
        bos=np.zeros(2, np.float32),
        subject_of=np.array([0]),
    ).unmarked()
    assert story_means.mean.tolist() == [[1.5, 3], [0, 0]]
    assert story_means.tokens.tolist() == [2, 1]
    assert not story_means.marks.any()


def test_a_pair_without_marks_has_only_a_contrastive_score_by_the_seed() -> None:
    distances = definitions.score(means_of(V, [0, 1], N), "seed")
    assert np.isfinite(distances.scores[:, 0]).all()
    assert np.isnan(distances.scores[:, 1:]).all()


def test_one_subject_has_no_corrected_independence() -> None:
    distances = definitions.score(means_of(V, [0, 0], N), "corrected")
    assert np.isfinite(distances.scores[:, 0]).all()
    assert np.isnan(distances.scores[:, 1:]).all()


def test_silent_features_are_no_distance_apart() -> None:
    for definition in DEFINITIONS:
        distances = definitions.score(
            means_of(np.zeros((4, 3)), [0, 1], marked=np.zeros((4, 3))), definition
        )
        assert np.abs(distances.scores).max() == 0
