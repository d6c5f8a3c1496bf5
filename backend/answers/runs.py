"""Experiments of a study: starting one, and what it came to."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import polars as pl

from backend.answers import experiments, labelling, provenance, tasks
from backend.answers.subjects import (
    Models,
    Subject,
    Tools,
    features_of,
    models_of,
    sampling_of,
    setting_of,
    tools_of,
)
from backend.labels.costs import Cap
from backend.models.device import pick_device
from backend.schema import (
    Job,
    LlmUnavailableError,
    NotFoundError,
    Plan,
    Study,
)
from backend.store import jobs
from backend.store.memo import Entry, canonical
from backend.views import Comparison, Experiment, Judgement, Run

IMPORTED = "import-"  # begins the names of experiments taken from files


def _arguments(study: Study, plan: Plan, tools: Tools) -> tuple[Subject, Plan, Models]:
    return features_of(study), plan, models_of(study, tools)


# ---------------------------------------------------------------- running


def start(study: Study, plan: Plan, who: str, cap: Cap) -> str:
    """Submits the job of an experiment, and gives its name; one that ended early goes on where it
    was.

    Raises:
        LlmError: no server is named, or the cost is capped and prices are not known.
        NotFoundError: the plan names what there is not.
    """
    experiments.check(plan)
    tools = tools_of(study, who, "cpu", cap)
    digest = experiments.run.digest(*_arguments(study, plan, tools))
    if experiments.run.at(digest) is not None:
        return digest
    arguments = {
        "plan": asdict(plan),
        "who": who,
        "run": digest,
        "models": [tools.writer.name, tools.judge.name],
        "cap": asdict(cap),
    }
    priority = tasks.PRIORITY["experiment"]
    device = pick_device(study.device)
    jobs.submit("experiment", study.name, arguments, device, _key(digest), priority)
    return digest


def _key(digest: str) -> str:
    return f"experiment:{digest}"


def compute(request: tasks.Request) -> None:
    """What the job does.

    Raises:
        LlmUnavailableError: this worker began under other settings than the page.
    """
    asked, study = request.asked, request.study
    tools = checked(study, asked, request.device)
    arguments = _arguments(study, read_plan(asked["plan"]), tools)
    request.run_with(experiments.run, tools, *arguments)


def checked(study: Study, asked: dict[str, Any], device: str) -> Tools:
    """The tools that a job was asked for."""
    tools = tools_of(study, asked["who"], device, Cap(**asked.get("cap", {})))
    here = [tools.writer.name, tools.judge.name]
    if here != asked["models"]:
        raise LlmUnavailableError(
            f"The worker knows {here[0]}, but {asked['models'][0]} was asked for.",
            "It began with other settings: end it (it ends by itself when idle) and retry.",
        )
    return tools


def read_plan(fields: dict[str, Any]) -> Plan:
    """A plan as JSON has it."""
    named: dict[str, Any] = {n: fields[n] for n in Plan.__dataclass_fields__ if n in fields}
    for name in ("methods", "scorers", "among"):
        named[name] = tuple(named.get(name, ()))
    return Plan(**named)


# ---------------------------------------------------------------- what it came to


def listed(study: Study) -> list[Run]:
    """Experiments of the study: those that ended well, newest first, after those that are
    under way or stopped early."""
    under_way: dict[str, Run] = {}
    for job in jobs.recent(200):
        if job.query == "experiment" and job.study == study.name and job.state != "done":
            asked = json.loads(job.arguments)
            plan = read_plan(asked["plan"])
            if experiments.run.at(asked["run"]) is None and asked["run"] not in under_way:
                under_way[asked["run"]] = Run(
                    asked["run"], plan, *asked["models"][:2], created=job.created
                )
    assert study.sae
    subject = canonical(Subject(study.model, study.site, study.corpus, study.sae))
    done = []
    for digest in experiments.run.stored():
        entry = experiments.run.at(digest)
        recipe = entry.recipe() if entry else None
        if recipe is None:
            continue
        given = recipe["arguments"]
        if given["subject"] == subject:
            names = given["models"]["writer"], given["models"]["judge"]
            plan = read_plan(given["plan"])
            done.append(Run(digest, plan, *names, created=recipe["created"], done=True))
    return [*under_way.values(), *sorted(done, key=lambda run: -run.created)]


def view(study: Study, run: str) -> Experiment | Job:
    """An experiment, or its latest job where it has not ended well.

    Raises:
        NotFoundError: there is none of that name.
    """
    job = jobs.for_key(_key(run))  # before its result: what is done by now has one
    entry = experiments.run.at(run)
    if entry is None:
        if job is None or job.study != study.name or job.state == "done":  # done, and evicted
            raise NotFoundError(
                f"There is no experiment {run[:12]} of this study.",
                "Choose one from the list, or start one on Experiment.",
            )
        return job
    recipe = entry.recipe()
    given = recipe["arguments"]
    means, differences, gains = experiments.summary(entry.frame("scores"))
    return Experiment(
        run=run,
        plan=read_plan(given["plan"]),
        writer=given["models"]["writer"],
        judge=given["models"]["judge"],
        labels=entry.frame("labels"),
        scores=entry.frame("scores"),
        means=means,
        differences=differences,
        gains=gains,
        distances=entry.frame("distances"),
        controls=entry.frame("controls"),
        known=entry.frame("known"),
        provenance=provenance.of(entry, f"experiment --study {study.name} --run {run}"),
    )


def finished(run: str) -> tuple[Entry, Plan, dict[str, Any]]:
    """An experiment's entry, plan and arguments; raises NotFoundError."""
    if run.startswith(IMPORTED):
        raise NotFoundError(
            "This experiment was imported, and its folder holds no verdicts.",
            "Choose one that was made here; its labels and scores are on the page Experiment.",
        )
    entry = experiments.run.at(run)
    if entry is None:
        raise NotFoundError("This experiment has not ended.", "Wait for it, or start it again.")
    given = entry.recipe()["arguments"]
    return entry, read_plan(given["plan"]), given


