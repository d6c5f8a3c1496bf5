"""Steered texts against hooks written by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from backend.evals.ce_bench import answers as ce_bench_answers
from backend.evals.ce_bench import means, pairs, steer
from backend.evals.ce_bench.steer import Steering
from backend.models import language_model
from backend.models import sae as sae_models
from backend.schema import (
    ModelError,
    NotFoundError,
)
from backend.study import loading as studies
from components.evals.ce_bench import tab as tab
from tests.conftest import LAYER


@torch.inference_mode()
def by_hand(study: Any, ids: list[int], shift: torch.Tensor | None, count: int) -> list[int]:
    """Greedy tokens, everything read anew at each, a hook written out."""
    network, autoencoder = (
        language_model.load(study.model, "cpu"),
        sae_models.load(study.sae, "cpu"),
    )

    def put(_module: Any, _args: Any, output: Any) -> Any:
        whole = (output[0] if isinstance(output, tuple) else output).clone()
        codes = autoencoder.network.encode(whole[0, 1:]) + shift
        whole[0, 1:] = codes @ autoencoder.decoder + autoencoder.network.b_dec
        return (whole, *output[1:]) if isinstance(output, tuple) else whole

    handle = network.blocks[LAYER].register_forward_hook(put) if shift is not None else None
    tokens = list(ids)
    for _ in range(count):
        tokens.append(int(network.network(torch.tensor([tokens])).logits[0, -1].argmax()))
    if handle is not None:
        handle.remove()
    return tokens[len(ids) :]


def test_steered_texts_equal_hooks_written_by_hand(small: str, stories: str) -> None:
    study, ref = studies.load(small), pairs.choose(stories)
    steering = Steering("kitchen", "The oven finds", 4.0, 6)
    entry = steer.steer(study.model, study.site, study.sae, ref, steering)
    texts = dict(entry.frame("texts").select("kind", "text").iter_rows())
    encode = language_model.tokenizer(study.model)
    network = language_model.load(study.model, "cpu")
    ids = [network.bos, *encode("The oven finds", add_special_tokens=False)["input_ids"]]
    story_means = means.read_means(means.means(study.model, study.site, study.sae, ref, "sae"))
    own = np.repeat(story_means.subject_of == 1, 2)
    shift = torch.from_numpy(
        story_means.mean[own].mean(axis=0) - story_means.mean[~own].mean(axis=0)
    )
    for kind, push in {
        "unchanged": None, "reconstruction": 0 * shift, "towards": 4 * shift, "away": -4 * shift
    }.items():  # fmt: skip
        expected = encode.decode(by_hand(study, ids, push, 6), skip_special_tokens=True)
        assert texts[kind] == expected, kind
    moved = dict(entry.frame("texts").select("kind", "moved").iter_rows())
    assert moved["unchanged"] == pytest.approx(0, abs=1e-6)
    assert moved["towards"] > 0
    assert set(texts) == set(steer.KINDS)
    assert by_hand(study, ids, None, 6) == by_hand(study, ids, None, 6)  # no hook stays behind


def test_mentions_are_of_marked_words() -> None:
    words = {"boat", "boats"}
    assert steer.mentions("Boats, boat; a boathouse is no BOAT.", words) == 3


def test_what_cannot_be_steered_is_said(small: str, stories: str) -> None:
    study, ref = studies.load(small), pairs.choose(stories)
    where = study.model, study.site, study.sae, ref
    with pytest.raises(NotFoundError, match="No story is about 'cars'"):
        steer.steer(*where, Steering("cars", "The boat", 1.0))
    with pytest.raises(ModelError, match="tokens"):
        steer.steer(*where, Steering("harbour", "boat " * 300, 1.0))
    for prompt, strength in ((" ", 1.0), ("The boat", float("nan"))):
        with pytest.raises(ModelError):
            ce_bench_answers.ce_steer(small, "harbour", prompt, strength, stories)
