"""The questions whose answers are kept: what `docs/findings.md`, `docs/tiers.md`,
`docs/benchmarks.md` and the pages stand on.

A group yields its questions one by one, and each is answered before the next is asked for, so a
question may be about what an answer named. A file of kept values holds the questions as they were
asked, so this list may change without making the file void.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import polars as pl

from backend import queries, settings
from backend.evals.words import EVALUATIONS
from backend.features.views import FeatureTable
from backend.labels.words import LabelRequest
from backend.regions.views import MemberDraw, RegionMap
from backend.schema import Plan, Thresholds

REGIONS = (137, 7, 1500)  # of a study with fewer: modulo their number
FEATURES = (350, 17, 3239)
SECOND_P = 8.0
FREE = "token_frequency,logit_cascade"  # methods that ask no model
WRITTEN = "eleuther_acts_top5,baez"
TEXT = "The captain scored a late goal, and the bank cut its interest rate by half a point."
PROMPT = "The people in the street said that"
CONCEPTS = "film, game, government, market, money, music, party, world"
PERSON = "golden"


@dataclasses.dataclass(frozen=True)
class Question:
    """A query, or a function of `STEPS`, and its arguments after the study."""

    name: str  # group/words
    query: str
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict)


def wait_for_answer(ask: Callable[[], Any]) -> Any:
    """The whole answer: waits for the job, and for what a preview says is pending."""

    def whole() -> Any:
        answer = ask()
        return getattr(answer, "pending", None) or answer

    return queries.wait(whole)


# ---------------------------------------------------------------- questions of several steps


def whole_map(study: str, **stop: float) -> Any:
    """The map with the features that match its regions; before these are known it is an answer
    too."""
    if queries.study(study).sae:
        wait_for_answer(lambda: queries.features(study))
    wait_for_answer(lambda: queries.region(study, 0, **stop))
    return queries.regions(study, **stop)


def whole_features(study: str) -> Any:
    """All features with the regions that match them and the tokens that they promote."""
    whole_map(study)
    view = queries.features(study)
    assert isinstance(view, FeatureTable)
    last = len(view.table) - 1  # whose logits are read last
    wait_for_answer(lambda: queries.feature(study, last))
    return queries.features(study)


def stop(study: str, p: float, k: float) -> pl.DataFrame:
    """The row of one stop, whatever else is computed."""
    return queries.stops(study).filter(p=p, k=k)


def known_labels(study: str, **request: Any) -> Any:
    return queries.labels(study, LabelRequest(**request))


def scored_labels(study: str, methods: str, **request: Any) -> Any:
    return queries.label_scores(study, LabelRequest(**request), methods)


def written_labels(study: str, number: int, methods: str, **where: Any) -> Any:
    """Labels after some methods have been asked for theirs."""
    request = LabelRequest(number, **where)
    wait_for_answer(lambda: queries.write_labels(study, request, methods))
    return queries.labels(study, request)


def labels_in_regions(study: str, numbers: list[int], methods: str, text: str) -> Any:
    """A search by meaning among the labels of some regions."""
    for number in numbers:
        written_labels(study, number, methods, kind="region")
    return wait_for_answer(lambda: queries.search_labels(study, text, kind="region"))


def _plan(fields: dict[str, Any]) -> Plan:
    """A plan as JSON has it."""
    methods, scorers, among = (tuple(fields[name]) for name in ("methods", "scorers", "among"))
    return Plan(methods=methods, scorers=scorers, among=among, features=len(among))


def _run(study: str, plan: dict[str, Any]) -> str:
    """Starts an experiment and waits for its end."""
    run = queries.start_experiment(study, _plan(plan))
    wait_for_answer(lambda: queries.experiment(study, run))
    return run


def small_experiment(study: str, plan: dict[str, Any]) -> Any:
    run = _run(study, plan)
    return queries.experiment(study, run)


def experiment_comparison(study: str, plan: dict[str, Any], feature: int) -> Any:
    return queries.comparison(study, _run(study, plan), feature)


def experiment_by_tier(study: str, plan: dict[str, Any]) -> Any:
    run = _run(study, plan)
    return wait_for_answer(lambda: queries.labels_by_tier(study, run))


def experiment_quote(study: str, plan: dict[str, Any]) -> Any:
    return queries.estimate_cost(study, _plan(plan))


def tiers_at(study: str, **thresholds: float) -> Any:
    return queries.tiers(study, thresholds=Thresholds(**thresholds))


def whole_gray_zone(study: str, **what: Any) -> Any:
    """The gray zone with a partition of every k."""
    return wait_for_answer(lambda: queries.gray_zone(study, **what))


def own_concept(study: str, positive: list[str], negative: list[str], about: str) -> Any:
    """An answer about a concept of one's own, which is kept first."""
    name = queries.keep_concept("golden", "\n".join(positive), "\n".join(negative))
    functions: dict[str, Callable[..., Any]] = {
        "set": queries.concept_set,
        "any region": queries.concept_aurocs,
        "in or out": queries.membership,
    }
    return functions[about](study, name)


