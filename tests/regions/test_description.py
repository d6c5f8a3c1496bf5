"""Statistics of regions against counting by hand, and samples that say how they were drawn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.regions import description, partitioning
from backend.regions.description import REGIONS, bands, competitors, sample
from backend.regions.shape import isolation, mean_distance, quantiles
from backend.regions.token_share import (
    PUNCTUATION,
    attributes,
    explained,
    kind_of,
    modes,
    nulls,
    spellings,
    words_of,
)
from backend.regions.views import ATTRIBUTES, MemberDraw
from backend.schema import Partition, PartitionSpec, Reading, TesseraError
from backend.statistics.intervals import wilson
from backend.store.memo import Entry
from backend.study import loading as studies

SPEC = PartitionSpec(p=10, k=1.2)


@pytest.fixture(scope="module")
def refs(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reading]:
    """The small study's references; what is computed is kept for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESSERA_STUDIES", str(world / "studies"))
        patch.setenv("TESSERA_CACHE", str(tmp_path_factory.mktemp("cache")))
        study = studies.load("small")
        yield study.reading


@pytest.fixture
def described(refs: Reading) -> Entry:
    return description.describe(Partition(refs, SPEC))


@pytest.fixture
def points(refs: Reading) -> partitioning.Points:
    return partitioning.points(refs)


# ---------------------------------------------------------------- a described corpus


def test_members_are_the_tokens_within_theta_grouped_and_nearest_first(
    refs: Reading, described: Entry
) -> None:
    built = partitioning.build_partition(Partition(refs, SPEC))
    members, offsets = described.array("members"), described.array("offsets")
    owner, distance = built.array("owner"), built.array("distance")
    within = np.flatnonzero(distance <= built.value("theta"))
    assert sorted(members.tolist()) == within.tolist()
    for region, exemplar in enumerate(built.array("exemplar_tokens")):
        rows = members[offsets[region] : offsets[region + 1]]
        assert set(owner[rows].tolist()) == {region}
        assert (np.diff(distance[rows]) >= 0).all()
        assert exemplar in rows[distance[rows] < 1e-6]
    table = described.frame("regions")
    assert table.schema == REGIONS
    assert table["size"].to_list() == np.diff(offsets).tolist()
    assert sum(table["size"].to_list() + table["gray"].to_list()) == len(owner)
    assert table["gray"].sum() > 0


def test_shape_measures_match_pairwise_computation(
    refs: Reading, described: Entry, points: partitioning.Points
) -> None:
    built = partitioning.build_partition(Partition(refs, SPEC))
    whole = torch.cat([part for _, part in points]).double().numpy()
    whole /= np.linalg.norm(whole, axis=1, keepdims=True)
    members, offsets = described.array("members"), described.array("offsets")
    exemplars = built.array("exemplars").astype(np.float64)
    between = 1 - exemplars @ exemplars.T + 9 * np.eye(len(exemplars))
    for row in described.frame("regions").iter_rows(named=True):
        rows = members[offsets[row["region"]] : offsets[row["region"] + 1]]
        inside, n = whole[rows], row["size"]
        assert row["coherence"] == pytest.approx(np.linalg.norm(inside.mean(axis=0)), abs=1e-12)
        if n > 1:
            pairs = (1 - inside @ inside.T)[np.triu_indices(n, 1)]
            assert row["mean_distance"] == pytest.approx(pairs.mean(), abs=1e-10)
        else:
            assert row["mean_distance"] is None
        distance, margin = built.array("distance")[rows], built.array("margin")[rows]
        for name, q in (("radius", 50), ("radius_10", 10), ("radius_90", 90)):
            assert row[name] == pytest.approx(np.percentile(distance, q), abs=1e-6)
        assert row["margin"] == pytest.approx(np.median(margin), abs=1e-6)
        assert row["overlap"] == pytest.approx(built.array("overlap")[rows].mean())
        assert row["isolation"] == pytest.approx(between[row["region"]].min(), abs=1e-5)
        direction = described.array("means")[row["region"]]
        assert np.allclose(direction, inside.mean(axis=0) / row["coherence"], atol=1e-6)


