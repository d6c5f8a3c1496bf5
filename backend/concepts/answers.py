"""Hard questions of one concept: who is in, how pure, how split, and where new texts go."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from backend import run
from backend.concepts import membership as rules
from backend.concepts import purity, scores
from backend.concepts.choices import choose
from backend.concepts.new_texts import new_text_distances
from backend.concepts.ranked_units import tied_units
from backend.concepts.results import SEED, ConceptResults, results_of, set_key
from backend.concepts.views import GrayZone, Membership, NewTextMembership, PurityCoverage
from backend.query import query
from backend.regions import description, partitioning
from backend.schema import NotFoundError, Study
from backend.statistics.agreement import constant_f1
from backend.store import queue
from backend.store.memo import Entry

RULES = ("ball", "owner", "both")
MEMBERS = ("exemplar", "coreset")  # the control beside it has the same K and θ
QUANTILES = (0.05, 0.5, 0.95)

Row = dict[str, Any]

# ---------------------------------------------------------------- in or out


@dataclass(frozen=True)
class _Choice:
    """What training texts choose by one rule, `best` of the regions and a `union` of them, with
    their rates on test texts; and `js`, J of every region on these."""

    rates: list[Row]
    js: np.ndarray
    best: int | None
    union: list[int]


@query("Texts in and out of regions", priority=queue.SHORT)
def membership(
    study: Study,
    name: str = "topics",
    concept: str = "",
    p: float | None = None,
    k: float | None = None,
) -> Membership:
    """Hard membership at θ: TPR, TNR and J of the best region, of a union, and of every region."""
    results = results_of(study, name, p, k)
    number = results.concept(concept)
    choices = {
        (kind, rule): _choose(results, number, inside)
        for kind in MEMBERS
        for rule, inside in _inside(results, kind).items()
    }
    rows = [
        {"method": kind, "rule": rule, **row}
        for (kind, rule), choice in choices.items()
        for row in choice.rates
    ]
    keyed = {f"{kind} {rule}": choice for (kind, rule), choice in choices.items()}
    return Membership(
        table=pl.DataFrame(rows, infer_schema_length=None),
        every=_every_region(choices),
        js={key: choice.js for key, choice in keyed.items()},
        best={key: choice.best for key, choice in keyed.items() if choice.best is not None},
        unions={key: choice.union for key, choice in keyed.items()},
        provenance=results.owners["exemplar"].provenance(
            results.command("membership", number, name=name)
        ),
    )


def _choose(results: ConceptResults, concept: int, inside: Any) -> _Choice:
    """`inside` [texts, K]: which texts are in which region."""
    train, test = (results.set.texts_of(concept, split)[:2] for split in ("train", "test"))
    table = rules.rates(inside, *test)
    alike = rules.tied_regions(rules.rates(inside, *train))
    region = int(alike[0]) if len(alike) else None
    union = rules.greedy_union(inside, *train)
    one = table.filter(pl.col("region") == region)
    many = rules.rates(rules.in_any_region(inside, union), *test)
    spread = _tied_rates(table.filter(pl.col("region").is_in(alike)))
    rows = [{"what": "best", "regions": 1, **row, **spread} for row in _rows(one)]
    nothing = _tied_rates(table.clear())
    rows += [{"what": "union", "regions": len(union), **row, **nothing} for row in _rows(many)]
    return _Choice(rows, table["j"].drop_nulls().to_numpy(), region, union)


def _rows(table: pl.DataFrame) -> list[Row]:
    return table.drop("region").to_dicts()


def _every_region(choices: dict[tuple[str, str], _Choice]) -> pl.DataFrame:
    """method, rule, regions, and J over all of these: quantiles, and the share above .5."""
    rows = [
        (
            *key,
            len(choice.js),
            *np.quantile(choice.js, QUANTILES),
            float((choice.js > 0.5).mean()),
        )
        for key, choice in choices.items()
    ]
    names = ["method", "rule", "regions", "p5", "median", "p95", "above_half"]
    return pl.DataFrame(rows, schema=names, orient="row")


def _tied_rates(table: pl.DataFrame) -> Row:
    """How many regions training texts cannot tell apart, and the spread of their rates."""
    row: Row = {"tied": len(table) or None}
    for name in ("tpr", "tnr", "j"):
        values = table[name]
        ends = {"": values.mean(), "_low": values.min(), "_high": values.max()}
        row |= {f"tied_{name}{end}": value for end, value in ends.items()}
    return row


def _inside(results: ConceptResults, kind: str) -> dict[str, Any]:
    """[texts, K] by rule: which texts are in which region."""
    owners, similarity, theta = results.owners[kind], results.scores[kind], results.theta
    owned, both = rules.owner_membership(
        owners.array("owner"),
        owners.array("distance"),
        theta,
        results.set.offsets,
        similarity.shape[1],
    )
    return dict(zip(RULES, (rules.ball_membership(similarity, theta), owned, both), strict=True))


# ---------------------------------------------------------------- new texts


@query("New texts in a region", priority=queue.SHORT)
def new_text_membership(
    study: Study,
    name: str = "topics",
    concept: str = "",
    other: str = "",
    p: float | None = None,
    k: float | None = None,
) -> NewTextMembership:
    """Where new texts lie in the region that a concept's training texts choose: the concept's own
    test texts, or those of the first concept of another set, `other`."""
    results = results_of(study, name, p, k)
    number = results.concept(concept)
    region, ties = chosen_region(results, number)
    # another set has no concept of this number
    ref, texts = (choose(other), 0) if other and other != name else (results.ref, number)
    entry = new_text_distances(results.partition, region, ref, texts)
    shares, quantiles, nearest = (entry.frame(name) for name in ("shares", "quantiles", "nearest"))
    command = results.command("new_text_membership", number, name=name, other=other)
    return NewTextMembership(
        region, ties, results.theta, shares, quantiles, nearest, entry.provenance(command)
    )


def chosen_region(results: ConceptResults, concept: int) -> tuple[int, int]:
    """The region that training texts choose by their AUROC along exemplars, the first of those that
    tie; and how many these are.

    Raises:
        NotFoundError: the partition has no region.
    """
    train = np.asarray(results.unit_scores["exemplar"].array("train")[concept])
    if not len(train):
        raise NotFoundError("This partition has no region.", "Choose a larger p.")
    return int(train.argmax()), len(tied_units(train))


# ---------------------------------------------------------------- purity and coverage


@query("Purity and coverage of regions", priority=queue.SHORT)
def purity_coverage(
    study: Study,
    name: str = "topics",
    concept: str = "",
    p: float | None = None,
    k: float | None = None,
) -> PurityCoverage:
    """Purity and coverage of every part of every way to cut the same tokens."""
    results = results_of(study, name, p, k)
    number = results.concept(concept)
    parts = _parts(results, number)
    units = [table.with_columns(method=pl.lit(method)) for method, table, _ in parts]
    relations = purity.shape_correlations(parts[0][1], results.shape.frame("regions"))
    prior = _prior(_test_tokens(results, number)[1])
    return PurityCoverage(
        units=pl.concat(units).filter(pl.col("hits") > 0),
        splitting=pl.DataFrame([split for *_, split in parts]),
        relations=relations,
        prior=prior,
        whole_f1=constant_f1(prior),
        left_out=max(relations["left_out"].to_list(), default=0),
        provenance=results.owners["exemplar"].provenance(
            results.command("purity_coverage", number, name=name)
        ),
    )


def _parts(results: ConceptResults, concept: int) -> list[tuple[str, pl.DataFrame, Row]]:
    """Of every way to cut the tokens, regions first: its name, purity of its parts, and over how
    many of them the concept is split."""
    tokens, hit = _test_tokens(results, concept)
    parts = []
    for method, owner, count in _cuts(results):
        table = purity.purity_of_owners(owner[tokens], hit, count)
        uncovered = int((hit & (owner[tokens] < 0)).sum())
        parts.append((method, table, {"method": method, **_split(table, uncovered)}))
    if results.coverage is not None:
        table = _feature_table(results, concept, hit)
        split = _split(table, 0) | _feature_split(results.coverage, concept)
        parts.append(("sae", table, {"method": "sae", **split}))
    return parts


def _feature_table(results: ConceptResults, concept: int, hit: np.ndarray) -> pl.DataFrame:
    positive, *others = results.set.texts_of(concept, "test")
    counts = np.asarray(results.strengths["sae"].array("counts"))
    active = counts[np.r_[positive, *others]].sum(axis=0)
    return purity.purity_of_counts(active, counts[positive].sum(axis=0), int(hit.sum()), len(hit))


def _feature_split(coverage: Entry, concept: int) -> Row:
    """Features overlap: a token in 48 of them is no 48 tokens, so there is no entropy over parts,
    and as few as hold enough are found greedily."""
    names = ("half", "most", "uncovered")
    half, most, uncovered = (int(coverage.array(name)[concept]) for name in names)
    ends = {"half": half or None, "most": most or None, "uncovered": uncovered}
    return ends | {"effective": None, "whole": None}


def _test_tokens(results: ConceptResults, concept: int) -> tuple[np.ndarray, np.ndarray]:
    """Token rows of a concept's test texts, and whether each is of a positive one."""
    positive, *others = results.set.texts_of(concept, "test")
    text = results.set.tokens.document_of
    tokens = np.flatnonzero(np.isin(text, np.r_[positive, *others]))
    return tokens, np.isin(text[tokens], positive)


