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
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import polars as pl

from backend import study as studies_on_disk
from backend.answers import agreement as agreement_answers
from backend.answers import (
    decision_files,
    decisions,
    exchange,
    meaning,
    people,
    quotes,
    routing,
    runs,
)
from backend.answers import features as feature_answers
from backend.answers import labels as label_answers
from backend.answers import overview as overview_answers
from backend.answers import probe as probe_answers
from backend.answers import queue as queue_answers
from backend.answers import regions as region_answers
from backend.answers import tier_check as tier_checks
from backend.answers import tiers as tier_answers
from backend.answers import why as why_answers
from backend.labels.costs import Cap
from backend.regions.partition import check_spec
from backend.schema import (
    Job,
    ModelError,
    NotFoundError,
    PartitionSpec,
    Plan,
    SaeRef,
    Study,
    Thresholds,
    TierSpec,
)
from backend.store import jobs as job_store
from backend.views import (
    Agreement,
    Comparison,
    Decided,
    Draw,
    Experiment,
    FeatureTable,
    FeatureView,
    Guess,
    Hint,
    Imported,
    Labels,
    LabelScores,
    Overview,
    Passage,
    Probe,
    Queue,
    QueueItem,
    Quote,
    RegionMap,
    RegionView,
    Run,
    StudyCard,
    Taken,
    Task,
    TierCheck,
    TierEvidence,
    TierTable,
    Why,
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


def why(study: str, feature: int, token: int) -> Why | Job:
    """Why a feature fires at a token: what each token before adds, and how little text suffices."""
    loaded = studies_on_disk.load(study)
    _sae(loaded)
    return why_answers.why(loaded, feature, token)


def search_features(study: str, text: str) -> pl.DataFrame:
    """Features that fire on a text: feature, hits, share. Whole words; `*` for parts."""
    loaded = studies_on_disk.load(study)
    _sae(loaded)
    return feature_answers.search(loaded, text)


def search_labels(
    study: str, text: str, of: str = "feature", p: float | None = None, k: float | None = None
) -> pl.DataFrame | Job:
    """Features or regions whose labels mean something like a text: label, method, cosine."""
    loaded = studies_on_disk.load(study)
    return meaning.search(loaded, text, _of(loaded, of, p, k))


# ---------------------------------------------------------------- labels


def _of(study: Study, of: str, p: float | None, k: float | None) -> PartitionSpec | None:
    """None: the study's features; else the partition whose regions are meant."""
    if of == "feature":
        _sae(study)
        return None
    if of == "region":
        return _spec(study, p, k)
    raise NotFoundError(f"There are no labels of a {of!r}.", "Ask for a feature or a region.")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def label_methods() -> pl.DataFrame:
    """The methods that make labels: method, help, needs."""
    return label_answers.methods()


def labels(
    study: str,
    number: int,
    of: str = "feature",
    p: float | None = None,
    k: float | None = None,
    split: str = "range",
    seed: int = 0,
    who: str = "own",
) -> Labels:
    """Labels of a feature or region by every method, as far as they are known."""
    loaded = studies_on_disk.load(study)
    return label_answers.labels(loaded, number, _of(loaded, of, p, k), split, seed, who)


def ask_labels(
    study: str,
    number: int,
    methods: str,
    of: str = "feature",
    p: float | None = None,
    k: float | None = None,
    split: str = "range",
    seed: int = 0,
    who: str = "own",
) -> Job:
    """Has the methods named (by commas) label one feature or region."""
    loaded = studies_on_disk.load(study)
    plan = Plan(methods=_names(methods), split=split, seed=seed)
    return label_answers.ask(loaded, number, _of(loaded, of, p, k), plan, who, scored=False)


def label_scores(
    study: str,
    number: int,
    methods: str,
    of: str = "feature",
    p: float | None = None,
    k: float | None = None,
    split: str = "range",
    negatives: str = "other",
    seed: int = 0,
    who: str = "own",
) -> LabelScores | Job:
    """Detection, fuzzing and embedding scores of labels by some methods, and of controls."""
    loaded = studies_on_disk.load(study)
    plan = Plan(methods=_names(methods), split=split, negatives=negatives, seed=seed)
    return label_answers.scores(loaded, number, _of(loaded, of, p, k), plan, who)


# ---------------------------------------------------------------- experiments


def quote(study: str, plan: Plan, who: str = "own") -> Quote:
    """What an experiment asks a language model for, at most."""
    loaded = studies_on_disk.load(study)
    _sae(loaded)
    return quotes.quote(loaded, plan, who)


def server() -> str:
    """The language model that the environment names as a server's; empty where there is none."""
    return label_answers.server()


def start(study: str, plan: Plan, who: str = "own", calls: int = 0, cost: float = 0.0) -> str:
    """Starts an experiment, or goes on with one that stopped: its name. `calls` and `cost` that
    it may not exceed; 0: no limit."""
    loaded = studies_on_disk.load(study)
    _sae(loaded)
    return runs.start(loaded, plan, who, Cap(calls=calls or None, cost=cost or None))


def experiments(study: str) -> list[Run]:
    """Experiments of a study, those under way first, then newest first."""
    loaded = studies_on_disk.load(study)
    return [*(runs.listed(loaded) if loaded.sae else []), *exchange.listed()]


def experiment(study: str, run: str) -> Experiment | Job:
    """What an experiment came to: labels, scores, means, differences, distances, controls."""
    loaded = studies_on_disk.load(study)
    return exchange.view(run) if run.startswith(runs.IMPORTED) else runs.view(loaded, run)


def comparison(study: str, run: str, feature: int, scorer: str = "detection") -> Comparison:
    """One feature's labels side by side on the held-out excerpts they were judged by."""
    loaded = studies_on_disk.load(study)
    by_hand = decision_files.labels_of(loaded).filter(feature=feature)
    return replace(runs.comparison(loaded, run, feature, scorer), human=by_hand)


def export(study: str, run: str, format: str) -> bytes:
    """An experiment's labels as jsonl, csv, parquet or neuronpedia (zip), or all as baez (zip)."""
    return exchange.export(studies_on_disk.load(study), run, format)


def take(data: bytes) -> Imported:
    """Takes in an experiment folder of the baez post, as a zip."""
    return exchange.take(data)


# ---------------------------------------------------------------- people


def vote(
    study: str, run: str, person: str, feature: int, preferred: str, over: tuple[str, ...]
) -> None:
    """Keeps which method's label a person prefers, not knowing whose it is; "": none."""
    people.vote(studies_on_disk.load(study), run, person, feature, preferred, over)


def votes(study: str, run: str) -> pl.DataFrame:
    """How often each method's label was preferred to another's, blind."""
    return people.votes(studies_on_disk.load(study), run)


def task(study: str, run: str, person: str) -> Task:
    """The next label to judge excerpts by, blind."""
    return people.task(studies_on_disk.load(study), run, person)


def answer(study: str, run: str, person: str, item: str, fits: Sequence[int | None]) -> None:
    """Keeps which excerpts a label fits; None: could not tell."""
    people.answer(studies_on_disk.load(study), run, person, item, fits)


def detectors(study: str, run: str) -> pl.DataFrame:
    """How well people detect by labels, beside the experiment's judge on the same labels."""
    return people.detectors(studies_on_disk.load(study), run)


def guess(study: str, run: str, person: str) -> Guess:
    """A text and two verbalizations, of which one is of its activation."""
    return people.guess(studies_on_disk.load(study), run, person)


def guessed(study: str, run: str, person: str, item: str, which: int) -> None:
    """Keeps which of two verbalizations (0, 1) a person took for the activation's."""
    people.guessed(studies_on_disk.load(study), run, person, item, which)


def guesses(study: str, run: str) -> pl.DataFrame:
    """How often people told a verbalization from its control."""
    return people.guesses(studies_on_disk.load(study), run)


# ---------------------------------------------------------------- tiers


def tiers(
    study: str, spec: TierSpec | None = None, thresholds: Thresholds | None = None
) -> TierTable | Job:
    """All features with their correlation scores and tiers, and what chance would give."""
    loaded = studies_on_disk.load(study)
    _sae(loaded)
    return tier_answers.table(loaded, spec or TierSpec(), thresholds or Thresholds())


def tier_evidence(study: str, feature: int, spec: TierSpec | None = None) -> TierEvidence | Job:
    """The windows that a feature's correlation scores stand on."""
    loaded = studies_on_disk.load(study)
    _sae(loaded)
    return tier_answers.evidence(loaded, feature, spec or TierSpec())


def tier_profile(
    study: str, spec: TierSpec | None = None, thresholds: Thresholds | None = None
) -> pl.DataFrame:
    """Tiers of every study of the same model, by layer: study, layer, tier, count, share."""
    loaded = studies_on_disk.load(study)
    return tier_answers.profile(loaded, spec or TierSpec(), thresholds or Thresholds())


def tier_labels(
    study: str, spec: TierSpec | None = None, thresholds: Thresholds | None = None
) -> pl.DataFrame | Job:
    """Labels that routing has made so far: feature, method, label."""
    loaded = studies_on_disk.load(study)
    _sae(loaded)
    scores = tier_answers.find_or_job(loaded, spec or TierSpec())
    if isinstance(scores, Job):
        return scores
    return routing.labels(loaded, scores.assign(thresholds or Thresholds()))


def route_quote(
    study: str, spec: TierSpec, thresholds: Thresholds, who: str = "own", most: int = 0
) -> Quote:
    """What labelling tier 2 by a model asks for, at most; `most` features, 0: all."""
    return routing.quote(studies_on_disk.load(study), spec, thresholds, who, most)


def route(
    study: str,
    spec: TierSpec,
    thresholds: Thresholds,
    who: str = "own",
    most: int = 0,
    calls: int = 0,
    cost: float = 0.0,
) -> Job:
    """Labels tier 1 by counting and tier 2 by a model. `calls` and `cost` that it may not exceed;
    0: no limit."""
    cap = Cap(calls=calls or None, cost=cost or None)
    return routing.start(studies_on_disk.load(study), spec, thresholds, who, most, cap)


def tier_check(
    study: str,
    spec: TierSpec | None = None,
    thresholds: Thresholds | None = None,
    ask: bool = True,
) -> TierCheck | Job | None:
    """Tiers against features of known kind, a second opinion, and themselves on other examples;
    None where it is not computed and not asked for."""
    loaded = studies_on_disk.load(study)
    _sae(loaded)
    return tier_checks.view(loaded, spec or TierSpec(), thresholds or Thresholds(), ask)


def start_by_tier(
    study: str, spec: TierSpec, thresholds: Thresholds, each: int = 15, who: str = "own"
) -> str:
    """Starts an experiment on as many features of each tier: its name."""
    loaded = studies_on_disk.load(study)
    _sae(loaded)
    plan = tier_checks.plan_by_tier(loaded, spec, thresholds, each)
    return runs.start(loaded, plan, who, Cap())


def labels_by_tier(
    study: str, run: str, spec: TierSpec | None = None, thresholds: Thresholds | None = None
) -> pl.DataFrame | Job:
    """An experiment's label scores by the tiers of its features."""
    loaded = studies_on_disk.load(study)
    _sae(loaded)
    found = spec or TierSpec(), thresholds or Thresholds()
    return tier_checks.labels_by_tier(loaded, run, *found)


# ---------------------------------------------------------------- labels by hand


def queue(
    study: str,
    person: str,
    tier: str = "obscure",
    order: str = "margin",
    seed: int = 0,
    only: str = "",
    history: bool = True,
    spec: TierSpec | None = None,
    thresholds: Thresholds | None = None,
) -> Queue | Job:
    """What a person is to label next: features of a tier, or `only` some (numbers, by commas)."""
    loaded = studies_on_disk.load(study)
    _sae(loaded)
    tiers_by = spec or TierSpec(), thresholds or Thresholds()
    asked = queue_answers.Asked(tier, order, seed, _numbers(only), *tiers_by)
    return queue_answers.queue(loaded, person, asked, history)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(number) for number in _names(text))
    except ValueError:
        raise NotFoundError(
            f"{text!r} is no list of features.", "Give their numbers, with commas between."
        ) from None


