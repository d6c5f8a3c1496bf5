"""Are regions the *stable regions* of Janiak et al. (arXiv 2409.17113), within which the output of
a model hardly changes, while it jumps where one gives way to another?

Between the residuals A and B of two prompts at their last token, h(α) = A + α(B − A) is put in the
place of A. With F the output of the last block there, D(α) = ‖F(h(α)) − F(A)‖ / ‖F(B) − F(A)‖,
where F(B) too is read in the prompt of A. What D says is compared with where regions end.

The model runs in float32, whatever the study's format: on the demo, bfloat16 moves D by up to
.012, which over steps of 1/32 raises the sharpness by up to .3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from backend import run
from backend.corpus.contexts import Tokens, tokenize
from backend.models import language_model
from backend.models.language_model import LanguageModel
from backend.regions import partitioning
from backend.schema import Partition, TesseraError
from backend.store.memo import memoize

SHORTEST, LONGEST = 8, 24  # tokens of a prompt


@memoize("concepts.interpolated_prompts", version=1)
def interpolate_prompts(
    partition: Partition, pairs: int = 60, steps: int = 33, seed: int = 0
) -> dict[str, Any]:
    """D(α) at `steps` even values of α from 0 to 1, for pairs of prompts drawn as in `draw_pairs`.

    Arrays: `ends` [P, 2, width] float32, the residuals A and B at the site; `apart` [P, steps]
    D(α); `sharpness` [P], its largest rise per unit of α, by differences; `steepest` [P], the
    middle of that step; `next` [P, 2] int64, the likeliest next token after each prompt as it
    stands; `first` and `length` [P, 2] int64, the token rows that the prompts are. D is NaN where
    F(A) = F(B).

    Raises:
        TesseraError: there are no such steps or pairs.
    """
    device = run.current().device
    if pairs < 1 or steps < 2:
        raise TesseraError("Nothing to interpolate.", "Ask for a pair and two steps, or more.")
    built = partitioning.build_partition(partition)
    tokens = Tokens(tokenize(partition.reading.model, partition.reading.corpus))
    first, length = draw_pairs(tokens.contexts, tokens.ids, built.array("owner"), pairs, seed)
    network = language_model.load(replace(partition.reading.model, dtype="float32"), device)
    layer = partition.reading.site.layer
    ends, following, apart = [], [], []
    for pair in range(len(first)):
        run.report(pair, len(first), "Interpolating between prompts", "pairs")
        prompts = [
            torch.tensor([network.bos, *tokens.ids[begin : begin + size].tolist()])
            for begin, size in zip(first[pair], length[pair], strict=True)
        ]
        rows = torch.stack([network.residual(ids[None], None, layer)[0, -1] for ids in prompts])
        path = interpolation(rows.float(), steps)
        apart.append(relative_distances(network.patched(prompts[0], layer, path)))
        ends.append(rows.float().cpu().numpy())
        following.append([_next(network, ids) for ids in prompts])
    sharpness, steepest = steepest_rises(np.array(apart))
    return {
        "ends": np.array(ends),
        "apart": np.array(apart),
        "sharpness": sharpness,
        "steepest": steepest,
        "next": np.array(following, dtype=np.int64),
        "first": first,
        "length": length,
    }


@torch.inference_mode()
def _next(network: LanguageModel, ids: Tensor) -> int:
    """The likeliest token after [positions] ids."""
    batch = ids[None].to(network.device)
    return int(network.network(batch, use_cache=False, logits_to_keep=1).logits[0, -1].argmax())


def interpolation(ends: Tensor, steps: int) -> Tensor:
    """[steps, width] from the first of `ends` [2, width] to the second, both included."""
    alpha = torch.linspace(0, 1, steps, device=ends.device)[:, None]
    return torch.lerp(ends[0], ends[1], alpha)


def relative_distances(final: Tensor) -> np.ndarray:
    """[steps] float64 distances of `final` [steps, width] from its first row, the last one's being
    1; NaN where that is 0."""
    exact = final.double()
    distance = torch.linalg.vector_norm(exact - exact[0], dim=1).cpu().numpy()
    return distance / distance[-1] if distance[-1] > 0 else np.full(len(distance), np.nan)


def steepest_rises(apart: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[P] the largest rise of [P, steps] per unit of α, and the α in the middle of that step."""
    rises = np.diff(apart, axis=1)
    steps = rises.shape[1]
    middle = (rises.argmax(axis=1) + 0.5) / steps
    return rises.max(axis=1) * steps, np.where(np.isfinite(apart[:, -1]), middle, np.nan)


# ---------------------------------------------------------------- which prompts


def draw_pairs(
    contexts: pl.DataFrame, ids: np.ndarray, owner: np.ndarray, pairs: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """First token rows and lengths, [P, 2] int64 each: beginnings, of 8 to 24 tokens, of contexts
    of two documents, no context twice. Every prompt is a beginning, so its last token is one that
    the corpus has, with the same activation.

    Two prompts at random are almost never in one region, so half of the pairs are drawn to be: by
    `owner` [tokens] of the last token, one pair from each of as many regions at random, fewer
    where fewer regions hold two such prompts; those pairs come first. `pairs` are fewer where the
    corpus is too small.

    Raises:
        TesseraError: the corpus has no such pair.
    """
    rng = np.random.default_rng(seed)
    table = contexts.filter(pl.col("length") >= SHORTEST)
    table = table[rng.permutation(len(table))]
    first, document = table["first_token"].to_numpy(), table["document"].to_numpy()
    length = rng.integers(SHORTEST, np.minimum(table["length"].to_numpy(), LONGEST) + 1)

    def fit(one: int, other: int) -> bool:
        left, right = (ids[first[each] : first[each] + length[each]] for each in (one, other))
        return bool(document[one] != document[other]) and not np.array_equal(left, right)

    region = owner[first + length - 1]
    pairs_of_rows: list[tuple[int, int]] = []
    for each in rng.permutation(np.unique(region)):
        if len(pairs_of_rows) >= pairs // 2:
            break
        pairs_of_rows += list(_paired(np.flatnonzero(region == each), fit))[:1]
    left = np.setdiff1d(np.arange(len(first)), np.array(pairs_of_rows, dtype=np.int64))
    pairs_of_rows += list(_paired(left, fit))[: pairs - len(pairs_of_rows)]
    if not pairs_of_rows:
        raise TesseraError(
            f"The corpus has no two documents that begin with {SHORTEST} tokens of their own.",
            "Use a corpus with more documents.",
        )
    rows = np.array(pairs_of_rows)
    return first[rows].astype(np.int64), length[rows].astype(np.int64)


def _paired(candidates: np.ndarray, fit: Callable[[int, int], bool]) -> Iterator[tuple[int, int]]:
    """Each candidate with the next that fits and is free; what lies between stays single."""
    waiting = None
    for each in candidates.tolist():
        if waiting is None:
            waiting = each
        elif fit(waiting, each):
            yield waiting, each
            waiting = None
