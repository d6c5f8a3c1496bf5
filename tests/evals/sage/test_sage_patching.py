"""Patched runs and gradients against hooks by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from backend.models.patching import KINDS, Patcher, Place
from backend.schema import ModelError, NotFiniteError
from tests.conftest import WIDTH

RNG = np.random.default_rng(0)
IDS = RNG.integers(5, 300, (6, 11))
END = np.array([10, 10, 7, 8, 10, 9])
PAIR = RNG.integers(5, 300, (6, 2))


@torch.inference_mode()
def by_hand(patcher: Patcher, module: Any, position: int, rows: np.ndarray) -> np.ndarray:
    """LD of whole runs, each prompt by itself, without padding, one position overwritten."""

    def put(_module: Any, _args: Any, output: Any) -> Any:
        whole = (output[0] if isinstance(output, tuple) else output).clone()
        whole[0, position] = torch.from_numpy(rows[row])
        return (whole, *output[1:]) if isinstance(output, tuple) else whole

    differences = []
    for row in range(len(IDS)):
        ids, end, pair = IDS[row], END[row], PAIR[row]
        handle = module.register_forward_hook(put)
        logits = patcher.model.network(torch.from_numpy(ids[None, : end + 1])).logits[0, -1]
        handle.remove()
        differences.append(float(logits[pair[0]] - logits[pair[1]]))
    return np.array(differences)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer", [0, 1, 3])
@pytest.mark.parametrize("position", [1, 5, 7])
def test_patched_runs_equal_hooks_by_hand(
    patcher: Patcher, kind: str, layer: int, position: int
) -> None:
    block = patcher.model.blocks[layer]
    names = {"attn": "post_attention_layernorm", "mlp": "post_feedforward_layernorm"}
    module = block if kind == "resid" else getattr(block, names[kind])
    rows = RNG.standard_normal((3, 6, WIDTH)).astype(np.float32)
    place = Place(layer, kind)
    clean = patcher.clean(IDS, END, [place.before])
    patched = patcher.patched(clean, place, position, rows, np.repeat(PAIR[None], 3, axis=0))
    for row in range(3):
        assert np.allclose(patched[row], by_hand(patcher, module, position, rows[row]), atol=1e-5)
    moved = np.ptp(patched, axis=0) > 1e-5
    assert moved.all() if layer < 3 else np.array_equal(moved, position == END)


def test_nothing_stays_behind_in_the_model(patcher: Patcher) -> None:
    before = patcher.differences(IDS, END, PAIR)
    place = Place(2, "attn")
    rows = np.ones((1, 6, WIDTH), dtype=np.float32)
    patcher.patched(patcher.clean(IDS, END, [1]), place, 3, rows, PAIR[None])
    assert np.array_equal(patcher.differences(IDS, END, PAIR), before)
    own = patcher.read(IDS, np.full((6, 1), 3), [place])[:, 0, 0]
    same = patcher.patched(patcher.clean(IDS, END, [1]), place, 3, own[None], PAIR[None])
    assert np.allclose(same[0], before, atol=1e-5)


def test_a_gradient_is_the_slope_of_the_patched_run(patcher: Patcher) -> None:
    places = [Place(1, kind) for kind in KINDS]
    positions = np.full((6, 1), 4)
    values, slopes, differences = patcher.gradients(IDS, END, PAIR, positions, places)
    assert np.allclose(differences, patcher.differences(IDS, END, PAIR), atol=1e-6)
    for number, place in enumerate(places):
        step = RNG.standard_normal((6, WIDTH)).astype(np.float32) * 1e-2
        both = np.stack([values[:, 0, number] + step, values[:, 0, number] - step])
        clean = patcher.clean(IDS, END, [place.before])
        up, down = patcher.patched(clean, place, 4, both, np.repeat(PAIR[None], 2, axis=0))
        assert np.allclose(up - down, 2 * (slopes[:, 0, number] * step).sum(axis=1), atol=2e-5)


def test_gradients_that_are_not_finite_are_counted(patcher: Patcher) -> None:
    patcher.model.norm.weight.data[3] = torch.nan
    with pytest.raises(NotFiniteError, match=f"{6 * WIDTH} of {6 * WIDTH} gradients"):
        patcher.gradients(IDS, END, PAIR, np.full((6, 1), 4), [Place(1)])


def test_a_block_that_is_not_there_is_said(patcher: Patcher) -> None:
    with pytest.raises(ModelError, match="4 blocks, none of number 9"):
        patcher.read(IDS, np.full((6, 1), 3), [Place(9)])


def test_a_model_whose_logits_are_something_else_is_refused(patcher: Patcher) -> None:
    patcher.check(IDS[0], PAIR[0])
    head = patcher.model.network.get_output_embeddings()
    head.register_forward_hook(lambda _m, _a, out: out * 2)
    with pytest.raises(ModelError, match="makes more of its logits"):
        patcher.check(IDS[0], PAIR[0])
