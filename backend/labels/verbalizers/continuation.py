"""A model that goes on with a prompt in which one position holds a vector of ours."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from backend.models import edit, language_model
from backend.models.language_model import LanguageModel
from backend.schema import ModelError


def checked_batches(vectors: np.ndarray, width: int, name: str, size: int) -> list[np.ndarray]:
    """[n, width] float32 in order, at most `size` rows at a time.

    Raises:
        ModelError: another shape or width, or NaN or infinity in it.
    """
    rows = np.asarray(vectors, dtype=np.float32)
    if rows.ndim != 2 or (len(rows) and rows.shape[1] != width):
        raise ModelError(
            f"{name} reads [n, {width}] vectors, and was given {list(rows.shape)}.",
            "Give it residual vectors of the study's own model.",
        )
    bad = int((~np.isfinite(rows)).any(axis=1).sum())
    if bad:
        raise ModelError(
            f"{bad} of {len(rows)} vectors hold NaN or infinity.",
            "Compute activations in float32: set `dtype` in the study or TESSERA_DTYPE.",
        )
    return [rows[start : start + size] for start in range(0, len(rows), size)]


@contextlib.contextmanager
def into(block: nn.Module, position: int, vectors: np.ndarray) -> Iterator[None]:
    """While it is open, what enters the block at a `position` is `vectors` [batch, width], in this
    thread and while the prompt is read: the tokens that follow come one at a time."""
    caller = threading.get_ident()

    def write(_module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        hidden = inputs[0] if inputs else keywords["hidden_states"]
        if threading.get_ident() != caller or hidden.shape[1] <= position:
            return None
        hidden = _overwritten(hidden, position, vectors)
        return (
            ((hidden, *inputs[1:]), keywords)
            if inputs
            else ((), keywords | {"hidden_states": hidden})
        )

    handle = block.register_forward_pre_hook(write, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextlib.contextmanager
def out_of(block: nn.Module, position: int, vectors: np.ndarray) -> Iterator[None]:
    """As `into`, but what leaves the block."""
    caller = threading.get_ident()

    def write(hidden: Tensor) -> Tensor | None:
        if threading.get_ident() != caller or hidden.shape[1] <= position:
            return None
        return _overwritten(hidden, position, vectors)

    with edit.edited(block, write):
        yield


def _overwritten(hidden: Tensor, position: int, vectors: np.ndarray) -> Tensor:
    return edit.overwritten(hidden, position, torch.from_numpy(np.ascontiguousarray(vectors)))


def go_on(
    model: LanguageModel, ids: list[int], count: int, limit: int, ended: Callable[[str], bool]
) -> list[str]:
    """The likeliest continuations of `count` copies of one prompt, so nothing is padded: each of at
    most `limit` tokens, and of no more once its text has `ended`."""

    def done(sequences: Tensor, _scores: Any, **_: Any) -> Tensor:
        so_far = _texts(model, sequences[:, len(ids) :])
        return torch.tensor([ended(text) for text in so_far], device=sequences.device)

    prompts = torch.tensor([ids] * count, device=model.device)
    with torch.inference_mode():
        sequences = model.network.generate(
            prompts,
            attention_mask=torch.ones_like(prompts),
            max_new_tokens=limit,
            do_sample=False,  # and what else a model's own settings may say of drawing
            num_beams=1,
            repetition_penalty=1.0,
            temperature=1.0,
            top_k=50,
            top_p=1.0,
            pad_token_id=model.bos,  # left out of texts, as all special tokens
            stopping_criteria=[done],
        )
    return _texts(model, sequences[:, len(ids) :])


def _texts(model: LanguageModel, ids: Tensor) -> list[str]:
    decode = language_model.tokenizer(model.ref).decode
    return [decode(row, skip_special_tokens=True) for row in ids.tolist()]
