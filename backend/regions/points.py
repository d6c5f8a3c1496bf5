"""The points that are partitioned: activations less their centre, at unit length.

Read chunk by chunk, so memory holds one chunk whatever the size of the corpus.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import torch
from torch import Tensor

from backend import run
from backend.corpus.activations import Activations
from backend.regions.leader import unit

BATCHES = 16  # of the distance sample
CONTEXTS = 16  # of a batch, each from another document
STEP = 8192  # points between two reports of progress


@dataclass(frozen=True)
class Points:
    """The points of a corpus, chunk by chunk: activations less the centre, at unit length."""

    activations: Activations
    centre: Tensor

    def __len__(self) -> int:
        return len(self.activations.tokens)

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        """(first token row, [tokens, width] float32 on the device)."""
        for first, activations in self.activations:
            yield first, unit(activations, self.centre)

    def steps(self, message: str) -> Iterator[tuple[int, Tensor]]:
        """As iteration, in smaller steps and with progress reported for each."""
        for first, points in self:
            for step, part in enumerate(points.split(STEP)):
                row = first + step * STEP
                run.report(row, len(self), message, "tokens")
                yield row, part


# ---------------------------------------------------------------- a sample of distances


def draw_contexts(contexts: pl.DataFrame, seed: int) -> list[np.ndarray]:
    """Of each batch the contexts (rows of the table), one from each drawn document."""
    document = contexts["document"].to_numpy()
    names, firsts, sizes = np.unique(document, return_index=True, return_counts=True)
    each = min(CONTEXTS, len(names))
    batches = []
    for batch in range(max(1, min(BATCHES, len(contexts) // CONTEXTS))):
        rng = np.random.default_rng([seed, batch])
        documents = rng.choice(len(names), each, replace=False)
        batches.append(firsts[documents] + rng.integers(0, sizes[documents]))
    return batches


def read_contexts(every: Points, batches: list[np.ndarray]) -> list[Tensor]:
    """The points of each batch, on the CPU; chunks are read once each, in order."""
    activations = every.activations
    table = activations.tokens.contexts
    firsts, lengths = table["first_token"].to_numpy(), table["length"].to_numpy()
    contexts = np.unique(np.concatenate(batches))
    chunk_of = np.searchsorted(activations.bounds, firsts[contexts], side="right") - 1
    points: dict[int, Tensor] = {}
    chunks = np.unique(chunk_of)
    for number, chunk in enumerate(chunks):
        run.report(number, len(chunks), "Sampling distances", "chunks")
        residual, begin = activations.read(int(chunk)), int(activations.bounds[chunk])
        for context in contexts[chunk_of == chunk]:
            start = int(firsts[context]) - begin
            part = residual[start : start + int(lengths[context])]
            points[int(context)] = unit(part, every.centre).cpu()
    return [torch.cat([points[int(context)] for context in batch]) for batch in batches]


def pairwise(batch: Tensor) -> np.ndarray:
    """Sorted distances of all pairs of a batch; points without direction left out."""
    batch = batch[(batch != 0).any(dim=1)]
    row, column = np.triu_indices(len(batch), 1)
    return np.sort(1 - (batch @ batch.T).numpy()[row, column])
