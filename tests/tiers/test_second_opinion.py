"""Input and output scores, by hand and against the model itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.corpus.contexts import Tokens
from backend.features import logits
from backend.models import language_model
from backend.models import sae as sae_models
from backend.schema import Study
from backend.tiers import second_opinion, windows


def test_input_scores_count_peaks_at_promoted_tokens() -> None:
    ids = np.array([5, 6, 7, 8])
    rows = np.array([[0, 1, -1], [2, 3, 0], [-1, -1, -1]])
    promoted = np.array([[5, 9], [8, 7], [5, 6]])
    result = second_opinion.input_scores(ids, rows, promoted)
    assert result[:2].tolist() == pytest.approx([1 / 2, 2 / 3])
    assert np.isnan(result[2])


def test_output_scores_are_rank_and_probability_by_hand() -> None:
    logit = torch.tensor([[0.0, 3.0, 1.0, 2.0], [4.0, 1.0, 0.0, 2.0]])
    result = second_opinion.output_scores(logit, torch.tensor([[2, 3], [1, 2]]))
    chance = logit.softmax(dim=1)
    expected = [(1 - 1 / 4) * chance[0, 3], (1 - 2 / 4) * chance[1, 1]]
    assert result.tolist() == pytest.approx([float(one) for one in expected])


def test_a_feature_is_amplified_at_the_last_token_alone(study: Study) -> None:
    """Against all hidden states of transformers, with the blocks after the site run by hand."""
    network = language_model.load(study.model, "cpu")
    dictionary = sae_models.load(study.sae, "cpu")
    ids = torch.tensor([[network.bos, 40, 41, 42]])
    added = dictionary.decoder[[3, 9]] * 2.5
    result = second_opinion._amplified(network, ids, study.site.layer, added)
    plain = network.network(ids).logits[0, -1]
    still = second_opinion._amplified(network, ids, study.site.layer, torch.zeros_like(added))
    assert torch.allclose(still[0], plain, atol=1e-5)
    assert not torch.allclose(result[0], plain, atol=1e-2)
    inputs = []
    handle = network.blocks[study.site.layer + 1].register_forward_pre_hook(
        lambda _module, arguments: inputs.append(arguments[0].clone())
    )
    try:
        second_opinion._amplified(network, ids, study.site.layer, added)
        network.network(ids)
    finally:
        handle.remove()
    pushed, usual = inputs
    assert torch.allclose(pushed[:, :-1], usual[:, :-1].expand(2, -1, -1))
    assert torch.allclose(pushed[:, -1] - usual[:, -1], added, atol=1e-5)


def test_both_opinions_of_a_study(study: Study, tokens: Tokens) -> None:
    sae = study.require_sae()
    read = second_opinion.reads(study.reading, sae)
    effects = logits.effects(study.model, sae, 0)
    peaks = windows.peaks(study.reading, sae)
    rows = np.asarray(peaks.array("rows"))[20]
    own = set(effects.array("promoted")[20].tolist())
    expected = np.mean([int(tokens.ids[row]) in own for row in rows if row >= 0])
    assert read.array("score")[20] == pytest.approx(expected)
    written = second_opinion.writes(study.model, study.site, sae, 0).array("score")
    assert written.shape == (64,)
    assert ((written >= 0) & (written <= 1)).all()
