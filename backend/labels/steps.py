"""The memoized steps of labelling: what a verbalizer says, what a method calls a feature or region,
how a judge does with a label. An experiment, a feature's page and a region's share them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from backend import run
from backend.labels import explainers, judges, scorers, verbalizers, writers
from backend.labels.contract import Evidence, Excerpt, Verbalizer
from backend.labels.explainers import Explainer, Label
from backend.labels.references import WriterRef
from backend.labels.subjects import Models, Sampling, Setting, Subject
from backend.labels.verbalizers import controls
from backend.labels.verbalizers.neuronpedia import Neuronpedia
from backend.models import embedder as embedders
from backend.models import sae
from backend.regions import partitioning
from backend.schema import EmbedderRef, SaeRef, VerbalizerRef
from backend.store.memo import memoize

VERBALIZED = explainers.BAEZ_EXCERPTS
CONTROLS = ("random", "other")  # instead of the real vector: one of its norm; another's peak


# ---------------------------------------------------------------- what a verbalizer says


@memoize("labels.verbalizations", version=1)
def verbalize(
    subject: Subject, number: int, sampling: Sampling, verbalizer: VerbalizerRef
) -> dict[str, Any]:
    """`texts`: of the strongest excerpts of train the token `row` of the peak, the excerpt up to
    there (`context`), what the verbalizer says of the residual (`real`), of a `random` vector of
    the same norm and of the peak of an `other` feature or region."""
    run.report(0, 1, "Putting activations into words")
    strongest = subject.draw(number, sampling).train[:VERBALIZED]
    rng = np.random.default_rng([sampling.seed, number, 2])
    rows = [one.row for one in strongest]
    elsewhere = _peaks_of_others(subject, number, len(strongest), rng)
    speaker = _load(subject, verbalizer)
    if isinstance(speaker, Neuronpedia):
        texts = _verbalize_contexts(subject, speaker, rows + elsewhere)
    else:
        real = subject.residual(rows)
        noise = controls.random_vectors(real, sampling.seed)
        other = subject.residual(elsewhere)
        texts = speaker.verbalize(np.concatenate([real, noise, other]))
    thirds = {
        name: texts[part * len(strongest) : (part + 1) * len(strongest)]
        for part, name in enumerate(("real", *CONTROLS))
    }
    peaks = {"row": rows, "context": ["".join(one.pieces[: one.peak + 1]) for one in strongest]}
    return {"texts": pl.DataFrame(peaks | thirds)}


def _load(subject: Subject, verbalizer: VerbalizerRef) -> Verbalizer:
    reading = subject.reading
    return verbalizers.load(verbalizer, reading.model, reading.site, run.current().device)


def _verbalize_contexts(subject: Subject, speaker: Neuronpedia, rows: list[int]) -> list[str]:
    """What a service says that takes texts and no vectors: so it has no random control."""
    tokens = subject.tokens
    firsts = tokens.contexts["first_token"].to_numpy()[tokens.context_of[rows]].tolist()
    pairs = zip(firsts, rows, strict=True)
    texts = speaker.verbalize_contexts(["".join(tokens.pieces(f, row + 1)) for f, row in pairs])
    half = len(rows) // 2
    return [*texts[:half], *[""] * half, *texts[half:]]


def _peaks_of_others(
    subject: Subject, number: int, count: int, rng: np.random.Generator
) -> list[int]:
    """The strongest token row of random others."""
    source = subject.source
    others = source.frequent()
    numbers = rng.choice(others[others != number], count).tolist()
    columns = [source.column(other) for other in numbers]
    return [int(column.rows[int(np.argmax(column.values))]) for column in columns]


# ---------------------------------------------------------------- what a method calls it


@dataclass(frozen=True)
class Author:
    """Who makes a label: a method, and the models that it asks; None where it asks none."""

    method: str
    writer: WriterRef | None
    verbalizer: VerbalizerRef | None


def _by_author(_subject: Subject, _number: int, author: Author, *_: Any) -> str:
    return author.method + (f" by {author.writer.name}" if author.writer else "")


@memoize("labels.label", version=1, kind=_by_author)
def explain(subject: Subject, number: int, author: Author, sampling: Sampling) -> dict[str, Any]:
    """A label from the train part alone: `text`, `detail`, `failed`, `n`, as `explainers.Label`.

    Raises:
        LlmUnavailableError: a model cannot be asked now.
    """
    evidence = subject.draw(number, sampling)
    speaker = author.verbalizer

    def verbalized(excerpt: Excerpt) -> str:
        assert speaker  # the method needs one
        texts = verbalize(subject, number, sampling, speaker).frame("texts")
        return str(texts.filter(pl.col("row") == excerpt.row)["real"].item())

    context = explainers.Context(
        writer=writers.load(author.writer) if author.writer else None,
        verbalizations=verbalized if speaker else None,
        direction=functools.partial(_direction, subject, evidence, speaker) if speaker else None,
        promoted=subject.promoted(number),
    )
    run.report(0, 1, f"Labelling with {author.method}")
    return asdict(explainers.EXPLAINERS[author.method].explain(evidence, context))


def _direction(subject: Subject, evidence: Evidence, verbalizer: VerbalizerRef) -> str:
    """What the verbalizer says of the feature's decoder row, or of the region's exemplar, as long
    as activations at its peaks are."""
    rows = [one.row for one in evidence.train]
    length = float(np.linalg.norm(subject.residual(rows), axis=1).mean())
    if isinstance(subject.of, SaeRef):
        decoder = sae.load(subject.of, run.current().device).decoder
        direction = decoder[evidence.feature].cpu().numpy()
    else:
        partition = partitioning.build_partition(subject.partition)
        direction = np.asarray(partition.array("exemplars")[evidence.feature])
    vector = direction * (length / float(np.linalg.norm(direction)))
    return _load(subject, verbalizer).verbalize(vector[None].astype(np.float32))[0]


def author_of(method: str, models: Models) -> Author:
    """A method with those of the models that its labels depend on."""
    speaks = "verbalizer" in explainers.EXPLAINERS[method].needs
    return Author(
        method,
        models.writer if may_ask(method) else None,
        models.verbalizer if speaks else None,
    )


def may_ask(method: str) -> bool:
    """Whether a method asks the writer, always or where a verbalizer's text is too long."""
    one = explainers.EXPLAINERS[method]
    return "writer" in one.needs or one.of_direction


