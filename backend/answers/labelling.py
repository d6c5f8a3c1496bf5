"""The memoized steps of labelling: what a verbalizer says, what a method calls a feature or region,
how a judge does with a label. An experiment, a feature's page and a region's share them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from backend.activations import Activations
from backend.answers import passages
from backend.corpus.contexts import Tokens
from backend.features import codes, logits
from backend.labels import evidence, explainers, scorers, verbalizers
from backend.labels.contract import Evidence, Excerpt, Verbalizer, Writer
from backend.labels.costs import Cap
from backend.labels.evidence import Source
from backend.labels.explainers import Label
from backend.labels.judges import ChooserJudge, Judge, WriterJudge
from backend.labels.own_model import OwnModel
from backend.labels.server import configured
from backend.labels.trials import trial
from backend.labels.verbalizers import controls
from backend.labels.verbalizers.neuronpedia import Neuronpedia
from backend.labels.writers import Capped, OpenAiWriter, ask_all
from backend.models import embedder as embedders
from backend.models import sae
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
    VerbalizerRef,
)
from backend.store.memo import memoize

Of = SaeRef | PartitionSpec  # whose features, or which partition's regions
AT_ONCE = 8  # requests to a server
VERBALIZED = explainers.BAEZ_EXCERPTS
CONTROLS = ("random", "other")  # instead of the real vector: one of its norm; another's peak


# ---------------------------------------------------------------- who writes and judges


@dataclass(frozen=True)
class Tools:
    """The models that label and judge; none is loaded before it is asked."""

    writer: Writer
    judge: Judge
    verbalizer: Callable[[], Verbalizer]
    workers: int  # that may ask at once


def tools(study: Study, who: str, device: str, cap: Cap | None = None) -> Tools:
    """The study's `own` model, or the `server` that the environment names, kept within `cap`.

    Raises:
        LlmError: no server is named, or its address is no use.
    """
    verbalizer = functools.partial(
        verbalizers.load, study.verbalizer, study.model, study.site, device
    )
    if who == "own":
        own = OwnModel(study.model, device)
        return Tools(own, ChooserJudge(own), verbalizer, 1)
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
        """Raises as `evidence.draw`."""
        return evidence.draw(self.source, self.tokens, number, split, kind, seed)

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


@functools.lru_cache(maxsize=4)
def _source(digest: str, features: bool) -> Source:
    entry = (codes.index if features else partition.partition).at(digest)
    if entry is None:
        return evidence.Source("feature" if features else "region", np.zeros(1), *[np.empty(0)] * 2)
    return evidence.of_features(entry) if features else evidence.of_regions(entry)


# ---------------------------------------------------------------- what a verbalizer says


@memoize(version=1)
def verbalized(
    model: ModelRef,
    site: Site,
    corpus: CorpusRef,
    of: Of,
    number: int,
    split: str,
    seed: int,
    verbalizer: VerbalizerRef,
    *,
    inputs: Tools,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """`texts`: of the strongest excerpts of train the token `row` of the peak, the excerpt up to
    there (`context`), what the verbalizer says of the residual (`real`), of a `random` vector of
    the same norm and of the peak of an `other` feature or region."""
    del verbalizer  # that of `inputs`
    progress.report(0, 1, "Putting activations into words")
    subject = Subject(model, site, corpus, of)
    drawn = subject.draw(number, split, "other", seed)
    shown = drawn.train[:VERBALIZED]
    rng = np.random.default_rng([seed, number, 2])
    rows = [one.row for one in shown]
    elsewhere = _elsewhere(subject, number, len(shown), rng)
    speaker = inputs.verbalizer()
    if isinstance(speaker, Neuronpedia):
        said = _of_contexts(subject, speaker, rows + elsewhere)
    else:
        real = subject.residual(rows, device)
        noise = controls.random_vectors(real, seed)
        other = subject.residual(elsewhere, device)
        said = speaker.verbalize(np.concatenate([real, noise, other]))
    thirds = {
        name: said[at * len(shown) : (at + 1) * len(shown)]
        for at, name in enumerate(("real", *CONTROLS))
    }
    begun = {"row": rows, "context": list(map(up_to_peak, shown))}
    return {"texts": pl.DataFrame(begun | thirds)}


def _of_contexts(subject: Subject, speaker: Neuronpedia, rows: list[int]) -> list[str]:
    """What a service says that takes texts and no vectors: so it has no random control."""
    tokens = subject.tokens
    firsts = tokens.contexts["first_token"].to_numpy()[tokens.context_of[rows]].tolist()
    pairs = zip(firsts, rows, strict=True)
    said = speaker.verbalize_contexts(["".join(tokens.pieces(f, row + 1)) for f, row in pairs])
    half = len(rows) // 2
    return [*said[:half], *[""] * half, *said[half:]]


def up_to_peak(excerpt: Excerpt) -> str:
    return "".join(excerpt.pieces[: excerpt.peak + 1])


def _elsewhere(subject: Subject, number: int, count: int, rng: np.random.Generator) -> list[int]:
    """The strongest token row of random others."""
    source = subject.source
    others = source.frequent()
    chosen = rng.choice(others[others != number], count).tolist()
    columns = [source.column(other) for other in chosen]
    return [int(column.rows[int(np.argmax(column.values))]) for column in columns]


# ---------------------------------------------------------------- what a method calls it


@memoize(version=1)
def explain(
    model: ModelRef,
    site: Site,
    corpus: CorpusRef,
    of: Of,
    number: int,
    method: str,
    split: str,
    seed: int,
    writer: str,
    verbalizer: VerbalizerRef | None,
    *,
    inputs: Tools,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """A label from the train part alone: `text`, `detail`, `failed`, `n`, as `explainers.Label`.
    `writer` and `verbalizer` are those of `inputs`, empty where the method asks none.

    Raises:
        LlmUnavailableError: a model cannot be asked now.
    """
    del writer  # that of `inputs`
    subject = Subject(model, site, corpus, of)
    drawn = subject.draw(number, split, "other", seed)
    context = explainers.Context(
        writer=inputs.writer,
        verbalizations=_verbalizations(subject, drawn, split, seed, verbalizer, inputs, device),
        direction=functools.partial(_direction, subject, drawn, inputs, device),
        promoted=subject.promoted(number),
    )
    progress.report(0, 1, f"Labelling with {method}")
    label = explainers.EXPLAINERS[method].explain(drawn, context)
    return {name: getattr(label, name) for name in ("text", "detail", "failed", "n")}


def _verbalizations(
    subject: Subject,
    drawn: Evidence,
    split: str,
    seed: int,
    verbalizer: VerbalizerRef | None,
    inputs: Tools,
    device: str,
) -> Callable[[Excerpt], str]:
    def text(excerpt: Excerpt) -> str:
        named = drawn.feature, split, seed, verbalizer
        entry = verbalized(
            *subject.arguments, *named, inputs=inputs, device=device, progress=Progress()
        )
        frame = entry.frame("texts")
        return str(frame.filter(pl.col("row") == excerpt.row)["real"].item())

    return text


def _direction(subject: Subject, drawn: Evidence, inputs: Tools, device: str) -> str:
    """What the verbalizer says of the feature's decoder row, or of the region's exemplar, as long
    as activations at its peaks are."""
    rows = [one.row for one in drawn.train]
    length = float(np.linalg.norm(subject.residual(rows, device), axis=1).mean())
    if isinstance(subject.of, SaeRef):
        direction = sae.load(subject.of, device).decoder[drawn.feature].cpu().numpy()
    else:
        direction = np.asarray(
            partition.partition.get(*subject.arguments).array("exemplars")[drawn.feature]
        )
    vector = direction * (length / float(np.linalg.norm(direction)))
    return inputs.verbalizer().verbalize(vector[None].astype(np.float32))[0]


def needed(method: str, writer: str, verbalizer: VerbalizerRef) -> tuple[str, VerbalizerRef | None]:
    """The part of `explain`'s key that a method depends on."""
    one = explainers.find(method)
    return (
        writer if may_ask(method) else "",
        verbalizer if "verbalizer" in one.needs else None,
    )


