"""Activations against transformers' own hidden states, and what happens when work is cut short."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from backend import run
from backend.corpus import activations as module
from backend.corpus.activations import Activations, Contexts, extract
from backend.corpus.contexts import Tokens, tokenize
from backend.models import language_model
from backend.schema import Cancelled, ModelError, ModelRef, NotFiniteError, Progress, Site
from backend.study import loading as studies
from tests.conftest import LAYER, WIDTH


class Stop(Progress):
    """Cancels once more than `limit` tokens are done."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.seen: list[float] = []

    def report(self, done: float, total: float, message: str, unit: str = "") -> None:
        self.seen.append(done)
        if done > self.limit:
            raise Cancelled


def opened(name: str, layer: int = LAYER) -> Activations:
    study = studies.load(name)
    tokens = Tokens(tokenize(study.model, study.corpus))
    return Activations(study.model, Site(layer), tokens)


def is_stored(acts: Activations, chunk: int) -> bool:
    return extract.find(acts.model, acts.site, acts._contexts(chunk)) is not None


@pytest.mark.parametrize("layer", [0, LAYER])
def test_equals_hidden_states_of_each_context_alone(small: str, world: Path, layer: int) -> None:
    acts = opened(small, layer=layer)
    network = AutoModelForCausalLM.from_pretrained(world / "model", dtype=torch.float32).eval()
    table = acts.tokens.contexts
    bos = language_model.tokenizer(acts.model).bos_token_id
    for row in (0, 1, 5, len(table) - 1):
        first, length = table["first_token"][row], table["length"][row]
        ids = torch.tensor([[bos, *acts.tokens.ids[first : first + length].tolist()]])
        with torch.inference_mode():
            expected = network(ids, output_hidden_states=True).hidden_states[layer + 1][0, 1:]
        assert torch.allclose(acts.rows(first, first + length), expected, atol=1e-5)


def test_rows_and_chunks_agree(small: str) -> None:
    acts = opened(small)
    whole = torch.cat([part for _, part in acts])
    assert whole.shape == (len(acts.tokens), WIDTH)
    middle = len(whole) // 2
    assert torch.equal(acts.rows(middle - 200, middle + 200), whole[middle - 200 : middle + 200])


def test_a_killed_extraction_resumes_at_its_last_chunk(
    small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 16)
    acts = opened(small)
    with run.reporting(Stop(1_500)), pytest.raises(Cancelled):
        list(acts)
    stored = [chunk for chunk in range(acts.chunks) if is_stored(acts, chunk)]
    assert stored == list(range(len(stored)))
    assert 0 < len(stored) < acts.chunks
    second = Stop(1e9)
    resumed = opened(small)
    with run.reporting(second):
        list(resumed)
    assert min(second.seen) >= resumed.bounds[len(stored)]


def test_a_longer_corpus_shares_the_chunks_of_its_beginning(
    small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 16)
    study = studies.load(small)
    short = type(study.corpus)(study.corpus.sources, 1_500, study.corpus.context_length)
    tokens = Tokens(tokenize(study.model, short))
    list(Activations(study.model, study.site, tokens))
    acts = opened(small)
    assert [is_stored(acts, chunk) for chunk in range(acts.chunks)][:3] == [True] * 3


def test_nan_activations_are_an_error_that_names_the_remedy(
    small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts = opened(small)
    network = language_model.load(acts.model, "cpu")
    weight = network.blocks[0].mlp.down_proj.weight
    entries = weight[0, 0].item()
    with torch.no_grad():
        weight[0, 0] = float("nan")
    try:
        with pytest.raises(NotFiniteError, match="float32") as caught:
            acts.read(0)
    finally:
        with torch.no_grad():
            weight[0, 0] = entries
    assert "NaN" in caught.value.problem
    assert extract.stored() == []


def test_a_folder_without_a_model_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json"):
        language_model.resolve(f"folder:{tmp_path}")
    with pytest.raises(ModelError, match="hub:<owner/name>"):
        language_model.resolve("nonsense")


def test_a_hub_that_cannot_be_reached_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="folder:"):
        language_model.resolve("hub:nobody/nothing")


def test_direction_logits_equal_the_product_written_out(small: str) -> None:
    study = studies.load(small)
    network = language_model.load(study.model, "cpu")
    directions = torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(0))
    state = network.network.state_dict()
    gain = 1 + state["model.norm.weight"]
    expected = (directions * gain) @ state["model.embed_tokens.weight"].T
    assert torch.allclose(network.logits_of(directions), expected, atol=1e-5)


def test_an_unknown_revision_is_part_of_the_key() -> None:
    one, two = (ModelRef("hub:a/b", revision, "float32") for revision in ("1", "2"))
    contexts = Contexts((np.array([5]),))
    assert extract.digest(one, Site(0), contexts) != extract.digest(two, Site(0), contexts)
