"""Owners along a segment, against a dense walk."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.concepts.boundaries import Segment, envelope
from tests.concepts.conftest import units

STEPS = 10_000


def assert_nearest_everywhere(
    segment: Segment, a: np.ndarray, b: np.ndarray, exemplars: np.ndarray, centre: np.ndarray
) -> None:
    """At each of 10,000 steps the owner has the largest cosine, and is the lowest such index
    wherever the best is clear."""
    alpha = np.linspace(0, 1, STEPS)
    points = a + alpha[:, None] * (b - a) - centre
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    similarity = points / np.where(norms > 0, norms, 1) @ exemplars.astype(np.float64).T
    owners = segment.owners[np.searchsorted(segment.bounds, alpha)]
    assert np.allclose(similarity[np.arange(STEPS), owners], similarity.max(axis=1), atol=1e-9)
    distinct = np.unique(exemplars, axis=0, return_inverse=True)[1].ravel()
    lowest = np.array([np.flatnonzero(distinct == each)[0] for each in distinct])
    clear = (similarity >= similarity.max(axis=1, keepdims=True) - 1e-7) & (
        distinct != distinct[owners][:, None]
    )
    clear = ~clear.any(axis=1)
    assert (owners[clear] == lowest[similarity[clear].argmax(axis=1)]).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 80), st.integers(2, 20), st.integers(0, 3))
def test_owners_along_a_segment_are_those_of_a_dense_walk(
    seed: int, count: int, width: int, copies: int
) -> None:
    rng = np.random.default_rng(seed)
    exemplars = units(rng, count, width)
    exemplars = np.concatenate([exemplars, *[exemplars[: count // 2]] * copies])
    a, b, centre = rng.standard_normal((3, width)) * rng.choice([0.1, 1, 50])
    segment = envelope(a, b, exemplars, centre)
    assert_nearest_everywhere(segment, a, b, exemplars, centre)
    assert (np.diff(segment.bounds) > 0).all()
    assert ((segment.bounds > 0) & (segment.bounds < 1)).all()
    assert len(segment.owners) == len(segment.bounds) + 1 == len(set(segment.owners.tolist()))


def test_a_fine_fan_of_exemplars_is_passed_one_by_one() -> None:
    angle = np.linspace(0, np.pi, 400)
    fan = np.column_stack([np.cos(angle), np.sin(angle)])
    order = np.random.default_rng(0).permutation(400)
    segment = envelope(np.array([3.0, 1.0]), np.array([-1.0, 1.0]), fan[order], np.zeros(2))
    passed = order[segment.owners]
    assert np.diff(passed).tolist() == [1] * (len(passed) - 1)
    assert len(passed) > 200


def test_segments_without_length_or_choice_have_one_owner() -> None:
    rng = np.random.default_rng(0)
    exemplars, point, centre = units(rng, 30, 6), rng.standard_normal(6), np.ones(6)
    still = envelope(point, point, exemplars, centre)
    assert still.owners.tolist() == [int((exemplars @ (point - centre)).argmax())]
    assert not len(still.bounds)
    nowhere = envelope(centre, centre, exemplars, centre)
    assert nowhere.owners.tolist() == [0]
    single = envelope(point, -point, exemplars[:1], centre)
    assert single.owners.tolist() == [0]
    assert np.isnan(single.distance(np.array([0.2, 0.9]))).all()


def test_equal_exemplars_are_taken_for_the_first_of_them() -> None:
    rng = np.random.default_rng(1)
    some = units(rng, 9, 7)
    a, b = rng.standard_normal((2, 7)) * 4
    without_repeats = envelope(a, b, some, np.zeros(7))
    repeated = envelope(a, b, np.concatenate([some, some, some]), np.zeros(7))
    assert repeated.owners.tolist() == without_repeats.owners.tolist()
    assert np.array_equal(repeated.bounds, without_repeats.bounds)


def test_lines_that_meet_in_one_place_make_one_boundary() -> None:
    exemplars = np.array([[1.0, 0.0], [0.0, 1.0], [np.sqrt(0.5), np.sqrt(0.5)]])[[0, 1]]
    thirds = np.array([[0.5, 0.5]])  # passes through the corner of the other two
    segment = envelope(
        np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.concatenate([exemplars, thirds]), np.zeros(2)
    )
    assert segment.owners.tolist() == [0, 1]
    assert segment.bounds.tolist() == [0.5]
    assert segment.distance(np.array([0.5, 0.75, 0.0])).tolist() == [0.0, 0.25, 0.5]
