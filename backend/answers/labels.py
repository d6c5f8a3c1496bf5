"""Labels of one feature or region by every method, and how well they tell its contexts from
others: what the Features and Regions pages show."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from backend.answers import (
    decision_files,
    experiments,
    labelling,
    partitions,
    provenance,
    runs,
    tasks,
)
from backend.answers.running import Running
from backend.answers.subjects import (
    Models,
    Sampling,
    Subject,
    features_of,
    models_of,
    sampling_of,
    tools_of,
)
from backend.features.examples import peaks
from backend.labels import evidence, explainers, tables
from backend.labels.server import configured
from backend.regions import matching
from backend.schema import (
    Job,
    LlmError,
    NotFoundError,
    PartitionSpec,
    Plan,
    Progress,
    Study,
)
from backend.store.memo import Entry
from backend.views import Labels, LabelScores

LABELS = pl.Schema(
    {
        "method": pl.String,
        "text": pl.String,
        "detail": pl.String,  # why, or why there is none
        "n": pl.Int64,  # excerpts
        "known": pl.Boolean,  # False: not asked yet
    }
)


def methods() -> pl.DataFrame:
    """method, help, needs: every explainer."""
    rows = [(e.name, e.help, " and ".join(e.needs)) for e in explainers.EXPLAINERS.values()]
    return pl.DataFrame(rows, schema=["method", "help", "needs"], orient="row")


def server() -> str:
    """The model that a server offers; empty where none is named."""
    try:
        return configured().model
    except LlmError:
        return ""


def subject(study: Study, spec: PartitionSpec | None) -> Subject:
    """The study's features, or the regions of a partition; raises NotFoundError where they are
    not computed."""
    if spec is None:
        return features_of(study)
    found = partitions.find(study, spec)
    if found is None:
        raise NotFoundError("The regions are not computed yet.", "Wait for their job.")
    return Subject(*found.arguments)


def labels(
    study: Study, number: int, spec: PartitionSpec | None, split: str, seed: int, who: str
) -> Labels:
    """Labels by every method, as far as they are known; those that ask nobody always are."""
    of = subject(study, spec)
    sampling = Sampling(split, seed=seed)
    try:
        drawn = of.draw(number, sampling)
    except evidence.TooFewError as error:
        held = pl.DataFrame(_by_hand(study, number, spec), schema=LABELS)
        return Labels(number, held, error.problem, "", pl.DataFrame())
    models = models_of(study, tools_of(study, who, "cpu"))
    rows = _by_hand(study, number, spec)
    rows += [_known(of, number, name, sampling, models) for name in explainers.EXPLAINERS]
    told = labelling.verbalized.find(of, number, sampling, study.verbalizer)
    said = told.frame("texts") if told else pl.DataFrame()
    return Labels(number, pl.DataFrame(rows, schema=LABELS), drawn.how, models.writer, said)


def _by_hand(study: Study, number: int, spec: PartitionSpec | None) -> list[dict[str, Any]]:
    """What people call a feature; of a region, what they call the feature that fits it best."""
    words = ""
    if spec is not None:
        found = _best_match(study, number, spec)
        if found is None:
            return []
        number, f1 = found
        words = f"feature {number}, which fits the region best (F1 {f1:.2f}), "
    return [
        {
            "method": decision_files.HUMAN,
            "text": row["text"],
            "detail": f"{words}by {row['writer']}"
            + (f": {row['failed']}" if row["failed"] else ""),
            "n": 0,
            "known": True,
        }
        for row in decision_files.labels_of(study).filter(feature=number).iter_rows(named=True)
    ]


def _best_match(study: Study, region: int, spec: PartitionSpec) -> tuple[int, float] | None:
    if study.sae is None:
        return None
    entry = matching.match.find(study.model, study.site, study.corpus, spec, study.sae)
    found = entry.frame("by_region").filter(region=region).head(1) if entry else pl.DataFrame()
    return (int(found["feature"][0]), float(found["f1"][0])) if len(found) else None


def _known(
    of: Subject, number: int, method: str, sampling: Sampling, models: Models
) -> dict[str, Any]:
    if not explainers.find(method).needs:
        label = labelling.plain(of, number, method, sampling)
        detail = label.detail or label.failed
        return {"method": method, "text": label.text, "detail": detail, "n": label.n, "known": True}
    author = labelling.author_of(method, models)
    entry = labelling.explain.find(of, number, author, sampling)
    if entry is None:
        help_text = explainers.find(method).help
        return {"method": method, "text": "", "detail": help_text, "n": 0, "known": False}
    detail = entry.value("detail") or entry.value("failed")
    text, n = entry.value("text"), entry.value("n")
    return {"method": method, "text": text, "detail": detail, "n": n, "known": True}


# ---------------------------------------------------------------- asking


def ask(
    study: Study,
    number: int,
    spec: PartitionSpec | None,
    plan: Plan,
    who: str,
    scored: bool,
) -> Job:
    """The job that labels one feature or region by the plan's methods and, if asked, judges the
    labels and their controls."""
    experiments.check(plan)
    of = subject(study, spec)
    of.draw(number, sampling_of(plan, study.embedder).train)
    tools = tools_of(study, who, "cpu")
    asked: dict[str, Any] = {
        "number": number,
        "plan": asdict(plan),
        "who": who,
        "scored": scored,
        "models": [tools.writer.name, tools.judge.name],
    }
    if spec is not None:
        asked["spec"] = asdict(spec)
    # what an experiment with this plan would be named, on this one number
    key = experiments.run.digest(of, plan, models_of(study, tools))
    return tasks.ensure("labels", study, f"{key}:{number}:{scored}", **asked)


def compute(request: tasks.Request) -> None:
    """What the job does."""
    asked, study = request.asked, request.study
    spec = request.spec if "spec" in asked else None
    of, plan = subject(study, spec), runs.read_plan(asked["plan"])
    tools = runs.checked(study, asked, request.device)
    numbers = [asked["number"]]
    if asked["scored"]:
        numbers.append(_other(of, asked["number"], plan.seed))
    models = models_of(study, tools)
    made = Running(of, plan, models, tools, request.device, request.progress, tuple(numbers))
    made.verbalize()
    made.prepare()
    if asked["scored"]:
        asking = _judged(made.labels(), numbers, plan)
        for done, each in enumerate(asking):
            request.progress.report(done, len(asking), "Judging labels", "judgements")
            made.judged(*each)
    else:
        made.labels()


def _judged(labels: pl.DataFrame, numbers: list[int], plan: Plan) -> list[tuple[int, str, str]]:
    """(number, text, scorer) of each label of the first number, with its controls."""
    own, other = numbers
    texts = {text for _, _, text in _texts(labels, own, other)}
    return [(own, text, scorer) for scorer in plan.scorers for text in sorted(texts)]


def _texts(labels: pl.DataFrame, own: int, other: int) -> list[tuple[str, str, str]]:
    """(method, of, text): each label, the other's by the same method, and none."""
    held = labels.filter(pl.col("failed") == "")
    found = []
    for method in held.filter(pl.col("feature") == own)["method"]:
        for of, number in (("label", own), ("shuffled", other)):
            part = held.filter((pl.col("feature") == number) & (pl.col("method") == method))
            found += [(method, of, text) for text in part["text"]]
    return [*found, ("", "empty", "")]


