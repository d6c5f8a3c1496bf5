"""What is shown of labelling experiments. Every table's columns are given beside it."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from backend.schema import Plan
from backend.store.views import Provenance


@dataclass(frozen=True)
class Quote:
    """What a run asks for at most; `cost` in the currency of the prices, None where unknown."""

    features: int
    calls: int
    prompt_tokens: int
    reply_tokens: int
    cost: float | None
    how: str


@dataclass(frozen=True)
class Run:
    """An experiment that was started: its name in links, and what it is."""

    run: str
    plan: Plan
    writer: str
    judge: str
    created: float  # Unix seconds
    done: bool = False


@dataclass(frozen=True)
class Experiment:
    """What a labelling experiment came to.

    `labels`: feature, method, writer, text, detail, failed (why there is none), n, seconds.
    `scores`: of (label, shuffled, empty), label, and the columns of a score. `means`: over
    features, by of, method, scorer, with mean, low, high, features, unscored, n, failures, chance.
    `differences`: method − other over the same features, with low, high, sd, smallest (that so
    many features could show). `gains`: the same of each method's labels less those given to other
    features. `distances`: feature, method, other, text, other_text, distance.
    `controls`: of the verbalizer: control, features, n, share, low, high, ties; empty where
    none spoke. `known`: of the judge where the answer is known (does a text hold a word?):
    scorer, mean, low, high, words, n, failures.
    """

    run: str
    plan: Plan
    writer: str
    judge: str
    labels: pl.DataFrame
    scores: pl.DataFrame
    means: pl.DataFrame
    differences: pl.DataFrame
    gains: pl.DataFrame
    distances: pl.DataFrame
    controls: pl.DataFrame
    known: pl.DataFrame
    provenance: Provenance


@dataclass(frozen=True)
class Imported:
    """An experiment taken from a file: its name, what could not be read, what to know."""

    run: str
    problems: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Judgement:
    """A held-out excerpt, and what the judge said of it for each label."""

    pieces: tuple[str, ...]
    values: tuple[float, ...]  # the feature's activations, as far as shown
    text: str  # as the judge saw it
    fires: bool  # what is true
    answers: tuple[int | None, ...]  # of each method: 1 it fits, 0 not, None failed
    probabilities: tuple[float | None, ...]


@dataclass(frozen=True)
class Comparison:
    """One feature's labels side by side on the same held-out excerpts."""

    feature: int
    scorer: str
    labels: pl.DataFrame  # of Experiment.labels, this feature's
    methods: tuple[str, ...]  # whose labels did not fail, in the order of `answers`
    items: tuple[Judgement, ...]
    scores: pl.DataFrame  # of Experiment.scores, this feature's labels and the empty one
    maximum: float  # the feature's strongest activation
    train: str  # how the evidence was drawn
    human: pl.DataFrame = field(default_factory=pl.DataFrame)  # writer, text, failed: by hand


@dataclass(frozen=True)
class Task:
    """A label to judge excerpts by, blind; `item` is empty where a round is done."""

    item: str
    label: str
    texts: tuple[str, ...]
    done: int
    of: int


@dataclass(frozen=True)
class Guess:
    """A text up to a token, and two texts of which one was said of the activation there."""

    item: str
    context: str
    texts: tuple[str, str]
    done: int
    of: int