def may_ask(method: str) -> bool:
    """Whether a method asks the writer, always or where a verbalizer's text is too long."""
    one = explainers.find(method)
    return "writer" in one.needs or one.of_direction


def plain(subject: Subject, number: int, method: str, split: str, seed: int) -> Label:
    """A label by a method that asks nobody, worked out while you wait."""
    drawn = subject.draw(number, split, "other", seed)
    context = explainers.Context(promoted=subject.promoted(number))
    return explainers.EXPLAINERS[method].explain(drawn, context)


# ---------------------------------------------------------------- how a judge does with a label


@memoize(version=1)
def judged(
    model: ModelRef,
    site: Site,
    corpus: CorpusRef,
    of: Of,
    number: int,
    label: str,
    scorer: str,
    split: str,
    kind: str,
    seed: int,
    judge: str,
    marks: str,
    window: int | None,
    *,
    inputs: Tools,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """`scores`: columns of `scorers.SCORES`, without a method; `verdicts`: truth, answer (null:
    failed) and probability of each excerpt, in the order of `trials.trial`.

    Raises:
        LlmUnavailableError: the judge cannot be asked now.
    """
    del judge, device  # those of `inputs`
    progress.report(0, 1, f"Judging by {scorer}")
    drawn = Subject(model, site, corpus, of).draw(number, split, kind, seed)
    asked = trial(scorer, label, drawn, "", marks=marks, window=window)  # type: ignore[arg-type]
    said = inputs.judge.judge([asked.question])[0]
    unknown = (None,) * len(asked.truth)
    verdicts = pl.DataFrame(
        {
            "truth": list(asked.truth),
            "answer": list(said.answers),
            "probability": list(said.probabilities or unknown),
        },
        schema={"truth": pl.Int64, "answer": pl.Int64, "probability": pl.Float64},
    )
    scores = scorers.table(scorers.scored(asked, said, inputs.judge.name))
    return {"scores": scores, "verdicts": verdicts}


@memoize(version=1)
def embedded(
    model: ModelRef,
    site: Site,
    corpus: CorpusRef,
    of: Of,
    number: int,
    label: str,
    split: str,
    kind: str,
    seed: int,
    embedder: EmbedderRef,
    *,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """`scores` as of `judged`, by the embedder."""
    progress.report(0, 1, "Judging by embedding")
    drawn = Subject(model, site, corpus, of).draw(number, split, kind, seed)
    found = scorers.embedding(label, drawn, embedders.load(embedder, device), "")
    return {"scores": scorers.table(found)}
