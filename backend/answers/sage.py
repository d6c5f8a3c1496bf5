"""SAGE: an SAE against supervised dictionaries on a task that the model solves."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from backend.answers import provenance, tasks
from backend.answers.sage_parts import SCORES, agree, causes, controls, scores
from backend.eval_views.sage import Sage, SagePrompt, SageTask
from backend.evals.sage import evaluate, sites
from backend.evals.sage import tasks as prompts
from backend.evals.sage.sites import Sizes
from backend.evals.sage.tasks import PromptSet, held
from backend.models import language_model
from backend.models.patching import KINDS
from backend.schema import Job, NotFoundError, Progress, Study
from backend.statistics.intervals import mean_interval, wilson
from backend.store.memo import Entry

SIZES = Sizes()
ACCURACY = 0.7  # of two answers, below which a task is not solved
ROLES = 3  # that are evaluated at most
NEGLIGIBLE = 0.05  # of the change of LD between a prompt and its counterfactual
EXAMPLES = 6

# ---------------------------------------------------------------- the job


def compute(request: tasks.Request) -> None:
    """What the job does: asks which tasks the model solves; evaluates the places of one."""
    study = request.study
    language_model.vocabulary(study.model)
    for task in prompts.TASKS:
        made = _prompts(study, task, request.progress)
        if not made.value("problem"):
            request.run(sites.gate, study.model, task, SIZES)
    gates = _gates(study)
    task = request.asked.get("on") or _hardest(gates)
    if not task or task not in gates.filter(solved=True)["task"].to_list():
        return
    request.run(sites.attribution, study.model, task, SIZES)
    checked = request.run(sites.verification, study.model, study.site, task, SIZES)
    request.run(evaluate.activations, study.model, study.site, task, SIZES)
    for arguments in _evaluations(study, task, checked):
        request.run(evaluate.evaluate, *arguments)


def _prompts(study: Study, task: str, progress: Progress) -> Entry:
    return prompts.prompts(
        study.model, task, SIZES.train, SIZES.test, SIZES.seed, progress=progress
    )


def _evaluations(study: Study, task: str, checked: Entry) -> list[tuple[Any, ...]]:
    """The arguments of each evaluation, residual streams first."""
    return [
        (study.model, study.site, study.sae, task, role, kind, SIZES)
        for kind in KINDS
        for role in _roles(checked)
    ]


def _roles(checked: Entry) -> list[str]:
    """Roles where the residual stream at the study's site does most; those first where the
    counterfactual's activation moves LD towards the counterfactual's."""
    whole = float((checked.array("ld_counterfactual") - checked.array("ld")).mean())
    at = (
        checked.frame("patched")
        .filter(drawn="site")
        .with_columns(size=pl.col("effect").abs(), towards=pl.col("effect") * whole > 0)
    )
    most = at.filter(pl.col("size") >= NEGLIGIBLE * abs(whole)).sort("size", descending=True)
    return most.head(ROLES).sort("towards", "size", descending=True)["role"].to_list()


# ---------------------------------------------------------------- the gate


def _gates(study: Study) -> pl.DataFrame:
    """A row a task; NotFoundError where one has not been asked."""
    rows = []
    for task in prompts.TASKS:
        made = prompts.prompts.get(study.model, task, SIZES.train, SIZES.test, SIZES.seed)
        problem = made.value("problem")
        ld = None if problem else np.asarray(sites.gate.get(study.model, task, SIZES).array("ld"))
        words = ", ".join(
            f"{some} of {of} {kind}" for kind, (some, of) in made.value("words").items()
        )
        rows.append(gate_row(task, words, problem, ld))
    return pl.DataFrame(rows, infer_schema_length=None)


def gate_row(task: str, words: str, problem: str, ld: np.ndarray | None) -> dict[str, Any]:
    """One task's gate from `ld` [2, n], of prompts and their counterfactuals."""
    names = ["ld", "low", "high", "accuracy", "accuracy_low", "accuracy_high"]
    names += ["corrupted", "corrupted_low", "corrupted_high", "kept"]
    row: dict[str, Any] = {"task": task, "n": 0, **dict.fromkeys(names)}
    solved = False
    if ld is not None:
        ends, other = mean_interval(ld[0]), mean_interval(ld[1])
        right, n = int((ld[0] > 0).sum()), ld.shape[1]
        low, high = wilson(right, n)
        values = *ends, right / n, float(low), float(high), *other, float((ld[1] > 0).mean())
        row |= {"n": n, **dict(zip(names, values, strict=True))}
        solved = ends[1] is not None and ends[1] > 0 and right / n >= ACCURACY
        if not solved:
            problem = (
                "its interval of LD reaches 0" if not (ends[1] or 0) > 0
                else f"accuracy is below {ACCURACY:g}"
            )  # fmt: skip
    return row | {"words": words, "solved": solved, "problem": problem}


