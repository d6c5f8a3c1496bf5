"""Draws and tables of features against brute force over a small planted corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.corpus.contexts import CONTEXTS, DOCUMENTS, Tokens
from backend.features import codes, examples, facets
from backend.features.codes import Column
from backend.schema import NotFoundError
from backend.store.entry import Entry, write

LENGTHS = (7, 3, 12, 5, 9, 1, 8)  # tokens of each document
TOPICS = ("sea", "land", "sea", "land", "sea", "air", "land")
WINDOW, FEATURES, VOCABULARY = 4, 9, 5


@dataclass(frozen=True)
class World:
    tokens: Tokens
    dense: np.ndarray  # [tokens, features]
    index: Entry

    def column(self, feature: int) -> Column:
        return codes.column(self.index, feature)


def planted(folder: Path, dense: np.ndarray) -> Tokens:
    """Documents of `LENGTHS`, cut into contexts of `WINDOW` tokens."""
    documents = [
        (number, "files", topic, f"title {number}", "x" * length, length)
        for number, (topic, length) in enumerate(zip(TOPICS, LENGTHS, strict=True))
    ]
    contexts, first = [], 0
    for number, length in enumerate(LENGTHS):
        for start in range(0, length, WINDOW):
            size = min(WINDOW, length - start)
            contexts.append((len(contexts), number, start, size, first))
            first += size
    ids = np.random.default_rng(0).integers(VOCABULARY, size=len(dense), dtype=np.int32)
    write(
        folder,
        {
            "ids": ids,
            "documents": pl.DataFrame(documents, schema=DOCUMENTS, orient="row"),
            "contexts": pl.DataFrame(contexts, schema=CONTEXTS, orient="row"),
        },
    )
    return Tokens(Entry(folder, "tokens"))


def indexed(folder: Path, dense: np.ndarray) -> Entry:
    row, feature = np.nonzero(dense)
    chunk = folder / "chunk"
    chunk.mkdir()
    counts = np.bincount(row, minlength=len(dense)).astype(np.int32)
    values = dense[row, feature]
    write(chunk, {"counts": counts, "features": feature.astype(np.int32), "values": values})
    entries = [Entry(chunk, "chunk")]
    codes.by_token(folder, entries, len(dense))
    codes.by_feature(folder, entries, np.zeros(1, np.int64), dense.shape[1])
    return Entry(folder, "index")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[np.ndarray], World]:
    def world_of(dense: np.ndarray) -> World:
        folder = tmp_path_factory.mktemp("planted")
        for part in ("tokens", "index"):
            (folder / part).mkdir()
        tokens = planted(folder / "tokens", dense)
        return World(tokens, dense, indexed(folder / "index", dense))

    return world_of


@pytest.fixture(scope="module")
def world(build: Callable[[np.ndarray], World]) -> World:
    """Features of all kinds: 0 never fires, 1 always, 2 on one token, the others at random."""
    rng = np.random.default_rng(3)
    dense = rng.integers(1, 9, size=(sum(LENGTHS), FEATURES)).astype(np.float32)
    dense *= rng.random(dense.shape) < 0.35
    dense[:, 0] = 0
    dense[:, 1] = np.arange(1, len(dense) + 1)
    dense[:, 2] = 0
    dense[17, 2] = 3
    return build(dense)


def contexts_of(world: World, feature: int) -> dict[int, tuple[int, float]]:
    """Context → its first strongest token and the activation there, by brute force."""
    result: dict[int, tuple[int, float]] = {}
    for row, value in enumerate(world.dense[:, feature]):
        context = int(world.tokens.context_of[row])
        if value and (context not in result or value > result[context][1]):
            result[context] = (row, float(value))
    return result


def pairs_of(sample: examples.Sample) -> list[tuple[int, float]]:
    pairs = zip(sample.tokens, sample.activations, strict=True)
    return [(int(token), float(value)) for token, value in pairs]


every_feature = pytest.mark.parametrize("feature", range(FEATURES))


@every_feature
def test_the_table_equals_brute_force(world: World, feature: int) -> None:
    row = examples.summarize(world.index, world.tokens).row(feature, named=True)
    values = world.dense[:, feature]
    rows = np.flatnonzero(values)
    assert row["feature"] == feature
    assert row["active"] == len(rows)
    assert row["density"] == pytest.approx(len(rows) / len(values))
    assert row["contexts"] == len(contexts_of(world, feature))
    assert row["documents"] == len(set(world.tokens.document_of[rows]))
    if not len(rows):
        assert (row["max"], row["mean"], row["peak"], row["top_token"]) == (0, 0, -1, -1)
        assert (row["topic"], row["lift"]) == (-1, None)
        return
    assert row["max"] == values.max()
    assert row["mean"] == pytest.approx(values[rows].mean())
    assert values[row["peak"]] == values.max()
    counts = Counter(world.tokens.ids[rows].tolist())
    assert counts[row["top_token"]] == max(counts.values())
    assert row["top_token_share"] == pytest.approx(max(counts.values()) / len(rows))
    topics = Counter(world.tokens.topic_of[rows].tolist())
    lifts = {
        topic: count / len(rows) / (world.tokens.topic_of == topic).mean()
        for topic, count in topics.items()
        if count >= examples.SUPPORT
    }
    if not lifts:
        assert row["topic"] == -1
        return
    assert lifts[row["topic"]] == pytest.approx(max(lifts.values()))
    assert row["lift"] == pytest.approx(max(lifts.values()))
    assert row["lift_low"] < row["lift"]
    assert row["lift"] < row["lift_high"] or row["lift"] == pytest.approx(row["lift_high"])


@every_feature
def test_top_gives_the_best_context_of_every_document_first(world: World, feature: int) -> None:
    best = sorted(contexts_of(world, feature).values(), key=lambda pair: (-pair[1], pair[0]))
    rows_seen: set[int] = set()
    first, rest = [], []
    for pair in best:
        document = int(world.tokens.document_of[pair[0]])
        (rest if document in rows_seen else first).append(pair)
        rows_seen.add(document)
    for count in (1, 4, 100):
        sample = examples.top(world.column(feature), world.tokens, count)
        assert pairs_of(sample) == (first + rest)[:count]
        assert sample.population == len(best)
    assert ("from documents shown already" in sample.how) == bool(rest)


@every_feature
def test_random_examples_are_peaks_and_repeat_with_their_seed(world: World, feature: int) -> None:
    column = world.column(feature)
    peaks = set(contexts_of(world, feature).values())
    sample = examples.random_active(column, world.tokens, 5, seed=1)
    repeated = examples.random_active(column, world.tokens, 5, seed=1)
    assert pairs_of(sample) == pairs_of(repeated)
    assert len(set(pairs_of(sample))) == min(5, len(peaks))
    assert set(pairs_of(sample)) <= peaks
    assert sample.population == len(peaks)
    assert "seed 1" in sample.how


def test_another_seed_draws_other_contexts(world: World) -> None:
    draws = [examples.random_active(world.column(1), world.tokens, 4, seed) for seed in range(4)]
    assert len({tuple(draw.tokens) for draw in draws}) > 1


@every_feature
def test_quantiles_part_all_contexts_by_their_peak(world: World, feature: int) -> None:
    column, below = world.column(feature), 0.0
    met: list[tuple[int, float]] = []
    table = examples.quantile_bands(column, world.tokens)
    for band in range(1, examples.BANDS + 1):
        sample = examples.quantile(column, world.tokens, band, count=100)
        result = pairs_of(sample)
        assert len(result) == sample.population
        row = table.filter(pl.col("band") == band)
        assert len(row) == bool(result)
        if result:
            values = [value for _, value in result]
            assert below <= min(values)
            below = max(values)
            assert row.row(0)[1:] == (min(values), max(values), len(result))
        met += result
    assert sorted(met) == sorted(contexts_of(world, feature).values())
    with pytest.raises(NotFoundError, match="no quantile 11"):
        examples.quantile(column, world.tokens, 11)


@every_feature
def test_silent_and_active_contexts_share_none_and_are_all(world: World, feature: int) -> None:
    column = world.column(feature)
    silent = examples.silent(column, world.tokens, 100)
    quiet = set(world.tokens.context_of[silent.tokens].tolist())
    loud = set(contexts_of(world, feature))
    assert not quiet & loud
    assert quiet | loud == set(range(len(world.tokens.contexts)))
    assert silent.population == len(quiet) == len(silent.tokens)
    assert not silent.activations.any()
    some = examples.silent(column, world.tokens, 2, seed=5)
    assert set(some.tokens.tolist()) <= set(silent.tokens.tolist())


@pytest.mark.parametrize("topic", ["sea", "land", "air"])
def test_a_topic_restricts_every_draw_to_its_documents(world: World, topic: str) -> None:
    column = examples.restrict(world.column(5), world.tokens, topic)
    draws = [
        examples.top(column, world.tokens, 100),
        examples.random_active(column, world.tokens, 100),
        examples.silent(world.column(5), world.tokens, 100, topic=topic),
    ]
    inside = [name == topic for name in TOPICS]
    contexts = {c for c, d in enumerate(world.tokens.contexts["document"]) if inside[d]}
    met = {int(world.tokens.context_of[token]) for draw in draws for token in draw.tokens}
    assert met == contexts
    whole = examples.restrict(world.column(5), world.tokens, "")
    assert len(whole.rows) == int((world.dense[:, 5] != 0).sum())
    with pytest.raises(NotFoundError, match="air, land, sea"):
        examples.restrict(column, world.tokens, "fire")


activations = st.lists(
    st.sampled_from([0.0, 0.0, 1.0, 2.0, 2.0, 3.5]), min_size=sum(LENGTHS), max_size=sum(LENGTHS)
)


@settings(max_examples=30, deadline=None)
@given(values=activations)
def test_whatever_the_activations_the_draws_agree_with_brute_force(
    values: list[float], build: Callable[[np.ndarray], World]
) -> None:
    world = build(np.array(values, dtype=np.float32)[:, None])
    column, expected = world.column(0), contexts_of(world, 0)
    assert pairs_of(examples.random_active(column, world.tokens, 100)) or not expected
    top = examples.top(column, world.tokens, 100)
    assert sorted(pairs_of(top)) == sorted(expected.values())
    documents = world.tokens.document_of[top.tokens]
    assert len(set(documents[: len(set(documents))])) == len(set(documents))
    quiet = examples.silent(column, world.tokens, 100)
    assert len(quiet.tokens) + len(expected) == len(world.tokens.contexts)


# ---------------------------------------------------------------- facets


@every_feature
def test_co_firing_features_are_counted_exactly(world: World, feature: int) -> None:
    table = facets.cofiring(world.index, world.column(feature), count=100)
    on = world.dense != 0
    expected = {}
    for other in range(FEATURES):
        both = int((on[:, feature] & on[:, other]).sum())
        if other != feature and both:
            either = int((on[:, feature] | on[:, other]).sum())
            lift = both * len(on) / (on[:, feature].sum() * on[:, other].sum())
            expected[other] = (both, pytest.approx(both / either), pytest.approx(lift))
    assert {row[0]: row[1:] for row in table.rows()} == expected
    assert table["jaccard"].is_sorted(descending=True)
    assert len(facets.cofiring(world.index, world.column(1), count=3)) == 3


@every_feature
def test_tokens_topics_and_documents_are_counted(world: World, feature: int) -> None:
    column, tokens = world.column(feature), world.tokens
    rows = np.flatnonzero(world.dense[:, feature])
    table = facets.token_counts(column, tokens)
    assert dict(table.select("token", "count").rows()) == Counter(tokens.ids[rows].tolist())
    for row in table.iter_rows(named=True):
        assert row["share"] == pytest.approx(row["count"] / len(rows))
        here = rows[tokens.ids[rows] == row["token"]]
        assert row["mean"] == pytest.approx(world.dense[here, feature].mean())
    documents = facets.document_counts(column, tokens)
    met = {row["document"]: row for row in documents.iter_rows(named=True)}
    assert {d: row["count"] for d, row in met.items()} == Counter(tokens.document_of[rows].tolist())
    for document, row in met.items():
        inside = world.dense[tokens.document_of == document, feature]
        assert row["max"] == inside.max()
        assert row["topic"] == TOPICS[document]
    topics = facets.topic_counts(column, tokens)
    assert topics["count"].sum() == len(rows)
    for row in topics.iter_rows(named=True):
        assert row["lift"] == pytest.approx(row["share"] / row["prior"])
        assert row["low"] <= row["lift"] + 1e-9
        assert row["lift"] <= row["high"] + 1e-9
    bars = facets.histogram(column, bins=5)
    assert bars["count"].sum() == len(rows)
