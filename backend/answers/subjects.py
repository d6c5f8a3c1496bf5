"""What labels are made of, and by whom: features or regions as one thing; writer, judge and
verbalizer as one set of tools."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.activations import Activations
from backend.answers import features, passages
from backend.corpus.contexts import Tokens
from backend.features import codes, logits
from backend.features.examples import silent
from backend.labels import evidence, trials, verbalizers
from backend.labels.contract import Evidence, Verbalizer, Writer
from backend.labels.costs import Cap
from backend.labels.evidence import Source
from backend.labels.judges import Judge, LikelihoodJudge, WriterJudge
from backend.labels.own_model import OwnModel
from backend.labels.server import configured
from backend.labels.trials import Trial
from backend.labels.writers import Capped, OpenAiWriter, ask_all
from backend.models import embedder as embedders
from backend.regions import lens, partitioning
from backend.schema import (
    CorpusRef,
    EmbedderRef,
    ModelRef,
    PartitionSpec,
    Plan,
    Progress,
    SaeRef,
    Site,
    Study,
    VerbalizerRef,
)
from backend.store.memo import memoize

Of = SaeRef | PartitionSpec  # whose features, or which partition's regions
AT_ONCE = 8  # requests to a server
HARD = "hard"
CANDIDATES = 200  # contexts among which hard negatives are looked for


# ---------------------------------------------------------------- who writes and judges


@dataclass(frozen=True)
class Tools:
    """The models that label and judge; none is loaded before it is asked."""

    writer: Writer
    judge: Judge
    verbalizer: Callable[[], Verbalizer]
    workers: int  # that may ask at once


def tools_of(study: Study, who: str, device: str, cap: Cap | None = None) -> Tools:
    """The study's `own` model, or the `server` that the environment names, kept within `cap`.

    Raises:
        LlmError: no server is named, or its address is no use.
    """
    verbalizer = functools.partial(
        verbalizers.load, study.verbalizer, study.model, study.site, device
    )
    if who == "own":
        own = OwnModel(study.model, device)
        return Tools(own, LikelihoodJudge(own), verbalizer, 1)
    writer: Writer = Capped(OpenAiWriter(configured()), cap or Cap())
    one_by_one = functools.partial(ask_all, workers=1)
    return Tools(writer, WriterJudge(writer, one_by_one), verbalizer, AT_ONCE)


@dataclass(frozen=True)
class Models:
    """Who takes part in labelling, by name: the part of `Tools` that keys are made of."""

    writer: str
    judge: str
    verbalizer: VerbalizerRef
    embedder: EmbedderRef


def models_of(study: Study, tools: Tools) -> Models:
    return Models(tools.writer.name, tools.judge.name, study.verbalizer, study.embedder)


# ---------------------------------------------------------------- how it is drawn and judged


@dataclass(frozen=True)
class Sampling:
    """How evidence is drawn; `embedder` looks for hard negatives, None where others are drawn."""

    split: str = "range"
    negatives: str = "other"
    seed: int = 0
    embedder: EmbedderRef | None = None

    @property
    def train(self) -> Sampling:
        """As far as train depends on it, and so a label."""
        return Sampling(self.split, "other", self.seed)


def sampling_of(plan: Plan, embedder: EmbedderRef) -> Sampling:
    return Sampling(
        plan.split, plan.negatives, plan.seed, embedder if plan.negatives == HARD else None
    )


@dataclass(frozen=True)
class Setting:
    """How a judge is asked about a label."""

    scorer: str  # detection or fuzzing
    judge: str
    marks: str
    window: int | None


def setting_of(plan: Plan, scorer: str, judge: str = "") -> Setting:
    marks = plan.marks if scorer == "fuzzing" else "matched"
    return Setting(scorer, judge, marks, plan.window)


# ---------------------------------------------------------------- what is labelled


@dataclass(frozen=True)
class Subject:
    """What labels are made of: features or regions of a corpus, computed already."""

    model: ModelRef
    site: Site
    corpus: CorpusRef
    of: Of

    @property
    def arguments(self) -> tuple[ModelRef, Site, CorpusRef, Of]:
        return self.model, self.site, self.corpus, self.of

    @property
    def tokens(self) -> Tokens:
        return passages.tokens_of(self.model, self.corpus)

    @property
    def source(self) -> Source:
        """Raises NotFoundError where it is not computed."""
        return _source(self)

    def draw(self, number: int, sampling: Sampling) -> Evidence:
        """Raises as `evidence.draw`, and NotFoundError where hard negatives are not computed."""
        near = ()
        if sampling.negatives == HARD:
            near = hard.get(self, number, sampling).array("rows").tolist()
        drawn = sampling.split, sampling.negatives, sampling.seed
        return evidence.draw(self.source, self.tokens, number, *drawn, near)

    def trial(self, number: int, label: str, sampling: Sampling, setting: Setting) -> Trial:
        """What a judge is asked about a label, and what is true; raises as `draw`."""
        how: dict[str, Any] = {"marks": setting.marks, "window": setting.window}
        task: Any = setting.scorer  # checked with the plan
        return trials.trial(task, label, self.draw(number, sampling), "", **how)

    def promoted(self, number: int) -> tuple[tuple[str, float], ...]:
        """Tokens that its direction promotes; none where that is not computed yet."""
        if isinstance(self.of, SaeRef):
            size, entry = logits.BLOCK, logits.effects.find(
                self.model, self.of, number // logits.BLOCK
            )  # fmt: skip
        else:
            size, entry = lens.BLOCK, lens.lens.find(*self.arguments, number // lens.BLOCK)
        if entry is None:
            return ()
        row = number % size
        texts = passages.token_text(self.model, entry.array("promoted")[row])
        return tuple(zip(texts, entry.array("promoted_logits")[row].tolist(), strict=True))

    def residual(self, rows: list[int], device: str) -> np.ndarray:
        """[rows, width] float32 activations at token rows."""
        read = Activations(self.model, self.site, self.tokens, device, Progress())
        found = [read.rows(row, row + 1).float().numpy() for row in rows]
        return np.concatenate(found)


@memoize("labels.hard_negatives", version=1)
def hard(
    subject: Subject, number: int, sampling: Sampling, *, device: str, progress: Progress
) -> dict[str, Any]:
    """`rows`: first tokens of contexts in which this one is silent, of `CANDIDATES` at random those
    nearest to the mean of its train excerpts, nearest first."""
    assert sampling.embedder
    progress.report(0, 1, "Looking for hard negatives")
    column, tokens = subject.source.column(number), subject.tokens
    found = silent(column, tokens, CANDIDATES, sampling.seed).tokens
    texts = [evidence.excerpt(tokens, column, int(row), fires=False).text for row in found]
    encoder = embedders.load(sampling.embedder, device)
    train = subject.draw(number, sampling.train).train
    middle = encoder.embed([one.text for one in train]).mean(axis=0)
    order = np.argsort(-(encoder.embed(texts) @ middle), kind="stable")
    return {"rows": np.asarray(found)[order[: evidence.TEST]]}


def features_of(study: Study) -> Subject:
    """The study's features; raises NotFoundError where they are not computed."""
    return Subject(*features.read_or_raise(study).arguments)


@functools.lru_cache(maxsize=4)
def _source(subject: Subject) -> Source:
    if isinstance(subject.of, SaeRef):
        return evidence.of_features(codes.index.get(*subject.arguments))
    return evidence.of_regions(partitioning.build_partition.get(*subject.arguments))
