"""Hard questions of one concept: who is in, how pure, how split, and where new texts go."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import polars as pl

from backend.answers import provenance, tasks
from backend.answers.concept_choices import choose
from backend.answers.concepts import SEED, Held
from backend.concept_views import Gathering, GrayZone, Membership, Spread
from backend.concepts import membership, purity, scores
from backend.concepts.fresh import fresh
from backend.concepts.judged import tied
from backend.regions import partitioning, statistics
from backend.schema import ConceptRef, Job, NotFoundError, PartitionSpec, Study
from backend.statistics.agreement import constant_f1
from backend.store.memo import Entry

RULES = ("ball", "owner", "both")
MEMBERS = ("exemplar", "coreset")  # the control beside it has the same K and θ
QUANTILES = (0.05, 0.5, 0.95)

# ---------------------------------------------------------------- in or out


def memberships(held: Held, concept: int, command: str) -> Membership:
    """Rates on test texts of the region, and of the union, that training texts choose."""
    train, test = (held.set.of(concept, split)[:2] for split in ("train", "test"))
    rows, every, js, best, unions = [], [], {}, {}, {}
    for kind in MEMBERS:
        for rule, inside in _inside(held, kind).items():
            table = membership.rates(inside, *test)
            alike = membership.tied(membership.rates(inside, *train))
            region = int(alike[0]) if len(alike) else None
            union = membership.union(inside, *train)
            one = table.filter(pl.col("region") == region)
            many = membership.rates(membership.united(inside, union), *test)
            same = table.filter(pl.col("region").is_in(alike))
            for what, part, size in (("best", one, 1), ("union", many, len(union))):
                named = {"method": kind, "rule": rule, "what": what, "regions": size}
                also = _alike(same if what == "best" else same.clear())
                rows += [{**named, **row, **also} for row in part.drop("region").to_dicts()]
            found = table["j"].drop_nulls().to_numpy()
            at = np.quantile(found, QUANTILES)
            every.append((kind, rule, len(found), *at, float((found > 0.5).mean())))
            js[f"{kind} {rule}"] = found
            best[f"{kind} {rule}"], unions[f"{kind} {rule}"] = region, union
    names = ["method", "rule", "regions", "p5", "median", "p95", "above_half"]
    return Membership(
        table=pl.DataFrame(rows, infer_schema_length=None),
        every=pl.DataFrame(every, schema=names, orient="row"),
        js=js,
        best={key: region for key, region in best.items() if region is not None},
        unions=unions,
        provenance=provenance.of(held.placed["exemplar"], command),
    )


def _alike(part: pl.DataFrame) -> dict[str, Any]:
    """How many regions training texts cannot tell apart, and the spread of their rates."""
    found: dict[str, Any] = {"tied": len(part) or None}
    for name in ("tpr", "tnr", "j"):
        values = part[name]
        ends = {"": values.mean(), "_low": values.min(), "_high": values.max()}
        found |= {f"tied_{name}{end}": value for end, value in ends.items()}
    return found


def _inside(held: Held, kind: str) -> dict[str, Any]:
    put, similarity = held.placed[kind], held.scores[kind]
    owner, distance = put.array("owner"), put.array("distance")
    owned, both = membership.by_owner(
        owner, distance, held.theta, held.set.offsets, similarity.shape[1]
    )
    return dict(zip(RULES, (membership.by_ball(similarity, held.theta), owned, both), strict=True))


# ---------------------------------------------------------------- new texts


def gather(request: tasks.Request) -> None:
    """What the job does: looks where texts lie in one region."""
    ref, asked = ConceptRef(**request.asked["set"]), request.asked
    where = *request.site, request.spec, asked["region"], ref, asked["concept"]
    request.run(fresh, *where)


def gathered(held: Held, concept: int, of: str, other: int, command: str) -> Gathering | Job:
    """Where the test texts of concept `other` of the set `of` lie in a concept's region."""
    study, spec, ref = held.study, held.spec, choose(of)
    region, alike = region_of(held, concept)
    where = *held.where, spec, region, ref, other
    entry = fresh.find(*where)
    if entry is None:
        key = fresh.digest(*where)
        asked = {"set": asdict(ref), "spec": asdict(spec), "region": region, "concept": other}
        return tasks.ensure("gather", study, key, **asked)
    names = ("shares", "quantiles", "nearest")
    shares, quantiles, nearest = (entry.frame(name) for name in names)
    made = provenance.of(entry, command)
    return Gathering(region, alike, held.theta, shares, quantiles, nearest, made)


# ---------------------------------------------------------------- purity and coverage


def spread(held: Held, concept: int, command: str) -> Spread:
    """Purity and coverage of every part of every way to cut the tokens of the test texts."""
    tokens, hit = _tested(held, concept)
    positive, *others = held.set.of(concept, "test")
    units, splits = [], []
    for method, owner, count in _cuts(held):
        table = purity.table(owner[tokens], hit, count)
        units.append(table.with_columns(method=pl.lit(method)))
        splits.append(_split(method, table, int((hit & (owner[tokens] < 0)).sum())))
    if held.covers is not None:
        counts = np.asarray(held.scored["sae"].array("counts"))
        parts = counts[np.r_[positive, *others]].sum(axis=0), counts[positive].sum(axis=0)
        table = purity.table_of(*parts, int(hit.sum()), len(hit))
        units.append(table.with_columns(method=pl.lit("sae")))
        splits.append(_split("sae", table, 0) | _covered(held.covers, concept))
    shape = statistics.describe.get(*held.where, held.spec).frame("regions")
    relations = purity.spread(units[0].drop("method"), shape)
    prior = float(hit.mean()) if len(hit) else float("nan")
    return Spread(
        units=pl.concat(units).filter(pl.col("hits") > 0),
        splitting=pl.DataFrame(splits),
        relations=relations,
        prior=prior,
        whole_f1=constant_f1(prior),
        left_out=max(relations["left_out"].to_list(), default=0),
        provenance=provenance.of(held.placed["exemplar"], command),
    )


