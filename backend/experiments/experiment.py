"""Labelling experiments: some features, several methods, several scorers, and what it comes to.

After the *baez* post: methods side by side on the same features and the same held-out excerpts,
with labels that know nothing beside them. Every label and every judgement is kept by itself, so
an experiment that was stopped goes on where it was, and pays for nothing twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from backend.experiments.steps import ExperimentSteps, judged_texts
from backend.experiments.views import CONTROLS, MEANS
from backend.labels import explainers, scorers, tables
from backend.labels import steps as label_steps
from backend.labels.contract import Embedder
from backend.labels.evidence import LEAST, NEGATIVES, SPLITS
from backend.labels.kinds import SCORERS
from backend.labels.subjects import Models, Subject
from backend.labels.verbalizers import controls
from backend.models import embedder as embedders
from backend.run import current, report
from backend.schema import NotFoundError, Plan, check_number
from backend.statistics.intervals import wilson
from backend.store.memo import memoize

FEWEST, MOST = 2, 500  # features


def check(plan: Plan) -> None:
    """Raises NotFoundError where a plan names what there is not."""
    wrong = [
        *(f"a method {name!r}" for name in plan.methods if name not in explainers.EXPLAINERS),
        *(f"a scorer {name!r}" for name in plan.scorers if name not in SCORERS),
        *([f"a split {plan.split!r}"] if plan.split not in SPLITS else []),
        *([f"negatives {plan.negatives!r}"] if plan.negatives not in NEGATIVES else []),
        *([f"marks {plan.marks!r}"] if plan.marks not in ("matched", "post") else []),
    ]
    if wrong:
        raise NotFoundError(
            f"There is not {', '.join(wrong)}.",
            f"Methods: {', '.join(explainers.EXPLAINERS)}. Scorers: {', '.join(SCORERS)}. Splits: "
            f"{', '.join(SPLITS)}. Negatives: {', '.join(NEGATIVES)}. Marks: matched, post.",
        )
    if not plan.methods or not plan.scorers:
        raise NotFoundError("Nothing is asked for.", "Choose a method and a scorer at least.")
    if not FEWEST <= plan.features <= MOST:
        raise NotFoundError(
            f"An experiment cannot be on {plan.features} feature{'s' * (plan.features != 1)}.",
            f"Choose {FEWEST} to {MOST}: each label is compared with that of another feature.",
        )
    if plan.window is not None and plan.window < 1:
        raise NotFoundError(
            f"A judge cannot be shown a window of {plan.window} tokens.", "Choose 1 or more."
        )
    if plan.marks == "post" and plan.negatives != "other":
        raise NotFoundError(
            "Marks as in the post stand where a negative's own feature fires.",
            "Choose negatives of other features, or matched marks.",
        )


def sample(subject: Subject, plan: Plan) -> list[int]:
    """Random features that fire in enough contexts, of those the plan names or of all, as many as
    planned or there are.

    Raises:
        NotFoundError: there are not even two, or the plan names one that there is not.
    """
    for number in plan.among:
        check_number(number, len(subject.source.offsets) - 1, subject.source.what, "The study")
    candidates = subject.source.frequent()
    if plan.among:
        candidates = np.intersect1d(candidates, plan.among)
    order = np.random.default_rng([plan.seed, 3]).permutation(candidates).tolist()
    numbers = list(itertools.islice(subject.testable(order), plan.features))
    if len(numbers) < FEWEST:
        raise NotFoundError(
            f"{len(numbers)} {subject.source.what}s fire in {LEAST} contexts or more.",
            "Choose others that fire more often." if plan.among else "Read more of the corpus.",
        )
    return sorted(numbers)


@memoize("experiments.experiment", version=2)
def run(subject: Subject, plan: Plan, models: Models, _wordings: tuple[str, ...]) -> dict[str, Any]:
    """`labels` (`tables.LABELS`), `scores` (`tables.SCORES`), `distances` (`tables.DISTANCES`), and
    `controls`: of each kind whether the verbalizer says more than nothing, where one was asked, and
    `known`: how the judge does where the answer is known. `_wordings` (`wordings_of(plan)`) is what
    the judge is told: part of the key.

    Raises:
        LlmUnavailableError: a model cannot be asked any more; what was asked is kept.
    """
    report(0, 1, "Choosing features")
    steps = ExperimentSteps(subject, plan, models, tuple(sample(subject, plan)))
    steps.first_labels()
    verbalized = steps.verbalize()
    labels = steps.labels()
    current().progress.milestone()  # people can judge and compare them from here on
    calibration = steps.test_judge()
    steps.prepare()
    texts = judged_texts(labels, plan)
    scores = steps.scores([(text, scorer) for scorer in plan.scorers for text in texts])
    report(0, 1, "Comparing labels")
    encoder = embedders.load(models.embedder, current().device)
    at_peaks = [entry.frame("texts") for entry in verbalized]
    return {
        "labels": labels,
        "scores": scores,
        "distances": tables.distances(labels, encoder.embed),
        "controls": told_apart(at_peaks, encoder),
        "known": calibration.frame("known"),
    }


def told_apart(texts: Sequence[pl.DataFrame], embedder: Embedder) -> pl.DataFrame:
    """`CONTROLS`: how often the embedder tells what was said of an activation from what was said
    of a control. Peaks of one feature are alike, so the interval is Wilson's with features as n:
    wider than need be."""
    if not texts:
        return pl.DataFrame(schema=CONTROLS)
    whole = pl.concat(texts)
    others = {kind: whole[kind].to_list() for kind in label_steps.CONTROLS if any(whole[kind])}
    results = controls.compare(
        whole["real"].to_list(), others, whole["context"].to_list(), embedder
    )
    ends = np.cumsum([len(part) for part in texts])[:-1]
    rows = []
    for kind, items in results.items():
        means = [float(part.mean()) for part in np.split(np.asarray(items), ends)]
        low, high = wilson(sum(means), len(means))
        ties = items.count(controls.CHANCE)
        share = sum(means) / len(means)
        rows.append((kind, len(means), len(items), share, float(low), float(high), ties))
    return pl.DataFrame(rows, schema=CONTROLS, orient="row")


def summary(scores: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """`means` (`MEANS`), labels and controls apart; `differences` of labels
    (`tables.DIFFERENCES`); `gains`, the same of each method's labels less those labels given to
    other features."""
    parts = [
        scorers.summary(part).with_columns(of=pl.lit(str(control)))
        for (control,), part in scores.group_by("of", maintain_order=True)
    ]
    pairs = scores.filter(pl.col("of") != "empty").group_by("method", maintain_order=True)
    gains = [
        scorers.differences(part.with_columns(method="of")).with_columns(method=pl.lit(str(method)))
        for (method,), part in pairs
    ]
    return {
        "means": pl.concat([pl.DataFrame(schema=MEANS), *parts]),
        "differences": scorers.differences(scores.filter(of="label")),
        "gains": pl.concat([pl.DataFrame(schema=tables.DIFFERENCES), *gains]),
    }
