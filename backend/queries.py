"""The only door to the backend, for pages, notebooks and the command line.

Every function takes a study by name and answers from the memo. Where a result is not there yet
the answer is the `Job` that computes it: wait for it (`wait`) or ask again. The answers'
shapes are in `backend.views`; errors are `TesseraError`, with a problem and a remedy.

    from backend import queries
    regions = queries.wait(lambda: queries.regions("demo"))
    regions.table.sort("coherence")
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import polars as pl

from backend import study as studies_on_disk
from backend.answers import features as feature_answers
from backend.answers import labels as label_answers
from backend.answers import overview as overview_answers
from backend.answers import probe as probe_answers
from backend.answers import regions as region_answers
from backend.regions.partition import check_spec
from backend.schema import Job, ModelError, PartitionSpec, SaeRef, Study
from backend.store import jobs as job_store
from backend.views import (
    Draw,
    FeatureTable,
    FeatureView,
    Labels,
    LabelScores,
    Overview,
    Passage,
    Probe,
    RegionMap,
    RegionView,
    StudyCard,
)

Answer = TypeVar("Answer")


def _spec(study: Study, p: float | None, k: float | None) -> PartitionSpec:
    spec = replace(
        study.partition,
        p=study.partition.p if p is None else float(p),
        k=study.partition.k if k is None else float(k),
    )
    check_spec(spec)
    return spec


def _sae(study: Study) -> SaeRef:
    if study.sae is None:
        raise ModelError(
            f"The study {study.name} names no SAE, so it has no features.",
            "Add an [sae] table to its file, or pick a study with one.",
        )
    return study.sae


# ---------------------------------------------------------------- studies


def studies() -> list[StudyCard]:
    """All studies, with what each looks at; a bad study file comes with its problem."""
    return [overview_answers.card(name) for name in studies_on_disk.names()]


def study(study: str) -> StudyCard:
    """What one study looks at: model, site, corpus, SAE, embedder, their revisions."""
    studies_on_disk.load(study)
    return overview_answers.card(study)


def overview(study: str) -> Overview | Job:
    """What a study holds: texts, topics, regions, features, and K at every stop."""
    return overview_answers.overview(studies_on_disk.load(study))


# ---------------------------------------------------------------- regions


def regions(study: str, p: float | None = None, k: float | None = None) -> RegionMap | Job:
    """The map of all regions at a stop of p and k (default: the study's)."""
    loaded = studies_on_disk.load(study)
    return region_answers.region_map(loaded, _spec(loaded, p, k))


def region(
    study: str, region: int, p: float | None = None, k: float | None = None
) -> RegionView | Job:
    """One region: exemplar, tokens, topics, what explains it, competitors, logits, features."""
    loaded = studies_on_disk.load(study)
    return region_answers.region_view(loaded, region, _spec(loaded, p, k))


def members(
    study: str,
    region: int,
    p: float | None = None,
    k: float | None = None,
    draw: str = "closest",
    count: int = 8,
    seed: int = 0,
) -> Draw:
    """Members of a region: closest, farthest, random, or of one distance band ("band 1")."""
    loaded = studies_on_disk.load(study)
    return region_answers.draw(loaded, region, _spec(loaded, p, k), draw, count, seed)


def search_regions(
    study: str, text: str, p: float | None = None, k: float | None = None
) -> pl.DataFrame:
    """Regions whose members spell a text: region, hits, share. Whole words; `*` for parts."""
    loaded = studies_on_disk.load(study)
    return region_answers.search(loaded, text, _spec(loaded, p, k))


def region_of(study: str, token: int, p: float | None = None, k: float | None = None) -> int:
    """The region that a token of the corpus lies in: its nearest exemplar's."""
    loaded = studies_on_disk.load(study)
    return region_answers.region_of(loaded, token, _spec(loaded, p, k))


def stops(study: str) -> pl.DataFrame:
    """θ, K, gray share, mean L0 and ambiguous share at every stop of p and k."""
    return region_answers.stops(studies_on_disk.load(study))


# ---------------------------------------------------------------- features


def features(study: str) -> FeatureTable | Job:
    """All features of the study's SAE, with density, tokens and topics."""
    loaded = studies_on_disk.load(study)
    _sae(loaded)
    return feature_answers.table(loaded)


def feature(study: str, feature: int) -> FeatureView | Job:
    """One feature: logits, histogram, tokens, topics, nearest and co-firing features, regions."""
    loaded = studies_on_disk.load(study)
    _sae(loaded)
    return feature_answers.view(loaded, feature)


def examples(
    study: str,
    feature: int,
    draw: str = "top",
    count: int = 8,
    seed: int = 0,
    topic: str = "",
) -> Draw:
    """Contexts of a feature: top, random, silent, or one of ten quantiles ("quantile 1")."""
    loaded = studies_on_disk.load(study)
    _sae(loaded)
    return feature_answers.draw(loaded, feature, draw, count, seed, topic)


def search_features(study: str, text: str) -> pl.DataFrame:
    """Features that fire on a text: feature, hits, share. Whole words; `*` for parts."""
    loaded = studies_on_disk.load(study)
    _sae(loaded)
    return feature_answers.search(loaded, text)


def labels(
    study: str,
    feature: int,
    split: str = "range",
    negatives: str = "other",
    seed: int = 0,
) -> Labels:
    """Labels of a feature by every method that needs no request to anybody."""
    loaded = studies_on_disk.load(study)
    _sae(loaded)
    return label_answers.labels(loaded, feature, split, negatives, seed)


def label_scores(
    study: str,
    feature: int,
    split: str = "range",
    negatives: str = "other",
    seed: int = 0,
) -> LabelScores | Job:
    """Detection, fuzzing and embedding scores of a feature's labels, and of their controls."""
    loaded = studies_on_disk.load(study)
    _sae(loaded)
    return label_answers.scores(loaded, feature, split, negatives, seed)


# ---------------------------------------------------------------- texts


def document(
    study: str,
    document: int,
    feature: int | None = None,
    p: float | None = None,
    k: float | None = None,
) -> Passage:
    """A whole document, every token valued by a feature, or by its region and distance."""
    loaded = studies_on_disk.load(study)
    if feature is not None:
        _sae(loaded)
        return feature_answers.document(loaded, document, feature)
    return region_answers.document(loaded, document, _spec(loaded, p, k))


def probe(study: str, text: str, feature: int | None = None) -> Probe | Job:
    """One's own text, read by the model: each token's regions and strongest features."""
    return probe_answers.probe(studies_on_disk.load(study), text, feature)


# ---------------------------------------------------------------- jobs


def jobs(limit: int = 50) -> list[Job]:
    """What runs, ran and failed, newest first. Restarts a worker that has died."""
    job_store.tend()
    return job_store.recent(limit)


def job(id: str) -> Job:
    """One job."""
    return job_store.get(id)


def cancel(id: str) -> Job:
    """Stops a job before its next chunk; what was finished is kept. A preview takes the map of
    the whole corpus with it, since they were asked for together."""
    cancelled = job_store.cancel(id)
    for other in job_store.active() if cancelled.query == "preview" else ():
        same = (other.study, other.arguments) == (cancelled.study, cancelled.arguments)
        if other.query == "regions" and same:
            job_store.cancel(other.id)
    return cancelled


def retry(id: str) -> Job:
    """Starts a failed or cancelled job again, from where it was."""
    return job_store.retry(id)


def wait(ask: Callable[[], Answer | Job], seconds: float = 7200.0) -> Answer:
    """Asks until the answer is no job any more.

    Raises:
        ModelError: the job failed or was cancelled, or time is up.
    """
    until = time.monotonic() + seconds
    while isinstance(answer := ask(), Job):
        if answer.state in ("failed", "cancelled") or time.monotonic() > until:
            raise ModelError(
                f"{answer.query} of {answer.study} {answer.state}: {answer.error}",
                "Mend what it names and retry the job.",
            )
        job_store.tend()
        time.sleep(0.5)
    return answer
