"""Responses against hooks by hand, and average precision against scikit-learn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.metrics import average_precision_score
from torch import nn

from backend.corpus.activations import padded
from backend.corpus.contexts import encoded
from backend.evals.expert_lens import (
    experts,
    summaries,
)
from backend.evals.expert_lens.experts import TAUS, ConceptSentences, Reader, Units
from backend.models import language_model, linear_maps
from backend.models import sae as sae_models
from backend.schema import (
    ModelError,
    NotFiniteError,
)
from backend.study import loading as studies
from tests.evals.expert_lens.conftest import MODEL, ranked


@pytest.fixture
def network(small: str) -> Iterator[language_model.LanguageModel]:
    yield language_model.load(studies.load(small).model, "cpu")
    language_model.load.cache_clear()  # tests hurt it


def by_hand(network: language_model.LanguageModel, tokens: np.ndarray) -> torch.Tensor:
    """The maximum over tokens of every linear map's output, hooked one by one, BOS left out."""
    responses: list[torch.Tensor] = []
    handles = [
        module.register_forward_hook(
            lambda _m, _a, out: responses.append(out[0, 1:].max(dim=0).values)
        )
        for name, module in network.network.named_modules()
        if isinstance(module, nn.Linear) and ".layers." in name
    ]
    with torch.no_grad():
        network.network(torch.tensor([[network.bos, *tokens.tolist()]]), use_cache=False)
    for handle in handles:
        handle.remove()
    return torch.cat(responses)


def test_responses_are_those_of_hooks_written_by_hand(network: Any) -> None:
    texts = ["boat", "the captain finds an anchor", "butter and oven and spoon and flour"]
    encode = language_model.tokenizer(network.ref)
    tokens = [part[:, 0] for part in encoded(encode, texts)]
    responses = linear_maps.responses(network, *padded(tokens, network.bos))
    table = linear_maps.table(network)
    assert responses.shape == (3, table["width"].sum())
    order = [  # hooks fire in the order of the computation, `table` has that of the modules
        name for layer in range(4) for name in
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    ]  # fmt: skip
    assert [name.split(".")[-1] for name in table["module"]] == order
    for row, part in zip(responses, tokens, strict=True):
        torch.testing.assert_close(row, by_hand(network, part), rtol=1e-4, atol=1e-4)


def test_maps_are_found_whatever_the_architecture() -> None:
    from transformers import GPT2Config, GPT2Model, GPTNeoXConfig, GPTNeoXModel

    gpt2 = GPT2Model(GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=50, n_positions=16))
    table = linear_maps.table(SimpleNamespace(blocks=gpt2.h))  # type: ignore[arg-type]
    assert table.filter(layer=1)["module"].to_list() == [
        "attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"
    ]  # fmt: skip
    assert table["width"].to_list() == [48, 16, 64, 16] * 2
    assert table["first"].to_list() == [0, 48, 64, 128, 144, 192, 208, 272]
    neox = GPTNeoXModel(
        GPTNeoXConfig(
            hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24,
            vocab_size=50,
        )
    )  # fmt: skip
    widths = linear_maps.table(SimpleNamespace(blocks=neox.layers))  # type: ignore[arg-type]
    assert dict(widths.select("module", "width").iter_rows()) == {
        "attention.query_key_value": 48, "attention.dense": 16,
        "mlp.dense_h_to_4h": 24, "mlp.dense_4h_to_h": 16,
    }  # fmt: skip


def test_a_map_that_does_not_run_is_refused(network: Any) -> None:
    network.blocks[1].spare = nn.Linear(2, 2)
    ids, mask = padded([np.array([5, 6])], network.bos)
    with pytest.raises(ModelError, match=r"1 linear maps .* do not run"):
        linear_maps.responses(network, ids, mask)