def _hardest(gates: pl.DataFrame, after: str = "") -> str:
    """The hardest task that is solved, of those easier than `after`; "": none."""
    begin = prompts.TASKS.index(after) + 1 if after else 0
    solved = set(gates.filter(solved=True)["task"])
    return next((task for task in prompts.TASKS[begin:] if task in solved), "")


# ---------------------------------------------------------------- what the page shows


def sage(study: Study, task: str = "", role: str = "", ask: bool = True) -> Sage | Job | None:
    """An SAE against supervised dictionaries on a task ("": the hardest that the model solves), at
    a role ("": where the residual stream matters most). None where it is not computed and not
    asked for.

    Raises:
        NotFoundError: no such task.
    """
    if task and task not in prompts.TASKS:
        raise NotFoundError(f"There is no task {task!r}.", f"Choose {', '.join(prompts.TASKS)}.")
    try:
        return _view(study, task, role)
    except NotFoundError:
        if not ask:
            return None
    key = evaluate.evaluate.digest(study.model, study.site, study.sae, task, "", "", SIZES)
    return tasks.ensure("sage", study, key, on=task)


def _view(study: Study, task: str, role: str) -> Sage:
    gates = _gates(study)
    task = task or _hardest(gates)
    solved = bool(task) and task in gates.filter(solved=True)["task"].to_list()
    shown = task or prompts.TASKS[-1]
    made = prompts.prompts.get(study.model, shown, SIZES.train, SIZES.test, SIZES.seed)
    found, rescaled = None, False
    if solved:
        checked = sites.verification.get(study.model, study.site, task, SIZES)
        parts = {
            call[4:6]: evaluate.evaluate.get(*call) for call in _evaluations(study, task, checked)
        }
        evaluated = _roles(checked)
        role = role if role in evaluated else (evaluated[0] if evaluated else "")
        found = _task(study, made, checked, parts, role)
        rescaled = any(entry.value("rescaled") for entry in parts.values())
        made = next(iter(parts.values()), checked)
    sae = "none" if study.sae is None else "rescaled" if rescaled else "yes"
    command = f"sage --study {study.name}" + (f" --task {task}" if task else "")
    return Sage(
        task=task,
        role=role if solved else "",
        layer=study.site.layer,
        sae=sae,
        dtype=study.model.dtype,
        seed=SIZES.seed,
        gates=gates,
        easier="" if solved or not task else _hardest(gates, task),
        found=found,
        provenance=provenance.of(made, command),
    )


def _task(
    study: Study, made: Entry, checked: Entry, parts: dict[tuple[Any, ...], Entry], role: str
) -> SageTask:
    given = held(made)
    entry = sites.attribution.get(study.model, given.task, SIZES)
    control, read, causal = [], pl.DataFrame(), pl.DataFrame()
    for kind in KINDS if role else ():
        control.append(controls(kind, parts[role, kind]))
    if role and (role, "resid") in parts:
        read = parts[role, "resid"].frame("read")
        causal = causes(given, parts[role, "resid"])
    rows = [row for (at, kind), part in parts.items() for row in scores(at, kind, part)]
    return SageTask(
        prompts=_examples(study, given, made),
        train=int((~given.test).sum()),
        test=int(given.test.sum()),
        unseen=max((part.value("unseen") for part in parts.values()), default=0),
        templates=(_templates(given, False), _templates(given, True)),
        attributes=pl.DataFrame(
            {"attribute": given.attributes, "values": [", ".join(v) for v in given.values]}
        ),
        roles=given.roles,
        attribution=np.asarray(entry.array("estimate")),
        patched=_patched(checked),
        agreement=agree(_patched(checked)),
        searched=checked.array("effects").shape[1],
        scores=pl.DataFrame(rows, schema=SCORES, orient="row"),
        control=pl.concat(control) if control else pl.DataFrame(),
        read=read,
        causal=causal,
        evaluated=tuple(_roles(checked)),
    )


