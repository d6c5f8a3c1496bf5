"""Experiments of a study: what one would ask for, starting it, what it came to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from backend.answers import experiments, features, labelling, provenance, tasks
from backend.answers.labelling import Subject, Tools
from backend.labels import costs, explainers
from backend.labels.contract import Excerpt, Message
from backend.labels.costs import Cap
from backend.labels.judges import Conversation, WriterJudge
from backend.labels.prompts import WORDS
from backend.labels.server import configured
from backend.labels.trials import trial
from backend.models.device import pick_device
from backend.schema import (
    Job,
    LlmError,
    LlmUnavailableError,
    NotFoundError,
    Plan,
    Study,
)
from backend.store import jobs
from backend.store.memo import Entry, canonical
from backend.views import Comparison, Estimate, Experiment, Judgement, Run

LOOKED_AT = 3  # features that an estimate is made from
SAID = "word " * 60  # a verbalizer's text, for an estimate
LABEL = "word " * WORDS
JUDGE_LIMIT = 300  # tokens of a judge's reply, at most


def subject(study: Study) -> Subject:
    """The study's features; raises NotFoundError where they are not computed."""
    read = features.read_or_raise(study)
    return Subject(*read.arguments)


def _arguments(study: Study, plan: Plan, tools: Tools) -> tuple[Any, ...]:
    where = *subject(study).arguments, study.embedder, plan
    return *where, tools.writer.name, tools.judge.name, study.verbalizer


# ---------------------------------------------------------------- before a run


@dataclass
class _Recorder:
    """A writer and an `Ask` that answer nothing and keep what they are asked."""

    name: str = "nobody"
    obeys: bool = True
    asked: list[tuple[Conversation, int]] = field(default_factory=list)

    def write(
        self,
        messages: Sequence[Message],
        *,
        temperature: float = 0.0,
        limit: int = 300,
        attempt: int = 0,
    ) -> str:
        self.asked.append((messages, limit))
        raise LlmError("Only noted.", "Nothing to do.")

    def ask(self, _: Any, conversations: Sequence[Conversation]) -> list[str | LlmError]:
        self.asked += [(each, JUDGE_LIMIT) for each in conversations]
        return ["[]"] * len(conversations)


def estimate(study: Study, plan: Plan, who: str) -> Estimate:
    """What a run asks for at most. Raises as `experiments.check` and `labelling.tools`."""
    experiments.check(plan)
    labelling.tools(study, who, "cpu")
    of = subject(study)
    numbers = experiments.sample(of, plan)
    asking = [method for method in plan.methods if labelling.may_ask(method)]
    judged = [scorer for scorer in plan.scorers if scorer != "embedding"]
    texts = len(numbers) * (2 * len(plan.methods) + 1) * len(judged)  # labels, shuffled, empty
    if who == "own":
        count = len(numbers) * len(asking) + texts * 2 * 10
        how = "Prompts to the study's own model: they cost nothing but time."
        return Estimate(len(numbers), count, 0, 0, None, how)
    recorder = _Recorder()
    for number in numbers[:LOOKED_AT]:
        _note(of, plan, number, asking, judged, recorder)
    scale = len(numbers) / min(LOOKED_AT, len(numbers))
    letters = sum(costs.characters(turns) for turns, _ in recorder.asked)
    prompts = round(scale * letters / costs.CHARACTERS)
    replies = round(scale * sum(limit for _, limit in recorder.asked))
    prices = configured().prices
    how = (
        f"From the prompts of {min(LOOKED_AT, len(numbers))} of the {len(numbers)} features, at "
        f"{costs.CHARACTERS} characters a token and replies at their limits. What was asked "
        "before is kept and costs nothing."
    )
    most = costs.usage(prices, round(scale * len(recorder.asked)), prompts, replies)
    return Estimate(len(numbers), **asdict(most), how=how)


def _note(
    of: Subject,
    plan: Plan,
    number: int,
    asking: Sequence[str],
    judged: Sequence[str],
    recorder: _Recorder,
) -> None:
    drawn = of.draw(number, plan.split, plan.negatives, plan.seed)

    def said(_: Excerpt) -> str:
        return SAID

    context = explainers.Context(
        writer=recorder,
        verbalizations=said,
        direction=lambda: SAID,
        promoted=of.promoted(number),
    )
    for method in asking:
        explainers.EXPLAINERS[method].explain(drawn, context)
    questions = [
        trial(scorer, LABEL, drawn, "", marks=plan.marks, window=plan.window).question  # type: ignore[arg-type]
        for scorer in judged
        for _ in range(2 * len(plan.methods) + 1)
    ]
    first = recorder.asked.copy()
    WriterJudge(recorder, recorder.ask).judge(questions)
    # a judge that understands nothing is asked everything twice
    again = (len(recorder.asked) - len(first)) // 2
    del recorder.asked[len(first) + again :]