def test_features_respond_with_their_strongest_token(small: str) -> None:
    study = studies.load(small)
    units, texts = Units(study.model, study.site, study.sae), ["a boat", "the oven keeps an apple"]
    responses = Reader(units, []).read(texts)
    network = language_model.load(study.model, "cpu")
    sae = sae_models.load(study.sae, "cpu")
    for row, part in zip(
        responses, encoded(language_model.tokenizer(study.model), texts), strict=True
    ):
        ids = torch.tensor([[network.bos, *part[:, 0].tolist()]])
        codes = sae.encode(network.residual(ids, None, study.site.layer)[0, 1:])
        torch.testing.assert_close(row, codes.max(dim=0).values, rtol=1e-4, atol=1e-5)


def test_a_response_that_is_not_finite_is_an_error(network: Any) -> None:
    network.blocks[2].mlp.up_proj.weight.data[3] = torch.nan
    with pytest.raises(NotFiniteError, match=r"1 of 1 sentences .* NaN"):
        Reader(Units(network.ref), []).read(["a boat"])


# ---------------------------------------------------------------- expertise


def test_ap_is_scikit_learns_for_every_unit_ties_included() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 90)).astype(np.float32)
    rows[:, 30:60] = np.maximum(rows[:, 30:60] - 1, 0)  # sparse, as features are
    rows[:, 60:] = np.round(rows[:, 60:])
    precisions = ranked(rows, positives=10)
    labels = np.arange(30) < 10
    for half, name in enumerate(("train", "test")):
        part = rows[30 * half : 30 * half + 30]
        expected = [average_precision_score(labels, part[:, unit]) for unit in range(90)]
        np.testing.assert_allclose(precisions[name], expected, rtol=1e-6)


def test_a_planted_expert_is_first_and_one_of_train_alone_is_found_out() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(180, 2000)).astype(np.float32)
    rows[:30, [7, 11]] = rows[90:120, 7, None] = 9
    rows[:30, 7] = rows[90:120, 7] = 9
    precisions = ranked(rows, positives=30)
    assert precisions["train"][7] == precisions["test"][7] == 1
    maps = pl.DataFrame([(0, "all", 0, 2000)], schema=linear_maps.MAPS, orient="row")
    top = summaries.top(precisions["train"], precisions["test"], maps)
    assert set(top["unit"][:2]) == {7, 11}
    assert top["rank"][:3].to_list() == [1, 1, 3]
    assert precisions["test"][11] < 0.6
    assert precisions["null_best"].max() < 0.7  # the planted are not experts of shuffled labels


def test_noise_passes_half_at_one_half_positives_and_not_at_a_third() -> None:
    rows = np.random.default_rng(2).normal(size=(400, 3000)).astype(np.float32)
    stop = TAUS.index(0.5)
    assert ranked(rows, positives=100)["null_above"][stop] > 0.5
    few = ranked(rows[:240], positives=40)
    assert few["null_above"][stop] < 0.01
    assert few["null_bins"].sum() == pytest.approx(1)
    assert (few["train"] >= 0.5).mean() < 0.01


def test_a_reader_of_other_units_is_refused() -> None:
    nothing = ConceptSentences(Reader(Units(MODEL), []), ([], []), ([], []))
    other = Units(replace(MODEL, revision="1"))
    with pytest.raises(ValueError, match="other units"):
        experts.expertise.function(other, nothing, 0)


def test_what_is_read_decides_the_key() -> None:
    reader = Reader(Units(MODEL), ["a boat", "a tide"])
    one = ConceptSentences(reader, (["butter"], ["oven"]), ([0], [1]))
    same = ConceptSentences(reader, (["butter"], ["oven"]), ([0], [1]))
    others = (
        ConceptSentences(reader, (["butter"], ["spoon"]), ([0], [1])),
        ConceptSentences(reader, (["oven"], ["butter"]), ([0], [1])),
        ConceptSentences(reader, (["butter"], ["oven"]), ([1], [0])),
        ConceptSentences(Reader(Units(MODEL), ["a boat", "a rope"]), one.positives, one.negatives),
    )
    key = experts.expertise.digest(Units(MODEL), one, 0)
    assert key == experts.expertise.digest(Units(MODEL), same, 0)
    keys = {experts.expertise.digest(Units(MODEL), other, 0) for other in others}
    assert len(keys | {key}) == 5
