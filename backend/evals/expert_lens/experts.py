"""How well each unit of a model tells sentences with a concept from others: the average precision
of its response, and what the same sentences give under shuffled labels.

After the finding of experts by Suau et al. and ExpertLens (arXiv 2502.15090). A response is the
largest value over the tokens of a sentence, which is read alone after a BOS; the original lets
padding and BOS count.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend.activations import BATCH, padded
from backend.corpus.contexts import encoded
from backend.models import language_model, linear_maps
from backend.models import sae as sae_models
from backend.schema import ModelRef, NotFiniteError, Progress, SaeRef, Site
from backend.statistics import ranking
from backend.statistics.bootstrap import percentile_interval
from backend.store.memo import memoize

TAUS = tuple(step / 20 for step in range(7, 20))  # .35 to .95
BINS = 50  # of an AP from 0 to 1
SHUFFLES = 3


@dataclass(frozen=True)
class Units:
    """What is read: all linear maps of a model, or the features of an SAE at a site."""

    model: ModelRef
    site: Site | None = None
    sae: SaeRef | None = None


@dataclass(frozen=True)
class Reader:
    """Reads sentences; those of the pool once."""

    units: Units
    pool: list[str]
    device: str
    progress: Progress

    @cached_property
    def pooled(self) -> Tensor:
        """[pool, units] responses to the pool."""
        return self.read(self.pool, self.progress)

    def read(self, texts: list[str], progress: Progress) -> Tensor:
        """[texts, units] responses, on the CPU, in the model's dtype (of features, float32).

        Raises:
            NotFiniteError: a response is NaN or infinite.
        """
        network = language_model.load(self.units.model, self.device)
        tokens = [part[:, 0] for part in encoded(language_model.tokenizer(self.units.model), texts)]
        order = np.argsort([len(part) for part in tokens], kind="stable")
        rows: list[Tensor] = [torch.empty(0)] * len(texts)
        for at in range(0, len(order), BATCH[self.device]):
            progress.report(at, len(order), "Reading sentences", "sentences")
            batch = order[at : at + BATCH[self.device]]
            found = self._responses(network, *padded([tokens[row] for row in batch], network.bos))
            for row, its in zip(batch, found.cpu(), strict=True):
                rows[row] = its
        read = torch.stack(rows)
        if not bool(torch.isfinite(read).all()):
            bad = int((~torch.isfinite(read)).any(dim=1).sum())
            raise NotFiniteError(
                f"Responses to {bad} of {len(texts)} sentences are NaN or infinite "
                f"({self.units.model.dtype}).",
                "Compute in float32: set `dtype` in the study or TESSERA_DTYPE.",
            )
        return read

    def _responses(
        self, network: language_model.LanguageModel, ids: Tensor, mask: Tensor
    ) -> Tensor:
        units = self.units
        if units.sae is None or units.site is None:
            return linear_maps.responses(network, ids, mask)
        sae = sae_models.load(units.sae, self.device)
        part = None if bool(mask.all()) else mask.to(self.device)
        residual = network.residual(ids, part, units.site.layer)
        each = [
            sae.encode(text[1:length]).amax(dim=0)
            for text, length in zip(residual, mask.sum(dim=1).tolist(), strict=True)
        ]
        return torch.stack(each)


@dataclass(frozen=True)
class Given:
    """The sentences of a concept, by half, and who reads them."""

    reader: Reader
    positives: tuple[list[str], list[str]]
    negatives: tuple[np.ndarray, np.ndarray]  # rows of the pool


@memoize(version=1)
def expertise(
    units: Units, digest: str, seed: int, *, inputs: Given, progress: Progress
) -> dict[str, Any]:
    """Average precision of every unit for one concept, whose sentences `digest` names.

    Arrays: `train`, `test` [units] float32, by half; and under labels shuffled within train, over
    all units and shuffles: `null_above` [len(TAUS)] the share at or above each τ, `null_bins`
    [BINS] the share in each bin from 0 to 1, `null_ends` [2] the .025 and .975 quantiles,
    `null_best` [SHUFFLES] the best unit of each.

    Raises:
        NotFiniteError: a response is NaN or infinite.
        ValueError: `inputs` reads other units.
    """
    if inputs.reader.units != units:
        raise ValueError("the reader reads other units")
    found = {}
    for half, name in enumerate(("train", "test")):
        texts = inputs.positives[half]
        others = inputs.reader.pooled[inputs.negatives[half]]
        scores = torch.cat([inputs.reader.read(texts, progress), others]).float().numpy()
        positive = np.arange(len(scores)) < len(texts)
        found[name] = ranking.average_precisions(scores, positive).astype(np.float32)
        if name == "train":
            found |= null(scores, positive, seed)
    return found


def null(scores: np.ndarray, positive: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """The arrays of `expertise` that shuffled labels give; `scores` [sentences, units]."""
    rng = np.random.default_rng(seed)
    each = np.array(
        [ranking.average_precisions(scores, rng.permutation(positive)) for _ in range(SHUFFLES)]
    )
    return {
        "null_above": above(each),
        "null_bins": bins(each),
        "null_ends": np.array(percentile_interval(each)),
        "null_best": each.max(axis=1),
    }


def above(precisions: np.ndarray) -> np.ndarray:
    """[len(TAUS)] the share of values at or above each τ."""
    return np.array([(precisions >= np.float32(tau)).mean() for tau in TAUS])


def bins(precisions: np.ndarray) -> np.ndarray:
    """[BINS] the share of values in each bin from 0 to 1."""
    return np.histogram(precisions, BINS, (0, 1))[0] / precisions.size