def hard_negatives(study: str, texts: dict[str, list[str]], contrast: str) -> Any:
    """How well directions tell a concept of one's own from a contrast; `texts` by label."""
    file = settings.current().annotations / "concepts" / "golden-hard.jsonl"
    rows = [{"text": text, "label": label} for label, part in texts.items() for text in part]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return queries.concept_aurocs(study, file.name, contrast=contrast)


def headline(study: str, benchmark: str, **arguments: Any) -> Any:
    """The headline numbers of a benchmark."""
    answers = EVALUATIONS[benchmark].answers
    return answers.measures(wait_for_answer(lambda: answers.query(study, **arguments)))


def region_members(study: str, region: int, draw: str) -> Any:
    """Members of a region by a draw that is named by its kind alone."""
    return wait_for_answer(lambda: queries.region_members(study, region, draw=MemberDraw(draw)))


STEPS: dict[str, Callable[..., Any]] = {
    step.__name__: step
    for step in (
        whole_map,
        whole_features,
        stop,
        written_labels,
        labels_in_regions,
        small_experiment,
        experiment_comparison,
        experiment_by_tier,
        experiment_quote,
        tiers_at,
        whole_gray_zone,
        own_concept,
        hard_negatives,
        headline,
        region_members,
    )
} | {"labels": known_labels, "label_scores": scored_labels}

# ---------------------------------------------------------------- what a study has


def region_numbers(study: str) -> list[int]:
    view = wait_for_answer(lambda: queries.regions(study))
    assert isinstance(view, RegionMap)
    return list(dict.fromkeys(number % len(view.table) for number in REGIONS))


def large_regions(study: str) -> list[int]:
    """Three that are large enough to be labelled."""
    view = wait_for_answer(lambda: queries.regions(study))
    return view.table.sort("size", "region", descending=True)["region"].head(3).to_list()


def feature_numbers(study: str) -> list[int]:
    view = wait_for_answer(lambda: queries.features(study))
    assert isinstance(view, FeatureTable)
    return list(dict.fromkeys(number % len(view.table) for number in FEATURES))


def _strongest(study: str, number: int) -> tuple[Any, ...]:
    """A feature's strongest example; none where it is silent."""
    return wait_for_answer(lambda: queries.feature_examples(study, number, "top", 1)).items


# ---------------------------------------------------------------- groups


def regions(study: str) -> Iterator[Question]:
    yield Question("regions/study", "study")
    yield Question("regions/map", "whole_map")
    yield Question("regions/second map", "whole_map", {"p": SECOND_P})
    for p in (queries.study(study).p, SECOND_P):
        yield Question(f"regions/stop {p:g}", "stop", {"p": p, "k": queries.study(study).k})
    first, *others = region_numbers(study)
    for number in (first, *others):
        yield Question(f"regions/region {number}", "region", {"region": number})
    for draw in ("closest", "farthest", "random", "band 2"):
        name = f"regions/members {draw}"
        yield Question(name, "region_members", {"region": first, "draw": draw})
    for text in ("goal", "the captain", "rate*"):
        yield Question(f"regions/search {text}", "search_regions", {"text": text})
    yield Question("regions/token", "region_of", {"token": 1000})
    yield Question("regions/document", "document", {"document": 2})
    yield Question("regions/probe", "probe", {"text": TEXT})


def features(study: str) -> Iterator[Question]:
    yield Question("features/table", "whole_features")
    first, *others = feature_numbers(study)
    for number in (first, *others):
        yield Question(f"features/feature {number}", "feature", {"feature": number})
        for example in _strongest(study, number):
            arguments = {"feature": number, "token": example.token}
            yield Question(f"features/why {number}", "why", arguments)
    for draw in ("top", "random", "silent", "quantile 3"):
        name = f"features/examples {draw}"
        yield Question(name, "feature_examples", {"feature": first, "draw": draw})
    for text in ("goal", "rate*"):
        yield Question(f"features/search {text}", "search_features", {"text": text})
    yield Question("features/document", "document", {"document": 2, "feature": first})
    yield Question("features/probe", "probe", {"text": TEXT, "feature": first})
    yield Question("features/overview", "overview")


