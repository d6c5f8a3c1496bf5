"""Saved models for the tests of verbalizers: one whose next token is a function of the last
vector, and checkpoints in the form of a natural language autoencoder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import AutoConfig, AutoTokenizer, Gemma3ForCausalLM, PreTrainedTokenizerBase

MARKER = "㈜"
TAGS = ("<explanation>", "</explanation>")
TEMPLATE = (
    "{{ bos_token }}{% for turn in messages %}{{ turn['role'] }}: {{ turn['content'] }}\n"
    "{% endfor %}{% if add_generation_prompt %}model:{% endif %}"
)
QUESTION = "What is <concept>{injection_char}</concept>? Say it."


def write_chain(folder: Path, model: Path, chain: Mapping[str, str]) -> Path:
    """A copy of `model` whose blocks add nothing and which follows each token of `chain` with the
    token it maps to: the last vector alone says what comes next."""
    tokens = AutoTokenizer.from_pretrained(model)
    tokens.add_tokens([*TAGS, MARKER])
    network = Gemma3ForCausalLM.from_pretrained(model, dtype=torch.float32)
    network.config.tie_word_embeddings = False
    network.resize_token_embeddings(len(tokens), mean_resizing=False)
    torch.manual_seed(3)
    rows = torch.nn.functional.normalize(torch.randn(len(tokens), network.config.hidden_size))
    network.model.embed_tokens.weight.data = rows
    network.lm_head.weight = torch.nn.Parameter(-rows.mean(0).repeat(len(tokens), 1))
    for name, weight in network.named_parameters():
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            weight.data.zero_()
    for one, following in chain.items():
        network.lm_head.weight.data[token(tokens, following)] = rows[token(tokens, one)]
    network.save_pretrained(folder)
    tokens.save_pretrained(folder)
    return folder


def token(tokens: PreTrainedTokenizerBase, text: str) -> int:
    (token,) = tokens.encode(text, add_special_tokens=False)
    return token


def meta(tokens: PreTrainedTokenizerBase, width: int, layer: int) -> dict[str, Any]:
    """An `nla_meta.yaml` in the form of the released ones."""
    ids = {
        name: token(tokens, text)
        for name, text in (("self", MARKER), ("left", ">"), ("right", "<"))
    }
    return {
        "kind": "nla_model",
        "schema_version": 2,
        "role": "av",
        "stage": "rl",
        "d_model": width,
        "extraction_layer_index": layer,
        "extraction": {"injection_scale": 60.0, "mse_scale": width**0.5},
        "tokens": {
            "injection_char": MARKER,
            "injection_token_id": ids["self"],
            "injection_left_neighbor_id": ids["left"],
            "injection_right_neighbor_id": ids["right"],
            "critic_suffix_ids": None,
        },
        "prompt_templates": {"av": QUESTION, "ar": "<text>{explanation}</text>"},
        "trained_on": ["texts"],
        "created_at": "2026-01-01",
    }


def write_nla(folder: Path, model: Path, layer: int) -> Path:
    """The model as an NLA's checkpoint: with a chat template and a sidecar."""
    shutil.copytree(model, folder)
    tokens = AutoTokenizer.from_pretrained(folder)
    tokens.chat_template = TEMPLATE
    tokens.save_pretrained(folder)
    width = AutoConfig.from_pretrained(folder).hidden_size
    rewrite(folder, meta(tokens, width, layer))
    return folder


def rewrite(folder: Path, sidecar: Any) -> None:
    text = sidecar if isinstance(sidecar, str) else yaml.safe_dump(sidecar, allow_unicode=True)
    (folder / "nla_meta.yaml").write_text(text, encoding="utf-8")