def test_the_topic_is_the_one_of_highest_lift_with_enough_members(
    described: Entry, points: partitioning.Points
) -> None:
    topic_of = points.activations.tokens.topic_of
    prior = np.bincount(topic_of) / len(topic_of)
    members, offsets = described.array("members"), described.array("offsets")
    for row in described.frame("regions").iter_rows(named=True):
        counts = Counter(topic_of[members[offsets[row["region"]] : offsets[row["region"] + 1]]])
        lifts = {t: c / row["size"] / prior[t] for t, c in counts.items() if c >= 5}
        if not lifts:
            assert row["topic"] == -1
            assert row["lift"] is None
            continue
        best = max(lifts, key=lambda topic: (lifts[topic], -topic))
        low, high = wilson(counts[best], row["size"])
        assert row["topic"] == best
        assert row["lift"] == pytest.approx(lifts[best])
        assert row["lift_low"] == pytest.approx(low / prior[best])
        assert row["lift_high"] == pytest.approx(high / prior[best])
        assert row["lift_low"] <= row["lift"] <= row["lift_high"]


def test_shares_of_attributes_count_the_commonest_value(
    described: Entry, points: partitioning.Points
) -> None:
    tokens = points.activations.tokens
    values, ids = attributes(tokens), spellings(tokens)
    members, offsets = described.array("members"), described.array("offsets")
    for row in described.frame("regions").iter_rows(named=True):
        rows = members[offsets[row["region"]] : offsets[row["region"] + 1]]
        for name in ATTRIBUTES:
            counts = Counter(values[name][rows].tolist())
            most = max(counts.values())
            assert row[f"{name}_share"] == pytest.approx(most / row["size"])
            value = min(v for v, c in counts.items() if c == most)
            if name in ids:  # of the word the spelling that most members have
                own = Counter(ids[name][rows[values[name][rows] == value]].tolist())
                value = min(v for v, c in own.items() if c == max(own.values()))
            assert row[f"{name}_value"] == value
            assert 0 <= row[f"{name}_explained"] <= 1
            assert row[f"{name}_null"] <= 1 + 1e-12
        if row["token_driven"]:
            assert row["token_explained"] >= 0.5


def test_attributes_are_what_the_text_says(points: partitioning.Points) -> None:
    tokens = points.activations.tokens
    values = attributes(tokens)
    first, last = tokens.document_span(3)
    assert values["next"][last - 1] == -1
    assert values["next"][first : last - 1].tolist() == values["token"][first + 1 : last].tolist()
    folded = [piece.strip().casefold() for piece in tokens.pieces(first, last)]
    for row, word in zip(range(first, last), folded, strict=True):
        if word:
            places = np.flatnonzero(values["token"][first:last] == values["token"][row])
            assert [n for n, other in enumerate(folded) if other == word] == places.tolist()
    assert values["position"][first : first + 9].tolist() == [0, 1, 1, 2, 2, 2, 2, 3, 3]
    second = tokens.contexts["first_token"][1]
    assert values["position"][second] == 0  # places are counted within the context
    assert set(values["document"][first:last].tolist()) == {3}
    for row, piece in zip(range(first, last), tokens.pieces(first, last), strict=True):
        assert values["punctuation"][row] == kind_of(piece)


@pytest.mark.parametrize(
    ("piece", "kind"),
    [
        (" the", "word"),
        ("é", "word"),
        ("1st", "word"),
        (" 1984", "number"),
        ("½", "number"),
        (".", "punctuation"),
        (' "', "punctuation"),
        ("🙂", "punctuation"),
        ("\n\n", "space"),
        ("", "space"),
    ],
)
def test_kinds_of_tokens(piece: str, kind: str) -> None:
    assert PUNCTUATION[kind_of(piece)] == kind


# ---------------------------------------------------------------- arrays


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60), st.integers(2, 40))
def test_mean_pairwise_distance_follows_from_coherence(seed: int, n: int, width: int) -> None:
    raw = np.random.default_rng(seed).standard_normal((n, width)) + 0.7
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    pairs = (1 - unit @ unit.T)[np.triu_indices(n, 1)]
    coherence = np.linalg.norm(unit.mean(axis=0))
    result = mean_distance(np.array([coherence]), np.array([n]))[0]
    assert result == pytest.approx(pairs.mean(), abs=1e-10)


