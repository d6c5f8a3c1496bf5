"""The same corpus partitioned again, and what is said of how alike two partitions are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import adjusted_mutual_info_score

from backend.concepts import robustness
from backend.concepts.robustness import Grouping
from backend.corpus import activations
from backend.regions import partitioning
from backend.regions.leader import LeaderPass, unit
from backend.regions.nearest import assign
from backend.schema import NotFoundError, PartitionSpec, TesseraError
from backend.store.memo import Entry
from backend.study import loading as studies
from tests.conftest import WIDTH

SPEC = PartitionSpec(p=10)


def by_name(table: pl.DataFrame) -> dict[tuple[str, str], dict[str, object]]:
    return {(row["of"], row["measure"]): row for row in table.iter_rows(named=True)}


# ---------------------------------------------------------------- on arrays


def clustered(seed: int, clusters: int = 30, each: int = 60, width: int = 24) -> torch.Tensor:
    """Unit vectors in tight clusters, shuffled."""
    rng = np.random.default_rng(seed)
    middles = np.random.default_rng(0).standard_normal((clusters, width))
    rows = np.repeat(middles, each, axis=0) + 0.15 * rng.standard_normal((clusters * each, width))
    rows = rng.permutation(rows).astype(np.float32)
    return unit(torch.from_numpy(rows), torch.zeros(width))


def parted(points: torch.Tensor, order: np.ndarray, reach: float = 0.2) -> Grouping:
    leaders = LeaderPass(points.shape[1], reach)
    leaders.feed(points[torch.from_numpy(order)])
    return Grouping(leaders.exemplars.clone(), assign(points, leaders.exemplars, reach).owner)


def test_the_same_order_agrees_in_full() -> None:
    points = clustered(1)
    one, two = (parted(points, np.arange(len(points))) for _ in range(2))
    rows = by_name(robustness.compare_groupings(one, two, np.arange(len(points)) % 10, "exemplars"))
    for measure in ("found", "weighted", "agreement"):
        assert rows["exemplars", measure]["value"] == pytest.approx(1)
        assert rows["exemplars", measure]["high"] == pytest.approx(1)
    assert rows["exemplars", "found"]["n"] == len(one.exemplars)
    assert rows["exemplars", "found"]["low"] < 1
    assert rows["exemplars", "agreement"]["n"] == len(points)


def test_clusters_are_found_again_in_any_order_and_by_no_coreset() -> None:
    points = clustered(2)
    rng = np.random.default_rng(0)
    one = parted(points, np.arange(len(points)))
    two = parted(points, rng.permutation(len(points)))
    part = rng.integers(0, 10, len(points))
    coresets = [
        points[torch.from_numpy(rng.choice(len(points), len(each.exemplars), replace=False))]
        for each in (one, two)
    ]
    nulls = [Grouping(each, assign(points, each, 0.2).owner) for each in coresets]
    rows = by_name(robustness.compare_groupings(one, two, part, "exemplars"))
    null = by_name(robustness.compare_groupings(nulls[0], nulls[1], part, "coreset"))
    assert len(one.exemplars) == len(two.exemplars) == 30
    assert rows["exemplars", "agreement"]["value"] == pytest.approx(1)
    assert null["coreset", "agreement"]["high"] < 0.9
    assert null["coreset", "found"]["high"] < rows["exemplars", "found"]["low"]


def test_measures_are_counted_as_written_out() -> None:
    rng = np.random.default_rng(3)
    exemplars = unit(
        torch.from_numpy(rng.standard_normal((4, 8)).astype(np.float32)), torch.zeros(8)
    )
    other = exemplars[[2, 0]] + 0.05 * exemplars[[3, 1]]
    other = unit(torch.cat([other, -exemplars[1:2]]), torch.zeros(8))
    one, two = rng.choice(4, 500, p=[0.5, 0.2, 0.2, 0.1]), rng.integers(0, 3, 500)
    part = rng.integers(0, 5, 500)
    rows = by_name(
        robustness.compare_groupings(Grouping(exemplars, one), Grouping(other, two), part, "x")
    )
    assert rows["x", "found"]["value"] == 0.5
    assert rows["x", "weighted"]["value"] == pytest.approx(np.isin(one, [0, 2]).mean())
    ami = adjusted_mutual_info_score(one, two)
    assert rows["x", "agreement"]["value"] == pytest.approx(ami, abs=1e-12)
    assert rows["x", "agreement"]["low"] < 0 < rows["x", "agreement"]["high"] < 0.1


def test_the_interval_of_a_share_of_tokens_counts_documents() -> None:
    """Where all tokens of a part are alike, ten parts say as little as ten tokens."""
    exemplars, other = torch.eye(2), torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    part = np.repeat(np.arange(10), 100)
    alike, mixed = part % 2, np.tile(np.arange(2), 500)
    spans = []
    for owner in (alike, mixed):
        table = robustness.compare_groupings(
            Grouping(exemplars, owner), Grouping(other, owner), part, "x"
        )
        row = by_name(table)["x", "weighted"]
        assert row["value"] == 0.5
        spans.append(row["high"] - row["low"])
    # of ten values, half of them 0 and half 1, Student's t
    assert spans[0] == pytest.approx(
        2 * 2.2622 * np.std([0, 1] * 5, ddof=1) / np.sqrt(10), rel=1e-3
    )
    assert spans[1] == pytest.approx(0, abs=1e-9)


def test_one_document_gives_no_interval() -> None:
    owner = np.array([0, 1, 1, 0, 1])
    one, two = (Grouping(torch.eye(2), owner) for _ in range(2))
    rows = by_name(robustness.compare_groupings(one, two, np.zeros(5), "x"))
    assert rows["x", "agreement"]["value"] == 1
    assert rows["x", "agreement"]["low"] is rows["x", "weighted"]["high"] is None


# ---------------------------------------------------------------- on a corpus


@pytest.fixture(scope="module")
def small(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The small study in chunks of 32 contexts, read once for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESSERA_STUDIES", str(world / "studies"))
        patch.setenv("TESSERA_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(activations, "CHUNK", 32)
        yield "small"


def repartition(name: str, how: str, seed: int = 0, spec: PartitionSpec = SPEC) -> Entry:
    study = studies.load(name)
    return robustness.repeat_partition(study.cut(spec), how, seed)


def studied(name: str) -> Entry:
    return partitioning.build_partition(studies.load(name).cut(SPEC))


def all_points(name: str) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Points of the whole corpus, where chunks begin and end, and the document of each token."""
    study = studies.load(name)
    every = partitioning.points(study.reading)
    tokens = every.activations.tokens
    return torch.cat([part for _, part in every]), every.activations.bounds, tokens.document_of


