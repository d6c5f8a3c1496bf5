"""Exemplar partitioning of arrays against brute force in float64."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backend import run
from backend.regions import leader
from backend.regions import partitioning as partitions
from backend.regions.leader import RESOLUTION, LeaderPass, epsilon, unit
from backend.regions.nearest import assign
from backend.regions.points import draw_contexts
from backend.schema import Partition, PartitionSpec, Progress, Reading, TesseraError
from backend.store.memo import Entry
from backend.study import loading as studies


def points_of(seed: int, n: int, width: int, clusters: int = 0) -> torch.Tensor:
    """Unit vectors, around `clusters` directions where there are some."""
    rng = np.random.default_rng(seed)
    raw = rng.standard_normal((n, width))
    if clusters:
        raw = 0.5 * raw + 2 * rng.standard_normal((clusters, width))[rng.integers(0, clusters, n)]
    return unit(torch.from_numpy(raw.astype(np.float32)), torch.zeros(width))


def distance_matrix(points: torch.Tensor, exemplars: torch.Tensor) -> np.ndarray:
    """Every distance in float64, one at a time."""
    left, right = points.numpy().astype(np.float64), exemplars.numpy().astype(np.float64)
    return np.array([1.0 - (row * right).sum(axis=1) for row in left]).reshape(len(left), -1)


def brute_leaders(points: torch.Tensor, reach: float) -> list[int]:
    """The definition: a point leads if it is farther than `reach` from all leaders so far."""
    distances = distance_matrix(points, points)
    leaders: list[int] = []
    for row in range(len(points)):
        if points[row].any() and not (distances[row, leaders] <= reach).any():
            leaders.append(row)
    return leaders


def leaders_of(points: torch.Tensor, reach: float, cut: int = 0, **options: object) -> list[int]:
    leader_pass = LeaderPass(points.shape[1], reach, **options)  # type: ignore[arg-type]
    for part in points.split(cut or max(1, len(points))):
        leader_pass.feed(part)
    assert torch.equal(leader_pass.exemplars, points[leader_pass.rows])
    return leader_pass.rows.tolist()


clouds = st.builds(
    points_of,
    seed=st.integers(0, 10_000),
    n=st.integers(1, 300),
    width=st.integers(2, 24),
    clusters=st.integers(0, 6),
)
reaches = st.floats(0.01, 0.95)


@settings(max_examples=40, deadline=None)
@given(clouds, reaches, st.integers(1, 90), st.integers(1, 70))
def test_leaders_are_those_of_the_definition_however_the_stream_is_cut(
    points: torch.Tensor, reach: float, cut: int, largest: int
) -> None:
    expected = brute_leaders(points, reach)
    assert leaders_of(points, reach) == expected
    assert leaders_of(points, reach, cut=cut) == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leader, "TIER", 1 + cut // 9)
        patch.setitem(leader.CELLS, "cpu", 10 * cut)
        assert leaders_of(points, reach, largest=largest) == expected


@settings(max_examples=25, deadline=None)
@given(clouds, reaches)
def test_a_bfloat16_screen_finds_the_same_leaders(points: torch.Tensor, reach: float) -> None:
    expected = brute_leaders(points, reach)
    assert leaders_of(points, reach, screen=torch.bfloat16) == expected
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leader, "TIER", 5)
        assert leaders_of(points, reach, screen=torch.bfloat16) == expected


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 0.9), st.integers(3, 200))
def test_points_a_rounding_error_from_the_limit_fall_on_the_right_side(
    seed: int, reach: float, width: int
) -> None:
    rng = np.random.default_rng(seed)
    first, across = np.linalg.qr(rng.standard_normal((width, 2)))[0].T
    offsets = np.concatenate([[0.0], rng.choice([-1, 1], 60) * 10 ** rng.uniform(-9, -4, 60)])
    cosines = 1 - reach - offsets
    rows = [first, *(np.outer(cosines, first) + np.outer(np.sqrt(1 - cosines**2), across))]
    points = torch.from_numpy(np.array(rows + rows[:20], dtype=np.float32))
    expected = brute_leaders(points, reach)
    for screen in (torch.float32, torch.bfloat16):
        assert leaders_of(points, reach, screen=screen, largest=16) == expected


def test_repeated_points_lead_once() -> None:
    points = points_of(0, 50, 16).repeat(4, 1)
    assert leaders_of(points, RESOLUTION) == list(range(50))


def test_a_point_without_direction_never_leads_and_is_covered_by_nothing() -> None:
    points = points_of(1, 40, 8)
    points[[0, 7, 39]] = 0
    leaders = leaders_of(points, 0.4)
    assert not {0, 7, 39} & set(leaders)
    result = assign(points, points[leaders], 0.4)
    assert result.distance[[0, 7, 39]].tolist() == [1.0, 1.0, 1.0]
    assert result.overlap[[0, 7, 39]].tolist() == [0, 0, 0]
    assert result.owner[[0, 7, 39]].tolist() == [0, 0, 0]


@pytest.mark.parametrize("reach", [0.0, 1.0, -0.5, 2.0])
def test_a_reach_that_cannot_work_is_refused(reach: float) -> None:
    with pytest.raises(ValueError, match="reach"):
        LeaderPass(8, reach)


def test_many_exemplars_outgrow_the_first_buffer() -> None:
    points = points_of(2, 1500, 12)
    leaders = leaders_of(points, 0.02)
    assert len(leaders) > 1024
    assert leaders == brute_leaders(points, 0.02)


def test_the_rounding_bound_holds_for_both_formats() -> None:
    points = points_of(3, 400, 640)
    exact = 1 - distance_matrix(points, points)
    for dtype in (torch.float32, torch.bfloat16):
        computed = (points.to(dtype) @ points.to(dtype).T).double().numpy()
        assert np.abs(computed - exact).max() < epsilon(640, dtype)


# ---------------------------------------------------------------- assignment


@settings(max_examples=40, deadline=None)
@given(clouds, reaches)
def test_every_point_gets_its_nearest_exemplar_and_the_right_distances(
    points: torch.Tensor, theta: float
) -> None:
    theta = float(np.float32(theta))
    exemplars = points[leaders_of(points, theta)]
    result = assign(points, exemplars, theta)
    distances = distance_matrix(points, exemplars)
    assert result.owner.tolist() == distances.argmin(axis=1).tolist()
    assert np.allclose(result.distance, np.maximum(distances.min(axis=1), 0), atol=1e-6)
    assert result.overlap.tolist() == (distances <= theta).sum(axis=1).tolist()
    assert (result.distance <= np.float32(theta)).all()  # with k = 1 all points are covered
    if len(exemplars) == 1:
        assert set(result.runner_up.tolist()) == {-1}
    else:
        ordered = np.sort(distances, axis=1)
        second = np.argsort(distances, axis=1, kind="stable")[:, 1]
        assert result.runner_up.tolist() == second.tolist()
        assert np.allclose(result.margin, ordered[:, 1] - ordered[:, 0], atol=1e-6)


def test_ties_go_to_the_exemplar_found_first() -> None:
    exemplars = torch.eye(6)
    result = assign(unit(torch.ones(1, 6), torch.zeros(6)), exemplars[[3, 1, 2, 0, 5, 4]], 0.7)
    assert result.owner.tolist() == [0]
    assert result.runner_up.tolist() == [1]
    assert result.overlap.tolist() == [6]


def test_overlap_counts_exemplars_far_beyond_the_first_few() -> None:
    points = points_of(4, 900, 3)
    exemplars = points[:700]
    theta = float(np.float32(0.9))
    result = assign(points, exemplars, theta)
    distances = distance_matrix(points, exemplars)
    assert result.overlap.tolist() == (distances <= theta).sum(axis=1).tolist()
    assert result.overlap.max() > 256
    assert result.owner.tolist() == distances.argmin(axis=1).tolist()


@settings(max_examples=25, deadline=None)
@given(clouds, st.floats(0.1, 0.6), st.floats(1.0, 1.5))
def test_the_gray_zone_is_beyond_theta_and_within_reach(
    points: torch.Tensor, theta: float, k: float
) -> None:
    theta, reach = float(np.float32(theta)), float(np.float32(k * theta))
    leaders = leaders_of(points, reach)
    exemplars = points[leaders]
    result = assign(points, exemplars, theta, reach)
    nearest = distance_matrix(points, exemplars).min(axis=1)
    between = distance_matrix(exemplars, exemplars) + 9 * np.eye(len(leaders))
    assert between.min() > reach
    assert (result.distance <= np.float32(reach)).all()
    gray = (result.distance > np.float32(theta)) & (result.distance <= np.float32(reach))
    assert gray.tolist() == ((nearest > theta) & (nearest <= reach)).tolist()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 0.9))
def test_distances_next_to_theta_are_stored_on_their_side_of_it(seed: int, theta: float) -> None:
    theta = float(np.float32(theta))
    rng = np.random.default_rng(seed)
    first, across = np.linalg.qr(rng.standard_normal((40, 2)))[0].T
    cosines = 1 - theta - rng.choice([-1, 1], 80) * 10 ** rng.uniform(-12, -5, 80)
    rows = np.outer(cosines, first) + np.outer(np.sqrt(1 - cosines**2), across)
    points = torch.from_numpy(rows.astype(np.float32))
    exemplar = torch.from_numpy(first.astype(np.float32))[None]
    result = assign(points, exemplar, theta)
    within = distance_matrix(points, exemplar)[:, 0] <= theta
    assert (result.distance <= theta).tolist() == within.tolist()
    assert result.overlap.tolist() == within.astype(int).tolist()


# ---------------------------------------------------------------- a corpus


class Messages(Progress):
    """Keeps what was reported."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    def report(self, done: float, total: float, message: str, unit: str = "") -> None:
        assert 0 <= done <= total
        self.said.append((message, unit))