def test_one_region_has_no_pair_and_no_neighbour() -> None:
    assert np.isnan(mean_distance(np.array([1.0]), np.array([1]))[0])
    assert np.isnan(isolation(torch.eye(3)[:1])[0])
    assert isolation(torch.eye(3)).tolist() == [1.0, 1.0, 1.0]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.floats(-5, 5), max_size=9), min_size=1, max_size=6),
    st.floats(0, 1),
)
def test_quantiles_by_group_are_those_of_each_group(groups: list[list[float]], q: float) -> None:
    values = np.concatenate([np.sort(np.array(group, dtype=np.float64)) for group in groups])
    offsets = np.append(0, np.cumsum([len(group) for group in groups]))
    result = quantiles(values, offsets, q)
    for group, value in zip(groups, result, strict=True):
        if group:
            assert value == pytest.approx(np.quantile(group, q), abs=1e-9)
        else:
            assert np.isnan(value)


def test_modes_prefer_the_smaller_value_and_know_empty_groups() -> None:
    mode, count = modes(np.array([0, 0, 0, 2, 2]), np.array([5, -1, 5, 9, 7]), 4)
    assert mode.tolist() == [5, -1, 7, -1]
    assert count.tolist() == [2, 0, 1, 0]


def test_the_null_is_what_random_tokens_show() -> None:
    rng = np.random.default_rng(0)
    values = {"coin": rng.integers(0, 2, 5000), "name": rng.permutation(5000)}
    result = nulls(values, 1000, seed=1)
    mean, high = result["coin"].shares_at(np.array([1, 2, 100, 1000]))
    # by hand: one of one; two of two in half the draws; then half plus √(1/2πn)
    assert mean == pytest.approx([1.0, 0.75, 0.5 + 0.0399, 0.5 + 0.0126], abs=0.03)
    assert (high >= mean).all()
    assert result["name"].shares_at(np.array([10]))[0][0] == pytest.approx(0.1, abs=0.005)
    repeated = nulls(values, 1000, seed=1)["coin"]
    assert np.array_equal(repeated.mean, result["coin"].mean)


def test_explained_is_nothing_at_chance_and_all_at_one() -> None:
    shares, null = np.array([0.2, 0.1, 1.0, 1.0, 0.6]), np.array([0.2, 0.2, 0.2, 1.0, 0.2])
    assert explained(shares, null) == pytest.approx([0, 0, 1, 0, 0.5])


def test_a_region_of_one_word_is_token_driven_and_a_random_one_is_not() -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 500, 20_000)
    chance = nulls({"token": ids}, 200, seed=0)["token"]
    _, high = chance.shares_at(np.array([200]))
    counts = np.bincount(rng.choice(ids, 200, replace=False))
    assert counts.max() / 200 <= high[0]
    assert high[0] < 0.1


def test_spellings_of_a_word_are_one_and_white_space_is_none() -> None:
    pieces = ["vice", " the", "Vice", " vice", " ", "\n", "", "VICE", ""]
    ids = np.arange(10, 10 + len(pieces))
    assert words_of(ids, pieces).tolist() == [10, 11, 10, 10, 14, 15, 16, 10, 18]


