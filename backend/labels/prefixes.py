"""How likely a language model finds an answer after each of many texts, where texts begin alike.

A judge's prompts of one task share their cases. A shared beginning is run once, and what the model
keeps of it, its keys and values, is given to all that go on from there; so only what differs is run
for each.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from backend import run
from backend.models.language_model import LanguageModel

BATCH_TOKENS = 8192  # shared beginnings and padding included: each row holds a copy of both
BATCH_ROWS = 32
BATCH_ANSWERS = 256  # tokens that are asked about: each has logits of the whole vocabulary
LEAST = 4  # tokens that neighbours share beyond what all do, to be looked at as a group
WORTH = 400  # tokens to be saved by running a beginning by itself: what the pass more costs

Ids = Sequence[int]


def likelihoods(
    network: LanguageModel, sequences: Sequence[list[int]], starts: Sequence[int]
) -> torch.Tensor:
    """[sequences] float32 on the CPU: mean log-probability of each sequence's tokens from its start
    on, such as it would get alone; 0 where there are none. Starts are 1 or more."""
    means = torch.zeros(len(sequences))
    rows_asked = [row for row, ids in enumerate(sequences) if len(ids) > starts[row]]
    order = sorted(rows_asked, key=sequences.__getitem__)
    beginnings = [sequences[row][: starts[row] - 1] for row in range(len(sequences))]
    todo: list[tuple[list[int], Any, int]] = [(order, None, 0)]
    while todo:
        rows, cache, depth = todo.pop()
        if _saved(beginnings, rows, depth) >= WORTH:
            shared = _shared(beginnings, rows)
            cache = _longer(network, cache, sequences[rows[0]][depth:shared])
            depth = shared
        groups, others = _groups(beginnings, rows, depth)
        todo += [(group, cache, depth) for group in groups]
        counts = {row: len(sequences[row]) - starts[row] for row in others}
        for batch in batches({row: len(sequences[row]) for row in others}, counts):
            rests = [sequences[row][depth:] for row in batch]
            means[batch] = _mean(network, cache, rests, [counts[row] for row in batch])
    return means


# ---------------------------------------------------------------- what is shared


def common(one: Ids, other: Ids) -> int:
    """How many tokens two sequences begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _shared(sequences: Sequence[Ids], rows: Sequence[int]) -> int:
    """Tokens that rows begin with alike, sorted by what they go on with: one may end early."""
    shortest = min(len(sequences[row]) for row in rows)
    return min(common(sequences[rows[0]], sequences[rows[-1]]), shortest)


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


def batches(lengths: Mapping[int, int], counts: Mapping[int, int]) -> Iterator[list[int]]:
    """Rows in groups of like length, of at most `BATCH_TOKENS`, padding included, and of
    `BATCH_ANSWERS`."""
    batch: list[int] = []
    for row in sorted(lengths, key=lengths.__getitem__):
        answers = counts[row] + sum(counts[other] for other in batch)
        full = len(batch) == BATCH_ROWS or (len(batch) + 1) * lengths[row] > BATCH_TOKENS
        if batch and (full or answers > BATCH_ANSWERS):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


# ---------------------------------------------------------------- passes


def forward(
    network: LanguageModel,
    ids: torch.Tensor,
    places: Sequence[tuple[int, int]],
    past: Any = None,
    keep: bool = True,
    targets: Sequence[int] | None = None,
) -> tuple[torch.Tensor, Any]:
    """Logits after some places (row, position), [places, vocabulary] float32, and the cache.

    `ids` is [rows, positions] after what the cache `past` holds, which grows. Only the places are
    unembedded, as logits of all would fill the memory. Of `targets`, a token a place, logits are
    exact: bfloat16 has steps of 1/8 at a logit of 20, which would make texts tie.
    """
    run.check()
    rows, positions = (torch.tensor(part) for part in zip(*places, strict=True))

    def select_places(_: Any, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        return (inputs[0][rows, positions],)

    def precise(head: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        exact = (inputs[0].float() * head.weight[targets].float()).sum(dim=-1)
        logits = output.float()
        logits[torch.arange(len(places)), targets] = exact + (
            0 if head.bias is None else head.bias[targets].float()
        )
        return logits

    head = network.network.get_output_embeddings()
    hooks = [head.register_forward_pre_hook(select_places)]
    hooks += [head.register_forward_hook(precise)] if targets is not None else []
    try:
        with torch.inference_mode():
            output = network.network(ids.to(network.device), past_key_values=past, use_cache=keep)
    finally:
        for hook in hooks:
            hook.remove()
    return output.logits.float(), output.past_key_values


def _longer(network: LanguageModel, cache: Any, ids: list[int]) -> Any:
    """A cache of one row that holds `ids` after what `cache` holds, which stays as it is."""
    past = copy.deepcopy(cache)
    return forward(network, torch.tensor([ids]), [(0, len(ids) - 1)], past)[1]


def _mean(
    network: LanguageModel, cache: Any, rests: Sequence[list[int]], counts: Sequence[int]
) -> torch.Tensor:
    """[rests] mean log-probability of the last `counts` tokens of each, after the cache."""
    # padding stands on the right, where no token sees it: so positions and sliding windows are
    # those of the sequence alone, while a gap before the rest would shift the windows
    ids = torch.full((len(rests), max(map(len, rests))), network.bos)
    for row, rest in enumerate(rests):
        ids[row, : len(rest)] = torch.tensor(rest)
    past = copy.deepcopy(cache)
    if past is not None:
        past.batch_repeat_interleave(len(rests))
    sized = list(zip(rests, counts, strict=True))
    places = [
        (row, position)
        for row, (rest, n) in enumerate(sized)
        for position in range(len(rest) - n - 1, len(rest) - 1)
    ]
    targets = [rests[row][position + 1] for row, position in places]
    logits, _ = forward(network, ids, places, past, past is not None, targets)
    logs = logits.log_softmax(dim=-1)[torch.arange(len(places)), targets].cpu()
    return torch.stack([part.mean() for part in logs.split(list(counts))])
