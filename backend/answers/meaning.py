"""Search by meaning: features or regions whose labels lie near a text, by the study's embedder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import polars as pl

from backend.answers import labelling, tasks
from backend.answers import labels as labels_of
from backend.answers.subjects import Sampling, Subject
from backend.labels import evidence
from backend.models import embedder as embedders
from backend.schema import (
    EmbedderRef,
    Job,
    ModelError,
    PartitionSpec,
    Progress,
    Study,
)
from backend.store.memo import canonical, memoize

METHOD = "token_frequency"  # the label that every feature can have
LISTED = 100
LONGEST = 500  # characters of a search
LABELS = pl.Schema({"number": pl.Int32, "method": pl.String, "label": pl.String})


@memoize("labels.token_frequency", version=1)
def counted(subject: Subject, sampling: Sampling, *, progress: Progress) -> dict[str, Any]:
    """`labels` (`LABELS`) by counting alone, of all that fire in enough contexts."""
    numbers = subject.source.frequent().tolist()
    rows = []
    for done, number in enumerate(numbers):
        if done % 32 == 0:
            progress.report(done, len(numbers), "Labelling by counting", f"{subject.source.what}s")
        try:
            label = labelling.plain(subject, number, METHOD, sampling)
        except evidence.TooFewError:
            continue
        if label.text:
            rows.append((number, METHOD, label.text))
    return {"labels": pl.DataFrame(rows, schema=LABELS, orient="row")}


def asked(subject: Subject) -> pl.DataFrame:
    """`LABELS` that models have given so far, by any writer and from any split."""
    where = canonical(subject)
    rows = []
    for digest in labelling.explain.stored():
        entry = labelling.explain.at(digest)
        given = entry.recipe()["arguments"] if entry else {}
        if entry and given["subject"] == where and entry.value("text"):
            rows.append((given["number"], given["author"]["method"], entry.value("text")))
    return pl.DataFrame(rows, schema=LABELS, orient="row").unique(maintain_order=True)


@memoize("labels.label_vectors", version=1)
def vectors(
    digest: str, embedder: EmbedderRef, *, inputs: list[str], device: str, progress: Progress
) -> dict[str, Any]:
    """`vectors` [texts, width] float32 of the texts `inputs`, whose digest is the key."""
    del digest
    progress.report(0, 1, "Reading labels")
    return {"vectors": embedders.load(embedder, device).embed(inputs)}


@memoize("labels.nearest_labels", version=1)
def nearest(
    digest: str,
    embedder: EmbedderRef,
    text: str,
    *,
    inputs: pl.DataFrame,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """`found`: number, label, method, cosine: of each its nearest label, nearest first;
    among `inputs` (`LABELS`)."""
    labels = inputs["label"].unique(maintain_order=True).to_list()
    known = vectors(digest, embedder, inputs=labels, device=device, progress=progress)
    query = embedders.load(embedder, device).embed([text])[0]
    cosine = np.asarray(known.array("vectors")) @ query
    ranked = inputs.join(pl.DataFrame({"label": labels, "cosine": cosine}), on="label", how="left")
    best = ranked.sort("cosine", descending=True).unique(
        "number", keep="first", maintain_order=True
    )
    return {"found": best.head(LISTED).select("number", "label", "method", "cosine")}


def digest_of(labels: pl.DataFrame) -> str:
    """A name for a table of labels."""
    return hashlib.sha256(json.dumps(labels.rows()).encode()).hexdigest()[:32]


def search(study: Study, text: str, spec: PartitionSpec | None) -> pl.DataFrame | Job:
    """feature (or region), label, method, cosine: those whose labels mean something like
    `text`."""
    if len(text) > LONGEST:
        raise ModelError(
            f"The search has {len(text):,} characters.", f"Give at most {LONGEST}: a few words."
        )
    subject = labels_of.subject(study, spec)
    entry = counted.find(subject, Sampling())
    if entry is not None:
        labels = pl.concat([entry.frame("labels"), asked(subject)])
        found = nearest.find(digest_of(labels), study.embedder, text)
        if found is not None:
            return found.frame("found").rename({"number": subject.source.what})
    asking: dict[str, Any] = {"text": text}
    if spec is not None:
        asking["spec"] = asdict(spec)
    return tasks.ensure("meaning", study, f"{counted.digest(subject, Sampling())}:{text}", **asking)


def compute(request: tasks.Request) -> None:
    """What the job does."""
    spec = request.spec if "spec" in request.asked else None
    subject = labels_of.subject(request.study, spec)
    entry = counted(subject, Sampling(), progress=request.progress)
    labels = pl.concat([entry.frame("labels"), asked(subject)])
    nearest(
        digest_of(labels),
        request.study.embedder,
        request.asked["text"],
        inputs=labels,
        device=request.device,
        progress=request.progress,
    )
