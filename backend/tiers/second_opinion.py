"""A cheap second opinion on tiers: does a feature read or write what its decoder row promotes?

Input score: share of a feature's strongest peaks at a token of its own top 20 promoted ones.
Output score: with the feature amplified at the last token of a neutral text, the highest
probability among these 20 times 1 − their best rank / vocabulary. Definitions of Arad, Mueller
and Belinkov (arXiv 2505.20063) and its code, which adds ten times the highest activation there.
The paper takes up to 100 examples, here up to `windows.MOST`, one a document.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend import run
from backend.corpus.contexts import Tokens, tokenize
from backend.features import logits
from backend.models import edit, language_model
from backend.models import sae as sae_models
from backend.models.language_model import LanguageModel
from backend.schema import ModelRef, Reading, SaeRef, Site
from backend.store.memo import memoize
from backend.tiers import windows

NEUTRAL = "From my experience,"
FACTOR = 10.0
CELLS = 1 << 24  # logits in memory at a time


@memoize("tiers.input_scores", version=1)
def reads(reading: Reading, sae: SaeRef) -> dict[str, Any]:
    """`score` [features] float32 input scores, NaN where a feature never fires, and `examples`
    [features] int32 that they stand on."""
    peaks = windows.peaks(reading, sae)
    rows = np.asarray(peaks.array("rows"))
    ids = np.asarray(Tokens(tokenize(reading.model, reading.corpus)).ids)
    score = np.full(len(rows), np.nan, dtype=np.float32)
    for start in range(0, len(rows), logits.BLOCK):
        run.report(start, len(rows), "Reading input scores", "features")
        effects = logits.effects(reading.model, sae, start // logits.BLOCK)
        part = slice(start, start + logits.BLOCK)
        score[part] = input_scores(ids, rows[part], effects.array("promoted"))
    return {"score": score, "examples": (rows >= 0).sum(axis=1, dtype=np.int32)}


def input_scores(ids: np.ndarray, rows: np.ndarray, promoted: np.ndarray) -> np.ndarray:
    """[features] share of peaks `rows` [features, n] (-1: none) whose token is among `promoted`
    [features, top]; NaN where there is no peak."""
    there = rows >= 0
    hit = (ids[np.maximum(rows, 0)][:, :, None] == promoted[:, None, :]).any(axis=2) & there
    count = there.sum(axis=1)
    return np.where(count, hit.sum(axis=1) / np.maximum(count, 1), np.nan)


@memoize("tiers.output_scores", version=1)
def writes(model: ModelRef, site: Site, sae: SaeRef, block: int) -> dict[str, Any]:
    """`score` [n] float32 output scores of features block·512 to block·512 + 511."""
    device = run.current().device
    run.report(0, 1, "Reading output scores")
    network, dictionary = language_model.load(model, device), sae_models.load(sae, device)
    promoted = logits.effects(model, sae, block)
    text = language_model.tokenizer(model)(NEUTRAL, add_special_tokens=False).input_ids
    ids = torch.tensor([[network.bos, *text]])
    last = network.residual(ids, None, site.layer)[:, -1].float()
    push = FACTOR * float(dictionary.encode(last).max())
    directions = logits.block_of(dictionary.decoder, block, "features")
    top = torch.as_tensor(np.array(promoted.array("promoted")), dtype=torch.long)
    vocabulary = int(network.network.get_output_embeddings().weight.shape[0])
    size = max(1, CELLS // vocabulary)
    parts = [
        output_scores(_amplified(network, ids, site.layer, some * push), ids_of_top.to(device))
        for some, ids_of_top in zip(directions.split(size), top.split(size), strict=True)
    ]
    return {"score": torch.cat(parts).cpu().numpy()}


@torch.inference_mode()
def _amplified(network: LanguageModel, ids: Tensor, layer: int, added: Tensor) -> Tensor:
    """[n, vocabulary] logits after `ids`, each row of `added` put onto its last residual."""

    def add(hidden: Tensor) -> Tensor:
        return edit.overwritten(hidden, -1, hidden[:, -1] + added.to(hidden))

    with edit.edited(network.blocks[layer], add):
        many = ids.to(network.device).expand(len(added), -1)
        return network.network(many, use_cache=False, logits_to_keep=1).logits[:, -1].float()


def output_scores(logit: Tensor, promoted: Tensor) -> Tensor:
    """[n] (1 − best rank / vocabulary) · highest probability among `promoted` [n, top] ids, ranks
    from 0, of [n, vocabulary] logits."""
    highest = logit.gather(1, promoted).max(dim=1, keepdim=True).values
    rank = (logit > highest).sum(dim=1)
    probability = (highest[:, 0] - logit.logsumexp(dim=1)).exp()
    return (1 - rank / logit.shape[1]) * probability
