"""The control of verbalizers, on verbalizers whose worth is known."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pytest

from backend.labels.verbalizers import controls

EXAMPLES = [f"The captain finds rope number {number}" for number in range(8)]


class Scattered:
    """Each text a random direction of its own; a little different at each place in a batch, as
    real embedders are."""

    name = "scattered"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        rows = []
        for place, text in enumerate(texts):
            digest = hashlib.sha256(text.encode()).digest()
            row = np.random.default_rng(list(digest)).normal(size=64)
            rows.append(row + 1e-4 * place)
        return (np.stack(rows) / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def compared(real: Sequence[str], **others: Sequence[str]) -> dict[str, list[float]]:
    return controls.compare(real, others, EXAMPLES[: len(real)], Scattered())


def test_a_verbalizer_that_echoes_the_example_always_wins() -> None:
    result = compared(EXAMPLES, random=["noise"] * 8, other=[*EXAMPLES[1:], EXAMPLES[0]])
    assert result == {"random": [1.0] * 8, "other": [1.0] * 8}


def test_a_verbalizer_that_ignores_its_vector_is_at_chance_by_ties() -> None:
    assert compared(["a word"] * 8, random=["a word"] * 8)["random"] == [controls.CHANCE] * 8


def test_a_verbalizer_that_echoes_another_example_always_loses() -> None:
    moved = [*EXAMPLES[1:], EXAMPLES[0]]
    assert compared(moved, other=EXAMPLES)["other"] == [0.0] * 8


def test_ties_count_as_half_a_success() -> None:
    real = [*EXAMPLES[:3], "a word"]
    others = ["noise", "noise", "a word", "a word"]
    assert compared(real, random=others)["random"] == [1, 1, 1, 0.5]


def test_a_text_that_is_empty_neither_wins_nor_loses() -> None:
    real = [EXAMPLES[0], "", ""]
    assert compared(real, random=["", "noise", ""])["random"] == [0.5, 0.5, 0.5]


def test_without_items_nothing_is_known() -> None:
    assert controls.compare([], {"random": []}, [], Empty()) == {"random": []}


class Empty:
    name = "empty"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        return np.empty((len(texts), 4), np.float32)


def test_texts_without_an_example_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in number"):
        controls.compare(EXAMPLES, {"random": ["noise"]}, EXAMPLES, Scattered())


def test_random_vectors_keep_each_norm_and_nothing_else() -> None:
    vectors = np.random.default_rng(2).normal(size=(5, 300)).astype(np.float32)
    vectors *= np.array([[1e-3], [1], [60_000], [0], [7]], dtype=np.float32)
    sample = controls.random_vectors(vectors, seed=4)
    norms = np.linalg.norm(vectors, axis=1)
    assert sample.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(sample, axis=1), norms, rtol=1e-5)
    some = norms > 0
    cosines = (sample * vectors).sum(axis=1)[some] / norms[some] ** 2
    assert np.abs(cosines).max() < 0.3
    assert np.array_equal(sample, controls.random_vectors(vectors, seed=4))
    assert not np.array_equal(sample, controls.random_vectors(vectors, seed=5))