def count(
    subject: Subject, number: int, methods: Sequence[Explainer], sampling: Sampling
) -> list[Label]:
    """The labels by methods that ask nobody, worked out while you wait."""
    evidence = subject.draw(number, sampling.train)
    context = explainers.Context(promoted=subject.promoted(number))
    return [method.explain(evidence, context) for method in methods]


# ---------------------------------------------------------------- how a judge does with a label


def _by_judge(
    _subject: Subject, _number: int, _label: str, _sampling: Sampling, setting: Setting
) -> str:
    return f"{setting.scorer} by {setting.judge.name if setting.judge else 'nobody'}"


@memoize("labels.judgement", version=1, kind=_by_judge)
def judge_label(
    subject: Subject, number: int, label: str, sampling: Sampling, setting: Setting
) -> dict[str, Any]:
    """`scores`: `tables.SCORE_COLUMNS`, without a method; `verdicts`: truth, answer (null:
    failed) and probability of each excerpt, in the order of `trials.trial`.

    Raises:
        LlmUnavailableError: the judge cannot be asked now.
    """
    assert setting.judge
    run.report(0, 1, f"Judging by {setting.scorer}")
    trial = subject.trial(number, label, sampling, setting)
    judge = judges.load(setting.judge)
    verdicts = judge.judge([trial.question])[0]
    probabilities = verdicts.probabilities or (None,) * len(trial.truth)
    table = pl.DataFrame(
        list(zip(trial.truth, verdicts.answers, probabilities, strict=True)),
        schema={"truth": pl.Int64, "answer": pl.Int64, "probability": pl.Float64},
        orient="row",
    )
    scores = scorers.table(scorers.scored(trial, verdicts, judge.name))
    return {"scores": scores, "verdicts": table}


@memoize("labels.embedding_score", version=1)
def embed_label(
    subject: Subject, number: int, label: str, sampling: Sampling, embedder: EmbedderRef
) -> dict[str, Any]:
    """`scores` as of `judge_label`, by the embedder."""
    run.report(0, 1, "Judging by embedding")
    evidence = subject.draw(number, sampling)
    encoder = embedders.load(embedder, run.current().device)
    return {"scores": scorers.table(scorers.embedding(label, evidence, encoder))}
