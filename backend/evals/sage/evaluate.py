"""Every dictionary at one place: what is put there, and the logit differences that come of it.

At the residual stream of the study's site the SAE is the study's own. For what attention and the
MLP of that block add there is none; *our projection* stands in: the features active in the residual
stream at the same position, and least squares of the contribution on their decoder rows. (The
paper has a step of that kind whose text was not at hand, so this is not claimed to be it.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import torch

from backend import run
from backend.evals.sage import dictionaries, metrics
from backend.evals.sage.dictionaries import Coded, Supervised
from backend.evals.sage.sites import Sizes, load_patcher, patch, prompts_of, run_clean
from backend.evals.sage.tasks import PromptSet
from backend.evals.sage.views import READING
from backend.models import sae as sae_models
from backend.models.patching import KINDS, Place
from backend.schema import ModelRef, SaeRef, Site
from backend.statistics.agreement import constant_f1, f1_scores
from backend.statistics.bootstrap import weight_rows
from backend.store.memo import memoize

STEPS = {"sae": (1, 2, 4, 8, 16), "random": (4, 16)}  # features that an edit may change
CODED = ("sae", "random")
RUNS = pl.Schema(
    {"what": pl.String, "dictionary": pl.String, "edit": pl.String, "attribute": pl.String}
    | {"k": pl.Int64, "size": pl.Float64, "explained": pl.Float64}
)


@memoize("sage.activations", version=1)
def activations(model: ModelRef, site: Site, task: str, sizes: Sizes) -> dict[str, Any]:
    """What stands at the study's block: `train` [train, R, 3, width] float32 of train prompts, and
    `test` [1 + E, test, R, 3, width] of test prompts and their counterfactuals; the third axis is
    resid, attn, mlp."""
    prompts, patcher = prompts_of(model, task, sizes), load_patcher(model)
    places = [Place(site.layer, kind) for kind in KINDS]
    train, test = prompts.part(~prompts.test), prompts.part(prompts.test)
    run.report(0, 1 + len(test.ids), "Reading activations of the task", "sets")
    of_train = patcher.read(train.ids[0], train.places[0], places)
    arrays = []
    for edit in range(len(test.ids)):
        run.report(1 + edit, 1 + len(test.ids), "Reading activations of the task", "sets")
        arrays.append(patcher.read(test.ids[edit], test.places[edit], places))
    return {"train": of_train, "test": np.array(arrays)}


@dataclass
class Runs:
    """Rows to be put at the place, with what they are."""

    x: np.ndarray  # [n, width] what stands there
    mean: np.ndarray
    edit_names: tuple[str, ...]  # by number; 0 is no edit
    table: list[dict[str, Any]] = field(default_factory=list)  # RUNS
    rows: list[np.ndarray] = field(default_factory=list)
    edits: list[int] = field(default_factory=list)

    def add(
        self, what: str, dictionary: str, rows: np.ndarray, edit: int = 0, **columns: Any
    ) -> None:
        """A run, towards the counterfactual of this number; `columns` are more of `RUNS`.
        `explained` is of the deviation from the train mean, on test."""
        left, whole = ((self.x - target) ** 2 for target in (rows, self.mean))
        explained = 1 - float(left.sum() / whole.sum()) if what == "kept" else None
        run_of = {"what": what, "dictionary": dictionary, "edit": self.edit_names[edit]}
        others = {"attribute": "", "k": 0, "explained": explained}
        self.table.append(run_of | others | columns)
        self.rows.append(rows.astype(np.float32))
        self.edits.append(edit)

    def add_rebuilt(self, dictionary: str, rows: np.ndarray) -> None:
        """A reconstruction in place, and taken away."""
        self.add("kept", dictionary, rows)
        self.add("removed", dictionary, self.x - rows + self.mean)

    def add_edited(
        self, dictionary: str, change: np.ndarray, shift: np.ndarray, edit: int, k: int
    ) -> None:
        """An edit of `k` features beside `shift`, what the counterfactual's activation has over the
        prompt's."""
        whole = np.linalg.norm(shift, axis=1).mean()
        size = float(np.linalg.norm(change, axis=1).mean() / whole) if whole > 0 else None
        self.add("edited", dictionary, self.x + change, edit, k=k, size=size)


