"""Natural language autoencoders: where the vector goes, what is read, what is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from transformers import AutoConfig

from backend.labels.verbalizers import nla
from backend.labels.verbalizers.nla import Nla
from backend.models import language_model
from backend.schema import ModelError, ModelRef, Site, VerbalizerRef
from backend.study import loading as studies
from tests.conftest import LAYER, WIDTH
from tests.helpers.speaking import TAGS, rewrite, write_chain, write_nla

SPOKEN = {":": TAGS[0], TAGS[0]: " boat", " boat": " tide", " tide": TAGS[1], TAGS[1]: " rope"}


@pytest.fixture(scope="module")
def released(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that explains every vector as "boat tide"."""
    folder = tmp_path_factory.mktemp("released")
    return write_nla(folder / "av", write_chain(folder / "model", world / "model", SPOKEN), LAYER)


@pytest.fixture
def checkpoint(released: Path, tmp_path: Path) -> Path:
    """A copy to be spoilt."""
    return Path(shutil.copytree(released, tmp_path / "av"))


@pytest.fixture
def model(small: str) -> ModelRef:
    return studies.load(small).model


def opened(checkpoint: Path, model: ModelRef, layer: int = LAYER) -> Nla:
    ref = VerbalizerRef("nla", f"folder:{checkpoint}", "digest")
    return Nla(ref, model, Site(layer), "cpu")


def vectors(count: int = 3) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 7, (count, WIDTH)).astype(np.float32)


def change(checkpoint: Path, alter: Callable[[dict[str, Any]], Any]) -> None:
    sidecar = yaml.safe_load((checkpoint / "nla_meta.yaml").read_text(encoding="utf-8"))
    alter(sidecar)
    rewrite(checkpoint, sidecar)


# ---------------------------------------------------------------- what it does


def test_what_enters_the_first_block_is_the_vector_at_the_trained_norm(
    released: Path, model: ModelRef
) -> None:
    spoken = opened(released, model)
    network = language_model.load(spoken.checkpoint, "cpu")
    entered: list[torch.Tensor] = []
    handle = network.blocks[0].input_layernorm.register_forward_pre_hook(
        lambda _module, tools: entered.append(tools[0].clone())
    )
    tools = vectors()
    spoken.verbalize(tools)
    handle.remove()
    whole, *later = entered
    expected = tools * (60 / np.linalg.norm(tools.astype(np.float64), axis=1, keepdims=True))
    assert np.array_equal(whole[:, spoken.at].numpy(), expected.astype(np.float32))
    embedded = network.network.get_input_embeddings()(torch.tensor([spoken.ids]))
    others = [place for place in range(len(spoken.ids)) if place != spoken.at]
    assert torch.equal(whole[:, others], embedded.expand(3, -1, -1)[:, others])
    assert later  # tokens of the reply enter as they are
    first = network.network.get_input_embeddings()(
        torch.tensor(language_model.tokenizer(spoken.checkpoint).encode(TAGS[0])[-1])
    )
    assert torch.equal(later[0][0, 0], first)


def test_the_prompt_is_the_templates_with_the_marker_between_its_neighbours(
    released: Path, model: ModelRef
) -> None:
    spoken = opened(released, model)
    tokens = language_model.tokenizer(spoken.checkpoint)
    assert tokens.decode(spoken.ids) == "<bos>user: What is <concept>㈜</concept>? Say it.\nmodel:"
    assert tokens.decode(spoken.ids[spoken.at - 1 : spoken.at + 2]) == ">㈜<"
    assert spoken.ids.count(tokens.bos_token_id) == 1


def test_what_stands_between_the_tags_is_kept_and_nothing_after(
    released: Path, model: ModelRef
) -> None:
    spoken = opened(released, model)
    passes: list[int] = []
    network = language_model.load(spoken.checkpoint, "cpu").network
    handle = network.register_forward_hook(lambda *_: passes.append(1))
    assert spoken.verbalize(vectors()) == ["boat tide"] * 3
    handle.remove()
    assert len(passes) == 4  # a tag, two words, a tag: what would follow is not asked for


@pytest.mark.parametrize(
    ("reply", "explanation"),
    [
        ("<explanation>\n A boat. \n</explanation> more", "A boat."),
        ("Well. <explanation>A boat.</explanation>", "A boat."),
        ("<explanation>A boat that is", "A boat that is"),
        ("A boat.", ""),
        ("<explanation></explanation>", ""),
    ],
)
def test_explanations_are_taken_out_of_replies(reply: str, explanation: str) -> None:
    assert nla.explanation(reply) == explanation


def test_a_zero_vector_stays_zero() -> None:
    assert np.array_equal(nla.scaled(np.zeros((1, 4), np.float32), 9.0), np.zeros((1, 4)))


# ---------------------------------------------------------------- what it refuses


def test_another_layer_is_refused(released: Path, model: ModelRef) -> None:
    with pytest.raises(ModelError, match=f"block {LAYER}, and this study looks at block 1") as it:
        opened(released, model, layer=1)
    assert "An NLA fits one model and one layer" in it.value.remedy


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("hidden_size", 40, f"width {WIDTH}, and those of .* have 40"),
        ("num_hidden_layers", 6, "its num_hidden_layers is 4, not 6"),
        ("intermediate_size", 64, "its intermediate_size is 48, not 64"),
        ("model_type", "qwen2", "its model_type is gemma3_text, not qwen2"),
    ],
)
def test_another_model_is_refused(
    released: Path,
    model: ModelRef,
    tmp_path: Path,
    field: str,
    value: Any,
    problem: str,
) -> None:
    path = model.source.removeprefix("folder:")
    spec = AutoConfig.from_pretrained(path).to_dict()
    kind = value if field == "model_type" else spec["model_type"]
    spec = {name: each for name, each in spec.items() if name not in ("model_type", "layer_types")}
    if field != "model_type":
        spec[field] = value
    AutoConfig.for_model(kind, **spec).save_pretrained(tmp_path / "other")
    with pytest.raises(ModelError, match=problem) as caught:
        opened(released, ModelRef(f"folder:{tmp_path / 'other'}", "", "float32"))
    assert "An NLA fits one model and one layer" in caught.value.remedy