def leaders_of(points: torch.Tensor, rows: np.ndarray, reach: float) -> list[int]:
    leaders = LeaderPass(WIDTH, reach)
    leaders.feed(points[torch.from_numpy(rows)])
    return rows[leaders.rows].tolist()


def assert_assigned(entry: Entry, points: torch.Tensor) -> None:
    exemplars = points[torch.from_numpy(np.array(entry.array("exemplar_tokens")))]
    assert np.array_equal(entry.array("exemplars"), exemplars)
    assert entry.value("regions") == len(exemplars)
    near = assign(points, exemplars, entry.value("theta"))
    assert np.array_equal(entry.array("owner"), near.owner)
    assert np.array_equal(entry.array("distance"), near.distance)


def test_another_order_is_of_chunks_not_of_rows(small: str) -> None:
    entry, study = repartition(small, "order"), studied(small)
    points, bounds, _ = all_points(small)
    order = np.random.default_rng(0).permutation(len(bounds) - 1)
    assert len(order) > 3
    assert (np.diff(order) < 0).any()
    rows = np.concatenate([np.arange(*bounds[chunk : chunk + 2]) for chunk in order])
    assert entry.array("exemplar_tokens").tolist() == leaders_of(points, rows, study.value("reach"))
    assert_assigned(entry, points)
    assert entry.value("theta") == entry.value("study_theta") == study.value("theta")
    assert entry.value("study_regions") == len(study.array("exemplars"))


