"""The memoized steps of labelling: what a verbalizer says, what a method calls a feature or region,
how a judge does with a label. An experiment, a feature's page and a region's share them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from backend.answers.subjects import Of, Subject, Tools
from backend.labels import explainers, scorers
from backend.labels.contract import Evidence, Excerpt
from backend.labels.explainers import Label
from backend.labels.trials import trial
from backend.labels.verbalizers import controls
from backend.labels.verbalizers.neuronpedia import Neuronpedia
from backend.models import embedder as embedders
from backend.models import sae
from backend.regions import partition
from backend.schema import (
    CorpusRef,
    EmbedderRef,
    ModelRef,
    Progress,
    SaeRef,
    Site,
    VerbalizerRef,
)
from backend.store.memo import memoize

VERBALIZED = explainers.BAEZ_EXCERPTS
CONTROLS = ("random", "other")  # instead of the real vector: one of its norm; another's peak


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
