"""What SAGE is answered with: plain data, and the columns of every table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from backend.store.views import Provenance

ENDS = dict.fromkeys(("value", "low", "high"), pl.Float64)  # with its 95% interval

GATES = pl.Schema(
    {"task": pl.String, "n": pl.Int64}
    | dict.fromkeys(("ld", "low", "high"), pl.Float64)
    | dict.fromkeys(("accuracy", "accuracy_low", "accuracy_high"), pl.Float64)
    | dict.fromkeys(("corrupted", "corrupted_low", "corrupted_high"), pl.Float64)
    | {"kept": pl.Float64}  # share of counterfactuals that still get the prompt's answer
    | {"words": pl.String, "solved": pl.Boolean, "problem": pl.String}
)
ATTRIBUTES = pl.Schema({"attribute": pl.String, "values": pl.String})
PATCHED = pl.Schema(
    {"layer": pl.Int64, "kind": pl.String, "role": pl.String}
    | {"drawn": pl.String}  # first | random | site
    | {"estimate": pl.Float64, "effect": pl.Float64}  # the real change of LD
    | {"low": pl.Float64, "high": pl.Float64}
)
AGREEMENT = pl.Schema(
    {"drawn": pl.String, "n": pl.Int64}  # first | random | all
    | dict.fromkeys(("spearman", "low", "high"), pl.Float64)
    | dict.fromkeys(("same", "same_low", "same_high"), pl.Float64)  # signs
    | {"signed": pl.Int64}  # sites whose effect has a sign
)
SCORES = pl.Schema(
    # measure: sufficiency | relative | necessity | explained
    {**dict.fromkeys(("role", "kind", "dictionary", "measure"), pl.String), **ENDS}
)
CONTROL = pl.Schema(
    dict.fromkeys(("kind", "edit", "dictionary"), pl.String)
    | {"k": pl.Int64, "size": pl.Float64}  # of the edit, over the true one
    | ENDS
    | dict.fromkeys(("same", "of", "turned_same", "turned"), pl.Int64)
)
READING = pl.Schema(
    {
        "attribute": pl.String,
        "value": pl.String,  # "": a union of `values` that one feature reads
        "values": pl.List(pl.String),
        "feature": pl.Int64,
        "train": pl.Float64,  # F1
        "test": pl.Float64,
        "union": pl.List(pl.Int64),  # features
        "union_test": pl.Float64,
        "base": pl.Float64,
        "null": pl.Float64,
        "nearest": pl.Float64,
        "positives": pl.Int64,
    }
)
CAUSAL = pl.Schema(  # change of LD when a feature or u is taken away; share: first of second
    {"attribute": pl.String}
    | {
        f"{name}{end}": pl.Float64
        for name in ("sae", "means", "share")
        for end in ("", "_low", "_high")
    }
)


@dataclass(frozen=True)
class SagePrompt:
    """One test prompt by tokens; `roles` names the position that each role is."""

    pieces: tuple[str, ...]
    roles: dict[int, str]
    answer: str
    rival: str
    counterfactual: str


@dataclass(frozen=True)
class SageTask:
    """What was measured on a task that the model solves. `attribution` [layers, 3 (resid, attn,
    mlp), roles] is the guess, `agreement` that with `patched`. `scores` are of all roles,
    `control`, `read` and `causal` of one. Null: the ratio is undefined."""

    prompts: tuple[SagePrompt, ...]
    train: int
    test: int
    unseen: int
    templates: tuple[int, int]  # of train and test prompts
    attributes: pl.DataFrame  # ATTRIBUTES
    roles: tuple[str, ...]
    attribution: np.ndarray
    patched: pl.DataFrame  # PATCHED
    agreement: pl.DataFrame  # AGREEMENT
    searched: int  # prompts of `patched`
    scores: pl.DataFrame  # SCORES
    control: pl.DataFrame  # CONTROL
    read: pl.DataFrame  # READING
    causal: pl.DataFrame  # CAUSAL
    evaluated: tuple[str, ...]  # roles with scores, the one with the largest effect first


@dataclass(frozen=True)
class Sage:
    """An SAE against supervised dictionaries. `gates` are of all tasks, hardest first; `results` is
    None where the model fails the task."""

    task: str
    role: str
    layer: int
    sae: str  # what the study's SAE is here: "yes", "none" or "rescaled" (features do not add up)
    dtype: str  # of the study; these runs are in float32
    seed: int
    gates: pl.DataFrame  # GATES
    easier: str  # the next easier task that the model solves; "": none
    results: SageTask | None
    provenance: Provenance
