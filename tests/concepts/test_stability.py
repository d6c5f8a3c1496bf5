"""Patched runs against hooks written by hand, and which prompts are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM

from backend import run
from backend.concepts import stability
from backend.corpus.contexts import Tokens, tokenize
from backend.models import language_model
from backend.regions import partitioning
from backend.schema import (
    PartitionSpec,
    Progress,
    TesseraError,
)
from backend.store.memo import Entry
from backend.study import loading as studies
from tests.concepts.conftest import interpolated
from tests.conftest import LAYER


def prompts(name: str, entry: Entry, pair: int) -> list[torch.Tensor]:
    study = studies.load(name)
    tokens = Tokens(tokenize(study.model, study.corpus))
    bos = language_model.tokenizer(study.model).bos_token_id
    spans = zip(entry.array("first")[pair], entry.array("length")[pair], strict=True)
    return [torch.tensor([[bos, *tokens.ids[f : f + n].tolist()]]) for f, n in spans]


@torch.inference_mode()
def by_hand(network: Any, ids: torch.Tensor, layer: int, row: torch.Tensor | None) -> torch.Tensor:
    """Output of the last block at the last position, after writing `row` behind a block."""
    hidden: dict[str, torch.Tensor] = {}

    def write(_module: Any, _args: Any, output: Any) -> None:
        whole = output[0] if isinstance(output, tuple) else output
        if row is not None:
            whole[0, -1] = row

    def read(_module: Any, _args: Any, output: Any) -> None:
        hidden["final"] = (output[0] if isinstance(output, tuple) else output)[0, -1].clone()

    handles = [network.model.layers[layer].register_forward_hook(write)]
    handles += [network.model.layers[-1].register_forward_hook(read)]
    network(ids)
    for handle in handles:
        handle.remove()
    return hidden["final"]


def test_what_is_patched_in_equals_hooks_written_by_hand(small: str, world: Path) -> None:
    entry = interpolated(small)
    network = AutoModelForCausalLM.from_pretrained(world / "model", dtype=torch.float32).eval()
    for pair in (0, 5):
        ids, other = prompts(small, entry, pair)
        with torch.inference_mode():
            outputs = [network(each, output_hidden_states=True) for each in (ids, other)]
        ends = torch.stack([o.hidden_states[LAYER + 1][0, -1] for o in outputs])
        assert np.allclose(entry.array("ends")[pair], ends, atol=1e-5)
        assert entry.array("next")[pair].tolist() == [
            int(o.logits[0, -1].argmax()) for o in outputs
        ]
        finals = [
            by_hand(network, ids, LAYER, ends[0] + alpha * (ends[1] - ends[0]))
            for alpha in np.linspace(0, 1, 9)
        ]
        whole = by_hand(network, ids, LAYER, None)
        assert torch.allclose(finals[0], whole, atol=1e-5)
        distances = torch.stack([(final - whole).norm() for final in finals])
        assert np.allclose(entry.array("apart")[pair], distances / distances[-1], atol=1e-4)


def test_the_patched_run_at_zero_is_the_run_as_it_is(small: str) -> None:
    entry = interpolated(small)
    study = studies.load(small)
    network = language_model.load(study.model, "cpu")
    ids = prompts(small, entry, 0)[0]
    last = len(network.blocks) - 1
    rows = torch.from_numpy(np.array(entry.array("ends")[0]))
    finals = network.patched(ids[0], LAYER, rows)
    assert torch.allclose(finals[0], network.residual(ids, None, last)[0, -1], atol=1e-5)
    assert not torch.allclose(finals[1], finals[0], atol=1e-3)
    residual = network.residual(ids, None, last)[0, -1]
    assert torch.allclose(finals[0], residual, atol=1e-5)  # nothing stays behind in the model


def test_distance_goes_from_nothing_to_one(small: str) -> None:
    apart = interpolated(small).array("apart")
    assert apart.shape == (8, 9)
    assert np.array_equal(apart[:, 0], np.zeros(8))
    assert np.array_equal(apart[:, -1], np.ones(8))


def test_after_the_last_block_the_output_moves_in_proportion(small: str) -> None:
    entry = interpolated(small, layer=3)
    line = np.linspace(0, 1, 9)
    assert np.allclose(entry.array("apart"), line[None], atol=1e-5)
    assert np.allclose(entry.array("sharpness"), 1, atol=1e-4)
    bent = interpolated(small, layer=0).array("apart")
    assert np.abs(bent - line).max() > 0.01


def test_a_study_in_bfloat16_is_interpolated_in_float32(small: str) -> None:
    entry = interpolated(small, layer=3, dtype="bfloat16")
    assert np.allclose(entry.array("apart"), np.linspace(0, 1, 9), atol=1e-5)
    ends = torch.from_numpy(np.array(entry.array("ends")))
    assert not torch.equal(ends, ends.bfloat16().float())


def test_sharpness_is_the_steepest_step() -> None:
    apart = np.array([[0, 0.1, 0.1, 0.9, 1.0], [0, 0.5, 1.5, 1.2, 1.0], [np.nan] * 5])
    sharpness, steepest = stability.steepest_rises(apart)
    assert np.allclose(sharpness, [3.2, 4.0, np.nan], equal_nan=True)
    assert np.allclose(steepest, [0.625, 0.375, np.nan], equal_nan=True)


def test_ends_that_do_the_same_have_no_relative_distance() -> None:
    assert np.isnan(stability.relative_distances(torch.ones(4, 3))).all()
    assert stability.relative_distances(torch.tensor([[0.0], [3.0], [2.0]])).tolist() == [0, 1.5, 1]


def test_progress_goes_pair_by_pair(small: str) -> None:
    class Recorder(Progress):
        reports: list[tuple[float, float, str]] = []  # noqa: RUF012

        def report(self, done: float, total: float, message: str, unit: str = "") -> None:
            if unit == "pairs":
                self.reports.append((done, total, message))

    with run.computing("cpu", Recorder()):
        interpolated(small, seed=5, pairs=3)
    assert [each[:2] for each in Recorder.reports] == [(0, 3), (1, 3), (2, 3)]


@pytest.mark.parametrize("options", [{"pairs": 0}, {"steps": 1}])
def test_nothing_to_interpolate_is_said(small: str, options: dict[str, int]) -> None:
    with pytest.raises(TesseraError, match="two steps"):
        interpolated(small, **options)


# ---------------------------------------------------------------- the draw


def test_prompts_are_beginnings_of_contexts_of_two_documents(small: str) -> None:
    study = studies.load(small)
    tokens = Tokens(tokenize(study.model, study.corpus))
    partition = partitioning.build_partition(study.cut(PartitionSpec(p=10)))
    owner = partition.array("owner")
    first, length = stability.draw_pairs(tokens.contexts, tokens.ids, owner, 20, 3)
    assert first.shape == length.shape == (20, 2)
    assert length.min() >= 8
    assert length.max() <= 24
    assert len(np.unique(length)) > 5
    assert set(first.ravel().tolist()) <= set(tokens.contexts["first_token"].to_list())
    assert len(set(first.ravel().tolist())) == 40
    assert (tokens.document_of[first[:, 0]] != tokens.document_of[first[:, 1]]).all()
    assert (tokens.context_of[first] == tokens.context_of[first + length - 1]).all()
    ends = owner[first + length - 1]
    together = ends[:, 0] == ends[:, 1]
    assert together[:10].all()
    assert len(set(ends[:10, 0].tolist())) == 10
    assert together[10:].mean() < 0.5
    other = stability.draw_pairs(tokens.contexts, tokens.ids, owner, 20, 4)
    assert not np.array_equal(other[0], first)


def contexts_of(documents: list[int]) -> pl.DataFrame:
    return pl.DataFrame(
        {"document": documents, "length": 10, "first_token": np.arange(len(documents)) * 10}
    )


def test_a_corpus_with_nothing_to_pair_is_said() -> None:
    ids, owner = np.arange(40), np.arange(40)
    with pytest.raises(TesseraError, match="more documents"):
        stability.draw_pairs(contexts_of([0, 0, 0, 0]), ids, owner, 4, 0)
    with pytest.raises(TesseraError, match="more documents"):  # one text said twice
        stability.draw_pairs(contexts_of([0, 1]), np.zeros(20), owner, 4, 0)
    short = contexts_of([0, 1]).with_columns(length=pl.lit(7))
    with pytest.raises(TesseraError, match="more documents"):
        stability.draw_pairs(short, ids, owner, 4, 0)


def test_without_prompts_of_one_region_all_pairs_are_of_two() -> None:
    first, length = stability.draw_pairs(
        contexts_of([0, 1, 2, 3]), np.arange(40), np.arange(40), 9, 0
    )
    assert len(first) == 2
    assert len(set(first.ravel().tolist())) == 4
    assert set(length.ravel().tolist()) <= {8, 9, 10}


def test_another_partition_draws_other_pairs(small: str) -> None:
    study = studies.load(small)
    key = stability.interpolate_prompts.digest
    assert key(study.cut(PartitionSpec(p=10))) != key(study.cut(PartitionSpec(p=4.0)))
