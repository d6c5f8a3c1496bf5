"""Regions matched with features: the counts, the scores and the order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import queries, run
from backend.features import codes
from backend.regions import matching, partitioning
from backend.regions.matching import MATCHES, best_matches
from backend.schema import PartitionSpec, Progress
from backend.study import loading as studies
from tests.helpers.caches import use_copy_without


def world(seed: int, tokens: int, regions: int, features: int) -> tuple[np.ndarray, np.ndarray]:
    """The region of each token (-1: none) and which features are active on it, [N, F]."""
    rng = np.random.default_rng(seed)
    return rng.integers(-1, regions, tokens), rng.random((tokens, features)) < 0.15


def by_token(active: np.ndarray) -> codes.ByToken:
    offsets = np.append(0, np.cumsum(active.sum(axis=1)))
    return codes.ByToken(offsets, np.nonzero(active)[1].astype(np.int32), active.sum(axis=0))


def matched(owner: np.ndarray, active: np.ndarray, regions: int) -> tuple[pl.DataFrame, ...]:
    return best_matches(owner, regions, by_token(active))


def brute(owner: np.ndarray, active: np.ndarray, regions: int) -> pl.DataFrame:
    """Every pair that shares a token, from the definitions of precision and recall."""
    rows = []
    for region in range(regions):
        for feature in range(active.shape[1]):
            member, fires = owner == region, active[:, feature]
            both = int((member & fires).sum())
            if both:
                precision, recall = both / fires.sum(), both / member.sum()
                f1 = 2 * precision * recall / (precision + recall)
                rows.append((region, feature, both, f1, precision, recall))
    return pl.DataFrame(rows, schema=MATCHES, orient="row")


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    tokens=st.integers(1, 120),
    regions=st.integers(1, 9),
    features=st.integers(1, 12),
    block=st.integers(1, 60),
)
def test_matches_are_the_best_pairs_however_they_are_counted(
    seed: int, tokens: int, regions: int, features: int, block: int
) -> None:
    owner, active = world(seed, tokens, regions, features)
    every = brute(owner, active, regions).with_columns(pl.col("f1").round(9))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "ROWS", block)
        result = matched(owner, active, regions)
    for frame, key, other in zip(result, ("region", "feature"), ("feature", "region"), strict=True):
        assert frame.schema == MATCHES
        expected = (
            every.sort(key, "f1", other, descending=[False, True, False])
            .group_by(key, maintain_order=True)
            .head(5)
            .select(list(MATCHES))
        )
        assert (
            frame.select(key, "f1")
            .with_columns(pl.col("f1").round(9))
            .equals(expected.select(key, "f1"))
        )
        both = frame.join(every, on=["region", "feature"], suffix="_brute")
        assert len(both) == len(frame)
        assert both["both"].equals(both["both_brute"], check_names=False)
        for column in ("precision", "recall"):
            assert np.allclose(both[column], both[f"{column}_brute"])


def test_a_feature_that_fires_on_exactly_the_members_matches_fully() -> None:
    owner = np.array([0, 0, 1, 1, 1, -1])
    active = np.array([owner == 1, owner == 0, np.ones(6, dtype=bool)]).T
    by_region, by_feature = matched(owner, active, 2)
    best = by_region.group_by("region", maintain_order=True).first()
    assert best.select("region", "feature", "f1").rows() == [(0, 1, 1.0), (1, 0, 1.0)]
    whole = by_feature.filter((pl.col("feature") == 2) & (pl.col("region") == 1))
    assert whole.select("both", "precision", "recall").rows() == [(3, 0.5, 1.0)]


def test_regions_without_a_shared_token_have_no_match() -> None:
    by_region, by_feature = matched(np.array([0, 1, -1]), np.array([[0], [1], [1]], dtype=bool), 3)
    assert by_region["region"].to_list() == [1]
    assert by_feature.select("feature", "region", "both", "f1").rows() == [(0, 1, 1, 2 / 3)]


def test_matches_of_a_corpus_recount_from_its_partition_and_codes(small: str) -> None:
    study = studies.load(small)
    assert study.sae is not None
    spec = PartitionSpec(p=10, k=1.2)
    entry = matching.match(study.cut(spec), study.sae)
    built = partitioning.build_partition(study.cut(spec))
    index = codes.index(study.reading, study.sae)
    member = built.array("distance") <= built.value("theta")
    assert not member.all()  # with k above 1 some tokens are gray, and members of nothing
    for row in entry.frame("by_region").sample(20, seed=0).iter_rows(named=True):
        of_feature = slice(*index.array("offsets")[row["feature"] : row["feature"] + 2])
        fires = np.zeros(len(member), dtype=bool)
        fires[index.array("rows")[of_feature]] = True
        inside = member & (built.array("owner") == row["region"])
        assert row["both"] == (fires & inside).sum()
        assert row["precision"] == pytest.approx((fires & inside).sum() / fires.sum())
        assert row["recall"] == pytest.approx((fires & inside).sum() / inside.sum())
    assert max(entry.frame("by_feature")["feature"].value_counts()["count"].to_list()) <= 5


@pytest.mark.parametrize("name", ["features", "regions"])
def test_matches_that_are_missing_are_asked_for(
    name: str, ready: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    use_copy_without("regions.feature_matches", tmp_path, monkeypatch)
    ask = queries.callables()[name]
    provisional = ask(ready)
    assert provisional.table["f1"].null_count() == len(provisional.table)
    assert provisional.pending.query == name
    with run.computing("cpu", Progress()):
        ask(ready)
    whole = ask(ready)
    assert whole.table["f1"].null_count() < len(whole.table)
    assert whole.pending is None