def _prior(hit: np.ndarray) -> float:
    """Share of positive tokens."""
    return float(hit.mean()) if len(hit) else float("nan")


def _cuts(results: ConceptResults) -> list[tuple[str, np.ndarray, int]]:
    """method, part of each token (negative: in none), and number of parts."""
    distance = np.asarray(results.owners["exemplar"].array("distance"))
    parts = {kind: np.asarray(entry.array("owner")) for kind, entry in results.owners.items()}
    # a rival has no θ of its own: all of its tokens are in a part
    parts["exemplar"] = np.where(distance <= results.theta, parts["exemplar"], -1)
    cluster = np.asarray(results.clusters.array("cluster"))
    by_meaning = cluster[results.set.tokens.document_of]
    cuts = [(kind, part, results.scores[kind].shape[1]) for kind, part in parts.items()]
    return [*cuts, ("meaning", by_meaning, int(cluster.max(initial=-1)) + 1)]


def _split(table: pl.DataFrame, uncovered: int) -> Row:
    """How many parts hold a concept, and how pure and wide the best of them is."""
    splitting = purity.split_over_regions(table["hits"].to_numpy(), uncovered)
    every = purity.split_over_regions(table["count"].to_numpy())
    best = (
        table.sort("f1", descending=True, nulls_last=True).row(0, named=True) if len(table) else {}
    )
    names = ("region", "purity", "lift", "coverage", "f1", "f1_low", "f1_high")
    return {
        "units": len(table),
        "used": int((table["hits"] > 0).sum()),
        **asdict(splitting),
        "whole": every.effective,
        **{f"best_{name}".replace("best_f1_", "f1_"): best.get(name) for name in names},
    }


