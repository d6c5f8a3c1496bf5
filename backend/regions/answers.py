"""What the pages of regions and documents ask: the map, one region, its members, a search."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import Literal

import numpy as np
import polars as pl

from backend import run
from backend.corpus import passages
from backend.corpus.contexts import Tokens
from backend.corpus.passages import topic_shares
from backend.corpus.views import Draw, Passage
from backend.features.answers import feature_index, read_index, with_top_token
from backend.features.views import MATCHING_FEATURES
from backend.models.logits import BLOCK
from backend.query import lookup, query
from backend.regions import description, logit_lens, matching, partitioning, projection, views
from backend.regions.partitioned import (
    Partitioned,
    partitioned,
    settled,
    spec_key,
    spec_of,
    stages,
)
from backend.regions.token_share import PUNCTUATION
from backend.schema import Partition, Study, check_number, conform
from backend.store import queue, rates
from backend.store.memo import Entry
from backend.store.rates import Part

CLOSEST = views.MemberDraw()
LISTED = 20  # rows of the short tables in the inspector
GROWTH = 1.3  # of a partition's time with 1 / p
SAMPLED = 20_000  # members behind the inspector's histograms


# ---------------------------------------------------------------- the map


def _left(study: Study, p: float | None = None, k: float | None = None) -> list[Part]:
    """What a map still needs: where the corpus is read, the steps of a stop."""
    if partitioning.centre.find(study.reading) is None:
        return [Part(regions.entry.name)]
    stops = stages(study, spec_of(study, p, k))
    parts = list(dict.fromkeys(settled(study, part) for part in stops))
    if projection.layout.find(parts[-1], "umap") is not None:
        return []  # the last of all
    needed = [
        *((partitioning.centre, part.reading) for part in parts),
        *((partitioning.spread, part.reading, part.spec.seed) for part in parts),
        *((partitioning.build_partition, part) for part in parts),
        *((description.describe, part) for part in parts),
        *((projection.layout, part, "pca") for part in parts),
        (projection.layout, parts[-1], "umap"),
    ]
    like = {partitioning.build_partition.name: _by_stop(study, parts[-1])}
    return [
        Part(call.work(*rest), like=like.get(call.name, {}))
        for call, *rest in needed
        if call.find(*rest) is None
    ]


def _by_stop(study: Study, partition: Partition) -> dict[str, float]:
    """The time of the nearest p that was measured: the smaller p, the more regions."""
    p, device = partition.spec.p, run.current().device
    for other in sorted(study.p_stops, key=lambda other: abs(math.log(other / p))):
        spec = replace(partition.spec, p=other)
        work = partitioning.build_partition.work(replace(partition, spec=spec))
        if rates.seconds_of([Part(work)], study.name, device) is not None:
            return {work: (other / p) ** GROWTH}
    return {}


@query("Regions of the corpus", priority=30, key=spec_key, work=_left)
def regions(study: Study, p: float | None = None, k: float | None = None) -> views.RegionMap:
    """The map of all regions at a stop of p and k (default: the study's)."""
    parts = stages(study, spec_of(study, p, k))
    first = (functools.partial(_map, study, part, "pca") for part in parts)
    return run.best(*first, functools.partial(_map, study, parts[-1], "umap"))


def available(study: Study, p: float | None, k: float | None) -> Partitioned:
    """The partition of the whole corpus, or of its beginning while that is all there is; where
    neither is there, the job is that of the map."""
    parts = stages(study, spec_of(study, p, k))
    with regions.asking(study, p, k):
        return run.best(*(functools.partial(_settled, study, part) for part in parts))


def _settled(study: Study, partition: Partition) -> Partitioned:
    return partitioned(settled(study, partition))


def _map(study: Study, partition: Partition, method: Literal["pca", "umap"]) -> views.RegionMap:
    partition = settled(study, partition)
    mapped, is_whole = partitioned(partition), partition.reading == study.reading
    if is_whole:
        run.optional(_thresholds, study)
    layout = projection.layout(partition, method)
    matches = matching.matches_of(study, partition)
    if method == "umap":
        run.optional(_read_logits, mapped)
    p, k, shares = partition.spec.p, partition.spec.k, mapped.shares
    asked_tokens = study.corpus.tokens or len(mapped.tokens)
    return views.RegionMap(
        table=_map_table(mapped, layout, matches),
        layout=method,
        p=p,
        k=k,
        theta=mapped.theta,
        tokens=len(mapped.tokens),
        corpus_tokens=len(mapped.tokens) if is_whole else study.corpus.tokens,
        asked_tokens=asked_tokens,
        gray=shares["gray"],
        uncovered=shares["uncovered"],
        overlap=shares["overlap"],
        ambiguous=shares["ambiguous"],
        saturated=bool(mapped.entry.value("saturated")),
        provenance=mapped.entry.provenance(f"regions --study {study.name} --p {p:g} --k {k:g}"),
    )


def _read_logits(mapped: Partitioned) -> list[Entry]:
    """What every exemplar promotes, block by block."""
    blocks = range(-(-len(mapped.regions) // BLOCK))
    read_block = functools.partial(logit_lens.lens, mapped.partition)
    return run.each(read_block, blocks, "Reading logits of exemplars")


@functools.lru_cache(maxsize=6)
def _map_table(mapped: Partitioned, layout: Entry, matches: Entry | None) -> pl.DataFrame:
    tokens, table, xy = mapped.tokens, mapped.regions, layout.array("xy")
    rows = table["token"].to_numpy()
    before, token, after = zip(*(_snippet(tokens, int(row)) for row in rows), strict=True)
    names = [*tokens.topic_names, ""]
    table = table.with_columns(
        x=pl.Series(xy[:, 0]),
        y=pl.Series(xy[:, 1]),
        before=pl.Series(before),
        token=pl.Series(token),
        after=pl.Series(after),
        document=pl.Series(tokens.document_of[rows]),
        topic=pl.Series([names[code] for code in table["topic"]]),
        top_token=pl.Series(passages.token_text(mapped.model, table["token_value"].to_numpy())),
    )
    return conform(matching.with_best(table, matches, "region"), views.REGION_TABLE)


def _snippet(tokens: Tokens, row: int) -> tuple[str, str, str]:
    begin, end = tokens.document_span(int(tokens.document_of[row]))
    first, last = max(begin, row - 8), min(end, row + 6)
    pieces = list(tokens.pieces(first, last))
    focus = row - first
    return "".join(pieces[:focus]), pieces[focus], "".join(pieces[focus + 1 :])


# ---------------------------------------------------------------- one region


@query("One region", priority=queue.SHORT, key=spec_key)
def region(
    study: Study, region: int, p: float | None = None, k: float | None = None
) -> views.RegionView:
    """One region: exemplar, tokens, topics, what explains it, competitors, logits, features."""
    spec = spec_of(study, p, k)
    mapped = available(study, p, k)
    mapped.check(region)
    members = mapped.members(region)
    sample = members[np.linspace(0, len(members) - 1, min(len(members), SAMPLED)).astype(int)]
    margins = mapped.entry.array("margin")[sample]
    following = members[members + 1 < len(mapped.tokens)] + 1
    table = regions.part(study, p, k).table
    lens = run.optional(logit_lens.lens, mapped.partition, region // BLOCK)
    promoted, suppressed = (
        passages.logit_frame(mapped.model, lens, name, region % BLOCK)
        for name in ("promoted", "suppressed")
    )
    command = f"region --study {study.name} --region {region} --p {spec.p:g} --k {spec.k:g}"
    return views.RegionView(
        region=region,
        row=table.row(region, named=True),
        theta=mapped.theta,
        exemplar=_member(mapped, int(mapped.regions["token"][region])),
        tokens=passages.counted(mapped.model, mapped.tokens.ids[members], LISTED),
        next_tokens=passages.counted(mapped.model, mapped.tokens.ids[following], LISTED),
        topics=topic_shares(mapped.tokens, members),
        explained=_explained(mapped, region),
        bands=description.bands(mapped.distance[members]),
        distances=tuple(mapped.distance[sample].tolist()),
        margins=tuple(margins.tolist()),
        competitors=_competitors(mapped, members),
        promoted=promoted,
        suppressed=suppressed,
        features=_features(study, mapped, region),
        provenance=mapped.described.provenance(command),
    )


def _member(mapped: Partitioned, row: int) -> views.Member:
    entry = mapped.entry
    return views.Member(
        token=row,
        distance=float(mapped.distance[row]),
        margin=float(entry.array("margin")[row]),
        runner_up=int(entry.array("runner_up")[row]),
        passage=passages.around(
            mapped.tokens, row, lambda first, last: mapped.distance[first:last]
        ),
    )


def _explained(mapped: Partitioned, region: int) -> pl.DataFrame:
    """`EXPLAINED`: how much of a region is one value of an attribute."""
    row = mapped.regions.row(region, named=True)
    value = {name: row[f"{name}_value"] for name in views.ATTRIBUTES}
    token, following = passages.token_text(mapped.model, np.array([value["token"], value["next"]]))
    texts = {
        "token": token,
        "next": following if value["next"] >= 0 else "(end of text)",
        "position": f"tokens {2 ** value['position']} to {2 ** (value['position'] + 1) - 1}",
        "punctuation": PUNCTUATION[value["punctuation"]],
        "document": mapped.tokens.documents["title"][int(value["document"])],
    }
    numbers = {
        part: [row[f"{name}_{part}"] for name in views.ATTRIBUTES]
        for part in ("share", "null", "explained")
    }
    columns = {"what": views.ATTRIBUTES, **numbers, "value": list(texts.values())}
    return pl.DataFrame(columns, schema=views.EXPLAINED)


def _competitors(mapped: Partitioned, members: np.ndarray) -> pl.DataFrame:
    """`COMPETITORS`: which regions are second nearest."""
    runner_up, margin = (mapped.entry.array(name)[members] for name in ("runner_up", "margin"))
    frame = description.competitors(runner_up, margin).head(LISTED)
    rows = mapped.regions["token"].to_numpy()[frame["region"].to_numpy()]
    texts = [passages.piece_at(mapped.tokens, int(row)) for row in rows]
    return conform(frame.with_columns(pl.Series("token", texts, pl.String)), views.COMPETITORS)


def _features(study: Study, mapped: Partitioned, region: int) -> pl.DataFrame:
    """`MATCHING_FEATURES`: the features that fire on its members."""
    matches = matching.matches_of(study, mapped.partition)
    if matches is None:
        return pl.DataFrame(schema=MATCHING_FEATURES)
    frame = matches.frame("by_region").filter(pl.col("region") == region)
    return conform(with_top_token(read_index(study), frame), MATCHING_FEATURES)


# ---------------------------------------------------------------- members, search, documents, stops


@query("Members of a region", priority=queue.SHORT, key=spec_key)
def region_members(
    study: Study,
    region: int,
    p: float | None = None,
    k: float | None = None,
    draw: views.MemberDraw = CLOSEST,
) -> Draw[views.Member]:
    """Members of a region: closest, farthest, random, or of one distance band ("band 1")."""
    mapped = available(study, p, k)
    mapped.check(region)
    inside = mapped.members(region)
    inside = inside[inside != mapped.regions["token"][region]]
    rows, words = description.sample(inside, mapped.distance[inside], draw)
    return Draw(words, len(inside), tuple(_member(mapped, int(row)) for row in rows))


@query("A search of regions", priority=queue.SHORT, key=spec_key)
def search_regions(
    study: Study, text: str, p: float | None = None, k: float | None = None
) -> pl.DataFrame:
    """Regions whose members spell a text, most hits first: region, hits, share. Whole words; `*`
    for parts."""
    mapped = available(study, p, k)
    rows = passages.find_text(mapped.tokens, text)
    rows = rows[mapped.distance[rows] <= mapped.theta]
    hits = np.bincount(mapped.owner[rows], minlength=len(mapped.regions))
    size = np.maximum(1, mapped.regions["size"].to_numpy())
    table = pl.DataFrame({"region": mapped.regions["region"], "hits": hits, "share": hits / size})
    return table.filter(pl.col("hits") > 0).sort("hits", "share", descending=True)


@query("The region of a token", priority=queue.SHORT, key=spec_key)
def region_of(study: Study, token: int, p: float | None = None, k: float | None = None) -> int:
    """The region that a token of the corpus lies in: its nearest exemplar's."""
    mapped = available(study, p, k)
    check_number(token, len(mapped.tokens), "token", "This partition")
    return int(mapped.owner[token])


@query("A document", priority=queue.SHORT, key=spec_key)
def document(
    study: Study,
    document: int,
    feature: int | None = None,
    p: float | None = None,
    k: float | None = None,
) -> Passage:
    """A whole document, every token valued by a feature, or by its region and its distance to the
    exemplar."""
    if feature is None:
        mapped = available(study, p, k)
        first, last = mapped.tokens.document_span(document)
        passage = passages.passage(mapped.tokens, first, last, -1, mapped.distance[first:last])
        return replace(passage, regions=tuple(mapped.owner[first:last].tolist()))
    index = feature_index(study)
    first, last = index.tokens.document_span(document)
    values = index.column(feature).dense(first, last)
    return passages.passage(index.tokens, first, last, -1, values)


@lookup
def stops(study: Study) -> pl.DataFrame:
    """p, k, theta, regions, gray, overlap, ambiguous of every stop; where a stop's partition is
    not computed, nobody asks for it here and its columns are null."""
    curve = run.optional(_thresholds, study)
    thetas = dict(curve.frame("curve").iter_rows()) if curve else {}
    rows = [
        (p, k, *_stop(study.cut(replace(study.partition, p=p, k=k)), thetas.get(p)))
        for p in study.p_stops
        for k in study.k_stops
    ]
    return pl.DataFrame(rows, schema=views.STOPS, orient="row")


def _thresholds(study: Study) -> Entry:
    return partitioning.thresholds(study.reading, list(study.p_stops), study.partition.seed)


def _stop(partition: Partition, theta: float | None) -> tuple[float | int | None, ...]:
    """theta, regions, gray, overlap, ambiguous."""
    mapped = run.optional(partitioned, partition)
    if mapped is None:  # or a part of it: another job makes partitions without a layout
        return theta, None, None, None, None
    shares = (mapped.shares[name] for name in ("gray", "overlap", "ambiguous"))
    return mapped.theta, len(mapped.regions), *shares
