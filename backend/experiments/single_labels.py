"""Labels of one feature or region by every method, and how well they tell its contexts from
others: what the Features and Regions pages show. They are an experiment on one number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import polars as pl

from backend.annotations.hand_labels import HUMAN, labels_of
from backend.experiments import experiment, workload
from backend.experiments.steps import ExperimentSteps, JudgedText, judged_texts
from backend.labels import evidence, explainers, tables
from backend.labels import steps as label_steps
from backend.labels.subjects import (
    Models,
    Sampling,
    Subject,
    exact,
    models_of,
    sampling_of,
    subject_of,
)
from backend.labels.views import METHOD_LABELS, PEAK_TEXTS, Labels, LabelScores
from backend.labels.words import LabelRequest
from backend.query import query
from backend.regions import matching
from backend.schema import NotFoundError, Partition, Plan, SaeRef, Study, conform
from backend.store import queue
from backend.store.rates import Part

# ---------------------------------------------------------------- what is known


@query("What is labelled", priority=queue.SHORT)
def labels(study: Study, request: LabelRequest) -> Labels:
    """Labels of a feature or region by every method, as far as they are known; those that ask
    nobody always are."""
    subject = subject_of(study, request.kind, request.p, request.k)
    number, sampling = request.number, Sampling(request.split, seed=request.seed)
    by_hand = _by_hand(study, number, subject)
    try:
        excerpts = subject.draw(number, sampling)
    except evidence.TooFewError as error:
        known = pl.DataFrame(by_hand, schema=METHOD_LABELS, orient="row")
        return Labels(number, known, error.problem, "", pl.DataFrame(schema=PEAK_TEXTS))
    models = models_of(study, request.who)
    rows = [_label_row(subject, number, name, sampling, models) for name in explainers.EXPLAINERS]
    # what nobody asked for is not there, and the answer is good without it
    entry = label_steps.verbalize.find(subject, number, sampling, models.verbalizer)
    return Labels(
        number,
        pl.DataFrame([*by_hand, *rows], schema=METHOD_LABELS, orient="row"),
        excerpts.how,
        models.writer.name,
        conform(entry.frame("texts"), PEAK_TEXTS) if entry else pl.DataFrame(schema=PEAK_TEXTS),
    )


def _by_hand(study: Study, number: int, subject: Subject) -> list[tuple[Any, ...]]:
    """What people call a feature; of a region, what they call the feature that fits it best: rows
    of `METHOD_LABELS`."""
    words = ""
    if not isinstance(subject.of, SaeRef):
        match = _best_match(study, number, subject.partition)
        if match is None:
            return []
        number, f1 = match
        words = f"feature {number}, which fits the region best (F1 {f1:.2f}), "
    rows = []
    for row in labels_of(study).filter(feature=number).iter_rows(named=True):
        reason = f": {row['failed']}" if row["failed"] else ""
        rows.append((HUMAN, row["text"], f"{words}by {row['writer']}{reason}", 0, True))
    return rows


def _best_match(study: Study, region: int, partition: Partition) -> tuple[int, float] | None:
    if study.sae is None:
        return None
    entry = matching.match.find(partition, study.sae)
    best = entry.frame("by_region").filter(region=region).head(1) if entry else pl.DataFrame()
    return (int(best["feature"][0]), float(best["f1"][0])) if len(best) else None


def known_labels(
    subject: Subject, numbers: Sequence[int], plan: Plan, models: Models
) -> pl.DataFrame:
    """`tables.LABELS` of some features or regions by the plan's methods, as far as they are known:
    what would have to be written is left out.

    Raises:
        TooFewError: one fires in too few contexts.
    """
    sampling = Sampling(plan.split, seed=plan.seed)
    rows = []
    for number, method in product(numbers, plan.methods):
        _, text, detail, n, known = _label_row(subject, number, method, sampling, models)
        if known:
            failed = "" if text else detail
            rows.append((number, method, "", text, detail, failed, n, None))
    return pl.DataFrame(rows, schema=tables.LABELS, orient="row")


def _label_row(
    subject: Subject, number: int, method: str, sampling: Sampling, models: Models
) -> tuple[Any, ...]:
    """A row of `METHOD_LABELS`."""
    explainer = explainers.EXPLAINERS[method]
    if not explainer.needs:
        (label,) = label_steps.count(subject, number, [explainer], sampling)
        return method, label.text, label.detail or label.failed, label.n, True
    author = label_steps.author_of(method, models)
    entry = label_steps.explain.find(subject, number, author, sampling)
    if entry is None:
        return method, "", explainer.help, 0, False
    detail = entry.value("detail") or entry.value("failed")
    return method, entry.value("text"), detail, entry.value("n"), True


# ---------------------------------------------------------------- by models, and their scores


def _left(study: Study, request: LabelRequest, methods: str) -> list[Part]:
    """What labels of one have still to ask."""
    request, plan = _checked(study, request, methods)
    subject = subject_of(study, request.kind, request.p, request.k)
    models = models_of(study, request.who)
    only_labels = replace(plan, scorers=())
    return workload.left(ExperimentSteps(subject, only_labels, models, (request.number,)))


def _left_to_judge(study: Study, request: LabelRequest, methods: str) -> list[Part]:
    """The same with their scores; of the one that lends its labels, those labels."""
    request, plan = _checked(study, request, methods)
    steps = _judging(study, request, plan)
    return workload.left(steps, numbers=steps.numbers[:1])


@query("Labels of one feature or region", priority=queue.PAGE, work=_left)
def write_labels(study: Study, request: LabelRequest, methods: str) -> pl.DataFrame:
    """Labels of one feature or region by the methods named (by commas): feature (or region, in
    the same column), method, writer, text, detail, failed, n, seconds."""
    request, plan = _checked(study, request, methods)
    with write_labels.asking(study, request, methods):
        subject = subject_of(study, request.kind, request.p, request.k)
        steps = ExperimentSteps(subject, plan, models_of(study, request.who), (request.number,))
        subject.draw(request.number, steps.sampling.train)
        steps.verbalize()
        return steps.labels()


@query("Labels and their scores", priority=queue.PAGE, work=_left_to_judge)
def label_scores(study: Study, request: LabelRequest, methods: str) -> LabelScores:
    """Detection, fuzzing and embedding scores on held-out contexts of labels by some methods (with
    commas between), and of controls."""
    request, plan = _checked(study, request, methods)
    with label_scores.asking(study, request, methods):
        steps = _judging(study, request, plan)
        command = f"label_scores --study {study.name} --number {request.number}"
        if request.kind == "region":
            spec = steps.subject.partition.spec
            command += f" --kind region --p {spec.p:g} --k {spec.k:g}"
        return _scores(steps, f"{command} --methods {methods}")


def _judging(study: Study, request: LabelRequest, plan: Plan) -> ExperimentSteps:
    """The steps for one feature or region, and another that lends its labels as controls."""
    subject = subject_of(study, request.kind, request.p, request.k)
    subject.draw(request.number, sampling_of(plan, study.embedder).train)
    numbers = request.number, other_number(subject, request.number, plan.seed)
    return ExperimentSteps(subject, plan, models_of(study, request.who), numbers)


def _checked(study: Study, request: LabelRequest, methods: str) -> tuple[LabelRequest, Plan]:
    """The request of exactly this writer, since a worker with other settings than ours must not
    take another server for ours, and its plan; raises NotFoundError where that names what there is
    not."""
    request = replace(request, who=exact(study, request.who))
    names = tuple(name.strip() for name in methods.split(",") if name.strip())
    plan = Plan(methods=names, split=request.split, negatives=request.negatives, seed=request.seed)
    experiment.check(plan)
    return request, plan


def _scores(steps: ExperimentSteps, command: str) -> LabelScores:
    """Scores of the first number's labels, of the other's by the same methods, and of none."""
    steps.verbalize()
    steps.prepare()
    number = steps.numbers[0]
    texts = judged_of(steps.labels(), steps.plan, number)
    scores = steps.scores([(text, scorer) for text in texts for scorer in steps.plan.scorers])
    last = steps.judge((number, "", steps.plan.scorers[-1]))
    return LabelScores(number, scores, last.provenance(command))


def judged_of(labels: pl.DataFrame, plan: Plan, number: int) -> list[JudgedText]:
    """What is judged of one number: its labels, as controls the other's by the same methods, and
    none. Methods that gave it the same label share one control, so it is judged once."""
    texts = [each for each in judged_texts(labels, plan) if each[0] == number]
    own = {method: text for _, method, control, text in texts if control == "label"}
    shared: dict[str, str] = {}  # by label, the control of the first method that has one
    rows: list[JudgedText] = []
    for one, method, control, text in texts:
        if control == "shuffled":
            text = shared.setdefault(own[method], text)
        rows.append((one, method, control, text))
    return rows or [(number, "", "empty", "")]  # where it has no label, only none


def other_number(subject: Subject, number: int, seed: int) -> int:
    """Another that fires often enough to have a label of its own, which is lent as a control.

    Raises:
        NotFoundError: there is none.
    """
    rng = np.random.default_rng([seed, number, 1])
    order = rng.permutation(subject.source.frequent()).tolist()
    other = next(subject.testable(each for each in order if each != number), None)
    if other is None:
        raise NotFoundError(
            f"No other {subject.source.what} fires often enough to lend its label as a control.",
            "Read more of the corpus.",
        )
    return other
