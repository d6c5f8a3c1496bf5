"""SAGE: an SAE against supervised dictionaries on a task that the model solves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl

from backend import run
from backend.evals.evaluation import MEASURES, Answers, measure_row
from backend.evals.sage import EVALUATION, TASKS, evaluate, sites, views
from backend.evals.sage import tasks as prompts
from backend.evals.sage.sites import Sizes
from backend.evals.sage.tables import (
    agreement_table,
    causal_table,
    control_table,
    reconstruction_scores,
)
from backend.evals.sage.tasks import PromptSet, prompt_set
from backend.evals.sage.views import Sage, SagePrompt, SageTask
from backend.models import language_model
from backend.models.patching import KINDS
from backend.query import command_of, key_of, query
from backend.schema import NotFoundError, Study, conform
from backend.statistics.intervals import mean_interval, share_interval
from backend.store import queue
from backend.store.memo import Entry
from backend.store.rates import CHUNK, Part

SIZES = Sizes()
ACCURACY = 0.7  # of two answers, below which a task is not solved
ROLES = 3  # that are evaluated at most
NEGLIGIBLE = 0.05  # of the change of LD between a prompt and its counterfactual
EXAMPLES = 6
Place = tuple[str, str]  # a role and a kind of place


# ---------------------------------------------------------------- the whole of it


def _key(study: Study, task: str, role: str) -> str:
    """One job computes a task at all roles, so requests for any of them share it."""
    del role
    return key_of(study, task=task)


def _work(_study: Study, **_which: str) -> list[Part]:
    """A task at all its roles; the time of reading a corpus that it took on the demo."""
    return [Part(sage.entry.name, like={CHUNK: 14})]


@query(EVALUATION.title, priority=queue.LONG - 1, key=_key, work=_work)
def sage(study: Study, task: str = "", role: str = "") -> Sage:
    """An SAE against supervised dictionaries on a task ("": the hardest that the model solves), at
    a role ("": where the residual stream matters most).

    Raises:
        NotFoundError: no such task.
    """
    if task and task not in TASKS:
        raise NotFoundError(f"There is no task {task!r}.", f"Choose {', '.join(TASKS)}.")
    gates = _gates(study)
    task = task or _hardest(gates)
    solved = bool(task) and task in gates.filter(solved=True)["task"].to_list()
    source, evaluations, results = _prompts(study, task or TASKS[-1]), {}, None
    if solved:
        checked = sites.verification(study.model, study.site, task, SIZES)
        roles = _roles(checked)
        evaluations = _evaluations(study, task, roles)
        role = role if role in roles else (roles[0] if roles else "")
        results = _task(study, source, checked, evaluations, role)
        source = next(iter(evaluations.values()), checked)
    rescaled = any(entry.value("rescaled") for entry in evaluations.values())
    return Sage(
        task=task,
        role=role if solved else "",
        layer=study.site.layer,
        sae="none" if study.sae is None else "rescaled" if rescaled else "yes",
        dtype=study.model.dtype,
        seed=SIZES.seed,
        gates=gates,
        easier="" if solved or not task else _hardest(gates, task),
        results=results,
        provenance=source.provenance(command_of("sage", study, task=task)),
    )


def _prompts(study: Study, task: str) -> Entry:
    return prompts.prompts(study.model, task, SIZES.train, SIZES.test, SIZES.seed)


def _evaluations(study: Study, task: str, roles: list[str]) -> dict[Place, Entry]:
    """Every dictionary at every role and kind of place, residual streams first."""

    def evaluate_at(place: Place) -> Entry:
        return evaluate.evaluate(study.model, study.site, study.sae, task, place, SIZES)

    places = [(role, kind) for kind in KINDS for role in roles]
    entries = run.each(evaluate_at, places, "Putting dictionaries in place", "places")
    return dict(zip(places, entries, strict=True))


def _roles(checked: Entry) -> list[str]:
    """Roles where the residual stream at the study's site does most; those first where the
    counterfactual's activation moves LD towards the counterfactual's."""
    whole = float((checked.array("ld_counterfactual") - checked.array("ld")).mean())
    at_site = (
        checked.frame("patched")
        .filter(drawn="site")
        .with_columns(size=pl.col("effect").abs(), towards=pl.col("effect") * whole > 0)
    )
    matter = at_site.filter(pl.col("size") >= NEGLIGIBLE * abs(whole))
    most = matter.sort("size", descending=True).head(ROLES)
    return most.sort("towards", "size", descending=True)["role"].to_list()


# ---------------------------------------------------------------- the gate


def _gates(study: Study) -> pl.DataFrame:
    """A row a task, hardest first: does the model solve it?"""
    rows = []
    for task in TASKS:
        entry = _prompts(study, task)
        problem = entry.value("problem")
        ld = None if problem else np.asarray(sites.gate(study.model, task, SIZES).array("ld"))
        words = ", ".join(
            f"{some} of {count} {kind}" for kind, (some, count) in entry.value("words").items()
        )
        rows.append(gate_row(task, words, problem, ld))
    return pl.DataFrame(rows, views.GATES)


def gate_row(task: str, words: str, problem: str, ld: np.ndarray | None) -> dict[str, Any]:
    """A row of `GATES` from `ld` [2, n], of prompts and their counterfactuals."""
    row: dict[str, Any] = {"task": task, "n": 0}
    solved = False
    if ld is not None:
        ends, other = mean_interval(ld[0]), mean_interval(ld[1])
        right, n = int((ld[0] > 0).sum()), ld.shape[1]
        values = *ends, *share_interval(right, n), *other, float((ld[1] > 0).mean())
        row = dict(zip(views.GATES, (task, n, *values), strict=False))
        solved = ends[1] is not None and ends[1] > 0 and right / n >= ACCURACY
        if not solved:
            problem = (
                "its interval of LD reaches 0" if not (ends[1] or 0) > 0
                else f"accuracy is below {ACCURACY:g}"
            )  # fmt: skip
    return row | {"words": words, "solved": solved, "problem": problem}


def _hardest(gates: pl.DataFrame, after: str = "") -> str:
    """The hardest task that is solved, of those easier than `after`; "": none."""
    begin = TASKS.index(after) + 1 if after else 0
    solved = set(gates.filter(solved=True)["task"])
    return next((task for task in TASKS[begin:] if task in solved), "")


# ---------------------------------------------------------------- one task


def _task(
    study: Study, source: Entry, checked: Entry, evaluations: dict[Place, Entry], role: str
) -> SageTask:
    """What was measured on a task; `role` is that of control, reading and causes ("": none)."""
    prompts_of_task = prompt_set(source)
    attribution = sites.attribution(study.model, prompts_of_task.task, SIZES)
    control = [control_table(kind, evaluations[role, kind]) for kind in KINDS] if role else []
    read, causal = pl.DataFrame(schema=views.READING), pl.DataFrame(schema=views.CAUSAL)
    if at_resid := evaluations.get((role, "resid")):
        causal = causal_table(prompts_of_task, at_resid)
        # without an SAE nothing is read
        read = pl.concat([read, at_resid.frame("read")], how="diagonal")
    score_rows = [
        row
        for (at_role, kind), entry in evaluations.items()
        for row in reconstruction_scores(at_role, kind, entry)
    ]
    patched = _patched(checked)
    return SageTask(
        prompts=_examples(study, prompts_of_task, source),
        train=int((~prompts_of_task.test).sum()),
        test=int(prompts_of_task.test.sum()),
        unseen=max((entry.value("unseen") for entry in evaluations.values()), default=0),
        templates=(_templates(prompts_of_task, False), _templates(prompts_of_task, True)),
        attributes=pl.DataFrame(
            zip(prompts_of_task.attributes, map(", ".join, prompts_of_task.values), strict=True),
            views.ATTRIBUTES,
            orient="row",
        ),
        roles=prompts_of_task.roles,
        attribution=np.asarray(attribution.array("estimate")),
        patched=patched,
        agreement=agreement_table(patched),
        searched=checked.array("effects").shape[1],
        scores=pl.DataFrame(score_rows, views.SCORES, orient="row"),
        control=pl.concat([pl.DataFrame(schema=views.CONTROL), *control]),
        read=read,
        causal=causal,
        evaluated=tuple(_roles(checked)),
    )


def _templates(prompt_set: PromptSet, test: bool) -> int:
    """How many templates the prompts of one split have."""
    return len(np.unique(prompt_set.template[prompt_set.test == test]))


def _examples(study: Study, prompts_of_task: PromptSet, source: Entry) -> tuple[SagePrompt, ...]:
    """Test prompts, one of each template first."""
    pieces = language_model.vocabulary(study.model).frame("pieces")["text"]
    texts = source.frame("texts")
    rows = np.flatnonzero(prompts_of_task.test)
    first = rows[np.unique(prompts_of_task.template[rows], return_index=True)[1]][:EXAMPLES]
    examples = []
    for row in first.tolist():
        ids = prompts_of_task.ids[0, row, 1 : prompts_of_task.end[row] + 1].tolist()
        places = (prompts_of_task.places[0, row] - 1).tolist()  # the BOS is not shown
        roles = dict(zip(places, prompts_of_task.roles, strict=True))
        text = texts.row(row, named=True)
        words = text["answer"], text["rival"], text["counterfactual"]
        examples.append(SagePrompt(tuple(pieces[i] for i in ids), roles, *words))
    return tuple(examples)


def _patched(checked: Entry) -> pl.DataFrame:
    """Every site that was patched, the interval of its effect over prompts beside it."""
    ends = [mean_interval(row) for row in np.asarray(checked.array("effects"))]
    low, high = (pl.Series([each[column] for each in ends]) for column in (1, 2))
    return conform(checked.frame("patched").with_columns(low=low, high=high), views.PATCHED)


# ---------------------------------------------------------------- headline numbers

SCORED = {
    "relative": "sufficiency, over mean ablation",
    "necessity": "necessity",
    "explained": "variance explained",
}
Row = dict[str, Any]


def measures(view: Sage) -> pl.DataFrame:
    """`MEASURES`: accuracy on the task, then what the SAE and supervised means are worth."""
    rows: list[Row] = []
    for row in view.gates.filter(task=view.task).iter_rows(named=True):
        ends = {"value": "accuracy", "low": "accuracy_low", "high": "accuracy_high"}
        accuracy = {end: row[name] for end, name in ends.items()}
        name = f"accuracy on {view.task}"
        rows.append(measure_row(name, row, "prompts", "a coin", **accuracy, null=0.5))
    if view.results is not None:
        for dictionary, words in (("sae", "SAE"), ("means", "supervised means")):
            rows += _score_rows(view.results, view.role, dictionary, words)
            rows += _control_rows(view.results, dictionary, words)
    return pl.DataFrame(rows, MEASURES)


def _score_rows(results: SageTask, role: str, dictionary: str, words: str) -> Iterator[Row]:
    at_resid = results.scores.filter(role=role, kind="resid")
    n, control = results.test - results.unseen, "random dictionary"
    for measure, name in SCORED.items():
        null = at_resid.filter(measure=measure, dictionary="random")
        against = null["value"].item() if len(null) else None
        own = at_resid.filter(measure=measure, dictionary=dictionary)
        for row in own.iter_rows(named=True):
            yield measure_row(f"{words}: {name}", row, "prompts", control, n=n, null=against)


def _control_rows(results: SageTask, dictionary: str, words: str) -> Iterator[Row]:
    """The largest edit of each counterfactual."""
    edits = results.control.filter(pl.col("value").is_not_null(), kind="resid")
    own = edits.filter(dictionary=dictionary).sort("k")
    largest = own.group_by("edit", maintain_order=True).tail(1)
    n, control = results.test - results.unseen, "shuffled attributes"
    for row in largest.iter_rows(named=True):
        null = edits.filter(dictionary="shuffled", edit=row["edit"])["value"].item()
        name = f"{words}: control of {row['edit']}, {row['k']} features"
        yield measure_row(name, row, "prompts", control, n=n, null=null)


ANSWERS = Answers(sage, measures)