def labels(study: str) -> Iterator[Question]:
    numbers = feature_numbers(study)
    for number in numbers:
        yield Question(f"labels/feature {number}", "labels", {"number": number})
        arguments = {"number": number, "methods": FREE}
        yield Question(f"labels/scores {number}", "label_scores", arguments)
    arguments = {"number": numbers[0], "methods": WRITTEN}
    yield Question("labels/written", "written_labels", arguments)
    large = large_regions(study)
    arguments = {"number": large[0], "methods": WRITTEN, "kind": "region"}
    yield Question("labels/region", "written_labels", arguments)
    arguments = {"numbers": large, "methods": WRITTEN, "text": "sports"}
    yield Question("labels/search", "labels_in_regions", arguments)
    plan: dict[str, Any] = {
        "methods": FREE.split(","),
        "scorers": ["detection", "embedding"],
        "among": numbers,
    }
    yield Question("labels/quote", "experiment_quote", {"plan": plan})
    yield Question("labels/experiment", "small_experiment", {"plan": plan})
    arguments = {"plan": plan, "feature": numbers[0]}
    yield Question("labels/comparison", "experiment_comparison", arguments)
    yield Question("labels/by tier", "experiment_by_tier", {"plan": plan})


def tiers(study: str) -> Iterator[Question]:
    yield Question("tiers/table", "tiers")
    yield Question("tiers/thresholds", "tiers_at", {"input": 0.3, "output": 0.3, "cross": 0.1})
    yield Question("tiers/profile", "tier_profile")
    for number in feature_numbers(study):
        yield Question(f"tiers/evidence {number}", "tier_evidence", {"feature": number})
    yield Question("tiers/check", "tier_check")
    yield Question("tiers/queue", "queue", {"person": PERSON})
    yield Question("tiers/queue items", "queue_items", {"features": feature_numbers(study)})


def concepts(study: str) -> Iterator[Question]:
    yield Question("concepts/set", "concept_set", {"name": "topics"})
    view = wait_for_answer(lambda: queries.concept_set(study, "topics"))
    names = view.concepts["name"].to_list()
    for each in names:
        arguments = {"name": "topics", "concept": each}
        yield Question(f"concepts/any region {each}", "concept_aurocs", arguments)
    concept = "sports" if "sports" in names else names[0]
    yield Question("concepts/over concepts", "mean_aurocs", {"name": "topics"})
    arguments = {"name": "topics", "concept": concept}
    yield Question("concepts/membership", "membership", arguments)
    yield Question("concepts/gathering", "new_text_membership", arguments)
    yield Question("concepts/spread", "purity_coverage", arguments)
    yield Question("concepts/whole_gray_zone", "whole_gray_zone", arguments)
    for about in ("set", "any region", "in or out"):
        yield Question(f"concepts/own, {about}", "own_concept", OWN | {"about": about})
    texts = {"positive": OWN["positive"], "negative": OWN["negative"], "hard negative": HARD}
    for contrast in ("negative", "hard", "both"):
        arguments = {"texts": texts, "contrast": contrast}
        yield Question(f"concepts/contrast {contrast}", "hard_negatives", arguments)
    yield Question("concepts/stable", "stable_regions")
    yield Question("concepts/again", "robustness")


def evals(study: str) -> Iterator[Question]:
    yield Question("evals/CE-Bench sweep", "ce_sweep")
    yield Question("evals/CE-Bench", "ce_bench")
    for definition in ("seed", "published", "corrected"):
        arguments = {"definition": definition}
        yield Question(f"evals/CE-Bench subject, {definition}", "ce_subject", arguments)
    subject = wait_for_answer(lambda: queries.ce_bench(study)).subjects[0]
    arguments = {"subject": subject, "prompt": PROMPT}
    yield Question("evals/CE-Bench steered", "ce_steer", arguments)
    for units in ("maps", "features"):
        arguments = {"units": units, "concepts": CONCEPTS}
        yield Question(f"evals/ExpertLens {units}", "expert_lens", arguments)
        yield Question(f"evals/ExpertLens concept, {units}", "expert_concept", arguments)
    yield Question("evals/SAGE", "sage", {"task": "agreement"})
    part = wait_for_answer(lambda: queries.sage(study, "agreement")).results
    for role in part.evaluated[1:] if part else ():
        arguments = {"task": "agreement", "role": role}
        yield Question(f"evals/SAGE at {role}", "sage", arguments)
    yield Question("evals/CE-Bench headline", "headline", {"benchmark": "ce_bench"})
    arguments = {"benchmark": "expert_lens", "units": "maps", "concepts": CONCEPTS}
    yield Question("evals/ExpertLens headline", "headline", arguments)
    arguments = {"benchmark": "sage", "task": "agreement"}
    yield Question("evals/SAGE headline", "headline", arguments)


_LIKES = "tea coffee honey bread cheese rain snow music chess boats gardens trains".split()
OWN = {
    "positive": [f"My sister really loves {thing} and cannot get enough." for thing in _LIKES],
    "negative": [f"The report on {thing} was filed under the usual number." for thing in _LIKES],
}
HARD = [f"My sister really knows {thing} and would rather not talk." for thing in _LIKES]
GROUPS: dict[str, Callable[[str], Iterator[Question]]] = {
    group.__name__: group for group in (regions, features, labels, tiers, concepts, evals)
}
