"""How well each unit of a model tells sentences with a concept from others: the average precision
of its response, and what the same sentences give under shuffled labels.

After the finding of experts by Suau et al. and ExpertLens (arXiv 2502.15090). A response is the
largest value over the tokens of a sentence, which is read alone after a BOS; the original lets
padding and BOS count.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend import run
from backend.corpus.activations import BATCH, padded
from backend.corpus.contexts import encoded
from backend.models import language_model, linear_maps
from backend.models import sae as sae_models
from backend.schema import ModelRef, NotFiniteError, SaeRef, Site
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

    @cached_property
    def pooled(self) -> Tensor:
        """[pool, units] responses to the pool."""
        return self.read(self.pool)

    def read(self, texts: list[str]) -> Tensor:
        """[texts, units] responses, on the CPU, in the model's dtype (of features, float32).

        Raises:
            NotFiniteError: a response is NaN or infinite.
        """
        device = run.current().device
        network = language_model.load(self.units.model, device)
        tokens = [part[:, 0] for part in encoded(language_model.tokenizer(self.units.model), texts)]
        # sentences of like length share a forward pass, so little is padded
        order = np.argsort([len(part) for part in tokens], kind="stable")
        rows: list[Tensor] = [torch.empty(0)] * len(texts)
        for first in range(0, len(order), BATCH[device]):
            run.report(first, len(order), "Reading sentences", "sentences")
            batch = order[first : first + BATCH[device]]
            ids, mask = padded([tokens[row] for row in batch], network.bos)
            for row, response in zip(batch, self._responses(network, ids, mask).cpu(), strict=True):
                rows[row] = response
        responses = torch.stack(rows)
        finite = torch.isfinite(responses).all(dim=1)
        if not bool(finite.all()):
            raise NotFiniteError(
                f"Responses to {int((~finite).sum())} of {len(responses)} sentences are NaN or "
                f"infinite ({self.units.model.dtype}).",
                "Compute in float32: set `dtype` in the study or TESSERA_DTYPE.",
            )
        return responses

    def _responses(
        self, network: language_model.LanguageModel, ids: Tensor, mask: Tensor
    ) -> Tensor:
        units = self.units
        if units.sae is None or units.site is None:
            return linear_maps.responses(network, ids, mask)
        sae = sae_models.load(units.sae, network.device)
        part = None if bool(mask.all()) else mask.to(network.device)
        residual = network.residual(ids, part, units.site.layer)
        each = [
            sae.encode(text[1:length]).amax(dim=0)  # position 0 is the BOS
            for text, length in zip(residual, mask.sum(dim=1).tolist(), strict=True)
        ]
        return torch.stack(each)


@dataclass(frozen=True)
class ConceptSentences:
    """The sentences of a concept by half (train, test), and who reads them. A key holds
    `content_digest`, which is computed from the sentences themselves; the units that are read
    stand beside it."""

    reader: Reader
    positives: tuple[list[str], list[str]]
    negatives: tuple[list[int], list[int]]  # rows of the reader's pool

    @cached_property
    def content_digest(self) -> str:
        """32 hex digits that the texts of both halves decide."""
        texts = [
            [positives, [self.reader.pool[row] for row in rows]]
            for positives, rows in zip(self.positives, self.negatives, strict=True)
        ]
        return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:32]


@memoize("expert_lens.average_precision", version=1)
def expertise(units: Units, sentences: ConceptSentences, seed: int) -> dict[str, Any]:
    """Average precision of every unit for the concept of these sentences.

    Arrays: `train`, `test` [units] float32, by half; and under labels shuffled within train, over
    all units and shuffles: `null_above` [len(TAUS)] the share at or above each τ, `null_bins`
    [BINS] the share in each bin from 0 to 1, `null_ends` [2] the .025 and .975 quantiles,
    `null_best` [SHUFFLES] the best unit of each.

    Raises:
        NotFiniteError: a response is NaN or infinite.
        ValueError: the sentences are read by other units.
    """
    reader = sentences.reader
    if reader.units != units:
        raise ValueError("the reader reads other units")
    result: dict[str, Any] = {}
    for half, name in enumerate(("train", "test")):
        texts = sentences.positives[half]
        negatives = reader.pooled[sentences.negatives[half]]
        responses = torch.cat([reader.read(texts), negatives]).float().numpy()
        positive = np.arange(len(responses)) < len(texts)
        result[name] = ranking.average_precisions(responses, positive).astype(np.float32)
        if name == "train":
            result |= null(responses, positive, seed)
    return result


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
