"""Labels of all features or regions: by counting, as models wrote them, and those whose meaning
lies near a text, by the study's embedder."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from backend import run
from backend.labels import evidence, explainers
from backend.labels import steps as label_steps
from backend.labels.subjects import Sampling, Subject, subject_of
from backend.models import embedder as embedders
from backend.query import query
from backend.schema import EmbedderRef, ModelError, Study
from backend.store import queue
from backend.store.memo import canonical, memoize
from backend.store.rates import CHUNK, Part

METHOD = "token_frequency"  # the label that every feature can have
MOST = 100
LONGEST = 500  # characters of a search
LABELS = pl.Schema({"number": pl.Int32, "method": pl.String, "label": pl.String})
COUNTED = pl.Schema({**LABELS, "failed": pl.String})  # why `label` is empty
# how many features or regions are counted in the time in which the model reads a chunk
COUNTED_A_CHUNK = 250


@memoize("labels.token_frequency", version=2)
def counted(subject: Subject, sampling: Sampling) -> dict[str, Any]:
    """`labels` (`COUNTED`) of all that fire in enough contexts: by counting on both sides of the
    peak (`METHOD`), and on either side alone (`explainers.COUNTERS`)."""
    numbers = subject.source.frequent().tolist()
    methods = explainers.EXPLAINERS[METHOD], *explainers.COUNTERS.values()
    rows = []
    for done, number in enumerate(numbers):
        if done % 32 == 0:
            run.report(done, len(numbers), "Labelling by counting", f"{subject.source.what}s")
        try:
            labels = label_steps.count(subject, number, methods, sampling)
        except evidence.TooFewError as error:  # it fires often, but in few contexts
            labels = [explainers.Label("", "", 0, error.problem)] * len(methods)
        for method, label in zip(methods, labels, strict=True):
            rows.append((number, method.name, label.text, label.failed))
    return {"labels": pl.DataFrame(rows, schema=COUNTED, orient="row")}


def left_to_count(subject: Subject) -> list[Part]:
    """What labels by counting of all have still to compute."""
    if counted.find(subject, Sampling()):
        return []
    chunks = len(subject.source.frequent()) / COUNTED_A_CHUNK
    return [Part(counted.work(subject, Sampling()), like={CHUNK: chunks})]


def _left(
    study: Study, kind: str = "feature", p: float | None = None, k: float | None = None
) -> list[Part]:
    return left_to_count(subject_of(study, kind, p, k))


@query("Labels by counting", priority=queue.LONG, work=_left)
def count_labels(
    study: Study, kind: str = "feature", p: float | None = None, k: float | None = None
) -> pl.DataFrame:
    """number, method, label: by counting alone, of all features or regions that fire in enough
    contexts."""
    return of_either_side(counted(subject_of(study, kind, p, k), Sampling()).frame("labels"))


def of_either_side(labels: pl.DataFrame) -> pl.DataFrame:
    """`LABELS` of `counted` that were found by looking on both sides of the peak."""
    return labels.filter(failed="", method=METHOD).select(LABELS.names())


def labels_by_models(subject: Subject) -> pl.DataFrame:
    """`LABELS` that models have written so far, by any writer and from any split."""
    return _labels_in(subject, tuple(label_steps.explain.stored()))


@functools.lru_cache(maxsize=4)
def _labels_in(subject: Subject, stored: tuple[str, ...]) -> pl.DataFrame:
    key = canonical(subject)
    rows = []
    for digest in stored:
        entry = label_steps.explain.open(digest)
        arguments = entry.recipe()["arguments"] if entry else {}
        if entry and arguments["subject"] == key and entry.value("text"):
            rows.append((arguments["number"], arguments["author"]["method"], entry.value("text")))
    return pl.DataFrame(rows, schema=LABELS, orient="row").unique(maintain_order=True)


@memoize("labels.label_vectors", version=1)
def vectors(texts: Sequence[str], embedder: EmbedderRef) -> dict[str, Any]:
    """`vectors` [texts, width] float32."""
    run.report(0, 1, "Reading labels")
    return {"vectors": embedders.load(embedder, run.current().device).embed(texts)}


def nearest(labels: pl.DataFrame, text: str, embedder: EmbedderRef) -> pl.DataFrame:
    """number, label, method, cosine: of each its label (of `LABELS`) that is nearest to a text;
    nearest first."""
    texts = labels["label"].unique(maintain_order=True).to_list()
    rows = np.asarray(vectors(texts, embedder).array("vectors"))
    cosine = rows @ np.asarray(vectors([text], embedder).array("vectors"))[0]
    ranked = labels.join(pl.DataFrame({"label": texts, "cosine": cosine}), on="label", how="left")
    best = ranked.sort("cosine", descending=True).unique(
        "number", keep="first", maintain_order=True
    )
    return best.head(MOST).select("number", "label", "method", "cosine")


@query("A search by meaning", priority=queue.SHORT + 3)
def search_labels(
    study: Study, text: str, kind: str = "feature", p: float | None = None, k: float | None = None
) -> pl.DataFrame:
    """feature (or region), label, method, cosine: those whose labels mean something like
    `text`. Where they are not labelled by counting, the job is that of `count_labels`."""
    if len(text) > LONGEST:
        raise ModelError(
            f"The search has {len(text):,} characters.", f"Give at most {LONGEST}: a few words."
        )
    subject = subject_of(study, kind, p, k)
    labels = pl.concat([count_labels.part(study, kind, p, k), labels_by_models(subject)])
    return nearest(labels, text, study.embedder).rename({"number": subject.source.what})
