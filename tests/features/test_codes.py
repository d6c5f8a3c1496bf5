"""The index of codes says the same as a dense table of all activations, however it was built."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from backend.corpus import activations as chunks
from backend.corpus import sources
from backend.corpus.activations import Activations
from backend.corpus.contexts import Tokens, tokenize
from backend.features import codes
from backend.models import language_model
from backend.models import sae as sae_models
from backend.schema import (
    CorpusRef,
    ModelError,
    ModelRef,
    NotFoundError,
    Reading,
    SaeRef,
    Site,
    SourceRef,
)
from backend.store.entry import Entry, write

SITE = Site(2)

# a corpus of codes: chunks of [tokens, features], most of them zero
dense_chunks = st.integers(1, 6).flatmap(
    lambda width: st.lists(
        st.integers(1, 9).flatmap(
            lambda length: arrays.arrays(
                np.float32, (length, width), elements=st.sampled_from([0, 0, 0, 0.5, 1, -2])
            )
        ),
        min_size=1,
        max_size=4,
    )
)


def stored(folder: Path, number: int, dense: np.ndarray) -> Entry:
    """A chunk as `encode` keeps it."""
    place = folder / f"chunk {number}"
    place.mkdir()
    row, feature = np.nonzero(dense)
    counts = np.bincount(row, minlength=len(dense)).astype(np.int32)
    write(
        place,
        {"counts": counts, "features": feature.astype(np.int32), "values": dense[row, feature]},
    )
    return Entry(place, str(number))


@settings(max_examples=40, deadline=None)
@given(parts=dense_chunks)
def test_both_indexes_give_back_the_dense_table(
    parts: list[np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("index")
    entries = [stored(folder, number, part) for number, part in enumerate(parts)]
    dense = np.concatenate(parts)
    firsts = np.cumsum([0, *map(len, parts)])[:-1]
    codes.by_token(folder, entries, len(dense))
    codes.by_feature(folder, entries, firsts, dense.shape[1])
    index = Entry(folder, "index")
    by_token, by_feature = np.zeros_like(dense), np.zeros_like(dense)
    offsets = index.array("token_offsets")
    for row in range(len(dense)):
        result = slice(offsets[row], offsets[row + 1])
        features = index.array("token_features")[result]
        by_token[row, features] = index.array("token_values")[result]
        assert (np.diff(features) > 0).all()
    for feature in range(dense.shape[1]):
        column = codes.column(index, feature)
        by_feature[column.rows, feature] = column.values
        assert (np.diff(column.rows) > 0).all()
    np.testing.assert_array_equal(by_token, dense)
    np.testing.assert_array_equal(by_feature, dense)


@pytest.fixture
def refs(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[ModelRef, CorpusRef, SaeRef]:
    """Model, corpus and SAE of the small world, with an empty cache and several chunks."""
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(chunks, "CHUNK", 16)
    model, autoencoder = f"folder:{world / 'model'}", f"folder:{world / 'sae'}"
    source = sources.resolve(SourceRef("files", path=str(world / "corpus")))
    return (
        ModelRef(model, language_model.resolve(model), "float32"),
        CorpusRef((source,), 1500, 32),
        SaeRef(autoencoder, sae_models.resolve(autoencoder)),
    )


def test_the_index_of_a_corpus_equals_the_sae_run_on_all_activations(
    refs: tuple[ModelRef, CorpusRef, SaeRef],
) -> None:
    model, corpus, sae = refs
    index = codes.index(Reading(model, SITE, corpus), sae)
    tokens = Tokens(tokenize(model, corpus))
    x = torch.cat([part for _, part in Activations(model, SITE, tokens)])
    network = sae_models.load(sae, "cpu")
    expected = network.encode(x)
    actual = np.zeros(expected.shape, dtype=np.float32)
    for feature in range(network.width):
        column = codes.column(index, feature)
        actual[column.rows, feature] = column.values
    np.testing.assert_allclose(actual, expected.numpy(), rtol=1e-5, atol=1e-6)
    error = (x - network.decode(expected)).square().sum()
    assert index.value("tokens") == len(tokens) == 1500
    assert index.value("l0") == pytest.approx(float((expected != 0).sum()) / 1500)
    fvu = float(error / (x - x.mean(dim=0)).square().sum())
    assert index.value("fvu") == pytest.approx(fvu, rel=1e-4)


def test_a_second_run_encodes_no_chunk_again(
    refs: tuple[ModelRef, CorpusRef, SaeRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, corpus, sae = refs
    first = codes.index(Reading(model, SITE, corpus), sae)
    longer = CorpusRef(corpus.sources, 1800, 32)
    encoded: list[int] = []
    run = sae_models.Sae.encode

    def counting(self: sae_models.Sae, x: torch.Tensor) -> torch.Tensor:
        encoded.append(len(x))
        return run(self, x)

    monkeypatch.setattr(sae_models.Sae, "encode", counting)
    second = codes.index(Reading(model, SITE, longer), sae)
    assert sum(encoded) < 1000  # the chunks of both corpora were kept
    before = int(first.array("token_offsets")[-1])
    np.testing.assert_array_equal(
        first.array("token_features"), second.array("token_features")[:before]
    )


def test_an_sae_of_another_site_and_a_feature_that_is_not_there_are_refused(
    refs: tuple[ModelRef, CorpusRef, SaeRef],
) -> None:
    model, corpus, sae = refs
    with pytest.raises(ModelError, match="after block 2, the study after block 1"):
        codes.index(Reading(model, Site(1), corpus), sae)
    index = codes.index(Reading(model, SITE, corpus), sae)
    with pytest.raises(NotFoundError, match="features 0 to 63"):
        codes.column(index, 64)