def test_a_region_of_one_word_in_many_spellings_is_token_driven(
    refs: Reading, points: partitioning.Points, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = partitioning.build_partition(Partition(refs, SPEC))
    distance, theta = np.asarray(built.array("distance")), built.value("theta")
    region = int(np.bincount(built.array("owner")[distance <= theta]).argmax())
    tokens = points.activations.tokens
    rows = np.flatnonzero((built.array("owner") == region) & (distance <= theta))
    ids, spelled = np.array(tokens.ids, dtype=np.int64), ("vice", "Vice", " vice")
    planted = int(ids.max()) + 1 + np.arange(3)
    ids[rows] = planted[np.arange(len(rows)) % 3]

    def pieces(_: object, ids: np.ndarray) -> tuple[np.ndarray, list[str], np.ndarray]:
        unique, inverse = np.unique(ids, return_inverse=True)
        texts = {int(code): f"w{code}" for code in unique} | dict(
            zip(planted, spelled, strict=True)
        )
        return unique, [texts[int(code)] for code in unique], inverse

    monkeypatch.setattr("backend.regions.token_share._pieces", pieces)
    monkeypatch.setattr(type(tokens), "ids", property(lambda self: ids))
    sizes = np.bincount(built.array("owner")[distance <= theta], minlength=region + 1)
    inside = np.flatnonzero(distance <= theta)
    table = description._explained(tokens, np.asarray(built.array("owner")), inside, sizes, 0)
    assert table["token_share"][region] == 1.0
    assert table["token_driven"][region]
    assert table["token_value"][region] == planted[0]


# ---------------------------------------------------------------- one region, on demand


def test_competitors_come_commonest_first() -> None:
    runner_up, margin = np.array([3, 5, 3, -1]), np.array([0.1, 0.2, 0.3, 0.0])
    result = competitors(runner_up, margin)
    assert result.select("region", "count").rows() == [(3, 2), (5, 1)]
    assert result["margin"].to_list() == pytest.approx([0.2, 0.2])
    assert result["share"].to_list() == pytest.approx([0.5, 0.25])


distances = st.lists(st.floats(0, 0.875, width=32), min_size=1, max_size=60)


@settings(max_examples=40, deadline=None)
@given(distances, st.integers(1, 6))
def test_bands_are_equally_wide_and_hold_every_member(gaps: list[float], n: int) -> None:
    table = bands(np.array(gaps, dtype=np.float32), n)
    assert table["band"].to_list() == list(range(1, n + 1))
    assert table["count"].sum() == len(gaps)
    widths = (table["high"] - table["low"]).to_numpy()
    assert np.allclose(widths, widths[0])
    assert table["high"][-1] == pytest.approx(max(gaps), abs=2e-5)


@settings(max_examples=40, deadline=None)
@given(distances, st.integers(1, 12), st.integers(0, 5))
def test_samples_hold_distinct_members_of_the_kind_they_name(
    gaps: list[float], count: int, seed: int
) -> None:
    distance = np.array(gaps, dtype=np.float32)
    members = np.arange(100, 100 + len(gaps), dtype=np.int32)
    table = bands(distance)
    for draw in ("closest", "farthest", "random", "band 1", "band 4"):
        rows, how = sample(members, distance, MemberDraw(draw, count, seed))
        draws = distance[rows - 100]
        assert len(set(rows.tolist())) == len(rows)
        assert (np.diff(draws) >= 0).all()
        if draw.startswith("band"):
            band = table.row(int(draw[-1]) - 1, named=True)
            assert len(rows) == min(count, band["count"])
            assert draw in how
        else:
            assert len(rows) == min(count, len(gaps))
        if draw == "closest":
            assert draws.max() <= np.sort(distance)[: len(rows)].max()
        if draw == "farthest":
            assert draws.min() >= np.sort(distance)[-len(rows) :].min()
        repeated, _ = sample(members, distance, MemberDraw(draw, count, seed))
        assert rows.tolist() == repeated.tolist()


def test_a_sample_says_how_it_was_drawn() -> None:
    distance = np.linspace(0.1, 0.5, 41)
    members = np.arange(41)
    assert sample(members, distance, MemberDraw("closest", 3, 0))[1] == (
        "The 3 closest of 41 members beside the exemplar."
    )
    assert sample(members, distance, MemberDraw("random", 5, 7))[1] == (
        "5 drawn at random (seed 7) from 41 members beside the exemplar."
    )
    rows, how = sample(members, distance, MemberDraw("band 2", 4, 0))
    assert how == (
        "4 drawn at random (seed 0) from the 10 of 41 members beside the exemplar in band 2 "
        "(at distance 0.200 to 0.300)."
    )
    assert ((distance[rows] >= 0.2) & (distance[rows] < 0.3)).all()
    with pytest.raises(TesseraError, match="band 1 to band 4"):
        sample(members, distance, MemberDraw("band 9", 4, 0))


def test_different_seeds_draw_different_members() -> None:
    distance, members = np.linspace(0.1, 0.5, 400), np.arange(400)
    one, other = (sample(members, distance, MemberDraw("random", 8, seed))[0] for seed in (0, 1))
    assert one.tolist() != other.tolist()


def test_repeats_of_the_exemplar_count_in_the_first_band() -> None:
    table = bands(np.array([0, 0, 0, 0.4, 0.5, 0.62, 0.8]), 2)
    assert table["count"].to_list() == [5, 2]
    assert table.select("low", "high").rows() == [
        (pytest.approx(0.4), pytest.approx(0.6)),
        (pytest.approx(0.6), pytest.approx(0.8)),
    ]
    assert bands(np.zeros(3), 2)["count"].to_list() == [3, 0]
    assert isinstance(table, pl.DataFrame)
