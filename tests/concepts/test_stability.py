"""Segments against a dense walk, patched runs against hooks written by hand, and the three tests
of boundaries on planted pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from backend import run
from backend.concepts import boundaries, stability
from backend.concepts.segments import Segment, envelope
from backend.corpus.contexts import Tokens, tokenize
from backend.models import language_model
from backend.regions import partitioning
from backend.schema import (
    Dtype,
    Partition,
    PartitionSpec,
    Progress,
    Reading,
    Site,
    TesseraError,
)
from backend.store.memo import Entry
from backend.study import loading as studies
from tests.conftest import LAYER, WIDTH

STEPS = 10_000


def units(rng: np.random.Generator, count: int, width: int) -> np.ndarray:
    rows = rng.standard_normal((count, width))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


# ---------------------------------------------------------------- segments


def assert_nearest_everywhere(
    found: Segment, a: np.ndarray, b: np.ndarray, exemplars: np.ndarray, centre: np.ndarray
) -> None:
    """At each of 10,000 steps the owner has the largest cosine, and is the lowest such index
    wherever the best is clear."""
    alpha = np.linspace(0, 1, STEPS)
    points = a + alpha[:, None] * (b - a) - centre
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    similarity = points / np.where(norms > 0, norms, 1) @ exemplars.astype(np.float64).T
    owners = found.owners[np.searchsorted(found.bounds, alpha)]
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
    found = envelope(a, b, exemplars, centre)
    assert_nearest_everywhere(found, a, b, exemplars, centre)
    assert (np.diff(found.bounds) > 0).all()
    assert ((found.bounds > 0) & (found.bounds < 1)).all()
    assert len(found.owners) == len(found.bounds) + 1 == len(set(found.owners.tolist()))


def test_a_fine_fan_of_exemplars_is_passed_one_by_one() -> None:
    angle = np.linspace(0, np.pi, 400)
    fan = np.column_stack([np.cos(angle), np.sin(angle)])
    order = np.random.default_rng(0).permutation(400)
    found = envelope(np.array([3.0, 1.0]), np.array([-1.0, 1.0]), fan[order], np.zeros(2))
    passed = order[found.owners]
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
    once = envelope(a, b, some, np.zeros(7))
    again = envelope(a, b, np.concatenate([some, some, some]), np.zeros(7))
    assert again.owners.tolist() == once.owners.tolist()
    assert np.array_equal(again.bounds, once.bounds)


def test_lines_that_meet_in_one_place_make_one_boundary() -> None:
    exemplars = np.array([[1.0, 0.0], [0.0, 1.0], [np.sqrt(0.5), np.sqrt(0.5)]])[[0, 1]]
    thirds = np.array([[0.5, 0.5]])  # passes through the corner of the other two
    found = envelope(
        np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.concatenate([exemplars, thirds]), np.zeros(2)
    )
    assert found.owners.tolist() == [0, 1]
    assert found.bounds.tolist() == [0.5]
    assert found.distance(np.array([0.5, 0.75, 0.0])).tolist() == [0.0, 0.25, 0.5]


# ---------------------------------------------------------------- interpolation


@pytest.fixture(scope="module")
def small(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The small study, whose activations are read once for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESSERA_STUDIES", str(world / "studies"))
        patch.setenv("TESSERA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield "small"


def interpolated(name: str, layer: int = LAYER, dtype: Dtype = "float32", **options: Any) -> Entry:
    study = studies.load(name)
    reading = Reading(replace(study.model, dtype=dtype), Site(layer), study.corpus)
    options = {"pairs": 8, "steps": 9, "seed": 0} | options
    return stability.interpolate_prompts(Partition(reading, PartitionSpec(p=10)), **options)


def prompts(name: str, entry: Entry, pair: int) -> list[torch.Tensor]:
    study = studies.load(name)
    tokens = Tokens(tokenize(study.model, study.corpus))
    bos = language_model.tokenizer(study.model).bos_token_id
    spans = zip(entry.array("first")[pair], entry.array("length")[pair], strict=True)
    return [torch.tensor([[bos, *tokens.ids[f : f + n].tolist()]]) for f, n in spans]


@torch.inference_mode()
def by_hand(network: Any, ids: torch.Tensor, layer: int, row: torch.Tensor | None) -> torch.Tensor:
    """Output of the last block at the last position, after writing `row` behind a block."""
    seen: dict[str, torch.Tensor] = {}

    def write(_module: Any, _args: Any, output: Any) -> None:
        whole = output[0] if isinstance(output, tuple) else output
        if row is not None:
            whole[0, -1] = row

    def read(_module: Any, _args: Any, output: Any) -> None:
        seen["final"] = (output[0] if isinstance(output, tuple) else output)[0, -1].clone()

    handles = [network.model.layers[layer].register_forward_hook(write)]
    handles += [network.model.layers[-1].register_forward_hook(read)]
    network(ids)
    for handle in handles:
        handle.remove()
    return seen["final"]


def test_what_is_patched_in_equals_hooks_written_by_hand(small: str, world: Path) -> None:
    entry = interpolated(small)
    network = AutoModelForCausalLM.from_pretrained(world / "model", dtype=torch.float32).eval()
    for pair in (0, 5):
        ids, other = prompts(small, entry, pair)
        with torch.inference_mode():
            outputs = [network(each, output_hidden_states=True) for each in (ids, other)]
        ends = torch.stack([o.hidden_states[LAYER + 1][0, -1] for o in outputs])
        assert np.allclose(entry.array("ends")[pair], ends, atol=1e-5)
        assert entry.array("next")[pair].tolist() == [
            int(o.logits[0, -1].argmax()) for o in outputs
        ]
        finals = [
            by_hand(network, ids, LAYER, ends[0] + alpha * (ends[1] - ends[0]))
            for alpha in np.linspace(0, 1, 9)
        ]
        whole = by_hand(network, ids, LAYER, None)
        assert torch.allclose(finals[0], whole, atol=1e-5)
        distances = torch.stack([(final - whole).norm() for final in finals])
        assert np.allclose(entry.array("apart")[pair], distances / distances[-1], atol=1e-4)


def test_the_patched_run_at_zero_is_the_run_as_it_is(small: str) -> None:
    entry = interpolated(small)
    study = studies.load(small)
    network = language_model.load(study.model, "cpu")
    ids = prompts(small, entry, 0)[0]
    last = len(network.blocks) - 1
    rows = torch.from_numpy(np.array(entry.array("ends")[0]))
    found = network.patched(ids[0], LAYER, rows)
    assert torch.allclose(found[0], network.residual(ids, None, last)[0, -1], atol=1e-5)
    assert not torch.allclose(found[1], found[0], atol=1e-3)
    again = network.residual(ids, None, last)[0, -1]
    assert torch.allclose(found[0], again, atol=1e-5)  # nothing stays behind in the model


def test_distance_goes_from_nothing_to_one(small: str) -> None:
    apart = interpolated(small).array("apart")
    assert apart.shape == (8, 9)
    assert np.array_equal(apart[:, 0], np.zeros(8))
    assert np.array_equal(apart[:, -1], np.ones(8))


def test_after_the_last_block_the_output_moves_in_proportion(small: str) -> None:
    entry = interpolated(small, layer=3)
    line = np.linspace(0, 1, 9)
    assert np.allclose(entry.array("apart"), line[None], atol=1e-5)
    assert np.allclose(entry.array("sharpness"), 1, atol=1e-4)
    bent = interpolated(small, layer=0).array("apart")
    assert np.abs(bent - line).max() > 0.01


def test_a_study_in_bfloat16_is_interpolated_in_float32(small: str) -> None:
    entry = interpolated(small, layer=3, dtype="bfloat16")
    assert np.allclose(entry.array("apart"), np.linspace(0, 1, 9), atol=1e-5)
    ends = torch.from_numpy(np.array(entry.array("ends")))
    assert not torch.equal(ends, ends.bfloat16().float())


def test_sharpness_is_the_steepest_step() -> None:
    apart = np.array([[0, 0.1, 0.1, 0.9, 1.0], [0, 0.5, 1.5, 1.2, 1.0], [np.nan] * 5])
    sharpness, steepest = stability.steepest_rises(apart)
    assert np.allclose(sharpness, [3.2, 4.0, np.nan], equal_nan=True)
    assert np.allclose(steepest, [0.625, 0.375, np.nan], equal_nan=True)


def test_ends_that_do_the_same_have_no_relative_distance() -> None:
    assert np.isnan(stability.relative_distances(torch.ones(4, 3))).all()
    assert stability.relative_distances(torch.tensor([[0.0], [3.0], [2.0]])).tolist() == [0, 1.5, 1]


def test_progress_goes_pair_by_pair(small: str) -> None:
    class Seen(Progress):
        said: list[tuple[float, float, str]] = []  # noqa: RUF012

        def report(self, done: float, total: float, message: str, unit: str = "") -> None:
            if unit == "pairs":
                self.said.append((done, total, message))

    with run.computing("cpu", Seen()):
        interpolated(small, seed=5, pairs=3)
    assert [each[:2] for each in Seen.said] == [(0, 3), (1, 3), (2, 3)]


@pytest.mark.parametrize("options", [{"pairs": 0}, {"steps": 1}])
def test_nothing_to_interpolate_is_said(small: str, options: dict[str, int]) -> None:
    with pytest.raises(TesseraError, match="two steps"):
        interpolated(small, **options)


# ---------------------------------------------------------------- the draw


def test_prompts_are_beginnings_of_contexts_of_two_documents(small: str) -> None:
    study = studies.load(small)
    tokens = Tokens(tokenize(study.model, study.corpus))
    made = partitioning.build_partition(study.cut(PartitionSpec(p=10)))
    owner = made.array("owner")
    first, length = stability.draw_pairs(tokens.contexts, tokens.ids, owner, 20, 3)
    assert first.shape == length.shape == (20, 2)
    assert length.min() >= 8
    assert length.max() <= 24
    assert len(np.unique(length)) > 5
    assert set(first.ravel().tolist()) <= set(tokens.contexts["first_token"].to_list())
    assert len(set(first.ravel().tolist())) == 40
    assert (tokens.document_of[first[:, 0]] != tokens.document_of[first[:, 1]]).all()
    assert (tokens.context_of[first] == tokens.context_of[first + length - 1]).all()
    ends = owner[first + length - 1]
    together = ends[:, 0] == ends[:, 1]
    assert together[:10].all()
    assert len(set(ends[:10, 0].tolist())) == 10
    assert together[10:].mean() < 0.5
    other = stability.draw_pairs(tokens.contexts, tokens.ids, owner, 20, 4)
    assert not np.array_equal(other[0], first)


def contexts_of(documents: list[int]) -> pl.DataFrame:
    return pl.DataFrame(
        {"document": documents, "length": 10, "first_token": np.arange(len(documents)) * 10}
    )


def test_a_corpus_with_nothing_to_pair_is_said() -> None:
    ids, owner = np.arange(40), np.arange(40)
    with pytest.raises(TesseraError, match="more documents"):
        stability.draw_pairs(contexts_of([0, 0, 0, 0]), ids, owner, 4, 0)
    with pytest.raises(TesseraError, match="more documents"):  # one text said twice
        stability.draw_pairs(contexts_of([0, 1]), np.zeros(20), owner, 4, 0)
    short = contexts_of([0, 1]).with_columns(length=pl.lit(7))
    with pytest.raises(TesseraError, match="more documents"):
        stability.draw_pairs(short, ids, owner, 4, 0)


def test_without_prompts_of_one_region_all_pairs_are_of_two() -> None:
    first, length = stability.draw_pairs(
        contexts_of([0, 1, 2, 3]), np.arange(40), np.arange(40), 9, 0
    )
    assert len(first) == 2
    assert len(set(first.ravel().tolist())) == 4
    assert set(length.ravel().tolist()) <= {8, 9, 10}


# ---------------------------------------------------------------- the three tests


def planted(pairs: int = 40) -> dict[str, np.ndarray]:
    """Pairs in the plane. Exemplars are the axes, so that regions end at 45°; half of the pairs
    stay near an axis, and the output of the others jumps at the boundary between them."""
    rng = np.random.default_rng(0)
    size = rng.uniform(2, 4, pairs)
    ends = np.zeros((pairs, 2, 2))
    ends[:, 0] = np.column_stack([size, 0.1 * size])
    cross = np.arange(pairs) % 2 == 1
    ends[:, 1] = np.where(
        cross[:, None],
        np.column_stack([0.1 * size, rng.uniform(0.5, 2, pairs) * size]),
        ends[:, 0] + np.column_stack([rng.uniform(0.5, 2, pairs) * size, 0 * size]),
    )
    axes = np.eye(2)
    steepest = np.full(pairs, 0.5)
    for pair in np.flatnonzero(cross):
        steepest[pair] = envelope(ends[pair, 0], ends[pair, 1], axes, np.zeros(2)).bounds[0]
    sharp = np.where(cross, 6.0, 2.0) + rng.normal(0, 0.1, pairs)
    following = np.column_stack([np.zeros(pairs), cross]).astype(np.int64)
    return {"ends": ends, "sharpness": sharp, "steepest": steepest, "next": following}


def findings(coreset: np.ndarray, **changed: np.ndarray) -> boundaries.Findings:
    return found_for(planted() | changed, np.eye(2), coreset, np.zeros(2))


def found_for(
    given: dict[str, np.ndarray], exemplars: np.ndarray, coreset: np.ndarray, centre: np.ndarray
) -> boundaries.Findings:
    names = ("ends", "sharpness", "steepest", "next")
    ends, sharpness, steepest, following = (given[name] for name in names)
    return boundaries.boundary_tests(
        ends, sharpness, steepest, following, exemplars, coreset, centre, seed=0
    )


def turned(degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def test_jumps_at_the_boundaries_are_found_there() -> None:
    table = findings(turned(30)).boundaries
    rows = {(r["measure"], r["of"]): r for r in table.iter_rows(named=True)}
    found = rows["distance", "exemplars"]
    assert found["mean"] == pytest.approx(0, abs=1e-12)
    assert (found["n"], found["without"], found["boundaries"]) == (20, 20, 1.0)
    assert rows["distance", "difference"]["high"] < 0
    assert rows["distance", "difference"]["n"] == rows["distance", "coreset"]["n"] == 20
    assert rows["beyond", "exemplars"]["high"] < 0
    assert rows["beyond", "exemplars"]["mean"] < rows["beyond", "coreset"]["mean"]


def test_many_boundaries_are_near_but_not_beyond_what_other_pairs_show() -> None:
    angle = np.radians(np.arange(0, 360, 2.0))
    rng = np.random.default_rng(3)
    table = findings(
        np.column_stack([np.cos(angle), np.sin(angle)]), steepest=rng.uniform(0, 1, 40)
    ).boundaries
    rows = {(r["measure"], r["of"]): r for r in table.iter_rows(named=True)}
    assert rows["distance", "coreset"]["mean"] < rows["distance", "exemplars"]["mean"] / 2
    assert rows["distance", "coreset"]["boundaries"] > 10
    for of in ("exemplars", "coreset"):
        assert rows["beyond", of]["low"] < 0 < rows["beyond", of]["high"]


def test_beyond_is_the_distance_less_that_of_the_other_pairs() -> None:
    segments = [
        Segment(np.array([0.5]), np.array([0, 1])),
        Segment(np.array([]), np.array([2])),
        Segment(np.array([0.2, 0.8]), np.array([0, 1, 2])),
    ]
    own, beyond = boundaries.boundary_distances(segments, np.array([0.4, 0.9, 0.8]))
    assert np.allclose(own, [0.1, np.nan, 0.0], equal_nan=True)
    assert np.allclose(beyond, [0.1 - 0.3, np.nan, 0.0 - 0.2], equal_nan=True)


def test_pairs_within_a_region_are_less_sharp() -> None:
    table = findings(np.eye(2)).sharpness
    for row in table.iter_rows(named=True):
        assert row["one_region"] == row["two_regions"] == 20
        assert 5 < row["n"] <= 20
        assert row["one"] == pytest.approx(2, abs=0.2)
        assert row["two"] == pytest.approx(6, abs=0.2)
        assert row["low"] < -4 < row["high"]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 60))
def test_matches_are_near_and_nobody_is_matched_twice(seed: int, pairs: int) -> None:
    rng = np.random.default_rng(seed)
    apart, one = rng.uniform(0, 1, pairs), rng.random(pairs) < 0.5
    found = boundaries.match_pairs(apart, one, seed)
    assert one[found[:, 0]].all()
    assert not one[found[:, 1]].any()
    assert len(set(found.ravel().tolist())) == 2 * len(found)
    gaps = np.abs(apart[found[:, 0]] - apart[found[:, 1]])
    assert (gaps <= 0.2 * apart.std(ddof=1)).all()
    free = np.setdiff1d(np.flatnonzero(~one), found[:, 1])
    for row in np.setdiff1d(np.flatnonzero(one), found[:, 0]):  # nobody near was left for these
        assert not (np.abs(apart[free] - apart[row]) <= 0.2 * apart.std(ddof=1)).any()


def test_same_region_tells_same_next_token() -> None:
    table = findings(turned(30)).prediction
    exemplars = table.row(0, named=True)
    assert exemplars["auroc"] == 1.0
    assert exemplars["low"] > 0.8
    assert (exemplars["n"], exemplars["agree"], exemplars["one_region"]) == (40, 20, 20)
    shuffled = planted()["next"][np.random.default_rng(5).permutation(40)]
    chance = findings(turned(30), next=shuffled).prediction.row(0, named=True)
    assert chance["low"] < 0.5 < chance["high"]


def test_groups_without_a_pair_say_nothing_and_raise_nothing() -> None:
    alone = np.ones((1, 2)) / np.sqrt(2)
    found = found_for(planted(), alone, alone, np.zeros(2))
    assert found.boundaries["mean"].to_list() == [None] * 6
    assert found.boundaries["n"].to_list() == [0] * 6
    assert found.boundaries["without"].to_list() == [40] * 6
    assert found.sharpness["difference"].to_list() == [None] * 2
    assert found.sharpness["n"].to_list() == [0] * 2
    assert found.prediction["auroc"].to_list() == [0.5] * 2
    unlike = findings(np.eye(2), next=np.array([[0, 1]] * 40))
    assert unlike.prediction["auroc"].to_list() == [None] * 2
    assert unlike.prediction["agree"].to_list() == [0] * 2


def test_pairs_without_a_distance_are_left_out() -> None:
    whole = planted()
    sharp = whole["sharpness"].copy()
    sharp[:4] = np.nan
    found = findings(np.eye(2), sharpness=sharp)
    assert found.prediction["n"].to_list() == [36, 36]
    assert found.sharpness["one_region"].to_list() == [18, 18]
    none = findings(np.eye(2), sharpness=np.full(40, np.nan))
    assert none.prediction["n"].to_list() == [0, 0]
    assert none.boundaries["n"].to_list() == [0] * 6


def test_what_is_read_can_be_tested(small: str) -> None:
    entry = interpolated(small, pairs=16)
    study = studies.load(small)
    made = partitioning.build_partition(study.cut(PartitionSpec(p=10)))
    centre = partitioning.centre(study.reading).array("centre")
    exemplars = made.array("exemplars")
    drawn = units(np.random.default_rng(0), len(exemplars), WIDTH)
    read = {name: entry.array(name) for name in ("ends", "sharpness", "steepest", "next")}
    found = found_for(read, exemplars, drawn, centre)
    same = found.sharpness["one_region"][0]
    rows = entry.array("first") + entry.array("length") - 1
    owner = made.array("owner")[rows]
    assert same == int((owner[:, 0] == owner[:, 1]).sum()) >= 8
    crossed = [
        [len(s.bounds) > 0 for s in segments_of(read, of, centre)] for of in (exemplars, drawn)
    ]
    assert sum(crossed[0]) == 16 - same
    both = np.logical_and(crossed[0], crossed[1]).sum()
    assert found.boundaries["n"].to_list() == [both] * 6
    assert found.boundaries["without"].to_list() == [16 - both] * 6


def segments_of(read: dict[str, np.ndarray], of: np.ndarray, centre: np.ndarray) -> list[Segment]:
    return [envelope(a, b, of.astype(np.float64), centre) for a, b in read["ends"]]


def test_the_difference_is_that_of_the_means_beside_it() -> None:
    """All pairs cross a boundary of the coreset, half of them one of both."""
    angle = np.radians(np.arange(0, 360, 2.0))
    fan = np.column_stack([np.cos(angle), np.sin(angle)])
    table = findings(fan, steepest=np.random.default_rng(2).uniform(0, 1, 40)).boundaries
    for measure in ("distance", "beyond"):
        rows = {r["of"]: r for r in table.filter(measure=measure).iter_rows(named=True)}
        assert {r["n"] for r in rows.values()} == {20}
        left = rows["exemplars"]["mean"] - rows["coreset"]["mean"]
        assert rows["difference"]["mean"] == pytest.approx(left, abs=1e-12)


def test_another_partition_draws_other_pairs(small: str) -> None:
    study = studies.load(small)
    key = stability.interpolate_prompts.digest
    assert key(study.cut(PartitionSpec(p=10))) != key(study.cut(PartitionSpec(p=4.0)))
