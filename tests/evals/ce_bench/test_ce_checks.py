"""What CE-Bench's scores are worth: planted features, nulls that must be lower, halves, overlap."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from backend.evals.ce_bench import checks, definitions, means
from backend.evals.ce_bench.definitions import Means
from components.evals.ce_bench import tab as tab
from tests.evals.ce_bench.conftest import means_of


def planted(subjects: int = 12, each: int = 2, width: int = 300) -> Means:
    """Feature s is strong in the stories of subject s alone; all else is noise."""
    rng = np.random.default_rng(1)
    subject_of = np.repeat(np.arange(subjects), each)
    mean = rng.exponential(0.2, (2 * len(subject_of), width))
    mean[np.arange(len(mean)), np.repeat(subject_of, 2)] += 3
    return means_of(mean, subject_of)


def held_out_rows(story_means: Means) -> dict[str, Any]:
    distances = {d: definitions.score(story_means, d) for d in ("published", "corrected")}
    rows = checks.held_out(story_means, distances, 0).iter_rows(named=True)
    return {row["definition"]: row for row in rows}


def test_a_planted_feature_is_found_again_on_the_pair_held_out() -> None:
    row = held_out_rows(planted())["corrected"]
    assert (row["median"], row["share"], row["pairs"], row["subjects"]) == (1.0, 1.0, 24, 12)
    assert row["other_median"] > 5
    assert row["other_share"] < 0.5
    assert row["null"] < 0.8
    assert row["chance"] == pytest.approx(10 / 300)


def test_features_that_are_high_everywhere_do_not_pass_for_reading_a_subject() -> None:
    story_means = planted()
    loud = story_means.mean.copy()
    loud[:, 50] += 40
    row = held_out_rows(replace(story_means, mean=loud))["published"]
    assert (row["share"], row["other_share"], row["null"]) == (1.0, 1.0, 1.0)


def test_noise_is_found_again_as_often_as_chance_says() -> None:
    rng = np.random.default_rng(2)
    story_means = means_of(rng.exponential(size=(160, 200)), np.repeat(np.arange(20), 4))
    row = held_out_rows(story_means)["corrected"]
    assert row["low"] <= 0.2
    assert row["share"] < 0.2


def test_nulls_are_lower_where_a_subject_is_read() -> None:
    story_means = planted()
    distances = {"corrected": definitions.score(story_means, "corrected")}
    table = checks.scores(story_means, distances, np.empty((0, 24)), 0)
    row = table.row(by_predicate=pl.col("score") == "independent", named=True)
    assert row["low"] <= row["value"] <= row["high"]
    assert row["null_high"] < row["value"]
    contrast = table.row(by_predicate=pl.col("score") == "contrastive", named=True)
    assert contrast["null"] > contrast["value"]  # stories of one subject are alike


def test_the_published_independence_has_no_null() -> None:
    story_means = planted()
    distances = {"published": definitions.score(story_means, "published")}
    table = checks.scores(story_means, distances, np.empty((0, 24)), 0)
    nulls = dict(table.select("score", "null").iter_rows())
    assert nulls["independent"] is None
    assert nulls["contrastive"] > 0
    assert nulls["interpretability"] > 0


def test_moved_marks_keep_their_runs() -> None:
    rng = np.random.default_rng(0)
    mask = np.array([0, 1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0], bool)
    features = set()
    for _ in range(200):
        marks = means.shuffle_marks(mask, rng)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], marks.astype(int), [0]])))
        assert sorted((edges[1::2] - edges[::2]).tolist()) == [1, 2, 3]
        features |= set(np.flatnonzero(marks).tolist())
    assert features == set(range(13))
    assert means.shuffle_marks(np.ones(4, bool), rng).all()
    assert not means.shuffle_marks(np.zeros(4, bool), rng).any()


def test_halves_hold_different_subjects() -> None:
    story_means = planted()
    side = checks.sides(12, 0)
    assert sorted(side.tolist()) == [0] * 6 + [1] * 6
    table = checks.halves(story_means, 0).filter(definition="corrected", score="independent")
    assert table["subjects"].to_list() == [6, 6]
    part = story_means.subset(np.flatnonzero(side[story_means.subject_of] == 0))
    expected = definitions.score(part, "corrected").scores[:, 1].mean()
    assert table["value"][0] == pytest.approx(expected)


def test_overlap_counts_features_in_common() -> None:
    width = 100
    mean = np.zeros((8, width))
    for story, first in enumerate((0, 0, 10, 10, 60, 60, 60, 60)):
        mean[story, first : first + 20] = 1 + np.arange(20)
    rows = {r["of"]: r["value"] for r in checks.overlap(means_of(mean, [0, 0, 1, 1]), 0).to_dicts()}
    assert rows == {"pair": 1.0, "subject": pytest.approx(0.75), "others": pytest.approx(0.0)}
