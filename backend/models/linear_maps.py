"""Every linear map in a model's blocks as units: how strongly each output responds to a text.

For Gemma: q, k, v and o of the attention, gate, up and down of the MLP. A module counts by its type
(`nn.Linear`, or the `Conv1D` of GPT-2), so no list of names has to be kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import polars as pl
import torch
from torch import Tensor, nn

from backend import run
from backend.models import language_model
from backend.models.language_model import LanguageModel
from backend.schema import ModelError, ModelRef
from backend.store.memo import memoize

MAPS = pl.Schema({"layer": pl.Int32, "module": pl.String, "first": pl.Int32, "width": pl.Int32})


@memoize("models.linear_maps", version=1)
def maps(model: ModelRef) -> dict[str, Any]:
    """Table `maps` (`MAPS`): the maps in the order of `responses`, and the first unit of each."""
    device = run.current().device
    run.report(0, 1, "Reading the model")
    return {"maps": table(language_model.load(model, device))}


def table(network: LanguageModel) -> pl.DataFrame:
    """`MAPS` of a loaded model."""
    rows: list[tuple[int, str, int, int]] = []
    first = 0
    for layer, name, module in _modules(network):
        rows.append((layer, name, first, _width(module)))
        first += _width(module)
    return pl.DataFrame(rows, schema=MAPS, orient="row")


@torch.inference_mode()
def responses(network: LanguageModel, ids: Tensor, mask: Tensor) -> Tensor:
    """[texts, units] in the model's dtype: the largest output of each unit over the tokens of a
    text. `ids` and `mask` [texts, positions] begin with the BOS, which counts as little as padding.

    Raises:
        ModelError: a map does not run on every token, as the experts of a mixture do not.
    """
    modules = _modules(network)
    mask = mask.to(network.device)
    outside = mask[:, 1:, None] == 0
    padded = bool(outside.any())
    widths = [_width(module) for *_, module in modules]
    strongest = torch.empty(len(ids), sum(widths), dtype=network.network.dtype, device=mask.device)

    def taking(name: str, place: Tensor) -> Callable[..., None]:
        def take(_module: nn.Module, _given: Any, output: Tensor) -> None:
            if output.shape != (*ids.shape, place.shape[1]):
                raise ModelError(
                    f"{name} of {network.ref.source} does not run on every token.",
                    "Use a model without a mixture of experts, or SAE features as units.",
                )
            real = output[:, 1:]
            place.copy_((real.masked_fill(outside, -torch.inf) if padded else real).amax(dim=1))
            ran.append(name)

        return take

    ran: list[str] = []
    with contextlib.ExitStack() as hooks:
        for (layer, name, module), place in zip(
            modules, strongest.split(widths, dim=1), strict=True
        ):
            hook = taking(f"{name} of block {layer}", place)
            hooks.enter_context(module.register_forward_hook(hook))
        network.residual(ids, mask if padded else None, len(network.blocks) - 1)
    if len(ran) < len(modules):
        raise ModelError(
            f"{len(modules) - len(ran)} linear maps of {network.ref.source} do not run.",
            "Use SAE features as units.",
        )
    return strongest


def _modules(network: LanguageModel) -> list[tuple[int, str, nn.Module]]:
    """Block, name within it and module, in order."""
    from transformers.pytorch_utils import Conv1D

    return [
        (layer, name, module)
        for layer, block in enumerate(network.blocks)
        for name, module in block.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
    ]


def _width(module: nn.Module) -> int:
    return int(module.out_features if isinstance(module, nn.Linear) else module.nf)  # type: ignore[arg-type]
