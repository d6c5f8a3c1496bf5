"""Scores of texts against brute force, and how readers, rivals and features tell a concept."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from backend import queries
from backend.concepts import rivals, scores
from backend.concepts.views import (
    ConceptAurocs,
    PurityCoverage,
)
from backend.regions import partitioning
from backend.schema import Job, Study
from components.concepts import readers as shown
from tests.concepts.conftest import computed


def test_scores_are_the_strongest_token_of_each_text(study: Study, boats: str) -> None:
    results = computed(study, boats)
    texts, every = scores.text_points(study.reading, results.ref)
    points = torch.cat([part for _, part in every]).numpy().astype(np.float64)
    exemplars = results.build.array("exemplars").astype(np.float64)
    similarity = points @ exemplars.T
    for text in range(len(texts.offsets) - 1):
        low, high = texts.offsets[text : text + 2]
        expected = similarity[low:high].max(axis=0)
        assert results.scores["exemplar"][text] == pytest.approx(expected, abs=1e-5)
    means = scores.text_means(study.reading, results.ref).array("means")
    assert means[1] == pytest.approx(points[slice(*texts.offsets[1:3])].mean(axis=0), abs=1e-6)


def test_scores_do_not_depend_on_how_points_come(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = torch.from_numpy(rng.normal(size=(50, 4)).astype(np.float32))
    offsets = np.array([0, 1, 7, 30, 50])
    for cut in (1, 3, 8, 50):
        best = torch.full((4, 4), -torch.inf)
        for first in range(0, 50, cut):
            scores.raise_to_strongest(rows[first : first + cut], first, offsets, best)
        expected = [rows[a:b].amax(dim=0) for a, b in itertools.pairwise(offsets)]
        assert torch.equal(best, torch.stack(expected))


def test_features_fire_as_the_sae_says(study: Study, boats: str) -> None:
    results = computed(study, boats)
    texts = results.set
    network_scores, counts = (results.strengths["sae"].array(name) for name in ("scores", "counts"))
    assert network_scores.shape == counts.shape == (len(texts.offsets) - 1, 64)
    assert counts.sum() == 6 * len(texts.tokens), "six features fire on each token"
    assert ((network_scores > 0) == (counts > 0)).all()


def test_train_and_test_are_kept_apart(study: Study, boats: str) -> None:
    results = computed(study, boats)
    readers = queries.concept_aurocs(study.name, boats)
    assert isinstance(readers, ConceptAurocs)
    row = readers.readers.row(by_predicate=pl.col("method") == "exemplar", named=True)
    train, test = (results.set.texts_of(0, split) for split in ("train", "test"))
    assert not set(np.concatenate(train)) & set(np.concatenate(test))
    similarity = results.scores["exemplar"]
    by_train = [
        roc_auc_score([1] * len(train[0]) + [0] * len(train[1]), similarity[np.r_[train[:2]], r])
        for r in range(similarity.shape[1])
    ]
    assert row["column"] == int(np.argmax(np.round(by_train, 12)))
    expected = roc_auc_score(
        [1] * len(test[0]) + [0] * len(test[1]), similarity[np.r_[test[:2]], row["column"]]
    )
    assert row["value"] == pytest.approx(expected, abs=1e-12)
    assert row["low"] <= row["value"] <= row["high"]
    assert (row["positives"], row["negatives"]) == (4, 4)
    assert readers.aurocs["exemplar"].max() == row["best"] >= row["value"]


@pytest.mark.usefixtures("unlinked")
def test_ties_on_training_texts_are_counted_and_no_pick_is_shown(study: Study, boats: str) -> None:
    """Of regions and rivals alike, what the tied have on test texts, and what is said of them."""
    results = computed(study, boats)
    view = queries.concept_aurocs(study.name, boats)
    assert isinstance(view, ConceptAurocs)
    positive, negative, _ = results.set.texts_of(0, "test")
    for kind, table in results.unit_scores.items():
        row = view.readers.row(by_predicate=pl.col("method") == kind, named=True)
        best = [r for r, value in enumerate(table.array("train")[0]) if value == row["train"]]
        labels = [1] * len(positive) + [0] * len(negative)
        values = results.scores[kind][np.r_[positive, negative]]
        tested = [roc_auc_score(labels, values[:, r]) for r in best]
        assert row["tied"] == len(best)
        assert row["tied_mean"] == pytest.approx(np.mean(tested))
        assert (row["tied_low"], row["tied_high"]) == pytest.approx((min(tested), max(tested)))
    many = {"tied": 37, "tied_mean": 0.84, "tied_low": 0.52, "tied_high": 1.0, "column": 7}
    region = pl.col("method").is_in(["exemplar", "coreset"])
    tied = view.readers.with_columns(
        pl.when(region).then(pl.lit(value)).otherwise(pl.col(name)).alias(name)
        for name, value in many.items()
    )
    text = shown.answer(replace(view, readers=tied))
    assert "37 regions are as good as each other" in text
    assert "random activations .84 (.52 to 1.00 of 37 tied)" in text
    assert "Region 7" not in text
    assert "37 tied" in shown.readers_html(tied, "negative")
    one = view.readers.with_columns(tied=pl.when(region).then(1).otherwise(pl.col("tied")))
    assert "chosen on training texts" in shown.answer(replace(view, readers=one))


def test_length_tells_whichever_way_and_says_its_chance(study: Study) -> None:
    """Concepts of longer and of shorter texts do not cancel."""
    results = computed(study, "topics")
    over = queries.mean_aurocs(study.name)
    assert not isinstance(over, Job)
    row = over.filter(method="length", contrast="negative").row(0, named=True)
    sizes, values = np.diff(results.set.offsets), []
    for concept in range(3):
        positive, negative, _ = results.set.texts_of(concept, "test")
        labels = [1] * len(positive) + [0] * len(negative)
        values.append(roc_auc_score(labels, sizes[np.r_[positive, negative]]))
    assert row["mean"] == pytest.approx(np.mean([max(v, 1 - v) for v in values]))
    assert 0.5 < row["chance"] < 0.75
    rng = np.random.default_rng(0)
    null = [roc_auc_score(labels, rng.normal(size=len(labels))) for _ in range(2000)]
    assert row["chance"] == pytest.approx(np.mean(np.abs(np.array(null) - 0.5)) + 0.5, abs=0.02)
    assert (row["concepts"], row["texts"]) == (3, 12)
    text = shown.over_html(over)
    assert f"{row['negatives']} negative readings of 12 different test texts" in text
    assert "AxBench" not in text


def test_words_tell_what_words_can_tell(study: Study, boats: str) -> None:
    """Boats and kitchens share no noun: a bag of words has all of it, labels shuffled nothing."""
    view = queries.concept_aurocs(study.name, boats)
    assert isinstance(view, ConceptAurocs)
    bow = view.readers.row(by_predicate=pl.col("method") == "bow", named=True)
    assert bow["value"] == 1.0
    # nothing is said of how a single concept's mean would vary
    ends = view.over.select("low", "high", "gain_low", "gain_high")
    assert set(ends.dtypes) == {pl.Float64}
    assert ends.null_count().row(0) == (len(ends),) * 4


def test_rivals_are_as_many_as_regions(study: Study, boats: str) -> None:
    results = computed(study, boats)
    exemplars = results.build.array("exemplars")
    points = torch.cat([p for _, p in partitioning.points(study.reading)]).numpy()
    for kind in rivals.DIRECTIONS:
        directions = rivals.directions(results.partition, kind, 0)
        assert directions.shape == exemplars.shape
        lengths = np.linalg.norm(directions, axis=1)
        assert lengths[lengths > 0] == pytest.approx(1, abs=1e-5)
    coreset = rivals.directions(results.partition, "coreset", 0)
    nearest = (coreset @ points.T).max(axis=1)
    assert nearest == pytest.approx(1, abs=1e-5), "each is an activation of the corpus"


def test_k_means_finds_planted_clusters() -> None:
    rng = np.random.default_rng(0)
    centres = np.linalg.qr(rng.normal(size=(16, 16)))[0][:6]
    cloud = centres[rng.integers(6, size=600)] + 0.05 * rng.normal(size=(600, 16))
    points = torch.from_numpy((cloud / np.linalg.norm(cloud, axis=1)[:, None]).astype(np.float32))
    directions, moved = rivals.kmeans(points, 12, rng)
    assert moved < 0.02
    assert (directions.numpy() @ centres.T).max(axis=0).min() > 0.98


def test_as_many_clusters_as_points_are_the_points() -> None:
    rng = np.random.default_rng(0)
    cloud = torch.from_numpy(rng.normal(size=(9, 5)).astype(np.float32))
    points = torch.nn.functional.normalize(cloud, dim=1)
    directions, moved = rivals.kmeans(points, 9, rng)
    assert moved == 0
    assert (directions @ points.T).amax(dim=1).numpy() == pytest.approx(1, abs=1e-6)


# ---------------------------------------------------------------- features that overlap


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 8))
def test_a_cover_takes_what_adds_most_until_all_is_held(
    seed: int, tokens: int, groups: int
) -> None:
    rng = np.random.default_rng(seed)
    pairs = np.argwhere(rng.random((tokens, groups)) < 0.4)
    gains = scores.greedy_cover(pairs[:, 0], pairs[:, 1])
    sets = [set(pairs[pairs[:, 1] == group, 0].tolist()) for group in range(groups)]
    covered: set[int] = set()
    for gain in gains:
        best = max(sets, key=lambda one: len(one - covered))
        assert gain == len(best - covered)
        covered |= best
    assert covered == set(pairs[:, 0].tolist())


def test_tokens_are_covered_not_firings(study: Study, boats: str) -> None:
    """Each token fires six features: as many features as hold half of the firings are too many."""
    results = computed(study, boats)
    view = queries.purity_coverage(study.name, boats)
    assert isinstance(view, PurityCoverage)
    row = view.splitting.row(by_predicate=pl.col("method") == "sae", named=True)
    assert row["effective"] is row["whole"] is None
    counts = results.strengths["sae"].array("counts")[results.set.texts_of(0, "test")[0]]
    positives = int(np.diff(results.set.offsets)[results.set.texts_of(0, "test")[0]].sum())
    largest = np.sort(counts.sum(axis=0))[::-1]
    assert 1 <= row["half"] <= row["most"]
    assert largest[: row["half"]].sum() >= positives / 2, "a union is at most the sum"
    assert largest[0] * row["most"] >= 0.9 * positives
    assert row["uncovered"] == 0
