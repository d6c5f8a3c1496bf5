"""What the Overview page and the header show."""

from __future__ import annotations

import functools
from dataclasses import replace

import polars as pl

from backend import run
from backend.corpus import passages
from backend.corpus.contexts import Tokens
from backend.models.device import pick_device
from backend.overview.views import TOPICS, Overview
from backend.query import lookup, query
from backend.regions import answers as region_answers
from backend.regions import feature_answers
from backend.regions.partitioned import settled, stages
from backend.schema import Partition, Study, TesseraError, conform
from backend.study import loading
from backend.study.views import StudyCard


def card(name: str) -> StudyCard:
    """A study in words; a file that cannot be read comes with its problem and remedy.

    The hub is not asked: revisions of what is there stand as the file gives them.
    """
    try:
        study = loading.parse(name)
        if not _on_the_hub(study):
            study = loading.load(name)
        device = pick_device(study.device)
    except TesseraError as error:
        return StudyCard(name, problem=error.problem, remedy=error.remedy)
    corpus = " + ".join(source.path or source.kind for source in study.corpus.sources)
    size = f"{study.corpus.tokens // 1000}k tokens" if study.corpus.tokens else "whole"
    revisions = [
        ("model", study.model.revision or "newest"),
        ("embedder", study.embedder.revision),
        *((source.path or source.kind, source.digest) for source in study.corpus.sources),
    ]
    if study.sae:
        revisions.insert(1, ("SAE", study.sae.revision))
    return StudyCard(
        name=name,
        title=study.title,
        model=study.model.source.partition(":")[2],
        site=f"block {study.site.layer}",
        corpus=f"{corpus}, {size}",
        sae=study.sae.source.partition(":")[2] if study.sae else "",
        embedder=study.embedder.source.partition(":")[2],
        revisions=tuple(revisions),
        device=device,
        dtype=study.model.dtype,
        p=study.partition.p,
        k=study.partition.k,
        p_stops=study.p_stops,
        k_stops=study.k_stops,
        notes=study.notes,
        finds=study.finds,
    )


def _on_the_hub(study: Study) -> bool:
    named = [study.model.source, study.embedder.source, study.sae.source if study.sae else ""]
    kinds = {source.partition(":")[0] for source in named}
    return bool(kinds & {"hub", "saelens"}) or any(s.kind == "hub" for s in study.corpus.sources)


@query("The corpus", priority=35)
def overview(study: Study) -> Overview:
    """What a study holds: texts, topics, regions, features, and K at every stop. Each part is an
    answer or a job of its own; texts are counted as far as they are read."""
    parts = stages(study, study.partition)
    read = (functools.partial(_tokens, study, part) for part in parts)
    with region_answers.regions.asking(study):
        tokens, is_whole = run.best(*read)
    topics = (
        tokens.documents.group_by("topic")
        .agg(pl.len().alias("documents"), pl.col("tokens").sum())
        .sort("tokens", "topic", descending=[True, False])
    )
    return Overview(
        documents=len(tokens.documents),
        contexts=len(tokens.contexts),
        tokens=len(tokens),
        corpus_tokens=len(tokens) if is_whole else study.corpus.tokens,
        repeats=int(tokens.entry.value("repeats")),
        topics=conform(topics, TOPICS),
        regions=region_answers.regions(study.name),
        features=feature_answers.features(study.name) if study.sae else None,
        stops=region_answers.stops(study.name),
    )


def _tokens(study: Study, partition: Partition) -> tuple[Tokens, bool]:
    """What is read of a corpus, and whether that is all."""
    corpus = settled(study, partition).reading.corpus
    return passages.tokens_of(study.model, corpus), corpus == study.corpus


@lookup
def studies() -> list[StudyCard]:
    """All studies, with what each looks at; a bad study file comes with its problem."""
    return [card(name) for name in loading.names()]


@lookup
def study(study: Study) -> StudyCard:
    """What one study looks at: model, site, corpus, SAE, embedder, their revisions; with the
    problem where parts that are on this machine do not fit each other."""
    described = card(study.name)
    if described.problem or _on_the_hub(study):
        return described
    try:
        loading.check(study)
    except TesseraError as error:
        return replace(described, problem=error.problem, remedy=error.remedy)
    return described
