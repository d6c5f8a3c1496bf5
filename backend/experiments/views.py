"""What is shown of labelling experiments. Every table's columns are given beside it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import polars as pl

from backend.labels.tables import DIFFERENCES, DISTANCES, LABELS, SCORES, SUMMARY
from backend.schema import Job, Plan, conform
from backend.store.views import Provenance

MEANS = pl.Schema({**SUMMARY, "of": pl.String})
CONTROLS = pl.Schema(
    {
        "control": pl.String,
        "features": pl.Int64,
        "n": pl.Int64,  # peaks
        "share": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "ties": pl.Int64,
    }
)
CALIBRATION = pl.Schema(
    {
        "scorer": pl.String,
        "mean": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "words": pl.Int64,
        "n": pl.Int64,
        "failures": pl.Int64,
    }
)


@dataclass(frozen=True)
class Quote:
    """What a run asks for at most; `cost` in the currency of the prices, None where unknown."""

    features: int
    calls: int
    prompt_tokens: int
    reply_tokens: int
    cost: float | None
    how: str
    left_out: tuple[int, ...] = ()  # features that the plan names and that fire in too few contexts


@dataclass(frozen=True)
class Run:
    """An experiment that was started: its name in links, and what it is."""

    run: str
    plan: Plan
    writer: str
    judge: str
    created: float  # Unix seconds
    done: bool = False
    job: Job | None = None  # of one that has not ended well


@dataclass(frozen=True)
class Experiment:
    """What a labelling experiment came to; the metadata of each table are its columns."""

    run: str
    plan: Plan
    writer: str
    judge: str
    labels: pl.DataFrame = field(metadata=LABELS)
    scores: pl.DataFrame = field(metadata=SCORES)
    means: pl.DataFrame = field(metadata=MEANS)  # over features
    differences: pl.DataFrame = field(metadata=DIFFERENCES)  # of two methods, same features
    # of a method's labels less those given to other features
    gains: pl.DataFrame = field(metadata=DIFFERENCES)
    distances: pl.DataFrame = field(metadata=DISTANCES)
    controls: pl.DataFrame = field(metadata=CONTROLS)  # of the verbalizer; empty where none spoke
    known: pl.DataFrame = field(metadata=CALIBRATION)  # the judge where the answer is known
    provenance: Provenance

    def __post_init__(self) -> None:
        for each in fields(self):
            if each.metadata:
                conform(getattr(self, each.name), pl.Schema(each.metadata))


# of `Experiment`, by their names
TABLES = {each.name: pl.Schema(each.metadata) for each in fields(Experiment) if each.metadata}


@dataclass(frozen=True)
class ExperimentImport:
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
    answers: tuple[int | None, ...]  # of each method: 1 it fits, 0 not, None failed or not yet
    probabilities: tuple[float | None, ...]


@dataclass(frozen=True)
class Comparison:
    """One feature's labels side by side, on the same held-out excerpts where these are known."""

    feature: int
    scorer: str
    labels: pl.DataFrame  # LABELS
    methods: tuple[str, ...]  # whose labels did not fail, in the order of `answers`
    items: tuple[Judgement, ...]  # none of an imported experiment
    judged: bool  # whether the scorer says of each excerpt whether a label fits
    scores: pl.DataFrame  # SCORES of its labels and of the empty one
    maximum: float  # the feature's strongest activation
    train: str  # how the evidence was drawn
    human: pl.DataFrame  # LABELS, by hand


@dataclass(frozen=True)
class Task:
    """A label to judge excerpts by, blind; `item` is empty where a round is done."""

    item: str
    label: str
    texts: tuple[str, ...]
    done: int
    total: int


@dataclass(frozen=True)
class Guess:
    """A text up to a token, and two texts of which one was said of the activation there."""

    item: str
    context: str
    texts: tuple[str, str]
    done: int
    total: int
