"""The memoized steps of labelling: what a verbalizer says, what a method calls a feature or region,
how a judge does with a label. An experiment, a feature's page and a region's share them."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from backend.answers.subjects import Models, Sampling, Setting, Subject, Tools
from backend.labels import explainers, scorers
from backend.labels.contract import Evidence, Excerpt
from backend.labels.explainers import Label
from backend.labels.verbalizers import controls
from backend.labels.verbalizers.neuronpedia import Neuronpedia
from backend.models import embedder as embedders
from backend.models import sae
from backend.regions import partitioning
from backend.schema import EmbedderRef, Progress, SaeRef, VerbalizerRef
from backend.store.memo import memoize

VERBALIZED = explainers.BAEZ_EXCERPTS
CONTROLS = ("random", "other")  # instead of the real vector: one of its norm; another's peak


# ---------------------------------------------------------------- what a verbalizer says


@memoize("labels.verbalizations", version=1)
def verbalized(
    subject: Subject,
    number: int,
    sampling: Sampling,
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
    shown = subject.draw(number, sampling).train[:VERBALIZED]
    rng = np.random.default_rng([sampling.seed, number, 2])
    rows = [one.row for one in shown]
    elsewhere = _elsewhere(subject, number, len(shown), rng)
    speaker = inputs.verbalizer()
    if isinstance(speaker, Neuronpedia):
        said = _of_contexts(subject, speaker, rows + elsewhere)
    else:
        real = subject.residual(rows, device)
        noise = controls.random_vectors(real, sampling.seed)
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


@dataclass(frozen=True)
class Author:
    """Who makes a label: a method, and the models that it asks; "" and None where it asks none."""

    method: str
    writer: str
    verbalizer: VerbalizerRef | None


@memoize("labels.label", version=1)
def explain(
    subject: Subject,
    number: int,
    author: Author,
    sampling: Sampling,
    *,
    inputs: Tools,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """A label from the train part alone: `text`, `detail`, `failed`, `n`, as `explainers.Label`.
    The author's models are those of `inputs`.

    Raises:
        LlmUnavailableError: a model cannot be asked now.
    """
    drawn = subject.draw(number, sampling)

    def said(excerpt: Excerpt) -> str:
        how: dict[str, Any] = {"inputs": inputs, "device": device, "progress": Progress()}
        texts = verbalized(subject, number, sampling, author.verbalizer, **how).frame("texts")
        return str(texts.filter(pl.col("row") == excerpt.row)["real"].item())

    context = explainers.Context(
        writer=inputs.writer,
        verbalizations=said,
        direction=functools.partial(_direction, subject, drawn, inputs, device),
        promoted=subject.promoted(number),
    )
    progress.report(0, 1, f"Labelling with {author.method}")
    label = explainers.EXPLAINERS[author.method].explain(drawn, context)
    return {name: getattr(label, name) for name in ("text", "detail", "failed", "n")}


def _direction(subject: Subject, drawn: Evidence, inputs: Tools, device: str) -> str:
    """What the verbalizer says of the feature's decoder row, or of the region's exemplar, as long
    as activations at its peaks are."""
    rows = [one.row for one in drawn.train]
    length = float(np.linalg.norm(subject.residual(rows, device), axis=1).mean())
    if isinstance(subject.of, SaeRef):
        direction = sae.load(subject.of, device).decoder[drawn.feature].cpu().numpy()
    else:
        direction = np.asarray(
            partitioning.build_partition.get(*subject.arguments).array("exemplars")[drawn.feature]
        )
    vector = direction * (length / float(np.linalg.norm(direction)))
    return inputs.verbalizer().verbalize(vector[None].astype(np.float32))[0]


def author_of(method: str, models: Models) -> Author:
    """A method with those of the models that its labels depend on."""
    speaks = "verbalizer" in explainers.find(method).needs
    return Author(
        method,
        models.writer if may_ask(method) else "",
        models.verbalizer if speaks else None,
    )


def may_ask(method: str) -> bool:
    """Whether a method asks the writer, always or where a verbalizer's text is too long."""
    one = explainers.find(method)
    return "writer" in one.needs or one.of_direction


def plain(subject: Subject, number: int, method: str, sampling: Sampling) -> Label:
    """A label by a method that asks nobody, worked out while you wait."""
    drawn = subject.draw(number, sampling.train)
    context = explainers.Context(promoted=subject.promoted(number))
    return explainers.EXPLAINERS[method].explain(drawn, context)


# ---------------------------------------------------------------- how a judge does with a label


@memoize("labels.judgement", version=1)
def judged(
    subject: Subject,
    number: int,
    label: str,
    sampling: Sampling,
    setting: Setting,
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
    del device  # the judge has one
    progress.report(0, 1, f"Judging by {setting.scorer}")
    asked = subject.trial(number, label, sampling, setting)
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


@memoize("labels.embedding_score", version=1)
def embedded(
    subject: Subject,
    number: int,
    label: str,
    sampling: Sampling,
    embedder: EmbedderRef,
    *,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """`scores` as of `judged`, by the embedder."""
    progress.report(0, 1, "Judging by embedding")
    drawn = subject.draw(number, sampling)
    found = scorers.embedding(label, drawn, embedders.load(embedder, device), "")
    return {"scores": scorers.table(found)}
