"""What a language model expects after each of many texts, where texts begin alike.

A judge's prompts of one task share their cases, and those about one label its description. A shared
beginning is run once, and what the model keeps of it, its keys and values, is given to all that go
on from there; so only what differs is run for each.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from backend.models.language_model import LanguageModel

BATCH_TOKENS = 8192  # shared beginnings and padding included: each row holds a copy of both
BATCH_ROWS = 32
LEAST = 4  # tokens that neighbours share beyond what all do, to be looked at as a group
WORTH = 400  # tokens to be saved by running a beginning by itself: what the pass more costs

Ids = Sequence[int]


def next_logits(
    network: LanguageModel, sequences: Sequence[list[int]], wanted: Sequence[int]
) -> torch.Tensor:
    """[sequences, wanted] float32 on the CPU: logits of some tokens after each sequence, such as
    it would get alone. No sequence is empty."""
    import torch

    found = torch.empty(len(sequences), len(wanted))
    order = sorted(range(len(sequences)), key=sequences.__getitem__)
    todo: list[tuple[list[int], Any, int]] = [(order, None, 0)]
    while todo:
        rows, cache, depth = todo.pop()
        if _saved(sequences, rows, depth) >= WORTH:
            shared = _shared(sequences, rows)
            cache = _longer(network, cache, sequences[rows[0]][depth:shared])
            depth = shared
        groups, others = _groups(sequences, rows, depth)
        todo += [(group, cache, depth) for group in groups]
        for batch in batches({row: len(sequences[row]) for row in others}):
            rests = [sequences[row][depth:] for row in batch]
            found[batch] = _logits(network, cache, rests, wanted)
    return found


# ---------------------------------------------------------------- what is shared


def common(one: Ids, other: Ids) -> int:
    """How many tokens two sequences begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _shared(sequences: Sequence[Ids], rows: Sequence[int]) -> int:
    """Tokens that sorted rows begin with alike; of each row one is left over."""
    shortest = min(len(sequences[row]) for row in rows)
    return min(common(sequences[rows[0]], sequences[rows[-1]]), shortest - 1)


def _saved(sequences: Sequence[Ids], rows: Sequence[int], depth: int) -> int:
    """Tokens fewer to run if what sorted rows share from `depth` on is run once."""
    return (len(rows) - 1) * (_shared(sequences, rows) - depth) if rows else 0


def _groups(
    sequences: Sequence[Ids], rows: Sequence[int], depth: int
) -> tuple[list[list[int]], list[int]]:
    """Runs of sorted rows that share enough beyond `depth` to be worth a pass, and all others."""
    runs: list[list[int]] = []
    for row in rows:
        if runs and common(sequences[runs[-1][-1]], sequences[row]) >= depth + LEAST:
            runs[-1].append(row)
        else:
            runs.append([row])
    groups = [run for run in runs if _saved(sequences, run, depth) >= WORTH]
    return groups, [row for run in runs if run not in groups for row in run]


def batches(lengths: Mapping[int, int]) -> Iterator[list[int]]:
    """Rows in groups of like length, of at most `BATCH_TOKENS`, padding included."""
    batch: list[int] = []
    for row in sorted(lengths, key=lengths.__getitem__):
        full = len(batch) == BATCH_ROWS or (len(batch) + 1) * lengths[row] > BATCH_TOKENS
        if batch and full:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


# ---------------------------------------------------------------- passes


def forward(
    network: LanguageModel,
    ids: torch.Tensor,
    places: Sequence[int],
    past: Any = None,
    keep: bool = True,
    wanted: Sequence[int] | None = None,
) -> tuple[torch.Tensor, Any]:
    """Logits after one place of each row, [rows, wanted] float32 on the CPU, and the cache.

    `ids` is [rows, positions] after what the cache `past` holds, which grows. `wanted` None is the
    whole vocabulary. Only the places are unembedded, as logits of all would fill the memory; and
    those of some tokens in float32, since bfloat16 has steps of 1/8 at a logit of 20.
    """
    import torch

    def chosen(_: Any, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        return (given[0][torch.arange(len(places)), torch.tensor(places)],)

    def precise(head: Any, given: tuple[torch.Tensor], _: Any) -> torch.Tensor:
        bias = None if head.bias is None else head.bias[wanted].float()
        return torch.nn.functional.linear(given[0].float(), head.weight[wanted].float(), bias)

    head = network.network.get_output_embeddings()
    hooks = [head.register_forward_pre_hook(chosen)]
    hooks += [head.register_forward_hook(precise)] if wanted is not None else []
    try:
        with torch.inference_mode():
            output = network.network(ids.to(network.device), past_key_values=past, use_cache=keep)
    finally:
        for hook in hooks:
            hook.remove()
    return output.logits.float().cpu(), output.past_key_values


def _longer(network: LanguageModel, cache: Any, ids: list[int]) -> Any:
    """A cache of one row that holds `ids` after what `cache` holds, which stays as it is."""
    import torch

    past = copy.deepcopy(cache)
    return forward(network, torch.tensor([ids]), [len(ids) - 1], past, wanted=[0])[1]


def _logits(
    network: LanguageModel, cache: Any, rests: Sequence[list[int]], wanted: Sequence[int]
) -> torch.Tensor:
    """[rests, wanted] of what comes after what `cache` holds and each of the rests."""
    import torch

    # padding stands on the right, where no token sees it: so positions and sliding windows are
    # those of the sequence alone, while a gap before the rest would shift the windows
    ids = torch.full((len(rests), max(map(len, rests))), network.bos)
    for row, rest in enumerate(rests):
        ids[row, : len(rest)] = torch.tensor(rest)
    past = copy.deepcopy(cache)
    if past is not None:
        past.batch_repeat_interleave(len(rests))
    places = [len(rest) - 1 for rest in rests]
    return forward(network, ids, places, past, past is not None, wanted)[0]
