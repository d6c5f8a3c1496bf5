"""What people judge, blind: which label they prefer, which excerpts a label fits, which of two
texts verbalizes an activation. A yardstick for models that do the same."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any, TypeVar

import numpy as np
import polars as pl

from backend.annotations.blind_answers import add_answer, latest_answers, next_items
from backend.experiments import runs
from backend.experiments.runs import Results
from backend.experiments.views import Guess, Task
from backend.labels import scorers
from backend.labels import steps as label_steps
from backend.labels.judges import Verdicts
from backend.labels.subjects import features_of, setting_of
from backend.labels.tables import Score
from backend.labels.trials import Trial
from backend.query import action, lookup
from backend.schema import NotFoundError, Study
from backend.statistics.intervals import mean_interval, wilson

T = TypeVar("T")
VOTES = pl.Schema(
    {
        "method": pl.String,
        "other": pl.String,
        "preferred": pl.Int64,
        "n": pl.Int64,
        "share": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
    }
)


# ---------------------------------------------------------------- which label is better


@action
def vote(
    study: Study, run: str, person: str, feature: int, preferred: str, over: Sequence[str]
) -> None:
    """Keeps which method's label a person prefers, not knowing whose it is; "": none."""
    value = {"item": feature, "preferred": preferred, "over": list(over)}
    add_answer("vote", study, run, person, value)


@lookup
def votes(study: Study, run: str) -> pl.DataFrame:
    """How often each method's label was preferred to each other's, blind; everybody's last word."""
    wins: dict[tuple[str, str], int] = {}
    for event in latest_answers("vote", study, run).values():
        won = [event.value["preferred"]] if event.value["preferred"] else []
        for pair in product(won, event.value["over"]):
            wins[pair] = wins.get(pair, 0) + 1
    pairs = sorted({tuple(sorted(pair)) for pair in wins})
    rows = []
    for one, other in pairs:
        count = wins.get((one, other), 0)
        n = count + wins.get((other, one), 0)
        rows.append((one, other, *_share(count, n)))
    return pl.DataFrame(rows, schema=VOTES, orient="row")


# ---------------------------------------------------------------- a person as detector


def _trial(study: Study, ended: Results, feature: int, text: str) -> Trial:
    setting = setting_of(ended.plan, "detection")
    return features_of(study).trial(feature, text, ended.sampling, setting)


@lookup
def detection_task(study: Study, run: str, person: str, after: Sequence[str] = ()) -> Task:
    """The next label to judge excerpts by, with nothing that tells whose it is or what is true;
    `after` are items that come before it.

    Raises:
        NotFoundError: nobody is named.
    """
    ended = runs.labelled(study, run)
    items = _items(ended.labels)
    rest, done, total = next_items("verdicts", study, run, person, list(items))
    item = next((each for each in rest if each not in after), "")
    if not item:
        return Task("", "", (), done, total)
    feature, _, text = items[item]
    question = _trial(study, ended, feature, text).question
    return Task(item, question.label, question.texts, done, total)


def _items(labels: pl.DataFrame) -> dict[str, tuple[int, str, str]]:
    """Feature, method and text of each label that did not fail, by a name that tells nothing: it
    stands in the address of the page."""
    valid = labels.filter(pl.col("failed") == "").select("feature", "method", "text")
    return {
        hashlib.sha256(f"{f} {m}".encode()).hexdigest()[:12]: (f, m, t) for f, m, t in valid.rows()
    }


@action
def answer_detection(
    study: Study, run: str, person: str, item: str, fits: Sequence[int | None], uid: str = ""
) -> None:
    """Keeps which excerpts of an item a label fits, in their order; None: could not tell. What is
    sent twice (`uid`) is kept once.

    Raises:
        NotFoundError: nobody is named, or there is no such item, or not as many excerpts.
    """
    ended = runs.labelled(study, run)
    feature, _, text = _known(_items(ended.labels), item)
    if len(fits) != len(_trial(study, ended, feature, text).truth):
        raise NotFoundError(
            f"The item has other than {len(fits)} excerpts.", "Judge it as it is on the page."
        )
    add_answer("verdicts", study, run, person, {"item": item, "answers": list(fits)}, uid)


