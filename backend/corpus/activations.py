"""Activations at a study's site, in chunks on disk.

A chunk is the memoized residual stream of `CHUNK` contexts. Its key holds a digest of their
tokens, so corpora with a common prefix share chunks, a killed extraction resumes where it was,
and memory holds one chunk whatever the corpus size.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from backend import run
from backend.corpus.contexts import Tokens, tokenize
from backend.models import language_model
from backend.schema import ModelRef, NotFiniteError, Reading, Site
from backend.store.memo import Entry, memoize

CHUNK = 128  # contexts
FEW = 4  # contexts by which the time of a chunk is estimated
BATCH = {"cpu": 16, "mps": 32, "cuda": 64}  # contexts per forward pass


@dataclass(frozen=True, eq=False)
class Contexts:
    """Contexts to be read: of each the token ids without BOS. A key holds `content_digest`, which
    is computed from the ids themselves, so that no key can name other contexts than were read."""

    ids: tuple[np.ndarray, ...]

    @cached_property
    def content_digest(self) -> str:
        """32 hex digits that lengths and ids decide."""
        lengths = np.array([len(context) for context in self.ids], dtype=np.int32)
        digest = hashlib.sha256(lengths.tobytes())
        digest.update(np.concatenate(self.ids).astype(np.int32).tobytes())
        return digest.hexdigest()[:32]


@dataclass(frozen=True)
class Activations:
    """The activations of a corpus at a site; a chunk is computed when it is first read."""

    model: ModelRef
    site: Site
    tokens: Tokens

    @cached_property
    def bounds(self) -> np.ndarray:
        """[chunks + 1] token rows at which chunks begin and end."""
        starts = self.tokens.contexts["first_token"].to_numpy()
        return np.append(starts[::CHUNK], len(self.tokens))

    @property
    def chunks(self) -> int:
        return len(self.bounds) - 1

    def entry(self, chunk: int) -> Entry:
        """The memo entry of one chunk."""
        within = run.Within(run.current().progress, int(self.bounds[chunk]), len(self.tokens))
        with run.reporting(within):
            return extract(self.model, self.site, self._contexts(chunk))

    def read(self, chunk: int) -> Tensor:
        """[tokens of the chunk, width] in the model's dtype, on the CPU; BOS left out."""
        return self.entry(chunk).tensor("residual")

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        """(first token row, activations) chunk by chunk."""
        for chunk in range(self.chunks):
            yield int(self.bounds[chunk]), self.read(chunk)

    def rows(self, first: int, last: int) -> Tensor:
        """[last - first, width] activations of tokens first..last-1."""
        begin = int(np.searchsorted(self.bounds, first, side="right")) - 1
        end = int(np.searchsorted(self.bounds, last, side="left"))
        parts: list[Tensor] = []
        for chunk in range(begin, end):
            low, high = (int(b) for b in self.bounds[chunk : chunk + 2])
            parts.append(self.read(chunk)[max(first - low, 0) : min(last, high) - low])
        return torch.cat(parts)

    def centre(self, least: int = 0) -> tuple[Tensor, int]:
        """[width] float32, the part of the mean activation that lies along the mean direction; and
        how many activations it is of: all, or whole chunks until there are `least`."""
        count = 0
        total = directions = torch.zeros(1, dtype=torch.float64)
        for _, activations in self:
            rows = activations.double()
            norms = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
            total = total + rows.sum(dim=0)
            directions = directions + (rows / norms.clamp_min(1e-300)).sum(dim=0)
            count += len(rows)
            if 0 < least <= count:
                break
        length = torch.linalg.vector_norm(directions)
        direction = directions / length if length > 0 else directions
        return (direction * (total / count).dot(direction)).float(), count

    def _contexts(self, chunk: int) -> Contexts:
        table = self.tokens.contexts[chunk * CHUNK : (chunk + 1) * CHUNK]
        firsts, lengths = table["first_token"].to_numpy(), table["length"].to_numpy()
        ids = self.tokens.ids
        return Contexts(tuple(ids[f : f + n] for f, n in zip(firsts, lengths, strict=True)))


def read_corpus(reading: Reading) -> Activations:
    """The activations of a corpus at a site."""
    tokens = Tokens(tokenize(reading.model, reading.corpus))
    return Activations(reading.model, reading.site, tokens)


@memoize("corpus.activations", version=1)
def extract(model: ModelRef, site: Site, contexts: Contexts) -> dict[str, Any]:
    """`residual` [tokens, width] of the contexts, in their order.

    Contexts of like length share a forward pass, so little is padded.

    Raises:
        NotFiniteError: the model produced NaN or infinity.
    """
    device = run.current().device
    network = language_model.load(model, device)
    sequences = contexts.ids
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i]))
    total = sum(len(context) for context in sequences)
    rows: list[Tensor] = [torch.empty(0)] * len(sequences)
    done = 0
    for first in range(0, len(order), BATCH[device]):
        run.report(done, total, "Reading activations", "tokens")
        batch = order[first : first + BATCH[device]]
        ids, mask = padded([sequences[i] for i in batch], network.bos)
        residual = network.residual(ids, None if bool(mask.all()) else mask.to(device), site.layer)
        for row, i in enumerate(batch):
            rows[i] = residual[row, 1 : 1 + len(sequences[i])].cpu()
            done += len(sequences[i])
    residual = torch.cat(rows)
    if not bool(torch.isfinite(residual).all()):
        bad = int((~torch.isfinite(residual)).any(dim=1).sum())
        raise NotFiniteError(
            f"{bad} of {total} activations after block {site.layer} are NaN or infinite "
            f"({model.dtype}).",
            "Compute in float32: set `dtype` in the study or TESSERA_DTYPE.",
        )
    return {"residual": residual}


def measure_chunk(model: ModelRef, site: Site, length: int) -> float:
    """About how many seconds a chunk of contexts of a length takes on the device of the run, from
    the faster of two passes over a few, after one to warm up; the model is loaded already."""
    network = language_model.load(model, run.current().device)

    def read(rows: int) -> float:
        started = time.perf_counter()
        network.residual(torch.full((rows, length), network.bos), None, site.layer).cpu()
        return time.perf_counter() - started

    read(1)
    return min(read(FEW), read(FEW)) * CHUNK / FEW


def padded(contexts: list[np.ndarray], bos: int) -> tuple[Tensor, Tensor]:
    """BOS-prefixed ids padded on the right, and the mask of what is real."""
    rows = [torch.from_numpy(np.append(np.int64(bos), context)) for context in contexts]
    lengths = torch.tensor([len(row) for row in rows])
    ids = pad_sequence(rows, batch_first=True, padding_value=bos)
    mask = torch.arange(ids.shape[1]) < lengths[:, None]
    return ids, mask.long()