def _templates(given: PromptSet, test: bool) -> int:
    return len(np.unique(given.template[given.test == test]))


def _examples(study: Study, given: PromptSet, made: Entry) -> tuple[SagePrompt, ...]:
    """Test prompts, one of each template first."""
    texts = language_model.vocabulary.get(study.model).frame("pieces")["text"]
    table = made.frame("texts")
    rows = np.flatnonzero(given.test)
    first = rows[np.unique(given.template[rows], return_index=True)[1]][:EXAMPLES]
    shown = []
    for row in first.tolist():
        ids = given.ids[0, row, 1 : given.end[row] + 1].tolist()
        said = table.row(row, named=True)
        roles = dict(zip((given.places[0, row] - 1).tolist(), given.roles, strict=True))
        words = said["answer"], said["rival"], said["counterfactual"]
        shown.append(SagePrompt(tuple(texts[i] for i in ids), roles, *words))
    return tuple(shown)


# ---------------------------------------------------------------- where


def _patched(checked: Entry) -> pl.DataFrame:
    effects = np.asarray(checked.array("effects"))
    ends = [mean_interval(row) for row in effects]
    low, high = (pl.Series([each[at] for each in ends]) for at in (1, 2))
    return checked.frame("patched").with_columns(low=low, high=high)


# ---------------------------------------------------------------- side by side

MEASURES = {
    "relative": ("sufficiency, over mean ablation", "random", "random dictionary"),
    "necessity": ("necessity", "random", "random dictionary"),
    "explained": ("variance explained", "random", "random dictionary"),
}


def measures(view: Sage) -> pl.DataFrame:
    """The headline numbers: measure, value, low, high, n, n_of, null, control."""
    rows: list[tuple[Any, ...]] = []
    gate = view.gates.filter(pl.col("task") == view.task)
    for row in gate.iter_rows(named=True):
        ends = row["accuracy"], row["accuracy_low"], row["accuracy_high"]
        rows.append((f"accuracy on {view.task}", *ends, row["n"], "prompts", 0.5, "a coin"))
    if view.found is not None:
        for name, words in (("sae", "SAE"), ("means", "supervised means")):
            rows += _headlines(view, view.found, name, words)
    schema = {"measure": pl.String, "value": pl.Float64, "low": pl.Float64, "high": pl.Float64}
    schema |= {"n": pl.Int64, "n_of": pl.String, "null": pl.Float64, "control": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _headlines(view: Sage, found: SageTask, name: str, words: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    at = found.scores.filter(role=view.role, kind="resid")
    n = found.test - found.unseen
    for measure, (said, other, control) in MEASURES.items():
        mine, null = (at.filter(measure=measure, dictionary=each) for each in (name, other))
        for row in mine.iter_rows(named=True):
            against = null["value"].item() if len(null) else None
            ends = row["value"], row["low"], row["high"]
            rows.append((f"{words}: {said}", *ends, n, "prompts", against, control))
    edits = found.control.filter(pl.col("value").is_not_null(), kind="resid")
    mine = edits.filter(dictionary=name).sort("k").group_by("edit", maintain_order=True).tail(1)
    for row in mine.iter_rows(named=True):
        null = edits.filter(dictionary="shuffled", edit=row["edit"])["value"].item()
        said = f"{words}: control of {row['edit']}, {row['k']} features"
        ends = row["value"], row["low"], row["high"]
        rows.append((said, *ends, n, "prompts", null, "shuffled attributes"))
    return rows