def test_a_sidecar_of_another_width_is_refused(checkpoint: Path, model: ModelRef) -> None:
    change(checkpoint, lambda sidecar: sidecar.update(d_model=WIDTH + 8))
    with pytest.raises(ModelError, match=f"vectors of width {WIDTH + 8}"):
        opened(checkpoint, model)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_neighbour_that_is_another_token_is_refused(
    checkpoint: Path, model: ModelRef, side: str
) -> None:
    change(checkpoint, lambda s: s["tokens"].update({f"injection_{side}_neighbor_id": 7}))
    with pytest.raises(ModelError, match=r"beside the marker stand .*7"):
        opened(checkpoint, model)


@pytest.mark.parametrize(
    ("table", "changed"),
    [
        ("tokens", {"injection_token_id": 9}),
        ("tokens", {"injection_char": "boats"}),
        ("prompt_templates", {"av": "㈜ and {injection_char}"}),
    ],
)
def test_a_marker_that_is_not_one_token_in_one_place_is_refused(
    checkpoint: Path, model: ModelRef, table: str, changed: dict[str, Any]
) -> None:
    change(checkpoint, lambda sidecar: sidecar[table].update(changed))
    with pytest.raises(ModelError, match=r"does not fit its nla_meta\.yaml: the marker"):
        opened(checkpoint, model)


REQUIRED = [
    ("kind",),
    ("schema_version",),
    ("role",),
    ("d_model",),
    ("extraction_layer_index",),
    ("extraction",),
    ("extraction", "injection_scale"),
    ("tokens", "injection_char"),
    ("tokens", "injection_token_id"),
    ("tokens", "injection_left_neighbor_id"),
    ("tokens", "injection_right_neighbor_id"),
    ("prompt_templates", "av"),
]


@pytest.mark.parametrize("path", REQUIRED, ids=".".join)
def test_a_missing_field_is_named(checkpoint: Path, model: ModelRef, path: tuple[str, ...]) -> None:
    def without(sidecar: dict[str, Any]) -> None:
        for step in path[:-1]:
            sidecar = sidecar[step]
        del sidecar[path[-1]]

    change(checkpoint, without)
    with pytest.raises(ModelError, match=f"`{'.'.join(path)}` field required"):
        opened(checkpoint, model)


@pytest.mark.parametrize(
    ("alter", "problem"),
    [
        (lambda s: s["extraction"].update(norm="whitened"), "`extraction.norm` extra inputs"),
        (lambda s: s["tokens"].update(extra=1), "`tokens.extra` extra inputs"),
        (lambda s: s["extraction"].update(injection_scale=None), "`extraction.injection_scale`"),
        (lambda s: s["extraction"].update(injection_scale=-1.0), "`extraction.injection_scale`"),
        (lambda s: s["extraction"].update(injection_scale="60"), "`extraction.injection_scale`"),
        (lambda s: s.update(role="ar"), "`role` input should be 'av'"),
        (lambda s: s.update(kind="nla_dataset"), "`kind` input should be 'nla_model'"),
        (lambda s: s["prompt_templates"].update(av="Say it."), "0 times, not once"),
    ],
)
def test_a_bad_field_is_named(
    checkpoint: Path, model: ModelRef, alter: Callable[[dict[str, Any]], Any], problem: str
) -> None:
    change(checkpoint, alter)
    with pytest.raises(ModelError, match=problem):
        opened(checkpoint, model)


@pytest.mark.parametrize("text", ["{", "!!python/object/apply:os.getcwd []"])
def test_a_sidecar_that_is_not_plain_yaml_is_refused(
    checkpoint: Path, model: ModelRef, text: str
) -> None:
    rewrite(checkpoint, text)
    with pytest.raises(ModelError, match="is not YAML"):
        opened(checkpoint, model)


def test_an_empty_sidecar_is_refused(checkpoint: Path, model: ModelRef) -> None:
    rewrite(checkpoint, "")
    with pytest.raises(ModelError, match="`the file`"):
        opened(checkpoint, model)


def test_a_model_without_a_sidecar_is_no_nla(world: Path, model: ModelRef) -> None:
    with pytest.raises(ModelError, match=r"nla_meta\.yaml"):
        opened(world / "model", model)


def test_a_tokenizer_without_a_chat_template_is_refused(checkpoint: Path, model: ModelRef) -> None:
    (checkpoint / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="has no chat template"):
        opened(checkpoint, model)


def test_weights_that_are_pickled_are_not_loaded(checkpoint: Path, model: ModelRef) -> None:
    network = language_model.load(opened(checkpoint, model).checkpoint, "cpu").network
    torch.save(network.state_dict(), checkpoint / "pytorch_model.bin")
    (checkpoint / "model.safetensors").unlink()
    language_model.load.cache_clear()
    with pytest.raises(ModelError, match="safetensors"):
        opened(checkpoint, model).verbalize(vectors())


def test_a_changed_sidecar_is_another_revision(checkpoint: Path) -> None:
    before = language_model.resolve(f"folder:{checkpoint}")
    change(checkpoint, lambda sidecar: sidecar["extraction"].update(injection_scale=61.0))
    assert language_model.resolve(f"folder:{checkpoint}") != before
