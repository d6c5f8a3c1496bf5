"""Embedders whose vectors are known."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np


class Words:
    """Texts as counts of their words: as fast as a test needs, and known."""

    name = "words, counted"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        vectors = np.zeros((len(texts), 64), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in text.split():
                vectors[row, zlib.crc32(word.encode()) % 64] += 1
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