# ---------------------------------------------------------------- the gray zone


@query("Partitions with a gray zone", priority=queue.LONG - 1, key=set_key)
def gray_zone(
    study: Study,
    name: str = "topics",
    concept: str = "",
    p: float | None = None,
    k: float | None = None,
) -> GrayZone:
    """What a gray zone does to the partition and to a concept, at every k of the study."""
    results = results_of(study, name, p, k)
    number = results.concept(concept)
    tokens, hit = _test_tokens(results, number)
    rows = [_gray_row(results, k, tokens, hit) for k in study.k_stops]
    names = dict.fromkeys(name for row in rows for name in row)
    prior = _prior(hit)
    return GrayZone(
        table=pl.DataFrame([{name: row.get(name) for name in names} for row in rows]),
        theta=results.theta,
        prior=prior,
        whole_f1=constant_f1(prior),
        provenance=results.build.provenance(results.command("gray_zone", number, name=name)),
    )


def _gray_row(results: ConceptResults, k: float, tokens: np.ndarray, hit: np.ndarray) -> Row:
    """The partition at a k, and the concept in it, each where it is computed."""
    partition = results.study.cut(replace(results.spec, k=k))
    build = run.optional(partitioning.build_partition, partition)
    run.optional(description.describe, partition)  # so that it can be opened on other pages
    owners = run.optional(scores.token_owners, partition, results.ref, "exemplar", SEED)
    row: Row = {"k": k, "read": False}
    if build is not None:
        row |= _gray_partition(build)
        row |= _gray_concept(build, owners, tokens, hit) if owners is not None else {}
    return row


def _gray_concept(build: Entry, owners: Entry, tokens: np.ndarray, hit: np.ndarray) -> Row:
    near = np.asarray(owners.array("distance"))[tokens] <= build.value("reach")
    owner = np.where(near, np.asarray(owners.array("owner"))[tokens], -1)
    table = purity.purity_of_owners(owner, hit, len(build.array("exemplar_tokens")))
    return {"read": True, **_split(table, int((hit & (owner < 0)).sum()))}


def _gray_partition(build: Entry) -> Row:
    theta, reach = build.value("theta"), build.value("reach")
    distance, overlap = np.asarray(build.array("distance")), np.asarray(build.array("overlap"))
    return {
        "theta": theta,
        "reach": reach,
        "regions": len(build.array("exemplar_tokens")),
        "gray": float(((distance > theta) & (distance <= reach)).mean()),
        "overlap": float(overlap.mean()),
        "ambiguous": float((overlap > 1).mean()),
    }
