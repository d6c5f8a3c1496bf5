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
from backend.labels import evidence, verbalizers
from backend.labels.contract import Evidence, Verbalizer, Writer
from backend.labels.costs import Cap
from backend.labels.evidence import Source
from backend.labels.judges import Judge, LikelihoodJudge, WriterJudge
from backend.labels.own_model import OwnModel
from backend.labels.server import configured
from backend.labels.writers import Capped, OpenAiWriter, ask_all
from backend.models import embedder as embedders
from backend.regions import lens, partition
from backend.schema import (
    CorpusRef,
    EmbedderRef,
    ModelRef,
    PartitionSpec,
    Progress,
    SaeRef,
    Site,
    Study,
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
        step = codes.index if isinstance(self.of, SaeRef) else partition.partition
        return _source(step.digest(*self.arguments), isinstance(self.of, SaeRef))

    def draw(self, number: int, split: str, kind: str, seed: int) -> Evidence:
        """`kind` as `kind_of` gives it; raises as `evidence.draw`, and NotFoundError where hard
        negatives are not computed."""
        near, named = (), kind
        if kind.startswith(HARD):
            near, named = hard.get(*self.arguments, number, seed, kind).array("rows").tolist(), HARD
        return evidence.draw(self.source, self.tokens, number, split, named, seed, near)

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


@memoize(version=1)
def hard(
    model: ModelRef,
    site: Site,
    corpus: CorpusRef,
    of: Of,
    number: int,
    seed: int,
    kind: str,
    *,
    inputs: EmbedderRef,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """`rows`: first tokens of contexts in which this one is silent, of `CANDIDATES` at random those
    nearest to the mean of its train excerpts, nearest first, by the embedder that `kind` names."""
    del kind  # that of `inputs`
    progress.report(0, 1, "Looking for hard negatives")
    subject = Subject(model, site, corpus, of)
    drawn = subject.draw(number, "range", "silent", seed)
    found = silent(subject.source.column(number), subject.tokens, CANDIDATES, seed).tokens
    column = subject.source.column(number)
    texts = [evidence.excerpt(subject.tokens, column, int(row), fires=False).text for row in found]
    encoder = embedders.load(inputs, device)
    middle = encoder.embed([one.text for one in drawn.train]).mean(axis=0)
    order = np.argsort(-(encoder.embed(texts) @ middle), kind="stable")
    return {"rows": np.asarray(found)[order[: evidence.TEST]]}


def kind_of(embedder: EmbedderRef, negatives: str) -> str:
    """What names negatives in keys: hard ones depend on the embedder."""
    return f"{HARD} {embedder.source}@{embedder.revision}" if negatives == HARD else negatives


def features_of(study: Study) -> Subject:
    """The study's features; raises NotFoundError where they are not computed."""
    return Subject(*features.read_or_raise(study).arguments)


@functools.lru_cache(maxsize=4)
def _source(digest: str, features: bool) -> Source:
    entry = (codes.index if features else partition.partition).at(digest)
    if entry is None:
        return evidence.Source("feature" if features else "region", np.zeros(1), *[np.empty(0)] * 2)
    return evidence.of_features(entry) if features else evidence.of_regions(entry)
