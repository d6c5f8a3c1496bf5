"""Hard questions of one concept: who is in, how pure, how split, and where new texts go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from backend import run
from backend.concepts import membership as rules
from backend.concepts import purity, scores, views
from backend.concepts.choices import choose
from backend.concepts.membership import Inside
from backend.concepts.new_texts import farthest, new_text_distances
from backend.concepts.ranked_units import test_texts, tied_units
from backend.concepts.results import SEED, ConceptResults, Stop, results_of, set_key
from backend.concepts.views import GrayZone, Membership, NewTextMembership, PurityCoverage
from backend.query import query
from backend.regions import description, partitioning
from backend.schema import NotFoundError, Study, conform
from backend.statistics.agreement import constant_f1
from backend.store import queue
from backend.store.memo import Entry

RULES = ("ball", "owner", "both")
BEST = ("region", "purity", "lift", "coverage", "f1")  # of the best part
MEMBERS = ("exemplar", "coreset")  # the control beside it has the same K and θ

Row = dict[str, Any]

# ---------------------------------------------------------------- in or out


@query("Texts in and out of regions", priority=queue.PAGE)
def membership(
    study: Study, name: str = "topics", concept: str = "", p: Stop = None, k: Stop = None
) -> Membership:
    """Hard membership at θ: TPR, TNR and J of the best region, of a union, and of every region."""
    results, number = results_of(study, name, concept, p, k)
    train, test = (results.set.texts_of(number, split)[:2] for split in ("train", "test"))
    rows, spreads, js, best, unions = [], [], {}, {}, {}
    for method, rule, inside in _members(results):
        key, choice = f"{method} {rule}", {"method": method, "rule": rule}
        tied = rules.tied_regions(rules.rates(inside, *train))
        if len(tied):
            best[key] = int(tied[0])
        unions[key] = rules.greedy_union(inside, *train)
        table = rules.rates(inside, *test)
        of_union = rules.rates(rules.in_any_region(inside, unions[key]), *test).to_dicts()
        rows += [choice | row for row in _best_rates(table, tied)]
        rows += [choice | {"what": "union", "regions": len(unions[key])} | row for row in of_union]
        js[key] = table["j"].drop_nulls().to_numpy()
        quantiles = np.quantile(js[key], (0.05, 0.5, 0.95))
        spreads.append((method, rule, len(js[key]), *quantiles, float((js[key] > 0.5).mean())))
    return Membership(
        table=pl.DataFrame(rows, views.CHOSEN_RATES),
        every=pl.DataFrame(spreads, views.J_QUANTILES, orient="row"),
        js=js,
        best=best,
        unions=unions,
        provenance=results.owners["exemplar"].provenance(
            results.command("membership", number, name=name)
        ),
    )


def _members(results: ConceptResults) -> Iterator[tuple[str, str, Inside]]:
    """By each method and each of `RULES`: [texts, K] which texts are in which region."""
    theta = results.theta
    for method in MEMBERS:
        owners, similarity = results.owners[method], results.scores[method]
        tokens = owners.array("owner"), owners.array("distance")
        owned = rules.owner_membership(*tokens, theta, results.set.offsets, similarity.shape[1])
        each = rules.ball_membership(similarity, theta), *owned
        yield from ((method, rule, inside) for rule, inside in zip(RULES, each, strict=True))


def _best_rates(table: pl.DataFrame, tied: np.ndarray) -> list[Row]:
    """A row of the first of the regions that training texts cannot tell apart: its rates, how many
    those are, and the spread of theirs. None where a class has no training text."""
    of_tied = table.filter(pl.col("region").is_in(tied))
    row: Row = {"what": "best", "regions": 1, "tied": len(tied)}
    for name in ("tpr", "tnr", "j"):
        values = of_tied[name]
        ends = {"": values.mean(), "_low": values.min(), "_high": values.max()}
        row |= {f"tied_{name}{end}": value for end, value in ends.items()}
    return [row | rates for rates in of_tied.head(1).to_dicts()]


# ---------------------------------------------------------------- new texts


@query("New texts in a region", priority=queue.PAGE)
def new_text_membership(
    study: Study,
    name: str = "topics",
    concept: str = "",
    other: str = "",
    p: Stop = None,
    k: Stop = None,
) -> NewTextMembership:
    """Where new texts lie in the region that a concept's training texts choose: the concept's own
    test texts, or those of the first concept of another set, `other`."""
    results, number = results_of(study, name, concept, p, k)
    region, tied = chosen_region(results, number)
    # another set has no concept of this number
    ref, texts = (choose(other), 0) if other and other != name else (results.ref, number)
    entry = new_text_distances(results.partition, region, ref, texts)
    command = results.command("new_text_membership", number, name=name, other=other)
    return NewTextMembership(
        region=region,
        tied=tied,
        theta=results.theta,
        farthest=farthest(results.theta),
        shares=conform(entry.frame("shares"), views.SHARES),
        quantiles=conform(entry.frame("quantiles"), views.QUANTILES),
        texts=conform(entry.frame("nearest"), views.NEAREST),
        provenance=entry.provenance(command),
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


@query("Purity and coverage of regions", priority=queue.PAGE)
def purity_coverage(
    study: Study, name: str = "topics", concept: str = "", p: Stop = None, k: Stop = None
) -> PurityCoverage:
    """Purity and coverage of every part of every way to cut the same tokens."""
    results, number = results_of(study, name, concept, p, k)
    parts = _parts(results, number)
    units = [table.with_columns(method=pl.lit(split["method"])) for table, split in parts]
    relations = purity.shape_correlations(parts[0][0], results.shape.frame("regions"))
    prior = float(_test_tokens(results, number)[1].mean())
    return PurityCoverage(
        units=conform(pl.concat(units).filter(pl.col("hits") > 0), views.UNITS),
        splitting=pl.DataFrame([split for _, split in parts], views.SPLITTING),
        relations=relations,
        prior=prior,
        whole_f1=constant_f1(prior),
        left_out=max(relations["left_out"].to_list(), default=0),
        provenance=results.owners["exemplar"].provenance(
            results.command("purity_coverage", number, name=name)
        ),
    )


def _parts(results: ConceptResults, concept: int) -> list[tuple[pl.DataFrame, Row]]:
    """Of every way to cut the tokens, regions first: purity of its parts, and over how many of them
    the concept is split, by `method`."""
    tokens, hit = _test_tokens(results, concept)
    parts = []
    for method, owner, count in _cuts(results):
        table = purity.purity_of_owners(owner[tokens], hit, count)
        uncovered = int((hit & (owner[tokens] < 0)).sum())
        parts.append((table, {"method": method, **_split(table, uncovered)}))
    if results.coverage is not None:
        table = _feature_table(results, concept, hit)
        split = _split(table, 0) | _feature_split(results.coverage, concept)
        parts.append((table, {"method": "sae", **split}))
    return parts


def _feature_table(results: ConceptResults, concept: int, hit: np.ndarray) -> pl.DataFrame:
    positive, others = test_texts(results.set, concept, "both")
    counts = np.asarray(results.strengths["sae"].array("counts"))
    active = counts[np.r_[positive, others]].sum(axis=0)
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
    positive, others = test_texts(results.set, concept, "both")
    text = results.set.tokens.document_of
    tokens = np.flatnonzero(np.isin(text, np.r_[positive, others]))
    return tokens, np.isin(text[tokens], positive)


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
    """`views.SPLIT`: how many parts hold a concept, and how pure and wide the best of them is."""
    splitting = purity.split_over_regions(table["hits"].to_numpy(), uncovered)
    whole = purity.split_over_regions(table["count"].to_numpy())
    ranked = table.sort("f1", descending=True, nulls_last=True).head(1).to_dicts()
    best = next(iter(ranked), {})
    return {
        "units": len(table),
        "used": int((table["hits"] > 0).sum()),
        **splitting,
        "whole": whole["effective"],
        **{f"best_{name}": best.get(name) for name in BEST},
        **{name: best.get(name) for name in ("f1_low", "f1_high")},
    }


# ---------------------------------------------------------------- the gray zone


@query("Partitions with a gray zone", priority=queue.LONG - 1, key=set_key)
def gray_zone(
    study: Study, name: str = "topics", concept: str = "", p: Stop = None, k: Stop = None
) -> GrayZone:
    """What a gray zone does to the partition and to a concept, at every k of the study."""
    results, number = results_of(study, name, concept, p, k)
    tokens, hit = _test_tokens(results, number)
    prior = float(hit.mean())
    return GrayZone(
        table=pl.DataFrame([_gray_row(results, k, tokens, hit) for k in study.k_stops], views.GRAY),
        theta=results.theta,
        prior=prior,
        whole_f1=constant_f1(prior),
        provenance=results.build.provenance(results.command("gray_zone", number, name=name)),
    )


def _gray_row(results: ConceptResults, k: float, tokens: np.ndarray, hit: np.ndarray) -> Row:
    """The partition at a k, and the concept in it, each where it is computed."""
    partition = results.study.cut(replace(results.partition.spec, k=k))
    build = run.optional(partitioning.build_partition, partition)
    run.optional(description.describe, partition)  # so that it can be opened on other pages
    owners = run.optional(scores.token_owners, partition, results.ref, "exemplar", SEED)
    row: Row = {"k": k, "read": False}
    if build is None:
        return row
    row |= _gray_partition(build)
    if owners is None:
        return row
    near = np.asarray(owners.array("distance"))[tokens] <= row["reach"]
    owner = np.where(near, np.asarray(owners.array("owner"))[tokens], -1)
    table = purity.purity_of_owners(owner, hit, row["regions"])
    return row | {"read": True, **_split(table, int((hit & (owner < 0)).sum()))}


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