def comparison(study: Study, run: str, feature: int, scorer: str) -> Comparison:
    """One feature's labels on the same held-out excerpts, and what the judge said of each.

    Raises:
        NotFoundError: no such experiment, feature or scorer in it.
    """
    entry, plan, given = finished(run)
    labels = entry.frame("labels").filter(pl.col("feature") == feature)
    if not len(labels) or scorer not in plan.scorers or scorer == "embedding":
        raise NotFoundError(
            f"The experiment did not judge feature {feature} by {scorer}.",
            f"Choose one of its features and of {', '.join(s for s in plan.scorers)}.",
        )
    of = features_of(study)
    sampling = sampling_of(plan, study.embedder)
    setting = setting_of(plan, scorer, given["models"]["judge"])
    asked = of.trial(feature, "", sampling, setting)
    held = [row for row in labels.iter_rows(named=True) if not row["failed"]]
    verdicts = [
        labelling.judged.get(of, feature, row["text"], sampling, setting).frame("verdicts")
        for row in held
    ]
    items = tuple(
        Judgement(
            pieces=tuple(pieces),
            values=tuple(values.tolist()) if true else (0.0,) * len(pieces),
            text=text,
            fires=bool(true),
            answers=tuple(frame["answer"][at] for frame in verdicts),
            probabilities=tuple(frame["probability"][at] for frame in verdicts),
        )
        for at, ((pieces, values), true, text) in enumerate(
            zip(asked.shown, asked.truth, asked.question.texts, strict=True)
        )
    )
    scores = entry.frame("scores").filter(
        (pl.col("feature") == feature) & (pl.col("of") != "shuffled")
    )
    return Comparison(
        feature=feature,
        scorer=scorer,
        labels=labels,
        methods=tuple(row["method"] for row in held),
        items=items,
        scores=scores,
        maximum=asked.evidence.maximum,
        train=asked.evidence.how,
    )