def _other(of: Subject, number: int, seed: int) -> int:
    """Another that fires often enough to have a label of its own."""
    source, tokens = of.source, of.tokens
    rng = np.random.default_rng([seed, number, 1])
    for candidate in rng.permutation(source.frequent()).tolist():
        contexts = len(peaks(source.column(candidate), tokens)[0])
        if candidate != number and contexts >= evidence.LEAST:
            return int(candidate)
    raise NotFoundError(
        f"No other {source.what} fires often enough to lend its label as a control.",
        "Read more of the corpus.",
    )


# ---------------------------------------------------------------- scores


def scores(
    study: Study, number: int, spec: PartitionSpec | None, plan: Plan, who: str
) -> LabelScores | Job:
    """How well each label that is known tells held-out contexts from others, beside its
    controls."""
    of = subject(study, spec)
    of.draw(number, sampling_of(plan, study.embedder).train)
    tools = tools_of(study, who, "cpu")
    both = number, _other(of, number, plan.seed)
    made = Running(of, plan, models_of(study, tools), tools, "cpu", Progress(), both)
    found = _scores(made)
    if found is None:
        return ask(study, number, spec, plan, who, scored=True)
    table, entry = found
    named = f"--number {number} --methods {','.join(plan.methods)}"
    which = "" if spec is None else f" --of region --p {spec.p:g} --k {spec.k:g}"
    command = f"label_scores --study {study.name} {named}{which}"
    return LabelScores(number, table, provenance.of(entry, command))


def _scores(made: Running) -> tuple[pl.DataFrame, Entry] | None:
    """Scores and the entry of one of them; None where something is missing."""
    labels = made.labels_found()
    if labels is None:
        return None
    own, other = made.numbers
    parts, last = [], None
    for method, of, text in _texts(labels, own, other):
        for scorer in made.plan.scorers:
            last = made.judged_found(own, text, scorer)
            if last is None:
                return None
            columns = {"method": method, "of": of, "label": text}
            parts.append(
                last.frame("scores").with_columns(**{n: pl.lit(v) for n, v in columns.items()})
            )
    assert last is not None
    return pl.concat(parts).select(list(tables.SCORES)), last