def _covered(covers: Entry, concept: int) -> dict[str, Any]:
    """Features overlap: a token in 48 of them is no 48 tokens, so there is no entropy over parts,
    and as few as hold enough are found greedily."""
    names = ("half", "most", "uncovered")
    half, most, uncovered = (int(covers.array(name)[concept]) for name in names)
    ends = {"half": half or None, "most": most or None, "uncovered": uncovered}
    return ends | {"effective": None, "whole": None}


def _tested(held: Held, concept: int) -> tuple[np.ndarray, np.ndarray]:
    """Token rows of a concept's test texts, and whether each is of a positive one."""
    positive, *others = held.set.of(concept, "test")
    text = held.set.tokens.document_of
    tokens = np.flatnonzero(np.isin(text, np.r_[positive, *others]))
    return tokens, np.isin(text[tokens], positive)


def _cuts(held: Held) -> list[tuple[str, np.ndarray, int]]:
    """method, part of each token (negative: in none), and number of parts."""
    put = held.placed["exemplar"]
    inside = np.asarray(put.array("distance")) <= held.theta
    owner = np.where(inside, put.array("owner"), -1)
    found = [("exemplar", owner, held.scores["exemplar"].shape[1])]
    for kind in ("kmeans", "coreset"):
        found.append(
            (kind, np.asarray(held.placed[kind].array("owner")), held.scores[kind].shape[1])
        )
    cluster = np.asarray(held.meanings.array("cluster"))
    return [
        *found,
        ("meaning", cluster[held.set.tokens.document_of], int(cluster.max(initial=-1)) + 1),
    ]


def _split(method: str, table: pl.DataFrame, uncovered: int) -> dict[str, Any]:
    """How many parts hold a concept, and how pure and wide the best of them is."""
    found = purity.splitting(table["hits"].to_numpy(), uncovered)
    every = purity.splitting(table["count"].to_numpy())
    best = (
        table.sort("f1", descending=True, nulls_last=True).row(0, named=True) if len(table) else {}
    )
    names = ("region", "purity", "lift", "coverage", "f1", "f1_low", "f1_high")
    used = int((table["hits"] > 0).sum())
    shown = {f"best_{name}".replace("best_f1_", "f1_"): best.get(name) for name in names}
    return {
        "method": method,
        "units": len(table),
        "used": used,
        **asdict(found),
        "whole": every.effective,
        **shown,
    }


# ---------------------------------------------------------------- the gray zone


def gray(request: tasks.Request) -> None:
    """What the job does: the partition at every k, and where the set's tokens lie in it."""
    ref = ConceptRef(**request.asked["set"])
    for k in request.study.k_stops:
        spec = replace(request.spec, k=k)
        request.run(statistics.describe, *request.site, spec)
        request.run(scores.places, *request.site, ref, spec, "exemplar", SEED)


def start_gray(study: Study, spec: PartitionSpec, ref: ConceptRef) -> Job:
    """Starts that job, or says how it stands."""
    key = scores.places.digest(study.model, study.site, study.corpus, ref, spec, "exemplar", SEED)
    return tasks.ensure("gray", study, key, set=asdict(ref), spec=asdict(spec))


def gray_zone(held: Held, concept: int, command: str) -> GrayZone:
    """Partitions at every k that is computed, and the concept where its tokens are placed too."""
    tokens, hit = _tested(held, concept)
    rows = []
    for k in held.study.k_stops:
        spec, row = replace(held.spec, k=k), {"k": k, "read": False}
        made = partitioning.build_partition.find(*held.where, spec)
        put = scores.places.find(*held.where, held.ref, spec, "exemplar", SEED)
        if made is not None:
            row |= _gray_partition(made)
            row |= _gray_concept(made, put, tokens, hit) if put is not None else {}
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    prior = float(hit.mean()) if len(hit) else float("nan")
    return GrayZone(
        table=pl.DataFrame([{name: row.get(name) for name in names} for row in rows]),
        theta=held.theta,
        prior=prior,
        whole_f1=constant_f1(prior),
        provenance=provenance.of(held.partition, command),
    )


def _gray_concept(made: Entry, put: Entry, tokens: np.ndarray, hit: np.ndarray) -> dict[str, Any]:
    near = np.asarray(put.array("distance"))[tokens] <= made.value("reach")
    owner = np.where(near, np.asarray(put.array("owner"))[tokens], -1)
    table = purity.table(owner, hit, len(made.array("exemplar_tokens")))
    return {"read": True, **_split("", table, int((hit & (owner < 0)).sum()))}


def _gray_partition(made: Entry) -> dict[str, Any]:
    theta, reach = made.value("theta"), made.value("reach")
    distance, overlap = np.asarray(made.array("distance")), np.asarray(made.array("overlap"))
    return {
        "theta": theta,
        "reach": reach,
        "regions": len(made.array("exemplar_tokens")),
        "gray": float(((distance > theta) & (distance <= reach)).mean()),
        "overlap": float(overlap.mean()),
        "ambiguous": float((overlap > 1).mean()),
    }


def region_of(held: Held, concept: int) -> tuple[int, int]:
    """The region that training texts choose by their AUROC along exemplars, the first of those that
    tie; and how many these are."""
    train = np.asarray(held.tables["exemplar"].array("train")[concept])
    if not len(train):
        raise NotFoundError("This partition has no region.", "Choose a larger p.")
    return int(train.argmax()), len(tied(train))
