"""What the files of a baez experiment hold, line by line.

Names of fields are those that the scripts of `enricobottazzi/autointerp_baez` write and read, which
were looked up in its code; its data could not be, so of a Neuronpedia feature only what the code
uses is sure. Marked `ours` is what the scripts pass over and Tessera needs to read back what it
wrote.
"""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from backend.labels.contract import Excerpt, Negatives, Split
from backend.labels.interchange.records import Amount, Name, Record, Whole

FILES = re.compile(
    r"(features|nla_examples|labels|scores)\.jsonl|scores_flat\.csv"
    r"|label_distance__[^/]*__vs__[^/]*\.csv|raw/feature_\d+\.json"
)
LABEL = "label__"  # in the head of a distance file: column of a method's labels


def raw_name(feature: int) -> str:
    return f"raw/feature_{feature}.json"


class Line(Record):
    """What every line begins with; `layer` is Neuronpedia's source id."""

    index: Whole
    layer: str
    model_id: str


class FeatureLine(Line):
    raw_path: str = ""
    sampled_at: str = ""


# ---------------------------------------------------------------- raw/feature_<index>.json


class Silent(Record):
    """A context with activations."""

    tokens: list[str] = Field(min_length=1)
    values: list[float]
    row: Whole | None = None  # ours

    @model_validator(mode="after")
    def _one_value_a_token(self) -> Silent:
        if len(self.values) != len(self.tokens):
            raise ValueError(f"{len(self.values)} values for {len(self.tokens)} tokens")
        return self

    @property
    def peak(self) -> int:
        return -1

    @property
    def excerpt(self) -> Excerpt:
        return Excerpt(self.row or 0, tuple(self.tokens), tuple(self.values), self.peak)


class Activation(Silent):
    """One in which the feature fires."""

    strongest: float | None = Field(default=None, alias="maxValue")
    at: Whole | None = Field(default=None, alias="maxValueTokenIndex")
    part: Literal["train", "test"] | None = None  # ours

    @model_validator(mode="after")
    def _peaks_inside(self) -> Activation:
        if self.at is not None and self.at >= len(self.tokens):
            raise ValueError(f"maxValueTokenIndex {self.at} of {len(self.tokens)} tokens")
        return self

    @property
    def peak(self) -> int:
        return self.values.index(max(self.values)) if self.at is None else self.at

    @property
    def strength(self) -> float:
        return self.values[self.peak] if self.strongest is None else self.strongest


class OwnEvidence(Record):
    """Ours: what `Evidence` has besides train and test, the negatives among it, which the scripts
    draw anew."""

    maximum: float
    negatives: list[Silent]
    foreign: list[list[float]]
    split: Split
    kind: Negatives
    seed: int
    how: str

    @model_validator(mode="after")
    def _marks_each_negative(self) -> OwnEvidence:
        if list(map(len, self.foreign)) != [len(each.tokens) for each in self.negatives]:
            raise ValueError("foreign values do not fit the negatives")
        return self


class Raw(Record):
    index: Whole | None = None
    activations: list[Activation]
    evidence: OwnEvidence | None = None  # ours

    @model_validator(mode="after")
    def _is_whole(self) -> Raw:
        excerpts = [*self.activations, *(self.evidence.negatives if self.evidence else [])]
        if self.evidence and any(each.row is None for each in excerpts):
            raise ValueError("evidence without the row of each excerpt")
        if self.evidence and any(each.part is None for each in self.activations):
            raise ValueError("evidence without the part of each activation")
        return self


# ---------------------------------------------------------------- nla_examples, labels


class Example(Record):
    text: str
    activation: Whole


class NlaLine(Line):
    examples: list[Example]
    ranks: list[Whole] | None = None  # ours: of the examples, where one is missing

    @model_validator(mode="after")
    def _ranks_all(self) -> NlaLine:
        if self.ranks is not None and len(self.ranks) != len(self.examples):
            raise ValueError(f"{len(self.ranks)} ranks for {len(self.examples)} examples")
        return self


class Result(Record):
    explanation: str
    detail: str = ""  # this and the rest: ours
    failed: str | None = None
    n: Whole | None = None
    seconds: Amount | None = None


class LabelLine(Line):
    method: Name
    explanation_model: str | None = None
    result: Result


# ---------------------------------------------------------------- scores and distances


class Mean(Record):
    """An accuracy, or of embeddings a gap."""

    accuracy: float | None = None
    gap: float | None = None
    n: Whole | None = None


class Summary(Record):
    detection: Mean | None = None
    fuzz: Mean | None = None
    embedding: Mean | None = None


class ScoreRow(Record):
    """The columns of `SCORES`."""

    of: Literal["label", "shuffled", "empty"]
    label: str
    feature: Whole
    method: str
    scorer: str
    judge: str
    n: Whole | None
    tp: Whole | None
    fp: Whole | None
    tn: Whole | None
    fn: Whole | None
    failures: Whole | None
    value: float | None
    low: float | None
    high: float | None
    chance: float | None
    interval: str
    split: str
    kind: str
    setting: str
    seed: Whole | None


class ScoreLine(Line):
    method: Name
    explanation_model: str | None = None
    scorer_model: str | None = None
    scores: Summary
    rows: list[ScoreRow] | None = None  # ours


class FlatRow(Record):
    """Of `scores_flat.csv`: everything is text, "" where there is none."""

    index: Whole
    method: Name
    explanation_model: str = ""
    scorer_model: ClassVar[str] = ""  # which it does not say
    detection_accuracy: float | None = Field(default=None, strict=False)
    fuzz_accuracy: float | None = Field(default=None, strict=False)
    embedding_gap: float | None = Field(default=None, strict=False)

    @property
    def scores(self) -> Summary:
        return Summary(
            detection=Mean(accuracy=self.detection_accuracy),
            fuzz=Mean(accuracy=self.fuzz_accuracy),
            embedding=Mean(gap=self.embedding_gap),
        )


class DistanceRow(Record):
    site: str
    feature: Whole = Field(alias="feature_key")  # its last part
    text: str
    other_text: str
    cosine_distance: Amount