# ---------------------------------------------------------------- running


def start(study: Study, plan: Plan, who: str, cap: Cap) -> str:
    """Submits the job of an experiment, and gives its name; one that ended early goes on where it
    was.

    Raises:
        LlmError: no server is named, or the estimate exceeds the cap.
        NotFoundError: the plan names what there is not.
    """
    found = estimate(study, plan, who)
    if who == "server":
        cap.check(costs.Usage(found.calls, found.prompt_tokens, found.reply_tokens, found.cost))
    tools = labelling.tools(study, who, "cpu")
    digest = experiments.run.digest(*_arguments(study, plan, tools))
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
    tools = labelling.tools(study, asked["who"], device, Cap(**asked.get("cap", {})))
    here = [tools.writer.name, tools.judge.name]
    if here != asked["models"]:
        raise LlmUnavailableError(
            f"The worker knows {here[0]}, but {asked['models'][0]} was asked for.",
            "It began with other settings: end it (it ends by itself when idle) and retry.",
        )
    return tools


def read_plan(fields: dict[str, Any]) -> Plan:
    """A plan as JSON has it."""
    named: dict[str, Any] = {name: fields[name] for name in Plan.__dataclass_fields__}
    named["methods"], named["scorers"] = tuple(named["methods"]), tuple(named["scorers"])
    return Plan(**named)


# ---------------------------------------------------------------- what it came to


def listed(study: Study) -> list[Run]:
    """Experiments of the study: those that ended well, newest first, after those that are
    under way or stopped early."""
    under_way: dict[str, Run] = {}
    for job in jobs.recent(200):
        if job.query == "experiment" and job.study == study.name:
            asked = json.loads(job.arguments)
            plan = read_plan(asked["plan"])
            if experiments.run.at(asked["run"]) is None and asked["run"] not in under_way:
                under_way[asked["run"]] = Run(
                    asked["run"], plan, *asked["models"][:2], created=job.created
                )
    where = [canonical(part) for part in (study.model, study.site, study.corpus, study.sae)]
    done = []
    for digest in experiments.run.stored():
        entry = experiments.run.at(digest)
        recipe = entry.recipe() if entry else None
        if recipe is None:
            continue
        given = recipe["arguments"]
        if [given[name] for name in ("model", "site", "corpus", "of")] == where:
            plan = read_plan(given["plan"])
            made = recipe["created"]
            done.append(Run(digest, plan, given["writer"], given["judge"], made, done=True))
    return [*under_way.values(), *sorted(done, key=lambda run: -run.created)]


def view(study: Study, run: str) -> Experiment | Job:
    """An experiment, or its latest job where it has not ended well.

    Raises:
        NotFoundError: there is none of that name.
    """
    entry = experiments.run.at(run)
    if entry is None:
        job = jobs.for_key(_key(run))
        if job is None or job.study != study.name:
            raise NotFoundError(
                f"There is no experiment {run[:12]} of this study.", "Start one with the form."
            )
        return job
    recipe = entry.recipe()
    given = recipe["arguments"]
    means, differences = experiments.summary(entry.frame("scores"))
    return Experiment(
        run=run,
        plan=read_plan(given["plan"]),
        writer=given["writer"],
        judge=given["judge"],
        labels=entry.frame("labels"),
        scores=entry.frame("scores"),
        means=means,
        differences=differences,
        distances=entry.frame("distances"),
        controls=entry.frame("controls"),
        provenance=provenance.of(entry, f"experiment --study {study.name} --run {run}"),
    )


def finished(run: str) -> tuple[Entry, Plan, dict[str, Any]]:
    """An experiment's entry, plan and arguments; raises NotFoundError."""
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
    of = subject(study)
    drawn = of.draw(feature, plan.split, plan.negatives, plan.seed)
    asked = trial(scorer, "", drawn, "", marks=plan.marks, window=plan.window)  # type: ignore[arg-type]
    held = [row for row in labels.iter_rows(named=True) if not row["failed"]]
    verdicts = [_verdicts(of, plan, given["judge"], feature, row["text"], scorer) for row in held]
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
        maximum=drawn.maximum,
        train=drawn.how,
    )


def _verdicts(
    of: Subject, plan: Plan, judge: str, feature: int, text: str, scorer: str
) -> pl.DataFrame:
    marks = plan.marks if scorer == "fuzzing" else "matched"
    drawn = plan.split, plan.negatives, plan.seed
    entry = labelling.judged.get(
        *of.arguments, feature, text, scorer, *drawn, judge, marks, plan.window
    )
    return entry.frame("verdicts")
