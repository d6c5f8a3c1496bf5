"""Prompts and sites of SAGE, and what is put in place, on the small world."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from backend.evals.sage import evaluate, sites
from backend.evals.sage import tables as sage_parts
from backend.evals.sage import tasks as prompts
from backend.evals.sage.views import Sage
from backend.models import language_model
from backend.models.patching import Patcher
from backend.schema import ModelRef, Study
from components.evals.sage import charts as sage_charts
from tests.conftest import LAYER
from tests.evals.sage.conftest import SIZES


def test_prompts_are_the_tokens_that_they_say(study: Study) -> None:
    entry = prompts.prompts(study.model, "induction", 40, 24, 0)
    prompt_set, texts = prompts.prompt_set(entry), entry.frame("texts")
    decode = language_model.tokenizer(study.model)
    for row in (0, 41, 60):
        ids = prompt_set.ids[0, row, : prompt_set.end[row] + 1]
        assert decode.decode(ids[1:]) == texts["text"][row]
        assert ids[0] == decode.bos_token_id
        positions = dict(zip(prompt_set.roles, prompt_set.places[0, row], strict=True))
        assert positions["end"] == prompt_set.end[row]
        values = dict(zip(prompt_set.attributes, prompt_set.codes[0, row], strict=True))
        word = "first word" if prompt_set.values[2][values["asked"]] == "first" else "second word"
        assert decode.decode([ids[positions[word]]]).strip() == texts["answer"][row]
        assert decode.decode([prompt_set.pair[0, row, 0]]).strip() == texts["answer"][row]
    assert (prompt_set.test == texts["test"].to_numpy()).all()
    assert not set(prompt_set.template[prompt_set.test]) & set(
        prompt_set.template[~prompt_set.test]
    )
    assert texts["text"].n_unique() == 64


def test_too_few_single_tokens_are_said(study: Study) -> None:
    entry = prompts.prompts(study.model, "capital", 40, 24, 0)
    assert "of 37 countries" in entry.value("problem")
    with pytest.raises(Exception, match="Choose another task"):
        prompts.prompt_set(entry)


def test_a_planted_site_is_found_first(
    study: Study, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model in which only attention of block 1 adds anything, so that only there the answer can
    come to the end."""
    ref = ModelRef(f"folder:{world / 'model'}", "", "float32")
    model = language_model.LanguageModel(ref, "cpu")
    for number, block in enumerate(model.blocks):
        block.post_feedforward_layernorm.weight.data[:] = -1  # the gain is one more
        if number != 1:
            block.post_attention_layernorm.weight.data[:] = -1
    monkeypatch.setattr(sites.language_model, "load", lambda _ref, _device: model)
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path / "planted"))
    # with the key at the end unchanged, what was seen before has to be carried there
    monkeypatch.setitem(prompts.EDITS, "induction", {"answer": ("answer",)})
    original = prompts.prompt_set
    monkeypatch.setattr(sites.tasks, "prompt_set", lambda entry: second_edit(original(entry)))
    estimate = sites.attribution(study.model, "induction", SIZES).array("estimate")
    parts = np.abs(estimate[:, 1:])  # what attention and MLP add
    assert np.unravel_index(parts.argmax(), parts.shape) == (1, 0, 4)
    assert np.count_nonzero(parts > 1e-9) == 1 + np.count_nonzero(parts[1, 0, :4] > 1e-9)
    entry = sites.verification(study.model, study.site, "induction", SIZES)
    checked = entry.frame("patched")
    real = checked.filter(layer=1, kind="attn", role="end")["effect"][0]
    whole = (entry.array("ld_counterfactual") - entry.array("ld")).mean()
    assert real == pytest.approx(whole, rel=1e-3)


def second_edit(prompt_set: prompts.PromptSet) -> prompts.PromptSet:
    """The prompts with their second counterfactual alone."""
    keep = [0, 2]
    names = ("ids", "places", "codes", "pair")
    pair = prompt_set.pair[2]
    arrays = {name: getattr(prompt_set, name)[keep] for name in names}
    return replace(prompt_set, **arrays | {"pair": np.stack([pair, pair])})


def test_runs_put_in_place_what_they_say(study: Study, view: Sage, patcher: Patcher) -> None:
    prompt_set = sites.prompts_of(study.model, "induction", SIZES)
    train, test = prompt_set.part(~prompt_set.test), prompt_set.part(prompt_set.test)
    usable = evaluate.known_values(train.codes[0], test.main().codes)
    test = test.part(usable)
    where = study.model, study.site, study.sae, "induction", ("end", "mlp"), SIZES
    entry = evaluate.evaluate(*where)
    runs = sage_parts.PlacedRuns(entry)
    stored = evaluate.activations(study.model, study.site, "induction", SIZES)
    module = patcher.model.blocks[LAYER].post_feedforward_layernorm
    mean = np.asarray(stored.array("train"))[:, 4, 2].mean(axis=0)
    other = np.asarray(stored.array("test"))[1, usable, 4, 2]
    for prompt in (0, 13):
        ids = torch.from_numpy(test.ids[0, prompt : prompt + 1, : test.end[prompt] + 1])
        expected = {"kept": mean, "true": other[prompt]}
        for what, row in expected.items():

            def put(_m: Any, _a: Any, out: torch.Tensor, row: np.ndarray = row) -> torch.Tensor:
                whole = out.clone()
                whole[0, -1] = torch.tensor(row)
                return whole

            handle = module.register_forward_hook(put)
            logits = patcher.model.network(ids).logits[0, -1].detach()
            handle.remove()
            pair = test.pair[1 if what == "true" else 0, prompt]
            named = {"dictionary": "mean"} if what == "kept" else {"edit": "key"}
            ld = runs.ld_of(what=what, **named)[prompt]
            assert ld == pytest.approx(float(logits[pair[0]] - logits[pair[1]]), abs=1e-5)


def test_mean_ablation_is_the_zero_of_everything(view: Sage) -> None:
    results = view.results
    assert results is not None
    for measure in ("relative", "necessity", "explained"):
        values = results.scores.filter(measure=measure, dictionary="mean")["value"].drop_nulls()
        assert np.allclose(values, 0, atol=1e-6)
    none = results.control.filter(dictionary="none")
    assert np.allclose(none["value"].drop_nulls(), 0)
    assert none["turned_same"].sum() == 0
    true = results.control.filter(dictionary="true")
    assert np.allclose(true["value"].drop_nulls(), 1)
    assert (true["same"] == true["of"]).all()


def test_the_sae_explains_more_than_random_rows_of_its_own_activations(view: Sage) -> None:
    results = view.results
    assert results is not None
    assert set(results.scores["dictionary"]) == set(sage_charts.NAMES) - {"true", "none"}
    assert results.evaluated[0] == view.role
    assert len(results.evaluated) == 3
    assert results.read["attribute"].unique(maintain_order=True).to_list() == list(
        prompts.ATTRIBUTES["induction"]
    )
    assert results.train == 40
    assert results.test == 24