def queue_items(study: str, features: Sequence[int]) -> list[QueueItem]:
    """What labels of some features are to be made from."""
    return queue_answers.items(studies_on_disk.load(study), features)


def queue_hints(study: str, feature: int) -> tuple[Hint, ...]:
    """What methods and a verbalizer say of a feature, as far as it is known."""
    return queue_answers.hints(studies_on_disk.load(study), feature)


def decide(study: str, person: str, events: Sequence[object]) -> Decided:
    """Keeps decisions of a person, undone and redone ones too; gives which of them are on disk
    now, and why others are refused. Each has a `uid` that its sender makes: sent twice, it is
    kept once."""
    return queue_answers.decide(studies_on_disk.load(study), person, events)


def agreement(study: str, person: str) -> Agreement | Job:
    """How much alike a person's two labels of the same feature are, by the study's embedder."""
    return agreement_answers.agreement(studies_on_disk.load(study), person)


def human_labels(study: str) -> pl.DataFrame:
    """The current decisions of everybody: person, feature, occurrence, action, label, tags, …"""
    return decisions.human_labels(studies_on_disk.load(study))


def export_decisions(study: str, format: str) -> bytes:
    """Labels made by hand: all events as JSONL ("events"), or the current labels as jsonl, csv,
    parquet or neuronpedia (zip)."""
    return decision_files.export(studies_on_disk.load(study), format)


def take_decisions(study: str, person: str, data: bytes, format: str) -> Taken:
    """Takes in labels or events from a file; what is known already is not doubled."""
    return decision_files.take(studies_on_disk.load(study), person, data, format)


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
