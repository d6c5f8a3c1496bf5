"""Does the model solve a task, and where? The gate first; then attribution patching, which is a
first-order guess, beside real patching of the same sites.

All of it in float32, whatever the study's format. Sites are chosen on train prompts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from backend import run
from backend.evals.sage import tasks
from backend.evals.sage.tasks import PromptSet
from backend.models import language_model
from backend.models.patching import KINDS, Clean, Patcher, Place
from backend.schema import ModelRef, Site
from backend.store.memo import memoize

GATE = 60  # train prompts
SEARCHED = 40  # train prompts that sites are searched with
BATCH = 16  # prompts differentiated at once
CHECKED = 12  # sites patched for real that attribution puts first, and as many at random


@dataclass(frozen=True)
class Sizes:
    """Prompts of the two splits, and the seed of everything drawn."""

    train: int = 200
    test: int = 100
    seed: int = 0


def prompts_of(model: ModelRef, task: str, sizes: Sizes) -> PromptSet:
    """The prompts of a task; raises TesseraError where the tokenizer allows none."""
    return tasks.prompt_set(tasks.prompts(model, task, sizes.train, sizes.test, sizes.seed))


def load_patcher(model: ModelRef) -> Patcher:
    """The model in float32, to be patched."""
    return Patcher(language_model.load(replace(model, dtype="float32"), run.current().device))


def _train_prompts(
    model: ModelRef, task: str, sizes: Sizes, count: int
) -> tuple[PromptSet, Patcher]:
    """So many train prompts, and the model to be patched."""
    prompts = prompts_of(model, task, sizes)
    return prompts.part(np.flatnonzero(~prompts.test)[:count]), load_patcher(model)


@memoize("sage.gate", version=1)
def gate(model: ModelRef, task: str, sizes: Sizes) -> dict[str, Any]:
    """`ld` [2, n] float64: LD of train prompts, and of their main counterfactuals, answer less
    rival both times."""
    run.report(0, 1, f"Asking whether the model solves {task}")
    prompts, patcher = _train_prompts(model, task, sizes, GATE)
    patcher.check(prompts.ids[0, 0, : prompts.end[0] + 1], prompts.pair[0, 0])
    ld = [patcher.differences(prompts.ids[edit], prompts.end, prompts.pair[0]) for edit in (0, 1)]
    return {"ld": np.array(ld, dtype=np.float64)}


# ---------------------------------------------------------------- where


@memoize("sage.attribution", version=1)
def attribution(model: ModelRef, task: str, sizes: Sizes) -> dict[str, Any]:
    """(a_counterfactual − a)·∇_a LD at every block, kind of place and role, mean over train
    prompts: `estimate` [layers, kinds, roles] float64. The gradient is that of the prompt as it is.

    Raises:
        NotFiniteError: a gradient is not finite.
    """
    prompts, patcher = _train_prompts(model, task, sizes, SEARCHED)
    places = [Place(layer, kind) for layer in range(patcher.layers) for kind in KINDS]
    total = np.zeros((len(prompts.roles), len(places)))
    for first in range(0, len(prompts.end), BATCH):
        run.report(first, len(prompts.end), "Attribution patching", "prompts")
        some = prompts.part(np.arange(first, min(first + BATCH, len(prompts.end))))
        values, slopes, _ = patcher.gradients(
            some.ids[0], some.end, some.pair[0], some.places[0], places
        )
        shift = patcher.read(some.ids[1], some.places[1], places) - values
        total += np.einsum("nrpd,nrpd->rp", shift, slopes, dtype=np.float64)
    mean = (total / len(prompts.end)).T.reshape(patcher.layers, len(KINDS), len(prompts.roles))
    return {"estimate": mean}


@memoize("sage.verification", version=1)
def verification(model: ModelRef, site: Site, task: str, sizes: Sizes) -> dict[str, Any]:
    """Real patching of the counterfactual's activation at `CHECKED` sites that attribution puts
    first, as many others at random, and the residual stream at the study's site at every role.

    `patched`: layer, kind, role, drawn (first, random or site), estimate, effect: mean change of
    LD. `effects` [sites, n] float64 of each train prompt; `ld` [n] and `ld_counterfactual` [n].
    """
    guessed = attribution(model, task, sizes)
    estimate = np.asarray(guessed.array("estimate"))
    prompts, patcher = _train_prompts(model, task, sizes, SEARCHED)
    sites = _to_check(estimate, site.layer, sizes.seed)
    effects = np.zeros((len(sites), len(prompts.end)))
    clean = patcher.differences(prompts.ids[0], prompts.end, prompts.pair[0])
    places = list(dict.fromkeys(Place(layer, KINDS[kind]) for layer, kind, _, _ in sites))
    whole = run_clean(patcher, prompts, places)
    other, pair = patcher.read(prompts.ids[1], prompts.places[1], places), prompts.pair[:1]
    for role in range(len(prompts.roles)):
        of_role = [number for number, (_, _, its_role, _) in enumerate(sites) if its_role == role]
        at_role = [Place(sites[number][0], KINDS[sites[number][1]]) for number in of_role]
        patches = [(place, other[None, :, role, places.index(place)], pair) for place in at_role]
        ld = patch(patcher, whole, prompts.places[0][:, role], patches)
        effects[of_role] = np.concatenate(ld)
    table = [
        (layer, KINDS[kind], prompts.roles[role], source, estimate[layer, kind, role])
        for layer, kind, role, source in sites
    ]
    names = ["layer", "kind", "role", "drawn", "estimate"]
    frame = pl.DataFrame(table, schema=names, orient="row")
    change = effects - clean
    corrupt = patcher.differences(prompts.ids[1], prompts.end, prompts.pair[0])
    return {
        "patched": frame.with_columns(effect=pl.Series(change.mean(axis=1))),
        "effects": change,
        "ld": clean.astype(np.float64),
        "ld_counterfactual": corrupt.astype(np.float64),
    }


def _to_check(estimate: np.ndarray, layer: int, seed: int) -> list[tuple[int, int, int, str]]:
    order = np.argsort(-np.abs(estimate), axis=None, kind="stable")
    count = min(CHECKED, len(order) // 2)
    others = np.random.default_rng(seed).permutation(order[count:])[:count]
    candidates = [(flat, "first") for flat in order[:count]] + [(flat, "random") for flat in others]
    sites = []
    for flat, source in candidates:
        index = np.unravel_index(int(flat), estimate.shape)
        sites.append((int(index[0]), int(index[1]), int(index[2]), source))
    return sites + [(layer, 0, role, "site") for role in range(estimate.shape[2])]


Request = tuple[Place, np.ndarray, np.ndarray]  # rows [m, n, width], pair [m, n, 2]


def run_clean(patcher: Patcher, prompts: PromptSet, places: Iterable[Place]) -> Clean:
    """The prompts, run once for all that is to be patched at these places."""
    return patcher.clean(prompts.ids[0], prompts.end, sorted({place.before for place in places}))


def patch(
    patcher: Patcher,
    clean: Clean,
    position: np.ndarray,
    patches: Sequence[Request],
) -> list[np.ndarray]:
    """[m, n] float64 LD of each, its rows put at `position` [n] of the n prompts in m runs."""
    ld = [np.zeros(rows.shape[:2]) for _, rows, _ in patches]
    for token in np.unique(position).tolist():
        some = np.flatnonzero(position == token)
        done = int((position < token).sum())
        run.report(done, len(position), "Patching prompts", "prompts")
        part = clean.part(some)
        for values, (place, rows, pair) in zip(ld, patches, strict=True):
            values[:, some] = patcher.patched(part, place, token, rows[:, some], pair[:, some])
    return ld
