"""The work that jobs do: which memoized results a task computes, and in what order.

A task only fills the memo. Pages read the memo through `backend.queries` and submit a task for
what is missing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from backend import study as studies
from backend.activations import Activations
from backend.corpus.contexts import Tokens, tokenize
from backend.features import codes, examples, logits, why
from backend.models import language_model, sae
from backend.models.device import pick_device
from backend.regions import lens, matching, partitioning, projection, statistics
from backend.schema import CorpusRef, Job, ModelError, PartitionSpec, Progress, SaeRef, Study
from backend.store import jobs, queue
from backend.store.memo import Memoized

PREVIEW_TOKENS = 40_000
PRIORITY = {  # from queue.SHORT on somebody waits; up to queue.LONG it gives way
    "probe": 50,
    "why": 50,
    "labels": queue.SHORT,
    "meaning": 48,
    "agreement": 48,
    "tiers": queue.LONG,
    "tier_check": queue.LONG - 1,
    "route": queue.LONG,
    "concept": queue.SHORT,  # a few texts of one's own
    "concepts": queue.LONG,
    "gather": queue.SHORT,
    "gray": queue.LONG - 1,
    "stability": queue.LONG - 1,
    "again": queue.LONG - 1,
    "ce_bench": queue.LONG - 1,
    "ce_steer": queue.SHORT,
    "expert_lens": queue.LONG - 1,
    "sage": queue.LONG - 1,
    "experiment": queue.LONG,
    "preview": 40,
    "regions": 30,
    "features": 20,
    "matches": 10,
}


@dataclass(frozen=True)
class Request:
    """A task with its study and arguments, checked and resolved."""

    study: Study
    device: str
    progress: Progress
    spec: PartitionSpec
    asked: dict[str, Any] = field(default_factory=dict)  # what else the job was asked for

    @property
    def site(self) -> tuple[Any, ...]:
        """The leading arguments of what depends on the site and the corpus alone."""
        return self.study.model, self.study.site, self.study.corpus

    @property
    def sae(self) -> SaeRef:
        if self.study.sae is None:
            raise ModelError(f"The study {self.study.name} has no SAE.", "Name one under [sae].")
        return self.study.sae

    def run(self, function: Memoized, *args: Any) -> Any:
        return function(*args, device=self.device, progress=self.progress)

    def run_with(self, function: Memoized, inputs: Any, *args: Any) -> Any:
        return function(*args, inputs=inputs, device=self.device, progress=self.progress)

    def blocks(self, count: int, size: int, message: str, *calls: tuple[Any, ...]) -> None:
        """Runs each call for every block of `size` out of `count`."""
        total = -(-count // size)
        for block in range(total):
            self.progress.report(block, total, message, "blocks")
            for function, *args in calls:
                function(*args, block, device=self.device, progress=Progress())


def preview_corpus(corpus: CorpusRef) -> CorpusRef | None:
    """The beginning of a corpus that a first map stands on; None where it is no longer."""
    if corpus.tokens and corpus.tokens <= PREVIEW_TOKENS:
        return None
    return replace(corpus, tokens=PREVIEW_TOKENS)


def _preview(request: Request) -> None:
    corpus = preview_corpus(request.study.corpus)
    if corpus is not None:
        _map(replace(request, study=replace(request.study, corpus=corpus)))


def _regions(request: Request) -> None:
    _map(request)
    arguments = *request.site, request.spec
    request.run(projection.layout, *arguments, "umap", request.spec.seed)
    count = len(partitioning.build_partition.get(*arguments).array("exemplar_tokens"))
    request.blocks(count, lens.BLOCK, "Reading logits of exemplars", (lens.lens, *arguments))


def _map(request: Request) -> None:
    """What a first map needs: the partition, its statistics and a quick layout."""
    language_model.vocabulary(request.study.model)
    read(request)
    arguments = *request.site, request.spec
    request.run(partitioning.build_partition, *arguments)
    request.run(statistics.describe, *arguments)
    request.run(projection.layout, *arguments, "pca", request.spec.seed)
    request.run(
        partitioning.thresholds, *request.site, list(request.study.p_stops), request.spec.seed
    )


def read(request: Request) -> None:
    """All activations of the corpus, chunk by chunk."""
    tokens = Tokens(tokenize(request.study.model, request.study.corpus, progress=request.progress))
    activations = Activations(
        request.study.model, request.study.site, tokens, request.device, request.progress
    )
    for chunk in range(activations.chunks):
        activations.entry(chunk)


def _features(request: Request) -> None:
    read(request)
    arguments = *request.site, request.sae
    request.run(codes.index, *arguments)
    request.run(examples.summary, *arguments)
    width = sae.load(request.sae, request.device).width
    nearest = logits.neighbours, request.sae
    effects = logits.effects, request.study.model, request.sae
    request.blocks(width, logits.BLOCK, "Reading logits of features", nearest, effects)


def _matches(request: Request) -> None:
    request.run(matching.match, *request.site, request.spec, request.sae)


def _probe(request: Request) -> None:
    from backend.answers import probe

    request.run(probe.read, *probe.asked(request.study, request.asked["text"]))


def _why(request: Request) -> None:
    named = (request.asked[name] for name in ("feature", "token"))
    request.run(why.read, *request.site, request.sae, *named)


def _of(module: str, function: str = "compute") -> Callable[[Request], None]:
    """A task that another module of answers does; these import this one, so it is found late."""

    def run(request: Request) -> None:
        getattr(importlib.import_module(f"{__package__}.{module}"), function)(request)

    return run


TASKS: dict[str, Callable[[Request], None]] = {
    "preview": _preview,
    "regions": _regions,
    "features": _features,
    "matches": _matches,
    "probe": _probe,
    "why": _why,
    "labels": _of("labels"),
    "meaning": _of("meaning"),
    "agreement": _of("agreement"),
    "experiment": _of("runs"),
    "route": _of("routing"),
    "tiers": _of("tiers"),
    "tier_check": _of("tier_check"),
    "concept": _of("concepts"),
    "concepts": _of("concepts"),
    "gather": _of("concept_parts", "gather"),
    "gray": _of("concept_parts", "gray"),
    "stability": _of("steady", "patch"),
    "again": _of("steady", "repeat"),
    "ce_bench": _of("ce_bench"),
    "ce_steer": _of("ce_bench", "steer"),
    "expert_lens": _of("expert_lens"),
    "sage": _of("sage"),
}


def resolve(task: str) -> Callable[[str, dict[str, Any], str, Progress], None]:
    """What the worker runs for a task."""

    def run(study: str, arguments: dict[str, Any], device: str, progress: Progress) -> None:
        loaded = studies.load(study)
        studies.check(loaded)
        spec = PartitionSpec(**arguments["spec"]) if "spec" in arguments else loaded.partition
        TASKS[task](Request(loaded, device, progress, spec, arguments))

    return run


def ensure(task: str, study: Study, key: str, **arguments: Any) -> Job:
    """The live job of a task, or its failure; submitted where there is neither."""
    latest = jobs.for_key(f"{task}:{key}")
    if latest is not None and latest.state != "done":
        return latest
    return jobs.submit(
        task,
        study.name,
        arguments,
        pick_device(study.device),
        key=f"{task}:{key}",
        priority=PRIORITY[task],
    )