def test_agreement_is_that_of_all_tokens_and_of_a_null_beside_it(small: str) -> None:
    entry, study = repartition(small, "order"), studied(small)
    rows = by_name(entry.frame("measures"))
    expected = adjusted_mutual_info_score(study.array("owner"), entry.array("owner"))
    assert rows["exemplars", "agreement"]["value"] == pytest.approx(expected, abs=1e-9)
    similarity = study.array("exemplars") @ entry.array("exemplars").T
    recovered = similarity.max(axis=1) > 0.9
    assert rows["exemplars", "found"]["value"] == pytest.approx(recovered.mean())
    weighted = recovered[study.array("owner")].mean()
    assert rows["exemplars", "weighted"]["value"] == pytest.approx(weighted)
    for (kind, measure), row in rows.items():
        assert 0 < row["value"] <= 1, (kind, measure)
        assert row["low"] < row["value"] <= row["high"]
    assert rows["coreset", "found"]["n"] == entry.value("study_regions")
    assert rows["coreset", "agreement"]["value"] != rows["exemplars", "agreement"]["value"]


def test_a_corpus_of_one_chunk_has_one_order(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activations, "CHUNK", 10_000)
    entry = repartition(small, "order", seed=9)
    rows = by_name(entry.frame("measures"))
    assert np.array_equal(entry.array("owner"), studied(small).array("owner"))
    for measure in ("found", "weighted", "agreement"):
        assert rows["exemplars", measure]["value"] == pytest.approx(1)
        assert rows["coreset", measure]["value"] < 1


def test_an_order_is_never_that_of_the_study(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activations, "CHUNK", 64)
    study = studies.load(small)
    every = partitioning.points(study.reading)
    assert every.activations.chunks == 2
    for seed in range(6):
        assert robustness._partial_points(every, "order", seed).chunks.tolist() == [1, 0]


def test_another_seed_changes_the_threshold_only(small: str) -> None:
    entry = repartition(small, "seed", 1)
    study = studies.load(small)
    partition = partitioning.build_partition.function(study.cut(PartitionSpec(p=10, seed=2)))
    assert entry.value("theta") == partition["theta"] != entry.value("study_theta")
    assert np.array_equal(entry.array("exemplar_tokens"), partition["exemplar_tokens"])
    assert np.array_equal(entry.array("owner"), partition["owner"])


def test_half_of_the_documents_gives_exemplars_of_these_alone(small: str) -> None:
    points, _, document = all_points(small)
    for seed in (0, 1):
        entry = repartition(small, "half", seed)
        rows = np.flatnonzero(document % 2 == seed)
        reach = studied(small).value("reach")
        assert entry.array("exemplar_tokens").tolist() == leaders_of(points, rows, reach)
        assert_assigned(entry, points)
        assert (entry.array("distance") > entry.value("theta")).any()  # the others are not covered


def test_a_gray_zone_is_kept(small: str) -> None:
    entry = repartition(small, "half", 0, PartitionSpec(p=10, k=1.1))
    exemplars = np.array(entry.array("exemplars"), dtype=np.float64)
    between = 1 - exemplars @ exemplars.T + 9 * np.eye(len(exemplars))
    assert between.min() > 1.1 * entry.value("theta") - 1e-6


def test_what_cannot_be_done_again_is_said(small: str) -> None:
    with pytest.raises(NotFoundError, match="order, seed, half"):
        repartition(small, "backwards")
    study = studies.load(small)
    every = partitioning.points(study.reading)
    documents = every.activations.tokens.document_of
    documents[:] = 0
    with pytest.raises(TesseraError, match="more documents"):
        robustness._partial_points(every, "half", 1)
