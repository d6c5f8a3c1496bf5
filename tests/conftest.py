"""A small world that is real in kind: a random Gemma 3 saved to disk with its own tokenizer, a
corpus of files, an SAE in SAELens' format and a study that names them. Its numbers mean nothing;
the demo's real model is tested in `test_demo.py`. Imports that take seconds stand where they are
used, so that a test that needs none of them starts at once."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WIDTH, FEATURES, LAYER = 32, 64, 2

SUBJECTS = {
    "harbour": "boat captain anchor tide sailor pier rope lantern gull storm".split(),
    "kitchen": "butter oven spoon flour kettle onion pepper knife apron bread".split(),
    "orchard": "apple ladder basket branch blossom wasp cider fence frost root".split(),
}
VERBS = "finds keeps loses carries watches mends sells hides paints counts".split()


def sentences(topic: str, number: int, count: int = 18) -> str:
    """A text of one topic, different for every number, the same at every run."""
    words = SUBJECTS[topic]
    state = number * 7919 + len(topic)
    parts = []
    for _ in range(count):
        state = (state * 1103515245 + 12345) % 2**31
        a, b, c = words[state % 10], VERBS[state // 10 % 10], words[state // 100 % 10]
        parts.append(f"The {a} {b} the {c} on day {state // 1000 % 30}.")
    return " ".join(parts)


def write_corpus(folder: Path, documents: int = 8) -> Path:
    for topic in SUBJECTS:
        (folder / topic).mkdir(parents=True)
        for number in range(documents):
            (folder / topic / f"{number}.txt").write_text(sentences(topic, number))
    (folder / "harbour" / "odd.txt").write_text(
        "<b>café</b> & <script>alert(1)</script>\ttab \x07 bell\n\nשלום עולם 🙂 end"
    )
    return folder


def write_model(folder: Path) -> Path:
    """A random Gemma 3 of four blocks with a byte-fallback tokenizer."""
    import torch
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback()])
    special = ["<pad>", "<eos>", "<bos>", "<unk>", *(f"<0x{byte:02X}>" for byte in range(256))]
    texts = [sentences(topic, number) for topic in SUBJECTS for number in range(8)]
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=special[:4])
    # a judge's answers are tokens of their own, as in any real vocabulary
    tokenizer.train_from_iterator([*texts, *["Is it so? Answer: yes or no"] * 20], trainer)
    spec = json.loads(tokenizer.to_str())
    for byte in special[4:]:
        spec["model"]["vocab"].setdefault(byte, len(spec["model"]["vocab"]))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(spec)),
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        unk_token="<unk>",
    )
    torch.manual_seed(0)
    config = Gemma3TextConfig(
        vocab_size=len(spec["model"]["vocab"]),
        hidden_size=WIDTH,
        intermediate_size=48,
        num_hidden_layers=4,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        sliding_window=32,
        max_position_embeddings=2048,
    )
    Gemma3ForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def write_sae(folder: Path, width: int = WIDTH, layer: int = LAYER, model: str = "") -> Path:
    """A random top-k SAE whose decoder is the transpose of its encoder."""
    import torch
    from sae_lens import TopKSAE, TopKSAEConfig

    torch.manual_seed(1)
    sae = TopKSAE(TopKSAEConfig(d_in=width, d_sae=FEATURES, k=6, dtype="float32", device="cpu"))
    directions = torch.nn.functional.normalize(torch.randn(FEATURES, width), dim=1)
    sae.W_dec.data = directions
    sae.W_enc.data = directions.T.contiguous()
    sae.b_enc.data.zero_()
    sae.b_dec.data.zero_()
    sae.cfg.metadata.hook_name = f"model.layers.{layer}"
    sae.cfg.metadata.model_name = model
    sae.save_model(folder)
    return folder


STUDY = """\
title = "A small world"

[model]
source = "folder:{model}"
dtype = "float32"

[site]
layer = {layer}

[corpus]
context_length = 32
sources = [{{ kind = "files", path = "{corpus}" }}]

[sae]
source = "folder:{sae}"

[partition]
p = 10.0
k = 1.0
p_stops = [20.0, 10.0]
k_stops = [1.0, 1.1]
"""


def write_world(root: Path, documents: int = 8) -> Path:
    """Model, corpus, SAE and the study file `small.toml`; returns the folder of studies."""
    model = write_model(root / "model")
    corpus = write_corpus(root / "corpus", documents)
    sae = write_sae(root / "sae", model=str(model))
    studies = root / "studies"
    studies.mkdir()
    text = STUDY.format(model=model, corpus=corpus, sae=sae, layer=LAYER)
    (studies / "small.toml").write_text(text)
    return studies


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks as `model` what stands on the small world, whose model is made, read and run, and as
    `real` too what stands on the demo's."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if {"world", "real"} & fixtures:
            item.add_marker("model")
        if "real" in fixtures:
            item.add_marker("real")


@pytest.fixture(autouse=True)
def _main_module() -> Iterator[None]:
    """A page under test leaves its script as the program's main module, which every process
    that a later test spawns would run again."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small world; its study is `studies/small.toml`."""
    root = tmp_path_factory.mktemp("world")
    write_world(root)
    return root


@pytest.fixture
def small(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The study `small` with an empty cache of its own."""
    monkeypatch.setenv("TESSERA_STUDIES", str(world / "studies"))
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path / "cache"))
    return "small"


def compute(study: str, spec: dict[str, float]) -> None:
    """Everything that a study's pages show first, as the worker computes it."""
    from backend import run
    from backend.regions.answers import regions
    from backend.regions.feature_answers import features
    from backend.schema import Progress

    with run.computing("cpu", Progress()):
        features(study)
        regions(study, **spec)


@contextlib.contextmanager
def environment(root: Path) -> Iterator[None]:
    """Studies and cache of `root` for what is not within one test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESSERA_STUDIES", str(root / "studies"))
        patch.setenv("TESSERA_CACHE", str(root / "cache"))
        yield


@pytest.fixture(scope="session")
def computed(world: Path) -> tuple[str, Path]:
    """The study `small` with everything computed, and its cache."""
    with environment(world):
        compute("small", {"p": 10.0})
    return "small", world / "cache"


@pytest.fixture
def ready(computed: tuple[str, Path], world: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The study `small` with everything computed; shared, so leave its cache as it is."""
    monkeypatch.setenv("TESSERA_STUDIES", str(world / "studies"))
    monkeypatch.setenv("TESSERA_CACHE", str(computed[1]))
    return computed[0]


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo on its first 20,000 tokens, computed: the folder with `studies/` and `cache/`."""
    root = tmp_path_factory.mktemp("real")
    (root / "studies").mkdir()
    text = (ROOT / "studies" / "demo.toml").read_text()
    (root / "studies" / "demo.toml").write_text(text.replace("tokens = 400_000", "tokens = 20_000"))
    with environment(root):
        compute("demo", {"p": 4.0})
    return root


@pytest.fixture
def demo(real: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The shortened demo with everything computed; shared, so leave its cache as it is."""
    monkeypatch.setenv("TESSERA_STUDIES", str(real / "studies"))
    monkeypatch.setenv("TESSERA_CACHE", str(real / "cache"))
    return "demo"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of studies."""
    monkeypatch.setenv("TESSERA_STUDIES", str(tmp_path))
    monkeypatch.delenv("TESSERA_DEVICE", raising=False)
    monkeypatch.delenv("TESSERA_DTYPE", raising=False)
    return tmp_path
