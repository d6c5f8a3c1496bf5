"""Every query of the registry: looked for in an empty cache it is missing; asked for it is one job,
however its arguments are spelled; a worker computes it, though two die on the way; then a look
answers.

The queries are computed one after the other in one cache, so what they share is computed once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend import queries, query
from backend.concepts import stability_answers
from backend.evals.ce_bench import sweep as ce_sweep
from backend.evals.sage import answers as sage_answers
from backend.evals.sage.sites import Sizes
from backend.experiments import runs
from backend.labels.words import LabelRequest
from backend.models import embedder
from backend.models import sae as sae_models
from backend.query import Query
from backend.queue.words import Selection
from backend.schema import Job, Plan, SaeRef, Thresholds, TierSpec
from backend.store import jobs, memo, worker
from backend.store import queue as job_queue
from backend.study import loading
from backend.tiers.words import RoutePlan
from tests.conftest import SUBJECTS
from tests.helpers.decisions import decision
from tests.helpers.embedders import Words

SPEC = TierSpec(count=5, input=1, output=1, cross=5)
CROSS = Thresholds(2.0, 2.0, -1.0)  # all that is scored is cross
PLAN = Plan(methods=("token_frequency",), scorers=("embedding",), features=3)
CONCEPTS = "butter, spoon, kettle, apple, ladder, cider"
UNITS = {"units": "features", "sentences": "corpus", "concepts": CONCEPTS}
ANNA = "Anna"
STORIES = [
    {
        "story1": f"The <subject>{word}</subject> finds the {other} on day {day}.",
        "story2": f"On day {day} the <subject>{word}</subject> loses the {other}.",
        "subject": subject,
    }
    for subject, words in SUBJECTS.items()
    for day, (word, other) in enumerate(zip(words[:2], words[2:4], strict=True), 1)
]

# the arguments of each query, in the order in which they are computed; "…" stands for what only
# the fixture knows
CASES: dict[str, dict[str, Any]] = {
    "feature_statistics": {},
    "features": {},
    "feature": {"feature": 0},
    "feature_examples": {"feature": 0, "draw": "top"},
    "search_features": {"text": "boat"},
    "why": {"feature": 0, "token": ...},
    "regions": {},
    "overview": {},
    "region": {"region": 0},
    "region_members": {"region": 0},
    "search_regions": {"text": "boat"},
    "region_of": {"token": 5},
    "document": {"document": 0},
    "probe": {"text": "The boat finds the anchor."},
    "tiers": {"spec": SPEC},
    "tier_evidence": {"feature": 0, "spec": SPEC},
    "tier_labels": {"spec": SPEC},
    "tier_check": {"spec": SPEC},
    "route": {"spec": SPEC, "thresholds": CROSS, "plan": RoutePlan(most=2)},
    "labels": {"request": LabelRequest(0)},
    "write_labels": {"request": LabelRequest(0), "methods": "baez"},
    "label_scores": {"request": LabelRequest(0), "methods": "token_frequency"},
    "search_labels": {"text": "boats"},
    "count_labels": {},
    "find_features": {"text": "boat"},
    "find_regions": {"text": "boat"},
    "run_experiment": {"plan": PLAN},
    "labels_by_tier": {"run": ..., "spec": SPEC},
    "queue": {"person": ANNA, "selection": Selection("cross"), "spec": SPEC},
    "agreement": {"person": ANNA},
    "concept_set": {},
    "concept_aurocs": {},
    "mean_aurocs": {},
    "membership": {},
    "purity_coverage": {},
    "new_text_membership": {},
    "gray_zone": {},
    "stable_regions": {},
    "robustness": {},
    "ce_bench": {"pairs": ...},
    "ce_subject": {"subject": "kitchen", "pairs": ...},
    "ce_steer": {"subject": "kitchen", "prompt": "The oven finds", "pairs": ...},
    "ce_sweep": {"pairs": ...},
    "ce_bench_sweep": {"sae_regex": "r", "pairs": ...},
    "expert_lens": UNITS,
    "expert_concept": {"concept": "butter", **UNITS},
    "experts_between": {"other": "small", **UNITS},
    "sage": {},
}

AT_ONCE = {"experts_between"}  # says nothing of a study where nothing is computed
TOO_SMALL = {"tier_check"}  # 120 documents are needed; computed in tests/tiers/test_check.py


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as context:
        yield context


@pytest.fixture(scope="module")
def arguments(
    computed: tuple[str, Path],
    world: Path,
    tmp_path_factory: pytest.TempPathFactory,
    patch: pytest.MonkeyPatch,
) -> dict[str, dict[str, Any]]:
    """`CASES` without gaps, for the study `small` with nothing computed and no worker."""
    root = tmp_path_factory.mktemp("every")
    patch.setenv("TESSERA_STUDIES", str(world / "studies"))
    patch.setenv("TESSERA_ANNOTATIONS", str(root / "annotations"))
    patch.setenv("TESSERA_CACHE", str(computed[1]))  # where the examples are known
    examples = queries.feature_examples("small", 0)
    assert not isinstance(examples, Job)
    passage = examples.items[0].passage
    both = [decision(1, "a"), decision(1, "b", occurrence=1)]
    assert queries.decide("small", ANNA, both).refused == {}
    patch.setenv("TESSERA_CACHE", str(root / "cache"))
    patch.setattr(jobs, "launch", lambda device: None)
    patch.setattr(embedder, "load", lambda ref, device: Words())
    patch.setattr(stability_answers, "PAIRS", 6)
    patch.setattr(sage_answers, "SIZES", Sizes(train=40, test=24))
    # the registry's SAEs are stood in for by the study's own
    listed = [{"release": "r", "id": "0", "model": "a", "repository": ""}]
    own = SaeRef(f"folder:{world / 'sae'}", "")
    patch.setattr(sae_models, "releases", lambda *_: listed)
    patch.setattr(sae_models, "is_named", lambda name, _: True)
    patch.setattr(ce_sweep, "SaeRef", lambda source, revision: replace(own, revision=revision))
    stories = root / "stories.jsonl"
    stories.write_text("\n".join(json.dumps(row) for row in STORIES))
    values = {
        "token": passage.first + passage.focus,
        "pairs": str(stories),
        "run": runs.run_digest(loading.load("small"), PLAN),
    }
    return {
        name: {key: values[key] if value is ... else value for key, value in case.items()}
        for name, case in CASES.items()
    }


def query_of(name: str) -> Query[..., Any]:
    return query.callables()[name]  # type: ignore[return-value]


def spelled_out(name: str, case: dict[str, Any]) -> tuple[Any, ...]:
    """The same arguments by position, with the defaults of the rest."""
    return tuple(query.find(name).bound(**case).values())


def job_of(answer: Any) -> Job | None:
    """The job that an answer is, or that makes it better."""
    return answer if isinstance(answer, Job) else getattr(answer, "pending", None)


class Killed(BaseException):
    """The worker dies."""


@contextmanager
def dying(after: float, completed: list[str]) -> Iterator[None]:
    """Within it the process ends once so many more results are whole. Their digests go into
    `completed`."""
    original = memo.Memoized._compute
    last = len(completed) + after

    def compute(self: memo.Memoized[Any], digest: str, *args: Any, **kwargs: Any) -> memo.Entry:
        entry = original(self, digest, *args, **kwargs)
        completed.append(digest)
        if len(completed) >= last:
            raise Killed
        return entry

    with pytest.MonkeyPatch.context() as context:
        context.setattr(memo.Memoized, "_compute", compute)
        yield


def work(completed: list[str]) -> int:
    """What workers do with the one job there is: the first dies after one result, the second after
    two more, the third ends it. How many died."""
    for deaths, after in enumerate((1, 2, float("inf"))):
        job = job_queue.claim(job_queue.Lane("cpu"), "worker")
        assert job is not None
        try:
            with dying(after, completed):
                worker._work(job, "worker", query.compute)
        except Killed:
            job_queue.adopt(job_queue.Lane("cpu"))
            assert jobs.get(job.id).state == "queued"
            continue
        ended = jobs.get(job.id)
        assert (ended.state, ended.attempts) == ("done", deaths), ended.error
        return deaths
    raise AssertionError("the third worker did not end it")


def until_whole(ask: Callable[[], Any]) -> tuple[Any, list[Job]]:
    """The answer, and the jobs that were computed for it, one after the other."""
    computed: list[Job] = []
    completed: list[str] = []
    while (job := job_of(answer := ask())) is not None:
        assert [each.id for each in jobs.active()] == [job.id]
        assert job.id not in [each.id for each in computed], "it has ended, and is asked for again"
        work(completed)
        computed.append(job)
    assert len(set(completed)) == len(completed), "what a dead worker computed is computed again"
    return answer, computed


def test_every_query_is_in_the_table() -> None:
    own = {n for n, e in query.registered().items() if e.function.__module__.startswith("backend.")}
    assert {name for name in own if query.find(name).kind == "query"} == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_in_an_empty_cache_it_is_missing_and_one_job(
    name: str, arguments: dict[str, dict[str, Any]]
) -> None:
    case = arguments[name]
    assert query_of(name).look("small", **case) is None
    assert query_of(name).live("small", **case) is None
    assert jobs.recent() == [], "a look asks for nothing"
    job = query_of(name)("small", **case)
    if name in AT_ONCE:
        assert job is None
        return
    assert isinstance(job, Job)
    second = query_of(name)("small", *spelled_out(name, case))
    assert isinstance(second, Job)
    assert [each.id for each in jobs.recent()] == [job.id] == [second.id]
    assert query_of(name).live("small", **case) == second, "it is found without being asked for"
    assert job.title
    job_queue.change("DELETE FROM jobs")


@pytest.mark.parametrize("name", [name for name in CASES if name not in TOO_SMALL])
def test_it_is_computed_though_workers_die(name: str, arguments: dict[str, dict[str, Any]]) -> None:
    case = arguments[name]
    answer, computed = until_whole(lambda: query_of(name)("small", **case))
    assert job_of(answer) is None
    assert job_of(query_of(name)("small", *spelled_out(name, case))) is None
    assert query_of(name).look("small", **case) is not None
    assert jobs.active() == []
    assert len(computed) <= 2, "its own job, and one that it shares with others"
