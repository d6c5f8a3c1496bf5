"""What SAGE is answered with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from backend.store.views import Provenance


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
    """What was measured on a task that the model solves.

    `attribution` [layers, 3 (resid, attn, mlp), roles], the guess. `patched`: layer, kind, role,
    drawn (first, random, site), estimate, effect (the real change of LD), low, high. `agreement` of
    the two: drawn (first, random, all), n, spearman, low, high, same (signs), same_low, same_high,
    signed (sites whose effect has a sign).
    `scores` of all roles: role, kind, dictionary, measure (sufficiency, relative, necessity,
    explained), value, low, high. `control` of one role: kind, edit, dictionary, k, size (of the
    edit, over the true one), value, low, high, same, of, turned_same, turned. `read` of one role:
    attribute, value ("": the union of `values` that one feature reads best), values, feature,
    train, test, union, union_test, base, null, nearest, positives. `causal` of one role:
    attribute, sae and means (change of LD when a feature or u is taken away), each with ends, and
    share (of the second that the first is) with ends. Values are None where nothing can be said.
    """

    prompts: tuple[SagePrompt, ...]
    train: int
    test: int
    unseen: int
    templates: tuple[int, int]  # of train and test prompts
    attributes: pl.DataFrame  # attribute, values
    roles: tuple[str, ...]
    attribution: np.ndarray
    patched: pl.DataFrame
    agreement: pl.DataFrame
    searched: int  # prompts of `patched`
    scores: pl.DataFrame
    control: pl.DataFrame
    read: pl.DataFrame
    causal: pl.DataFrame
    evaluated: tuple[str, ...]  # roles with scores, the one with the largest effect first


@dataclass(frozen=True)
class Sage:
    """An SAE against supervised dictionaries. `gates` of all tasks, hardest first: task, n, ld,
    low, high, accuracy, accuracy_low, accuracy_high, corrupted with ends, kept (share of
    counterfactuals that still get the prompt's answer), words, solved, problem. `results` is None
    where the model fails the task."""

    task: str
    role: str
    layer: int
    sae: str  # what the study's SAE is here: "yes", "none" or "rescaled" (features do not add up)
    dtype: str  # of the study; these runs are in float32
    seed: int
    gates: pl.DataFrame
    easier: str  # the next easier task that the model solves; "": none
    results: SageTask | None
    provenance: Provenance
