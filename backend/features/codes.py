"""Which features fire on which tokens, and how strongly: the SAE's codes of a whole corpus.

Each chunk of activations is encoded on its own and kept, so a killed run resumes. The index
joins the chunks twice: by token (what fires here?) and by feature (where does it fire?). Both are
written to disk piece by piece, so memory does not grow with the corpus.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap

from backend import run
from backend.corpus.activations import read_corpus
from backend.models import language_model
from backend.models import sae as sae_models
from backend.schema import NotFiniteError, Reading, SaeRef, check_number
from backend.store.memo import Entry, memoize


@memoize("features.codes", version=1)
def encode(activations: Entry, sae: SaeRef) -> dict[str, Any]:
    """Codes of one chunk of activations.

    Arrays: `counts` [tokens] int32 active features of each token; `features` int32 and `values`
    float32 [active], token by token, features ascending; `total` [width] float64, the sum of
    the activations. Values: `error` Σ‖x − x̂‖² and `square` Σ‖x‖².

    Raises:
        NotFiniteError: the SAE gives NaN or infinity.
    """
    device = run.current().device
    network = sae_models.load(sae, device)
    x = activations.tensor("residual")
    counts = np.zeros(len(x), dtype=np.int32)
    features, values, error = [], [], 0.0
    for start in range(0, len(x), network.rows_at_once()):
        part = x[start : start + network.rows_at_once()].to(network.device, torch.float32)
        codes = network.encode(part)
        error += float((part - network.decode(codes)).square().sum(dtype=torch.float64))
        row, feature, value = sae_models.nonzero(codes)
        counts[start : start + len(part)] = np.bincount(row, minlength=len(part))
        features.append(feature)
        values.append(value)
    if not (np.isfinite(error) and all(np.isfinite(part).all() for part in values)):
        raise NotFiniteError(
            f"{sae.source} gives NaN or infinite activations on this model.",
            "Check that the SAE was trained on this model and layer.",
        )
    exact = x.double()
    return {
        "counts": counts,
        "features": np.concatenate(features),
        "values": np.concatenate(values),
        "total": exact.sum(dim=0).numpy(),
        "error": error,
        "square": float(exact.square().sum()),
    }


@memoize("features.index", version=1)
def index(reading: Reading, sae: SaeRef, *, folder: Path = Path()) -> dict[str, Any]:
    """The codes of a corpus, by token and by feature; token rows count without BOS.

    By token: `token_offsets` [tokens + 1] int64 into `token_features` int32 and `token_values`
    float32, features ascending. By feature: `offsets` [features + 1] int64 into `rows` int32 and
    `values` float32, rows ascending. Values: `tokens`; `l0`, the mean number of active features;
    `fvu`, Σ‖x − x̂‖² / Σ‖x − mean x‖², None where all activations are the same.

    Raises:
        ModelError: the SAE does not belong to this model and site.
    """
    device = run.current().device
    sae_models.check(
        sae, reading.model, reading.site, int(language_model.config(reading.model).hidden_size)
    )
    activations = read_corpus(reading)
    tokens = activations.tokens
    width = sae_models.load(sae, device).width
    chunks = []
    for chunk in range(activations.chunks):
        chunks.append(encode(activations.entry(chunk), sae))
        run.report(int(activations.bounds[chunk + 1]), len(tokens), "Encoding", "tokens")
    firsts = activations.bounds[:-1].astype(np.int64)
    offsets = by_token(folder, chunks, len(tokens))
    by_feature(folder, chunks, firsts, width)
    return {
        "tokens": len(tokens),
        "l0": int(offsets[-1]) / len(tokens),
        "fvu": unexplained(chunks, len(tokens)),
    }


def by_token(folder: Path, chunks: list[Entry], tokens: int) -> np.ndarray:
    """Writes `token_offsets`, `token_features` and `token_values`; returns the offsets."""
    counts = np.concatenate([chunk.array("counts") for chunk in chunks])
    offsets = np.zeros(tokens + 1, dtype=np.int64)
    np.cumsum(counts, out=offsets[1:])
    np.save(folder / "token_offsets.npy", offsets)
    places = _Files(folder, {"token_features": np.int32, "token_values": np.float32}, offsets[-1])
    done = 0
    for chunk in chunks:
        features = chunk.array("features")
        with places as (token_features, token_values):
            token_features[done : done + len(features)] = features
            token_values[done : done + len(features)] = chunk.array("values")
        done += len(features)
        run.report(done, int(offsets[-1]), "Indexing by token", "codes")
    return offsets


def by_feature(folder: Path, chunks: list[Entry], firsts: np.ndarray, width: int) -> None:
    """Writes `offsets`, `rows` and `values`: one pass counts, the second puts in place."""
    offsets = np.zeros(width + 1, dtype=np.int64)
    for chunk in chunks:
        offsets[1:] += np.bincount(chunk.array("features"), minlength=width)
    np.cumsum(offsets, out=offsets)
    np.save(folder / "offsets.npy", offsets)
    free = offsets[:-1].copy()
    places = _Files(folder, {"rows": np.int32, "values": np.float32}, offsets[-1])
    done = 0
    for first, chunk in zip(firsts, chunks, strict=True):
        features, counts = chunk.array("features"), chunk.array("counts")
        row = np.repeat(np.arange(first, first + len(counts), dtype=np.int32), counts)
        order = np.argsort(features, kind="stable")  # rows stay ascending within a feature
        sizes = np.bincount(features, minlength=width)
        before = np.cumsum(sizes) - sizes
        target = np.arange(len(order)) + np.repeat(free - before, sizes)
        with places as (rows, values):
            rows[target] = row[order]
            values[target] = chunk.array("values")[order]
        free += sizes
        done += len(order)
        run.report(done, int(offsets[-1]), "Indexing by feature", "codes")


class _Files:
    """Arrays on disk of one length, mapped only while they are written to: pages that stay
    mapped would count as memory."""

    def __init__(self, folder: Path, kinds: dict[str, Any], length: int) -> None:
        self.paths = [folder / f"{name}.npy" for name in kinds]
        for path, kind in zip(self.paths, kinds.values(), strict=True):
            open_memmap(path, mode="w+", dtype=kind, shape=(int(length),))

    def __enter__(self) -> list[np.ndarray]:
        self.mapped = [np.load(path, mmap_mode="r+") for path in self.paths]
        return self.mapped

    def __exit__(self, *_: object) -> None:
        self.mapped.clear()


def unexplained(chunks: list[Entry], tokens: int) -> float | None:
    """FVU over all chunks, from sums in float64."""
    error = sum(chunk.value("error") for chunk in chunks)
    square = sum(chunk.value("square") for chunk in chunks)
    total = np.sum([chunk.array("total") for chunk in chunks], axis=0)
    spread = square - float(total @ total) / tokens
    return error / spread if spread > 1e-9 * square else None


@dataclass(frozen=True)
class Column:
    """One feature's codes: token `rows` [active] int32 ascending, `values` [active] float32."""

    feature: int
    rows: np.ndarray
    values: np.ndarray

    def dense(self, first: int, last: int) -> np.ndarray:
        """[last - first] float64: the activation at token rows first..last-1, 0 where silent."""
        low, high = np.searchsorted(self.rows, [first, last])
        activations = np.zeros(last - first)
        activations[self.rows[low:high] - first] = self.values[low:high]
        return activations


