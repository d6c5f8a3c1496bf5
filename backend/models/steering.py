"""Continuing a text while an SAE's features are moved: at a site, the residual stream is encoded,
shifted in feature space, decoded and put back, at every position but the BOS."""

from __future__ import annotations

from itertools import takewhile

import torch
from torch import Tensor

from backend.models import edit
from backend.models.language_model import LanguageModel, tokenizer
from backend.models.sae import Sae


@torch.inference_mode()
def continued(
    network: LanguageModel, sae: Sae, layer: int, ids: list[int], shifts: Tensor, tokens: int
) -> tuple[list[list[int]], Tensor]:
    """The likeliest continuation of `ids` (BOS first), first by the model as it is, then with each
    of `shifts` [n, features] added to the features' activations; each up to `tokens` tokens or the
    end of the text. Beside them [n + 1, vocabulary] float32 log-probabilities of the first token.

    The BOS is left alone: SAEs are trained without it, and its reconstruction breaks the model.
    All texts are continued together: a row alone takes bfloat16 far longer on a CPU.
    """
    inputs = torch.tensor([ids] * (len(shifts) + 1))
    past, first = None, torch.empty(0)
    continuations: list[Tensor] = []
    with edit.edited(network.blocks[layer], _Shift(sae, shifts.to(network.device))):
        for step in range(tokens):
            output = network.network(
                inputs.to(network.device), past_key_values=past, use_cache=True, logits_to_keep=1
            )
            past, logits = output.past_key_values, output.logits[:, -1].float()
            if step == 0:
                first = logits.log_softmax(dim=-1).cpu()
            inputs = logits.argmax(dim=-1, keepdim=True).cpu()
            continuations.append(inputs)
    ends = _ends(network)
    rows = torch.cat(continuations, dim=1).tolist()
    return [list(takewhile(lambda token: token not in ends, row)) for row in rows], first


class _Shift:
    """Moves features in all rows but the first, at all positions but the BOS, which the first
    call brings."""

    def __init__(self, sae: Sae, shifts: Tensor) -> None:
        self.sae, self.shifts, self.begun = sae, shifts, False

    def __call__(self, hidden: Tensor) -> Tensor:
        whole = hidden.clone()
        bos = 0 if self.begun else 1
        self.begun = True
        rows = whole[1:, bos:]
        if rows.shape[1]:
            codes = self.sae.encode(rows.flatten(0, 1))
            codes = codes.unflatten(0, rows.shape[:2]) + self.shifts[:, None]
            whole[1:, bos:] = self.sae.decode(codes.flatten(0, 1)).view(rows.shape).to(whole)
        return whole


def _ends(network: LanguageModel) -> set[int]:
    ids = network.network.generation_config.eos_token_id
    several = ids if isinstance(ids, list) else [ids]
    return {end for end in (*several, tokenizer(network.ref).eos_token_id) if end is not None}
