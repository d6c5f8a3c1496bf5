"""What any verbalizer does with vectors, and patchscopes against networks asked by hand."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from backend.labels import verbalizers
from backend.labels.contract import Verbalizer
from backend.labels.verbalizers import continuation, nla, patchscope
from backend.labels.verbalizers.nla import Nla
from backend.labels.verbalizers.patchscope import Patchscope
from backend.models import language_model
from backend.schema import ModelError, ModelRef, Site, VerbalizerRef
from backend.study import loading as studies
from tests.conftest import LAYER, WIDTH
from tests.helpers.speaking import TAGS, token, write_chain, write_nla

CHAIN = {
    ":": TAGS[0],
    TAGS[0]: " boat",
    " boat": TAGS[1],
    " anchor": " tide",
    " tide": "\n",
    "\n": " rope",
    " gull": "\n",
}


@pytest.fixture(scope="module")
def chain(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chain(tmp_path_factory.mktemp("chain") / "model", world / "model", CHAIN)


@pytest.fixture(scope="module")
def checkpoint(chain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_nla(tmp_path_factory.mktemp("nla") / "av", chain, LAYER)


@pytest.fixture
def model(small: str) -> ModelRef:
    return studies.load(small).model


@pytest.fixture(params=["patchscope", "nla"])
def verbalizer(request: pytest.FixtureRequest, model: ModelRef, checkpoint: Path) -> Verbalizer:
    """Each kind, as a study gets it."""
    source = {"patchscope": "", "nla": f"folder:{checkpoint}"}[request.param]
    ref = VerbalizerRef(request.param, source, "digest" if source else "")
    return verbalizers.load(ref, model, Site(LAYER), "cpu")


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(5).normal(0, 3, (7, WIDTH)).astype(np.float32)


# ---------------------------------------------------------------- any kind


def test_there_is_a_text_for_each_vector_and_the_same_again(
    verbalizer: Verbalizer, vectors: np.ndarray
) -> None:
    texts = verbalizer.verbalize(vectors)
    assert len(texts) == len(vectors)
    assert any(texts)
    assert all(text == text.strip() for text in texts)
    assert verbalizer.verbalize(vectors) == texts


def test_batches_change_no_text(
    verbalizer: Verbalizer, vectors: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = verbalizer.verbalize(vectors)
    for module in (patchscope, nla):
        monkeypatch.setitem(module.BATCH, "cpu", 2)
    assert verbalizer.verbalize(vectors) == whole


def test_no_vectors_have_no_texts(verbalizer: Verbalizer) -> None:
    assert verbalizer.verbalize(np.empty((0, WIDTH), np.float32)) == []


@pytest.mark.parametrize("shape", [(2, WIDTH + 1), (WIDTH,), (1, 2, WIDTH)])
def test_vectors_of_another_shape_are_refused(
    verbalizer: Verbalizer, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ModelError, match=rf"reads \[n, {WIDTH}\] vectors"):
        verbalizer.verbalize(np.ones(shape, np.float32))


def test_vectors_that_are_not_finite_are_refused(
    verbalizer: Verbalizer, vectors: np.ndarray
) -> None:
    vectors[3, 1] = np.nan
    with pytest.raises(ModelError, match="1 of 7 vectors hold NaN"):
        verbalizer.verbalize(vectors)


def test_settings_that_come_with_a_model_make_nothing_random(
    verbalizer: Verbalizer, vectors: np.ndarray, model: ModelRef
) -> None:
    texts = verbalizer.verbalize(vectors)
    ref = verbalizer.checkpoint if isinstance(verbalizer, Nla) else model
    network = language_model.load(ref, "cpu").network
    saved = network.generation_config
    try:
        network.generation_config = type(saved)(do_sample=True, temperature=50.0, top_k=0)
        assert verbalizer.verbalize(vectors) == texts
    finally:
        network.generation_config = saved


def test_a_name_says_what_speaks(model: ModelRef, checkpoint: Path) -> None:
    ref = VerbalizerRef("nla", f"folder:{checkpoint}", "digest")
    patched = verbalizers.load(VerbalizerRef(), model, Site(LAYER), "cpu").name
    trained = verbalizers.load(ref, model, Site(LAYER), "cpu").name
    assert patched.startswith(f"patchscope of {model.source}")
    assert "NLA" not in patched
    assert trained == f"NLA folder:{checkpoint}@digest in float32"


# ---------------------------------------------------------------- patchscope


def by_hand(world: Path, vector: np.ndarray, block: int) -> str:
    """The likeliest line, from the whole sequence read anew for each token."""
    network = AutoModelForCausalLM.from_pretrained(world / "model", dtype=torch.float32).eval()
    tokens = AutoTokenizer.from_pretrained(world / "model")
    ids = [tokens.bos_token_id, *tokens.encode(patchscope.CONTINUATION, add_special_tokens=False)]
    place = len(ids)
    ids += tokens.encode(patchscope.PLACEHOLDER, add_special_tokens=False)
    begun = len(ids)

    def write(_module: object, _inputs: object, output: torch.Tensor) -> None:
        output[:, place] = torch.from_numpy(vector)

    network.model.layers[block].register_forward_hook(write)
    for _ in range(patchscope.LENGTH):
        with torch.inference_mode():
            ids.append(int(network(torch.tensor([ids])).logits[0, -1].argmax()))
    return tokens.decode(ids[begun:], skip_special_tokens=True).partition("\n")[0].strip()


@pytest.mark.parametrize("block", [LAYER, 0, 1])
def test_a_text_is_the_networks_with_the_vector_in_its_place(
    model: ModelRef, world: Path, vectors: np.ndarray, block: int
) -> None:
    result = Patchscope(model, block, "cpu").verbalize(vectors[:3])
    assert result == [by_hand(world, vector, block) for vector in vectors[:3]]
    assert len(set(result)) > 1  # vectors matter, or the comparison shows nothing


@pytest.fixture
def rows(chain: Path) -> dict[str, np.ndarray]:
    """For tokens of the chain the vector that stands for them."""
    network = AutoModelForCausalLM.from_pretrained(chain, dtype=torch.float32)
    tokens = AutoTokenizer.from_pretrained(chain)
    embedded = network.model.embed_tokens.weight.detach().numpy()
    return {text: embedded[token(tokens, text)] * 40 for text in CHAIN}


def test_a_vector_says_what_it_holds_up_to_the_line_break(
    chain: Path, rows: dict[str, np.ndarray]
) -> None:
    ref = ModelRef(f"folder:{chain}", "", "float32")
    vectors = np.stack([rows[" anchor"], rows[" gull"], rows[" tide"], rows["\n"]])
    # after " anchor" comes " tide", then a line break, after which " rope" would follow
    assert Patchscope(ref, LAYER, "cpu").verbalize(vectors)[:3] == ["tide", "", ""]
    assert Patchscope(ref, LAYER, "cpu").verbalize(vectors)[3].startswith("rope")


def test_no_more_is_written_once_every_text_has_ended(
    chain: Path, rows: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = ModelRef(f"folder:{chain}", "", "float32")
    passes = []
    network = language_model.load(ref, "cpu").network
    handle = network.register_forward_hook(lambda *_: passes.append(1))
    monkeypatch.setattr(patchscope, "LENGTH", 18)
    Patchscope(ref, LAYER, "cpu").verbalize(np.stack([rows[" anchor"], rows[" gull"]]))
    handle.remove()
    assert len(passes) == 2


def test_another_thread_sees_the_model_as_it_is(model: ModelRef, vectors: np.ndarray) -> None:
    network = language_model.load(model, "cpu")
    ids = torch.arange(8)[None]
    with continuation.out_of(network.blocks[1], 3, vectors[:1]):
        with ThreadPoolExecutor(1) as pool:
            theirs = pool.submit(network.residual, ids, None, 1).result()
        ours = network.residual(ids, None, 1)
    assert torch.equal(ours[0, 3], torch.from_numpy(vectors[0]))
    assert torch.equal(theirs, network.residual(ids, None, 1))


@pytest.mark.parametrize("layer", [4, -1])
def test_a_block_that_is_not_there_is_refused(model: ModelRef, layer: int) -> None:
    with pytest.raises(ModelError, match="use 0 to 3"):
        Patchscope(model, layer, "cpu")