def column(index: Entry, feature: int) -> Column:
    """Where a feature fires and how strongly, from an `index` entry."""
    offsets = index.array("offsets")
    check_number(feature, len(offsets) - 1, "feature", "The SAE")
    first, last = (int(offset) for offset in offsets[feature : feature + 2])
    return Column(feature, index.array("rows")[first:last], index.array("values")[first:last])


@dataclass(frozen=True)
class ByToken:
    """The features that fire on each token: on token t `features[offsets[t]:offsets[t + 1]]`."""

    offsets: np.ndarray  # [tokens + 1] int64
    features: np.ndarray  # [nnz] int32
    active: np.ndarray  # [features] on how many tokens each fires

    def on(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """[n] how many fire on each of n token rows, and which, one token after the other."""
        firsts = self.offsets[tokens]
        lengths = self.offsets[tokens + 1] - firsts
        starts = np.cumsum(lengths) - lengths
        places = np.arange(lengths.sum()) + np.repeat(firsts - starts, lengths)
        return lengths, self.features[places]

    def counts(self, tokens: np.ndarray) -> np.ndarray:
        """[features] int64: on how many of some token rows each fires."""
        return np.bincount(self.on(tokens)[1], minlength=len(self.active))


def token_codes(index: Entry) -> ByToken:
    """Which features fire where, from an `index` entry."""
    offsets = np.asarray(index.array("token_offsets"))
    features = np.asarray(index.array("token_features"))
    return ByToken(offsets, features, np.diff(index.array("offsets")))
