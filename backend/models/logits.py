"""Which tokens a direction of the residual stream promotes and suppresses.

The direction is read through the final norm's gain and the unembedding (the logit lens, as SAE
dashboards apply it to decoder rows). The vocabulary may be large, so only a few directions meet
it at a time.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.models.language_model import LanguageModel
from backend.schema import NotFoundError

TOP = 20
BINS = 40
BLOCK = 512  # directions read and kept together
CELLS = 1 << 24  # logits in memory at a time: 64 MB


def block_of(directions: Tensor, block: int, what: str) -> Tensor:
    """Rows block·512 to block·512 + 511 of the directions of features or regions.

    Raises:
        NotFoundError: there is no such block.
    """
    if not 0 <= block * BLOCK < len(directions):
        raise NotFoundError(
            f"There is no block {block} of {what}.",
            f"There are {len(directions)} {what} in blocks of {BLOCK}.",
        )
    return directions[block * BLOCK : (block + 1) * BLOCK]


def direction_effects(
    network: LanguageModel, directions: Tensor, top: int = TOP, bins: int = BINS
) -> dict[str, np.ndarray]:
    """Effects of [n, width] directions on the logits of the whole vocabulary.

    Arrays: token ids `promoted`, `suppressed` [n, top] int32, strongest first, with
    `promoted_logits`, `suppressed_logits` [n, top] float32; `histogram` [n, bins] int32, how many
    tokens of the vocabulary have a logit in each bin, and `edges` [n, bins + 1] float32. The scale
    of logits is that of the directions; only their order and proportions mean something.
    """
    vocabulary = int(network.network.get_output_embeddings().weight.shape[0])
    parts: list[dict[str, np.ndarray]] = []
    for some in directions.split(max(1, CELLS // vocabulary)):
        parts.append(_effects(network.logits_of(some), top, bins))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _effects(logits: Tensor, top: int, bins: int) -> dict[str, np.ndarray]:
    top = min(top, logits.shape[1])
    high = logits.topk(top, dim=1)
    low = logits.topk(top, dim=1, largest=False)
    histogram, edges = _histograms(logits, bins)
    return {
        "promoted": high.indices.to(torch.int32).cpu().numpy(),
        "promoted_logits": high.values.cpu().numpy(),
        "suppressed": low.indices.to(torch.int32).cpu().numpy(),
        "suppressed_logits": low.values.cpu().numpy(),
        "histogram": histogram,
        "edges": edges,
    }


def _histograms(logits: Tensor, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts [n, bins] int32 in bins of equal width between each row's extremes, and edges."""
    low, high = (extreme.cpu().double() for extreme in torch.aminmax(logits, dim=1))
    high = torch.where(high > low, high, low + 1)  # a direction of no effect has no range
    counts = [
        torch.histc(row, bins, float(a), float(b))
        for row, a, b in zip(logits, low, high, strict=True)
    ]
    steps = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    edges = low[:, None] + (high - low)[:, None] * steps
    return torch.stack(counts).to(torch.int32).cpu().numpy(), edges.float().numpy()
