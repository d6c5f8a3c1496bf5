"""What a feature's decoder row says: the tokens it promotes, and the features that write alike."""

from __future__ import annotations

from typing import Any

import torch

from backend import run
from backend.models import language_model
from backend.models import sae as sae_models
from backend.models.logits import BLOCK, CELLS, block_of, direction_effects
from backend.schema import ModelRef, SaeRef
from backend.store.memo import memoize

NEIGHBOURS = 20


@memoize("features.logit_effects", version=1)
def effects(model: ModelRef, sae: SaeRef, block: int) -> dict[str, Any]:
    """Effects of features block·512 to block·512 + 511 (feature f is row f mod 512).

    Arrays as in `direction_effects`: `promoted`, `promoted_logits`, `suppressed`,
    `suppressed_logits` [n, 20], `histogram` [n, 40], `edges` [n, 41].

    Raises:
        NotFoundError: the SAE has no such block.
    """
    device = run.current().device
    run.report(0, 1, "Reading logits of features")
    directions = block_of(sae_models.load(sae, device).decoder, block, "features")
    return dict(direction_effects(language_model.load(model, device), directions))


@memoize("features.decoder_neighbours", version=1)
def neighbours(sae: SaeRef, block: int) -> dict[str, Any]:
    """The features whose decoder rows point most nearly the same way, for the same block as in
    `effects`: `features` [n, 20] int32 and `cosines` [n, 20] float32, nearest first. An SAE of
    20 features or fewer has fewer columns.

    Raises:
        NotFoundError: the SAE has no such block.
    """
    device = run.current().device
    decoder = sae_models.load(sae, device).decoder
    unit = decoder / decoder.norm(dim=1, keepdim=True).clamp_min(1e-30)
    rows, own = block_of(unit, block, "features"), block * BLOCK
    features, cosines = [], []
    for some in rows.split(max(1, CELLS // len(unit))):
        run.report(own, len(unit), "Comparing features", "features")
        cosine = some @ unit.T
        cosine[torch.arange(len(some)), torch.arange(own, own + len(some))] = -2.0  # not itself
        best = cosine.topk(min(NEIGHBOURS, len(unit) - 1), dim=1)
        features.append(best.indices.to(torch.int32).cpu())
        cosines.append(best.values.cpu())
        own += len(some)
    return {"features": torch.cat(features).numpy(), "cosines": torch.cat(cosines).numpy()}