@memoize("sage.evaluation", version=1)
def evaluate(
    model: ModelRef, site: Site, sae: SaeRef | None, task: str, where: tuple[str, str], sizes: Sizes
) -> dict[str, Any]:
    """Patched runs of the test prompts at one place (role and kind); dictionaries made on train.

    `runs` (`RUNS`): what is put there. clean: what was there; kept: a reconstruction; removed: it
    taken away, the mean put in; true: the counterfactual's activation; edited: at most k features
    changed (where true does something), by `size`, ‖edit‖ over ‖counterfactual − clean‖; ablated:
    a feature or u of the prompt's value of an attribute taken away. `ld` [runs, n] float64, under
    the pair of the edit. `read`: which feature reads which value (at resid with an SAE). `unseen`:
    test prompts with a value that no train prompt has, left out. `rescaled`: the SAE scales its
    output by its input, so that features do not add up; it is then left out.
    """
    (role, kind), device = where, run.current().device
    stored = activations(model, site, task, sizes)
    prompts = prompts_of(model, task, sizes)
    train, test = prompts.part(~prompts.test), prompts.part(prompts.test)
    if kind != "resid":  # where one is found to matter there is more to ask
        test = test.main()
    usable = known_values(train.codes[0], test.codes)
    test, column, place = test.part(usable), prompts.roles.index(role), KINDS.index(kind)
    x = np.asarray(stored.array("train")[:, column], dtype=np.float64)
    y = np.asarray(stored.array("test")[: len(test.ids), usable, column], dtype=np.float64)
    fits = fit_supervised(x[:, place], train, [len(v) for v in prompts.values], sizes.seed)
    runs = Runs(y[0, :, place], fits["means"].mean, ("", *test.edits))
    _supervised_runs(runs, fits, test, y[:, :, place])
    loaded = None if sae is None else sae_models.load(sae, device)
    frame = pl.DataFrame()
    if loaded is not None and loaded.is_linear:
        coder = Coder(loaded, runs.mean, kind, sizes.seed)
        _coded_runs(runs, coder, y, place)
        if kind == "resid":
            frame = _reading(runs, coder, fits["means"], train, test, x[:, place])
    patcher, place_read = load_patcher(model), Place(site.layer, kind)
    clean, position = run_clean(patcher, test, [place_read]), test.places[0][:, column]

    def patched(some: list[int]) -> np.ndarray:
        rows, pair = (np.array([part[each] for each in some]) for part in (runs.rows, runs.edits))
        return patch(patcher, clean, position, [(place_read, rows, test.pair[pair])])[0]

    table, ld = _ran(runs, patched)
    rescaled = loaded is not None and not loaded.is_linear
    unseen = int((~usable).sum())
    return {"runs": table, "ld": ld, "read": frame, "unseen": unseen, "rescaled": rescaled}


def _ran(runs: Runs, patched: Callable[[list[int]], np.ndarray]) -> tuple[pl.DataFrame, np.ndarray]:
    """The table of runs and their LD; edits of what does nothing here are not run."""
    first = [each for each, row in enumerate(runs.table) if row["what"] in ("clean", "true")]
    ld = dict(zip(first, patched(first), strict=True))
    dead = _dead(runs, ld)
    rest = [
        each
        for each, row in enumerate(runs.table)
        if each not in ld and not (row["what"] == "edited" and row["edit"] in dead)
    ]
    ld |= dict(zip(rest, patched(rest), strict=True))
    numbers = sorted(ld)
    table = pl.DataFrame([runs.table[each] for each in numbers], RUNS)
    return table, np.array([ld[each] for each in numbers])


def _dead(runs: Runs, ld_of: dict[int, np.ndarray]) -> set[str]:
    """Counterfactuals whose own activation does nothing here, so that there is nothing to edit."""
    rows = {each: runs.table[each] for each in ld_of}
    parts = {(row["what"], row["edit"]): ld_of[each] for each, row in rows.items()}
    weights = weight_rows(len(runs.x))
    return {
        edit for what, edit in parts
        if what == "true" and not metrics.matters(parts[what, edit], parts["clean", edit], weights)
    }  # fmt: skip


