"""What labels are made of, and by whom: features or regions as one thing; who writes, judges and
verbalizes, as references."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend import run
from backend.corpus import passages
from backend.corpus.activations import Activations
from backend.corpus.contexts import Tokens
from backend.features import answers as feature_answers
from backend.features import codes, logits
from backend.features.examples import peaks, silent
from backend.labels import evidence, trials
from backend.labels.contract import Evidence
from backend.labels.evidence import Sampling, Source
from backend.labels.kinds import SCORERS
from backend.labels.references import (
    OWN,
    SERVER,
    JudgeRef,
    Models,
    WriterRef,
    judge_of,
    read_writer,
)
from backend.labels.server import configured
from backend.labels.trials import Trial
from backend.labels.writers import server_ref
from backend.models import embedder as embedders
from backend.models.logits import BLOCK
from backend.regions import answers as region_answers
from backend.regions import logit_lens, partitioning
from backend.schema import (
    EmbedderRef,
    NotFoundError,
    Partition,
    PartitionSpec,
    Plan,
    Reading,
    SaeRef,
    Study,
)
from backend.store.memo import memoize

__all__ = ["Models", "Sampling", "Setting", "Subject", "features_of", "models_of", "subject_of"]

HARD = "hard"
CANDIDATES = 200  # contexts among which hard negatives are looked for


# ---------------------------------------------------------------- who writes and judges


def models_of(study: Study, who: str) -> Models:
    """Who labels and judges: the study's `own` model, the `server` that the environment names, or
    the server's model that `WriterRef.who` names.

    Raises:
        LlmError: no server is named, or its address is no use.
        NotFoundError: there is no such writer.
    """
    writer = _writer(study, who)
    return Models(writer, judge_of(writer), study.verbalizer, study.embedder)


def exact(study: Study, who: str) -> str:
    """`who` as it names the same model in every process: not "server", but which one. Jobs are
    asked for with it, so that a worker with other settings says so, and takes no other model."""
    return models_of(study, who).writer.who


def _writer(study: Study, who: str) -> WriterRef:
    if who == OWN:
        return WriterRef(OWN, study.model)
    return server_ref(configured()) if who == SERVER else read_writer(who)


# ---------------------------------------------------------------- how it is drawn and judged


def sampling_of(plan: Plan, embedder: EmbedderRef) -> Sampling:
    return Sampling(
        plan.split, plan.negatives, plan.seed, embedder if plan.negatives == HARD else None
    )


@dataclass(frozen=True)
class Setting:
    """How a judge is asked about a label."""

    scorer: str  # one that a judge is asked by
    wording: str  # of what it tells and shows: another one makes other judgements
    judge: JudgeRef | None  # None: as far as the excerpts alone depend on it
    marks: str
    window: int | None


def setting_of(plan: Plan, scorer: str, judge: JudgeRef | None = None) -> Setting:
    kind = SCORERS[scorer]
    marks = plan.marks if kind.has_marks else "matched"
    return Setting(scorer, kind.wording, judge, marks, plan.window)


def wordings_of(plan: Plan) -> tuple[str, ...]:
    """What the judge is told by each scorer of a plan."""
    return tuple(SCORERS[scorer].wording for scorer in plan.scorers)


# ---------------------------------------------------------------- what is labelled


@dataclass(frozen=True)
class Subject:
    """What labels are made of: the features of an SAE that was read over a corpus, or the regions
    of a partition."""

    reading: Reading
    of: SaeRef | PartitionSpec

    @property
    def partition(self) -> Partition:
        """Whose regions are meant."""
        assert isinstance(self.of, PartitionSpec)
        return Partition(self.reading, self.of)

    @property
    def tokens(self) -> Tokens:
        return passages.tokens_of(self.reading.model, self.reading.corpus)

    @property
    def source(self) -> Source:
        """What fires where."""
        if isinstance(self.of, SaeRef):
            return _features(codes.index(self.reading, self.of))
        return _regions(partitioning.build_partition(self.partition))

    def testable(self, numbers: Iterable[int]) -> Iterator[int]:
        """Those that fire in enough contexts for a label that can be tested."""
        return (number for number in numbers if _count_contexts(self, number) >= evidence.LEAST)

    def draw(self, number: int, sampling: Sampling) -> Evidence:
        """Raises as `evidence.draw`."""
        if sampling.negatives != HARD:
            return _draw(self, number, sampling)
        near = find_hard_negatives(self, number, sampling).array("rows").tolist()
        return evidence.draw(self.source, self.tokens, number, sampling, near)

    def trial(self, number: int, label: str, sampling: Sampling, setting: Setting) -> Trial:
        """What a judge is asked about a label, and what is true; raises as `draw`."""
        marks: Any = setting.marks  # checked with the plan
        excerpts = self.draw(number, sampling)
        return trials.trial(setting.scorer, label, excerpts, marks=marks, window=setting.window)

    def promoted(self, number: int) -> tuple[tuple[str, float], ...]:
        """Tokens that its direction promotes; none where that is not computed yet."""
        model = self.reading.model
        block, row = divmod(number, BLOCK)
        if isinstance(self.of, SaeRef):
            entry = logits.effects.find(model, self.of, block)
        else:
            entry = logit_lens.lens.find(self.partition, block)
        if entry is None:
            return ()
        texts = passages.token_text(model, entry.array("promoted")[row])
        return tuple(zip(texts, entry.array("promoted_logits")[row].tolist(), strict=True))

    def residual(self, rows: list[int]) -> np.ndarray:
        """[rows, width] float32 activations at token rows."""
        activations = Activations(self.reading.model, self.reading.site, self.tokens)
        return np.concatenate([activations.rows(row, row + 1).float().numpy() for row in rows])


@functools.lru_cache(maxsize=8192)  # asked each time somebody looks
def _count_contexts(subject: Subject, number: int) -> int:
    return len(peaks(subject.source.column(number), subject.tokens)[0])


@functools.lru_cache(maxsize=64)  # every method and scorer of a number asks for the same
def _draw(subject: Subject, number: int, sampling: Sampling) -> Evidence:
    return evidence.draw(subject.source, subject.tokens, number, sampling)


_features = functools.lru_cache(maxsize=4)(evidence.of_features)
_regions = functools.lru_cache(maxsize=4)(evidence.of_regions)


@memoize("labels.hard_negatives", version=1)
def find_hard_negatives(subject: Subject, number: int, sampling: Sampling) -> dict[str, Any]:
    """`rows`: first tokens of contexts in which this one is silent, of `CANDIDATES` at random those
    nearest to the mean of its train excerpts, nearest first."""
    assert sampling.embedder
    run.report(0, 1, "Looking for hard negatives")
    column, tokens = subject.source.column(number), subject.tokens
    candidates = silent(column, tokens, CANDIDATES, sampling.seed).tokens
    texts = [evidence.excerpt(tokens, column, int(row), fires=False).text for row in candidates]
    encoder = embedders.load(sampling.embedder, run.current().device)
    train = subject.draw(number, sampling.train).train
    middle = encoder.embed([one.text for one in train]).mean(axis=0)
    order = np.argsort(-(encoder.embed(texts) @ middle), kind="stable")
    return {"rows": np.asarray(candidates)[order[: evidence.TEST]]}


def features_of(study: Study) -> Subject:
    """The study's features; where they are not computed, the job is that of all features.

    Raises:
        ModelError: the study names no SAE.
    """
    index = feature_answers.feature_index(study)
    return Subject(index.reading, index.sae)


def subject_of(study: Study, kind: str, p: float | None, k: float | None) -> Subject:
    """The study's features (`kind` feature), or the regions at a stop of p and k (region); where
    they are not computed, the job is that of the features or the map.

    Raises:
        NotFoundError: there is no such kind.
    """
    if kind == "feature":
        return features_of(study)
    if kind == "region":
        partition = region_answers.available(study, p, k).partition
        return Subject(partition.reading, partition.spec)
    raise NotFoundError(f"There are no labels of a {kind!r}.", "Ask for a feature or a region.")