@pytest.fixture(scope="module")
def small(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The small study, whose activations are read once for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESSERA_STUDIES", str(world / "studies"))
        patch.setenv("TESSERA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield "small"


def reading(name: str) -> Reading:
    study = studies.load(name)
    return study.reading


def partitioned(name: str, spec: PartitionSpec, progress: Progress | None = None) -> Entry:
    with run.reporting(progress or Progress()):
        return partitions.build_partition(Partition(reading(name), spec))


def all_points(name: str) -> tuple[torch.Tensor, np.ndarray]:
    """The points of the whole corpus, and the centre."""
    every = partitions.points(reading(name))
    return torch.cat([part for _, part in every]), every.centre.numpy()


def test_the_centre_is_the_mean_along_the_mean_direction(small: str) -> None:
    every = partitions.points(reading(small))
    raw = torch.cat([part for _, part in every.activations]).double().numpy()
    direction = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).mean(axis=0)
    direction /= np.linalg.norm(direction)
    expected = direction * (raw.mean(axis=0) @ direction)
    assert np.allclose(every.centre.numpy(), expected, atol=1e-6)


def test_theta_is_the_mean_percentile_of_pairwise_distance_in_batches(small: str) -> None:
    every = partitions.points(reading(small))
    result = torch.cat([part for _, part in every]).double().numpy()
    table = every.activations.tokens.contexts
    percentiles = []
    for batch in draw_contexts(table, seed=3):
        documents = table["document"].to_numpy()[batch]
        assert len(set(documents.tolist())) == len(batch) == 16
        rows = [
            np.arange(
                table["first_token"][int(c)], table["first_token"][int(c)] + table["length"][int(c)]
            )
            for c in batch
        ]
        part = result[np.concatenate(rows)]
        pairs = 1 - (part @ part.T)[np.triu_indices(len(part), 1)]
        percentiles.append(np.percentile(pairs, [20, 7.5]))
    curve = partitions.thresholds(reading(small), [20.0, 7.5], 3)
    assert curve.frame("curve")["p"].to_list() == [20.0, 7.5]
    assert np.allclose(curve.frame("curve")["theta"], np.mean(percentiles, axis=0), atol=1e-5)
    assert curve.value("batches") == len(percentiles)


@pytest.mark.parametrize("k", [1.0, 1.3])
def test_a_corpus_is_partitioned_by_the_definition(small: str, k: float) -> None:
    messages = Messages()
    entry = partitioned(small, PartitionSpec(p=10, k=k, seed=1), messages)
    result, _ = all_points(small)
    theta, reach = entry.value("theta"), entry.value("reach")
    leaders = brute_leaders(result, reach)
    assert reach == pytest.approx(k * theta)
    assert entry.array("exemplar_tokens").tolist() == leaders
    assert np.array_equal(entry.array("exemplars"), result[leaders].numpy())
    distances = distance_matrix(result, result[leaders])
    assert entry.array("owner").tolist() == distances.argmin(axis=1).tolist()
    assert entry.array("overlap").tolist() == (distances <= theta).sum(axis=1).tolist()
    assert (entry.array("distance") <= reach).all()
    assert entry.value("tokens") == len(result)
    growth = entry.value("growth")
    assert growth[-1] == [len(result), len(leaders)]
    assert {("Finding exemplars", "tokens"), ("Assigning tokens", "tokens")} <= set(messages.said)


def test_a_larger_reach_makes_fewer_regions_and_a_gray_zone(small: str) -> None:
    plain, gray = (partitioned(small, PartitionSpec(p=10, k=k)) for k in (1.0, 1.3))
    assert plain.value("theta") == gray.value("theta")
    assert len(gray.array("exemplar_tokens")) < len(plain.array("exemplar_tokens"))
    assert not (plain.array("distance") > plain.value("theta")).any()
    assert (gray.array("distance") > gray.value("theta")).any()
    assert gray.array("overlap").mean() < plain.array("overlap").mean()


@pytest.mark.parametrize(
    ("spec", "remedy"),
    [
        (PartitionSpec(p=0), "p above 0"),
        (PartitionSpec(p=51), "at most 50"),
        (PartitionSpec(k=0.9), "k of 1"),
        (PartitionSpec(k=float("nan")), "k of 1"),
        (PartitionSpec(p=10, k=40), "k below"),
        (PartitionSpec(p=50), "a smaller p"),
    ],
)
def test_settings_that_cannot_work_come_with_a_remedy(
    small: str, spec: PartitionSpec, remedy: str
) -> None:
    with pytest.raises(TesseraError, match=remedy):
        partitions.build_partition.function(Partition(reading(small), spec))


def test_activations_that_are_all_the_same_have_no_direction() -> None:
    same = torch.full((5, 8), 3.0)
    assert not unit(same, same[0]).any()