def known_values(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """[n] bool: test prompts whose values, `test` [1 + E, n, A], some train prompt has."""
    is_known = [
        np.isin(test[..., attribute], train[:, attribute]).all(axis=0)
        for attribute in range(train.shape[1])
    ]
    return np.all(is_known, axis=0)


def fit_supervised(
    x: np.ndarray, train: PromptSet, sizes: list[int], seed: int
) -> dict[str, Supervised]:
    """The supervised dictionaries of `x` [train, width], one of them from shuffled prompts."""
    codes = train.codes[0]
    mixed = np.random.default_rng(seed).permutation(len(codes))
    return {
        "means": dictionaries.means(x, codes, sizes),
        "squares": dictionaries.squares(x, codes, sizes),
        "shuffled": dictionaries.means(x, codes[mixed], sizes),
    }


def _supervised_runs(
    runs: Runs, fits: dict[str, Supervised], test: PromptSet, y: np.ndarray
) -> None:
    """`y` [1 + E, n, width] at the place."""
    x = runs.x
    for number, changed in enumerate(test.edits.values(), 1):
        runs.add("clean", "", x, number)
        runs.add("true", "", y[number], number, size=1.0)
        attributes = [test.attributes.index(name) for name in changed]
        for name, fit in fits.items():
            change = fit.change(test.codes[0], test.codes[number], attributes)
            runs.add_edited(name, change, y[number] - x, number, len(attributes))
    runs.add("clean", "", x)
    for name, fit in fits.items():
        runs.add_rebuilt(name, fit.rebuild(test.codes[0]))
    runs.add_rebuilt("mean", np.broadcast_to(runs.mean, x.shape))


# ---------------------------------------------------------------- sparse codes


class Coder:
    """The SAE, and a dictionary of random unit vectors that is as large and as sparse."""

    def __init__(self, sae: sae_models.Sae, mean: np.ndarray, kind: str, seed: int) -> None:
        self.sae, self.mean, self.kind = sae, mean, kind
        self.rows = sae.decoder.cpu().numpy().astype(np.float64)
        zero = torch.zeros(1, sae.width, device=sae.device)
        self.offset = sae.decode(zero)[0].cpu().numpy().astype(np.float64)
        self.random = dictionaries.random_rows(len(self.rows), len(mean), seed)

    def active(self, residual: np.ndarray) -> Coded:
        """The SAE's code of the residual stream [n, width]."""
        row, feature, value = self.sae.encode_sparse(torch.from_numpy(residual).float())
        counts = np.bincount(row, minlength=len(residual))
        place = np.arange(len(row)) - np.repeat(counts.cumsum() - counts, counts)
        shape = len(residual), max(1, int(counts.max()))
        features, values = np.full(shape, -1, dtype=np.int64), np.zeros(shape)
        features[row, place], values[row, place] = feature, value
        return Coded(self.rows, self.offset, features, values)

    def coded(self, x: np.ndarray, residual: np.ndarray) -> dict[str, Coded]:
        """`x` [n, width] at the place by both dictionaries."""
        own = self.active(residual)
        if self.kind != "resid":
            own = dictionaries.project(x, self.mean, self.rows, own.features)
        return {
            "sae": own,
            "random": dictionaries.pursue(x, self.mean, self.random, own.features),
        }


def _coded_runs(runs: Runs, coder: Coder, y: np.ndarray, place: int) -> None:
    """`y` [1 + E, n, 3, width] of prompts and their counterfactuals, `place` a number of a kind."""
    coded = [coder.coded(each[:, place], each[:, 0]) for each in y]
    for name in CODED:
        runs.add_rebuilt(name, coded[0][name].rebuild())
        for number in range(1, len(y)):
            shift = y[number][:, place] - runs.x
            changes = dictionaries.edits(coded[0][name], coded[number][name], shift, STEPS[name])
            for k, change in zip(STEPS[name], changes, strict=True):
                runs.add_edited(name, change, shift, number, k)


@dataclass(frozen=True)
class _Readout:
    """One attribute of the test prompts, to be read from the features that are active."""

    attribute: str
    names: tuple[str, ...]  # of its values
    codes: np.ndarray  # [test] int64, the value of each prompt
    nearest: np.ndarray  # [test] the value whose supervised mean is nearest
    fires: np.ndarray  # [test, features] bool

    def row(
        self, values: list[int], feature: int, train: float, union: list[int]
    ) -> dict[str, Any]:
        """A row of `READING` less `value` and `null`: how well a feature, of F1 `train` on train
        prompts, and a union of features read that an attribute has one of these values."""
        truth = np.isin(self.codes, values)
        return {
            "attribute": self.attribute,
            "values": [self.names[value] for value in values],
            "feature": feature,
            "train": train,
            "test": _f1(self.fires[:, feature], truth),
            "union": union,
            "union_test": _f1(self.fires[:, union].any(axis=1), truth),
            "base": constant_f1(float(truth.mean())),
            "nearest": _f1(np.isin(self.nearest, values), truth),
            "positives": int(truth.sum()),
        }


def _reading(
    runs: Runs, coder: Coder, fit: Supervised, train: PromptSet, test: PromptSet, x: np.ndarray
) -> pl.DataFrame:
    """`READING`: which feature, chosen on train, reads which value, and which reads some of the
    values best. Adds the runs that take features away."""
    coded = coder.active(runs.x)
    fires, fires_on_test, rows = coder.active(x).active(), coded.active(), []
    for index, (attribute, names) in enumerate(zip(test.attributes, test.values, strict=True)):
        codes, test_codes = train.codes[0][:, index], test.codes[0][:, index]
        nearest, size = dictionaries.nearest(fit, runs.x, index), len(names)
        readout = _Readout(attribute, names, test_codes, nearest, fires_on_test)
        scores = metrics.table(fires, codes, size)
        null = metrics.shuffled_f1(fires, codes, fires_on_test, test_codes, size, seed=index)
        best = scores.argmax(axis=1)
        for value, feature in enumerate(best.tolist()):
            union = metrics.union(fires, codes == value)
            row = readout.row([value], feature, float(scores[value, feature]), union)
            rows.append(row | {"value": names[value], "null": float(null[value])})
        feature, values, score = metrics.best_value_union(fires, codes, size)
        rows.append(readout.row(values, feature, score, [feature]) | {"value": ""})
        own = best[test_codes]
        ablated = coded.value_of(own)[:, None] * coder.rows[own]
        runs.add("ablated", "sae", runs.x - ablated, attribute=attribute)
        runs.add("ablated", "means", runs.x - fit.parts[index][test_codes], attribute=attribute)
    return pl.DataFrame(rows, READING)


def _f1(predicted: Any, truth: np.ndarray) -> float:
    return float(f1_scores((predicted & truth).sum(), predicted.sum(), truth.sum()))
