"""Labels by every method, experiments, and people who judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from backend import study as studies_on_disk
from backend.answers import (
    decision_files,
    exchange,
    people,
    quotes,
    runs,
)
from backend.answers import labels as label_answers
from backend.labels.costs import Cap
from backend.queries.asked import names_of, partition_of, sae_of
from backend.schema import (
    Job,
    Plan,
)
from backend.views import (
    Comparison,
    Experiment,
    Guess,
    Imported,
    Labels,
    LabelScores,
    Quote,
    Run,
    Task,
)

# ---------------------------------------------------------------- labels


def label_methods() -> pl.DataFrame:
    """The methods that make labels: method, help, needs."""
    return label_answers.methods()


def labels(
    study: str,
    number: int,
    of: str = "feature",
    p: float | None = None,
    k: float | None = None,
    split: str = "range",
    seed: int = 0,
    who: str = "own",
) -> Labels:
    """Labels of a feature or region by every method, as far as they are known."""
    loaded = studies_on_disk.load(study)
    return label_answers.labels(loaded, number, partition_of(loaded, of, p, k), split, seed, who)


def ask_labels(
    study: str,
    number: int,
    methods: str,
    of: str = "feature",
    p: float | None = None,
    k: float | None = None,
    split: str = "range",
    seed: int = 0,
    who: str = "own",
) -> Job:
    """Has the methods named (by commas) label one feature or region."""
    loaded = studies_on_disk.load(study)
    plan = Plan(methods=names_of(methods), split=split, seed=seed)
    return label_answers.ask(
        loaded, number, partition_of(loaded, of, p, k), plan, who, scored=False
    )


def label_scores(
    study: str,
    number: int,
    methods: str,
    of: str = "feature",
    p: float | None = None,
    k: float | None = None,
    split: str = "range",
    negatives: str = "other",
    seed: int = 0,
    who: str = "own",
) -> LabelScores | Job:
    """Detection, fuzzing and embedding scores of labels by some methods, and of controls."""
    loaded = studies_on_disk.load(study)
    plan = Plan(methods=names_of(methods), split=split, negatives=negatives, seed=seed)
    return label_answers.scores(loaded, number, partition_of(loaded, of, p, k), plan, who)


# ---------------------------------------------------------------- experiments


def quote(study: str, plan: Plan, who: str = "own") -> Quote:
    """What an experiment asks a language model for, at most."""
    loaded = studies_on_disk.load(study)
    sae_of(loaded)
    return quotes.quote(loaded, plan, who)


def server() -> str:
    """The language model that the environment names as a server's; empty where there is none."""
    return label_answers.server()


def start(study: str, plan: Plan, who: str = "own", calls: int = 0, cost: float = 0.0) -> str:
    """Starts an experiment, or goes on with one that stopped: its name. `calls` and `cost` that
    it may not exceed; 0: no limit."""
    loaded = studies_on_disk.load(study)
    sae_of(loaded)
    return runs.start(loaded, plan, who, Cap(calls=calls or None, cost=cost or None))


def experiments(study: str) -> list[Run]:
    """Experiments of a study, those under way first, then newest first."""
    loaded = studies_on_disk.load(study)
    return [*(runs.listed(loaded) if loaded.sae else []), *exchange.listed()]


def experiment(study: str, run: str) -> Experiment | Job:
    """What an experiment came to: labels, scores, means, differences, distances, controls."""
    loaded = studies_on_disk.load(study)
    return exchange.view(run) if run.startswith(runs.IMPORTED) else runs.view(loaded, run)


def comparison(study: str, run: str, feature: int, scorer: str = "detection") -> Comparison:
    """One feature's labels side by side on the held-out excerpts they were judged by."""
    loaded = studies_on_disk.load(study)
    by_hand = decision_files.labels_of(loaded).filter(feature=feature)
    return replace(runs.comparison(loaded, run, feature, scorer), human=by_hand)


def export(study: str, run: str, format: str) -> bytes:
    """An experiment's labels as jsonl, csv, parquet or neuronpedia (zip), or all as baez (zip)."""
    return exchange.export(studies_on_disk.load(study), run, format)


def take(data: bytes) -> Imported:
    """Takes in an experiment folder of the baez post, as a zip."""
    return exchange.take(data)


# ---------------------------------------------------------------- people


def vote(
    study: str, run: str, person: str, feature: int, preferred: str, over: tuple[str, ...]
) -> None:
    """Keeps which method's label a person prefers, not knowing whose it is; "": none."""
    people.vote(studies_on_disk.load(study), run, person, feature, preferred, over)


def votes(study: str, run: str) -> pl.DataFrame:
    """How often each method's label was preferred to another's, blind."""
    return people.votes(studies_on_disk.load(study), run)


def task(study: str, run: str, person: str) -> Task:
    """The next label to judge excerpts by, blind."""
    return people.task(studies_on_disk.load(study), run, person)


def answer(study: str, run: str, person: str, item: str, fits: Sequence[int | None]) -> None:
    """Keeps which excerpts a label fits; None: could not tell."""
    people.answer(studies_on_disk.load(study), run, person, item, fits)


def detectors(study: str, run: str) -> pl.DataFrame:
    """How well people detect by labels, beside the experiment's judge on the same labels."""
    return people.detectors(studies_on_disk.load(study), run)


def guess(study: str, run: str, person: str) -> Guess:
    """A text and two verbalizations, of which one is of its activation."""
    return people.guess(studies_on_disk.load(study), run, person)


def guessed(study: str, run: str, person: str, item: str, which: int) -> None:
    """Keeps which of two verbalizations (0, 1) a person took for the activation's."""
    people.guessed(studies_on_disk.load(study), run, person, item, which)


def guesses(study: str, run: str) -> pl.DataFrame:
    """How often people told a verbalization from its control."""
    return people.guesses(studies_on_disk.load(study), run)