def _known(items: dict[str, T], item: str) -> T:
    if item not in items:
        raise NotFoundError(f"There is no item {item!r} in this experiment.", "Reload the page.")
    return items[item]


@lookup
def detection_scores(study: Study, run: str) -> pl.DataFrame:
    """Who judged, on how many labels: mean balanced accuracy with interval, and that of the
    experiment's judge on the same labels. Columns: who, mean, low, high, labels, n, failures."""
    ended = runs.labelled(study, run)
    labels = _items(ended.labels)
    by_person: dict[str, list[Score]] = {}
    for (person, item), event in sorted(latest_answers("verdicts", study, run).items()):
        feature, method, text = labels[item]
        verdicts = Verdicts(tuple(event.value["answers"]))
        score = scorers.scored(_trial(study, ended, feature, text), verdicts, person)[0]
        by_person.setdefault(person, []).append(replace(score, method=method))
    rows = []
    model = ended.scores.filter(of="label", scorer="detection")
    for person, scored in by_person.items():
        own = scorers.table(scored)
        same = model.join(own, on=["feature", "method"], how="semi", maintain_order="left")
        parts = {person: own, f"the model, on the same labels as {person}": same}
        for who, part in parts.items():
            if not len(part):  # it did not judge by detection
                continue
            values = part["value"].drop_nulls()
            ends = mean_interval(values)
            rows.append((who, *ends, len(values), part["n"].sum(), part["failures"].sum()))
    names = ("who", "mean", "low", "high", "labels", "n", "failures")
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


# ------------------------------------------------------- which text verbalizes the activation


def _verbalizations(study: Study, run: str) -> dict[str, dict[str, Any]]:
    """Every verbalized peak of an experiment by its name."""
    ended = runs.labelled(study, run)
    subject, rows = features_of(study), {}
    for feature in ended.features:
        for row in ended.texts_at_peaks(subject, feature):
            for control in label_steps.CONTROLS:
                if row["real"].strip() != row[control].strip():
                    rows[f"{row['row']} {control}"] = row
    return rows


@lookup
def verbalization_task(study: Study, run: str, person: str, after: Sequence[str] = ()) -> Guess:
    """A text of the corpus and two verbalizations, one of its activation, one of a control;
    `after` are items that come before it.

    Raises:
        NotFoundError: the experiment asked no verbalizer, or nobody is named.
    """
    rows = _verbalizations(study, run)
    if not rows:
        raise NotFoundError(
            "This experiment put no activation into words.",
            "Choose one with baez among its methods.",
        )
    rest, done, total = next_items("guess", study, run, person, list(rows))
    item = next((each for each in rest if each not in after), "")
    if not item:
        return Guess("", "", ("", ""), done, total)
    row, control = rows[item], item.split(" ")[1]
    pair = row["real"], row[control]
    return Guess(item, row["context"], pair if _real_first(item) else pair[::-1], done, total)


def _real_first(item: str) -> bool:
    return bool(np.random.default_rng(list(item.encode())).integers(2))


@action
def answer_verbalization(
    study: Study, run: str, person: str, item: str, which: int, uid: str = ""
) -> None:
    """Keeps which of two verbalizations (0, 1) a person took for the activation's. What is sent
    twice (`uid`) is kept once.

    Raises:
        NotFoundError: nobody is named, or there is no such item.
    """
    _known(_verbalizations(study, run), item)
    value = {"item": item, "right": (which == 0) == _real_first(item)}
    add_answer("guess", study, run, person, value, uid)


@lookup
def verbalization_scores(study: Study, run: str) -> pl.DataFrame:
    """control, person, right, n, share, low, high: how often people told the real text."""
    counts: dict[tuple[str, str], list[bool]] = {}
    for (person, item), event in latest_answers("guess", study, run).items():
        counts.setdefault((item.split(" ")[1], person), []).append(event.value["right"])
    rows = [(*key, *_share(sum(right), len(right))) for key, right in sorted(counts.items())]
    names = ("control", "person", "right", "n", "share", "low", "high")
    return pl.DataFrame(rows, schema=names, orient="row")


def _share(count: int, n: int) -> tuple[int, int, float, float, float]:
    """count, n, count / n and its 95% interval."""
    low, high = wilson(count, n)
    return count, n, count / n, float(low), float(high)
