"""Activations read, written over and differentiated inside a language model, on short prompts.

A *place* is the residual stream after a block, or what attention or the MLP of a block adds to it:
their output as it is added, so after the norm that some models (Gemma 2 and 3, OLMo 2) put there.
What is measured is the logit difference LD of two tokens after a prompt's last position.

A run that is patched at a position cannot differ before it. So the prompt is run once, and a
patched run does only the blocks from the patch on, at the positions from the patch on.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from backend.models import edit
from backend.models.language_model import LanguageModel
from backend.schema import ModelError, NotFiniteError

KINDS = ("resid", "attn", "mlp")
ATTENTION = ("self_attn", "attention", "attn")
ROWS = 256  # prompts run at once
CLOSE = 1e-3  # of a logit, relative


@dataclass(frozen=True)
class Place:
    """`kind` is resid (after the block), attn or mlp (what these add)."""

    layer: int
    kind: str = "resid"

    @property
    def before(self) -> int:
        """The last block that need not run again; −1: all run."""
        return self.layer if self.kind == "resid" else self.layer - 1


@dataclass(frozen=True)
class Clean:
    """Prompts [n, T] run once: keys and values of each block, and streams [n, T, width] after
    blocks; `end` [n] as in `differences`; `tuples`: whether blocks give tuples."""

    ids: Tensor
    end: np.ndarray
    keys: list[tuple[Tensor, Tensor]]
    streams: dict[int, Tensor]
    tuples: bool

    def part(self, rows: np.ndarray) -> Clean:
        """Some of the prompts, without the padding that they do not need."""
        last = int(self.end[rows].max()) + 1
        some = torch.from_numpy(rows).to(self.ids.device)
        keys = [(k[some, :, :last], v[some, :, :last]) for k, v in self.keys]
        streams = {layer: stream[some, :last] for layer, stream in self.streams.items()}
        return Clean(self.ids[some, :last], self.end[rows], keys, streams, self.tuples)


class Patcher:
    """A language model of which activations can be replaced."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.layers = len(model.blocks)
        config = model.network.config.get_text_config()
        self.cap = getattr(config, "final_logit_softcapping", None)

    def module(self, place: Place) -> nn.Module:
        """The module whose output is the place; raises ModelError where there is none."""
        if not 0 <= place.layer < self.layers:
            raise ModelError(
                f"{self.model.ref.source} has {self.layers} blocks, none of number {place.layer}.",
                "Choose a layer that it has.",
            )
        block = self.model.blocks[place.layer]
        if place.kind == "resid":
            return block
        names = ATTENTION if place.kind == "attn" else ("mlp",)
        if hasattr(block, "post_feedforward_layernorm"):  # normed once more before it is added
            kind = "attention" if place.kind == "attn" else "feedforward"
            names = (f"post_{kind}_layernorm",)
        module = next((getattr(block, name) for name in names if hasattr(block, name)), None)
        if module is None:
            raise ModelError(
                f"Blocks of {self.model.ref.source} name neither of {', '.join(names)}.",
                "Add the name in backend/models/patching.py.",
            )
        return module

    # ------------------------------------------------------------ whole runs

    @torch.inference_mode()
    def differences(self, ids: np.ndarray, end: np.ndarray, pair: np.ndarray) -> np.ndarray:
        """[n] float32 LD of `pair` [n, 2] after position `end` [n] of `ids` [n, T]."""
        differences: list[np.ndarray] = []
        for rows in parts(len(ids)):
            final = self._final(torch.from_numpy(ids[rows]))
            differences.append(self._difference(final, end[rows], pair[rows]).cpu().numpy())
        return np.concatenate(differences)

    @torch.inference_mode()
    def read(self, ids: np.ndarray, positions: np.ndarray, places: Sequence[Place]) -> np.ndarray:
        """[n, R, places, width] float32: activations at `positions` [n, R]."""
        values: list[np.ndarray] = []
        for rows in parts(len(ids)):
            with self._captured(places) as outputs:
                self._final(torch.from_numpy(ids[rows]), max(place.layer for place in places))
            index = torch.arange(len(positions[rows]))[:, None], torch.from_numpy(positions[rows])
            hidden = [edit.hidden_states(outputs[place])[index] for place in places]
            values.append(torch.stack(hidden, dim=2).float().cpu().numpy())
        return np.concatenate(values)

    def gradients(
        self,
        ids: np.ndarray,
        end: np.ndarray,
        pair: np.ndarray,
        positions: np.ndarray,
        places: Sequence[Place],
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Activations and ∂LD/∂a, [n, R, places, width] float32 each, and LD [n]. Raises
        NotFiniteError, which says how many gradients are not finite."""
        embed = self.model.network.get_input_embeddings()
        differentiable = embed.register_forward_hook(
            lambda _module, _inputs, output: output.requires_grad_(True)
        )
        with differentiable, torch.enable_grad(), self._captured(places) as outputs:
            difference = self._difference(self._final(torch.from_numpy(ids)), end, pair)
            hidden = [edit.hidden_states(outputs[place]) for place in places]
            slopes = torch.autograd.grad(difference.sum(), hidden)
        index = torch.arange(len(ids))[:, None], torch.from_numpy(positions)
        values, gradients = (
            torch.stack([each[index].detach() for each in whole], dim=2).float().cpu().numpy()
            for whole in (hidden, slopes)
        )
        if bad := int((~np.isfinite(gradients)).sum()):
            raise NotFiniteError(
                f"{bad} of {gradients.size} gradients of the logit difference are not finite.",
                "Run the model in float32.",
            )
        return values, gradients, difference.detach().cpu().numpy()

    # ------------------------------------------------------------ patched runs

    @torch.inference_mode()
    def clean(self, ids: np.ndarray, end: np.ndarray, layers: Sequence[int]) -> Clean:
        """Prompts that are to be patched, with streams after `layers` (−1 is left out)."""
        from transformers import DynamicCache

        tokens, cache = torch.from_numpy(ids).to(self.model.device), DynamicCache()
        places = [Place(layer) for layer in layers if layer >= 0]
        with self._captured(places) as outputs:
            self._final(tokens, past_key_values=cache, use_cache=True)
        keys: Any = [(layer.keys, layer.values) for layer in cache.layers]  # pyright: ignore
        streams = {place.layer: edit.hidden_states(outputs[place]) for place in places}
        is_tuple = any(isinstance(output, tuple) for output in outputs.values())
        return Clean(tokens, end, keys, streams, is_tuple)

    @torch.inference_mode()
    def patched(
        self, clean: Clean, place: Place, position: int, rows: np.ndarray, pair: np.ndarray
    ) -> np.ndarray:
        """[m, n] LD of `pair` [m, n, 2] with `rows` [m, n, width] at a place and position, in m
        runs of each of the n prompts."""
        n, step = len(clean.ids), max(1, ROWS // len(clean.ids))
        differences: list[np.ndarray] = []
        for first in range(0, len(rows), step):
            some = torch.from_numpy(np.ascontiguousarray(rows[first : first + step]))
            times = len(some)
            replacement = some.to(self.model.device).flatten(0, 1)
            changed = edit.edited(
                self.module(place), partial(edit.overwritten, position=0, rows=replacement)
            )
            with self._skipping(clean, place, position, times), changed:
                ids = clean.ids[:, position:].repeat(times, 1)
                cache = self._cache(clean, place, position, times)
                final = self._final(ids, past_key_values=cache, use_cache=True)
            end = np.tile(clean.end - position, times)
            pairs = pair[first : first + step].reshape(-1, 2)
            differences.append(self._difference(final, end, pairs).view(times, n).cpu().numpy())
        return np.concatenate(differences)

    def _cache(self, clean: Clean, place: Place, position: int, times: int) -> Any:
        """Keys and values before the position, of the blocks that run; block 0 tells the length."""
        from transformers import DynamicCache

        cache = DynamicCache()
        if position:
            for layer in {0, *range(place.before + 1, self.layers)}:
                keys, values = (part[:, :, :position] for part in clean.keys[layer])
                cache.update(keys.repeat(times, 1, 1, 1), values.repeat(times, 1, 1, 1), layer)
        return cache

    @contextlib.contextmanager
    def _skipping(self, clean: Clean, place: Place, position: int, times: int) -> Generator[None]:
        """Blocks up to the one before the patch hand on the stream that is known."""
        skipped, output = self.model.blocks[: place.before + 1], None
        if len(skipped):
            stream = clean.streams[place.before][:, position:].repeat(times, 1, 1)
            output = (stream,) if clean.tuples else stream
        for block in skipped:
            block.forward = lambda *_args, **_also: output
        try:
            yield
        finally:
            for block in skipped:
                del block.forward

    def _captured(self, places: Sequence[Place]) -> AbstractContextManager[dict[Place, Any]]:
        """Outputs of places, filled by the run inside."""
        return edit.captured({place: self.module(place) for place in places})

    def _final(self, ids: Tensor, last: int | None = None, **options: Any) -> Tensor:
        """[n, T, width] after the final norm; after block `last` where one is given."""
        # the pass ends there: the unembedding of every position is not wanted
        module = self.model.norm if last is None else self.model.blocks[last]
        options = {"use_cache": False} | options
        final = edit.output_of(
            module, lambda: self.model.network(ids.to(self.model.device), **options)
        )
        if final is None:
            raise ModelError(
                f"{self.model.ref.source} did not reach its norm.", "Report the model."
            )
        return final

    def _difference(self, final: Tensor, end: np.ndarray, pair: np.ndarray) -> Tensor:
        logits = self._logits(final, end, pair)
        return logits[:, 0] - logits[:, 1]

    def _logits(self, final: Tensor, end: np.ndarray, pair: np.ndarray) -> Tensor:
        unembedding = self.model.network.get_output_embeddings()
        rows = final[torch.arange(len(final)), torch.from_numpy(np.asarray(end))].float()
        ids = torch.from_numpy(np.ascontiguousarray(pair)).to(final.device)
        logits = torch.einsum("nd,npd->np", rows, unembedding.weight[ids].float())
        if getattr(unembedding, "bias", None) is not None:
            logits = logits + unembedding.bias[ids].float()
        return self.cap * torch.tanh(logits / self.cap) if self.cap else logits

    @torch.inference_mode()
    def check(self, ids: np.ndarray, pair: np.ndarray) -> None:
        """Raises ModelError where the model's own logits, on one prompt [T], are others."""
        tokens = torch.from_numpy(ids[None])
        own = self.model.network(tokens.to(self.model.device), use_cache=False, logits_to_keep=1)
        there = own.logits[0, -1].float().cpu()[torch.from_numpy(pair)]
        here = self._logits(self._final(tokens), np.array([len(ids) - 1]), pair[None])[0].cpu()
        if not torch.allclose(here, there, rtol=CLOSE, atol=CLOSE):
            raise ModelError(
                f"{self.model.ref.source} makes more of its logits than its unembedding says.",
                "Use a model whose last step is known: the unembedding, with or without a cap.",
            )


def parts(count: int) -> list[slice]:
    """Slices of at most `ROWS` prompts."""
    return [slice(first, first + ROWS) for first in range(0, count, ROWS)]
