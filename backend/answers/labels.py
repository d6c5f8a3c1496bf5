"""Labels of one feature by the methods that need no language model but the study's own, and how
well they tell its contexts from others."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from backend.answers import features as feature_answers
from backend.answers import passages, provenance, tasks
from backend.corpus.contexts import Tokens
from backend.features import codes, examples, logits
from backend.labels import evidence, explainers, scorers
from backend.labels.contract import Evidence
from backend.labels.judges import ChooserJudge, Judge
from backend.labels.own_model import OwnModel
from backend.models import embedder as embedders
from backend.schema import (
    CorpusRef,
    EmbedderRef,
    Job,
    ModelRef,
    NotFoundError,
    Progress,
    SaeRef,
    Site,
    Study,
)
from backend.store.memo import Entry, memoize
from backend.views import Labels, LabelScores

METHODS = ("token_frequency", "logit_cascade")
LABELS = pl.Schema({"method": pl.String, "text": pl.String, "detail": pl.String, "n": pl.Int64})
JUDGED = 12  # tokens on either side of the peak that the study's own model is shown


def labels(study: Study, feature: int, split: str, kind: str, seed: int) -> Labels:
    """Labels by every method that needs no request, made from the train part alone."""
    read = feature_answers.read_or_raise(study)
    try:
        drawn = evidence.draw(read.index, read.tokens, feature, split, kind, seed)
    except evidence.TooFewError as error:
        return Labels(feature, pl.DataFrame(schema=LABELS), error.problem)
    found = [_explained(method, drawn, read.model, read.sae) for method in METHODS]
    return Labels(
        feature,
        pl.DataFrame(
            {
                "method": [label.method for label in found],
                "text": [label.text for label in found],
                "detail": [label.detail or label.failed for label in found],
                "n": [label.n for label in found],
            },
            schema=LABELS,
        ),
        drawn.how,
    )


def _explained(method: str, drawn: Evidence, model: ModelRef, sae: SaeRef) -> explainers.Label:
    context = explainers.Context(promoted=_lens(model, sae, drawn.feature))
    return explainers.EXPLAINERS[method].explain(drawn, context)


def _lens(model: ModelRef, sae: SaeRef, feature: int) -> tuple[tuple[str, float], ...]:
    """Tokens that the feature's decoder row promotes; none where that is not computed yet."""
    entry = logits.effects.find(model, sae, feature // logits.BLOCK)
    if entry is None:
        return ()
    row = feature % logits.BLOCK
    texts = passages.token_text(model, entry.array("promoted")[row])
    return tuple(zip(texts, entry.array("promoted_logits")[row].tolist(), strict=True))


# ---------------------------------------------------------------- scores


@memoize(version=1)
def score(
    model: ModelRef,
    site: Site,
    corpus: CorpusRef,
    sae: SaeRef,
    embedder: EmbedderRef,
    feature: int,
    split: str,
    kind: str,
    seed: int,
    *,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """`scores`: `scorers.SCORES` of each label and of its two controls, `of` says which: `label`;
    `shuffled`, another feature's label by the same method; `empty`."""
    index = codes.index.get(model, site, corpus, sae)
    tokens = passages.tokens_of(model, corpus)
    drawn = evidence.draw(index, tokens, feature, split, kind, seed)
    other = evidence.draw(index, tokens, _other(index, tokens, feature, seed), split, kind, seed)
    texts = {
        (method, of): text
        for method in METHODS
        for of, text in {
            "label": _explained(method, drawn, model, sae).text,
            "shuffled": _explained(method, other, model, sae).text,
        }.items()
    }
    texts[("", "empty")] = ""
    judge = ChooserJudge(OwnModel(model, device))
    encoder = embedders.load(embedder, device)
    rows = []
    for done, ((method, of), text) in enumerate(texts.items()):
        progress.report(done, len(texts), "Scoring labels", "labels")
        rows += [
            {"of": of, "label": text} | row
            for row in _scored(text, method, drawn, judge, encoder).iter_rows(named=True)
        ]
    schema = {"of": pl.String, "label": pl.String} | dict(scorers.SCORES)
    return {"scores": pl.DataFrame(rows, schema=schema, orient="row")}


def _scored(
    text: str,
    method: str,
    drawn: Evidence,
    judge: Judge,
    encoder: embedders.SentenceEmbedder,
) -> pl.DataFrame:
    found = [
        *scorers.detection(text, drawn, judge, method, window=JUDGED),
        *scorers.fuzzing(text, drawn, judge, method, window=JUDGED),
        *scorers.embedding(text, drawn, encoder, method),
    ]
    return scorers.table(found)


def _other(index: Entry, tokens: Tokens, feature: int, seed: int) -> int:
    """Another feature that fires often enough to have a label of its own."""
    rng = np.random.default_rng([seed, feature, 1])
    counts = np.diff(np.asarray(index.array("offsets")))
    for candidate in rng.permutation(np.flatnonzero(counts >= evidence.LEAST)).tolist():
        contexts = len(examples.peaks(codes.column(index, candidate), tokens)[0])
        if candidate != feature and contexts >= evidence.LEAST:
            return int(candidate)
    raise NotFoundError(
        "No other feature fires often enough to lend its label as a control.",
        "Read more of the corpus.",
    )


def scores(study: Study, feature: int, split: str, kind: str, seed: int) -> LabelScores | Job:
    """How well each label tells held-out contexts of the feature from others."""
    read = feature_answers.find_or_job(study)
    if isinstance(read, Job):
        return read
    read.column(feature)
    named = feature, split, kind, seed
    arguments = *read.arguments, study.embedder, *named
    entry = score.find(*arguments)
    if entry is None:
        asked = dict(zip(("feature", "split", "kind", "seed"), named, strict=True))
        return tasks.ensure("labels", study, score.digest(*arguments), **asked)
    return LabelScores(
        feature,
        entry.frame("scores"),
        provenance.of(entry, f"label_scores --study {study.name} --feature {feature}"),
    )
