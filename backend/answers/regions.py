"""What the Regions page shows, put together from memoized results."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from backend.answers import passages, provenance
from backend.answers.partitions import Partitioned, find, find_or_job, job_of
from backend.corpus.contexts import Tokens
from backend.corpus.topics import topic_shares
from backend.regions import lens, matching, partition, projection, statistics
from backend.regions.token_share import ATTRIBUTES, PUNCTUATION
from backend.schema import (
    Job,
    ModelRef,
    NotFoundError,
    PartitionSpec,
    Study,
)
from backend.store.memo import Entry
from backend.views import Draw, Member, Passage, RegionMap, RegionView

LISTED = 20  # rows of the short tables in the inspector
SAMPLED = 20_000  # members behind the inspector's histograms


# ---------------------------------------------------------------- the map


def region_map(study: Study, spec: PartitionSpec) -> RegionMap | Job:
    found, job = find_or_job(study, spec)
    if found is None:
        assert job is not None
        return job
    method = "umap" if projection.layout.find(*found.arguments, "umap", spec.seed) else "pca"
    matched = _matches(study, found)
    table = _map_table(
        statistics.describe.digest(*found.arguments),
        found,
        method,
        matched if isinstance(matched, Entry) else None,
    )
    gray, uncovered, overlap, ambiguous = found.shares
    return RegionMap(
        table=table,
        layout=method,
        p=spec.p,
        k=spec.k,
        theta=found.theta,
        tokens=len(found.tokens),
        corpus_tokens=study.corpus.tokens or len(found.tokens),
        gray=gray,
        uncovered=uncovered,
        overlap=overlap,
        ambiguous=ambiguous,
        saturated=bool(found.entry.value("saturated")),
        provenance=provenance.of(
            found.entry, f"regions --study {study.name} --p {spec.p:g} --k {spec.k:g}"
        ),
        pending=job or (matched if isinstance(matched, Job) else None),
    )


def _matches(study: Study, found: Partitioned) -> Entry | Job | None:
    """Matched features; None without an SAE, for a preview, or while features are not read."""
    from backend.features import codes

    if study.sae is None or found.corpus != study.corpus:
        return None
    arguments = *found.arguments, study.sae
    entry = matching.match.find(*arguments)
    if entry is not None:
        return entry
    if codes.index.find(study.model, study.site, study.corpus, study.sae) is None:
        return None
    return job_of("matches", study, matching.match.digest(*arguments), found.spec)


_tables: dict[tuple[str, str, str], pl.DataFrame] = {}


def _map_table(digest: str, found: Partitioned, method: str, matched: Entry | None) -> pl.DataFrame:
    key = (digest, method, matched.digest if matched else "")
    if key not in _tables:
        if len(_tables) > 6:
            _tables.pop(next(iter(_tables)))
        _tables[key] = _build_table(found, method, matched)
    return _tables[key]


def _build_table(found: Partitioned, method: str, matched: Entry | None) -> pl.DataFrame:
    tokens, table = found.tokens, found.regions
    xy = projection.layout.get(*found.arguments, method, found.spec.seed).array("xy")
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
        top_token=pl.Series(passages.token_text(found.model, table["token_value"].to_numpy())),
    )
    best = (
        matched.frame("by_region").group_by("region", maintain_order=True).first()
        if matched
        else pl.DataFrame(schema={"region": pl.Int32, "feature": pl.Int32, "f1": pl.Float64})
    )
    return table.join(
        best.select(pl.col("region").cast(pl.Int32), "feature", "f1"), on="region", how="left"
    ).with_columns(pl.col("feature").fill_null(-1))


def _snippet(tokens: Tokens, row: int) -> tuple[str, str, str]:
    begin, end = tokens.document_span(int(tokens.document_of[row]))
    first, last = max(begin, row - 8), min(end, row + 6)
    pieces = list(tokens.pieces(first, last))
    at = row - first
    return "".join(pieces[:at]), pieces[at], "".join(pieces[at + 1 :])


# ---------------------------------------------------------------- one region


def region_view(study: Study, region: int, spec: PartitionSpec) -> RegionView | Job:
    found, job = find_or_job(study, spec)
    if found is None:
        assert job is not None
        return job
    found.check(region)
    members = found.members(region)
    sample = members[np.linspace(0, len(members) - 1, min(len(members), SAMPLED)).astype(int)]
    margins = found.entry.array("margin")[sample]
    following = members[members + 1 < len(found.tokens)] + 1
    answer = region_map(study, spec)
    assert isinstance(answer, RegionMap)
    promoted, suppressed = _lens(found, region)
    return RegionView(
        region=region,
        row=answer.table.row(region, named=True),
        theta=found.theta,
        exemplar=_member(found, int(found.regions["token"][region])),
        tokens=passages.counted(found.model, found.tokens.ids[members], LISTED),
        next_tokens=passages.counted(found.model, found.tokens.ids[following], LISTED),
        topics=topic_shares(found.tokens, members),
        explained=_explained(found, region),
        bands=statistics.bands(found.distance[members]),
        distances=tuple(found.distance[sample].tolist()),
        margins=tuple(margins.tolist()),
        competitors=_competitors(found, members),
        promoted=promoted,
        suppressed=suppressed,
        features=_features(study, found, region),
        provenance=provenance.of(
            found.described,
            f"region --study {study.name} --region {region} --p {spec.p:g} --k {spec.k:g}",
        ),
        pending=job or answer.pending,
    )


def _member(found: Partitioned, row: int) -> Member:
    entry = found.entry
    return Member(
        token=row,
        distance=float(found.distance[row]),
        margin=float(entry.array("margin")[row]),
        runner_up=int(entry.array("runner_up")[row]),
        passage=passages.around(found.tokens, row, lambda first, last: found.distance[first:last]),
    )


def _explained(found: Partitioned, region: int) -> pl.DataFrame:
    """what, share, null, explained, value: how much of a region is one value of an attribute."""
    row = found.regions.row(region, named=True)
    value = {name: row[f"{name}_value"] for name in ATTRIBUTES}
    texts = passages.token_text(found.model, np.array([value["token"], max(0, value["next"])]))
    titles = found.tokens.documents["title"]
    said = {
        "token": texts[0],
        "next": texts[1] if value["next"] >= 0 else "(end of text)",
        "position": f"tokens {2 ** value['position']} to {2 ** (value['position'] + 1) - 1}",
        "punctuation": PUNCTUATION[value["punctuation"]],
        "document": titles[int(value["document"])],
    }
    return pl.DataFrame(
        {
            "what": ATTRIBUTES,
            "share": [row[f"{name}_share"] for name in ATTRIBUTES],
            "null": [row[f"{name}_null"] for name in ATTRIBUTES],
            "explained": [row[f"{name}_explained"] for name in ATTRIBUTES],
            "value": [said[name] for name in ATTRIBUTES],
        }
    )


def _competitors(found: Partitioned, members: np.ndarray) -> pl.DataFrame:
    """region, token, count, share, margin (median): which regions are second nearest."""
    runner_up, margin = (found.entry.array(name)[members] for name in ("runner_up", "margin"))
    frame = statistics.competitors(runner_up, margin).head(LISTED)
    rows = found.regions["token"].to_numpy()[frame["region"].to_numpy()]
    token = [passages.piece_at(found.tokens, int(row)) for row in rows]
    return frame.with_columns(pl.Series("token", token, pl.String))


def _lens(found: Partitioned, region: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Tokens that the exemplar's direction promotes and suppresses; empty until computed."""
    entry = lens.lens.find(*found.arguments, region // lens.BLOCK)
    row = region % lens.BLOCK
    return tuple(  # type: ignore[return-value]
        logit_frame(found.model, entry, name, row) for name in ("promoted", "suppressed")
    )


def logit_frame(model: ModelRef, entry: Entry | None, name: str, row: int) -> pl.DataFrame:
    """text, logit: one row of a block of logit effects."""
    if entry is None:
        return pl.DataFrame(schema={"text": pl.String, "logit": pl.Float32})
    ids = entry.array(name)[row]
    return pl.DataFrame(
        {
            "text": passages.token_text(model, ids),
            "logit": entry.array(f"{name}_logits")[row],
        }
    )


def _features(study: Study, found: Partitioned, region: int) -> pl.DataFrame:
    from backend.answers import features

    matched = _matches(study, found)
    columns = ("feature", "f1", "precision", "recall")
    if study.sae is None or not isinstance(matched, Entry):
        kinds: dict[str, Any] = dict.fromkeys(columns, pl.Float64) | {"feature": pl.Int32}
        return pl.DataFrame(schema=kinds | {"top_token": pl.String})
    frame = matched.frame("by_region").filter(pl.col("region") == region).select(columns)
    return frame.with_columns(
        pl.Series("top_token", features.top_tokens(study, frame["feature"].to_numpy()), pl.String)
    )


# ---------------------------------------------------------------- members, search, stops


def draw(study: Study, region: int, spec: PartitionSpec, how: str, count: int, seed: int) -> Draw:
    found, _ = find_or_job(study, spec)
    if found is None:
        raise NotFoundError("This partition is not computed yet.", "Wait for its job.")
    found.check(region)
    members = found.members(region)
    members = members[members != found.regions["token"][region]]
    rows, said = statistics.sample(members, found.distance[members], how, count, seed)
    return Draw(said, len(members), tuple(_member(found, int(row)) for row in rows))


def search(study: Study, text: str, spec: PartitionSpec) -> pl.DataFrame:
    """region, hits, share: regions whose members spell `text`, most hits first."""
    found, _ = find_or_job(study, spec)
    if found is None:
        raise NotFoundError("This partition is not computed yet.", "Wait for its job.")
    rows = passages.find_text(found.tokens, text)
    rows = rows[found.distance[rows] <= found.theta]
    hits = np.bincount(found.owner[rows], minlength=len(found.regions))
    return (
        pl.DataFrame(
            {
                "region": found.regions["region"],
                "hits": hits,
                "share": hits / np.maximum(1, found.regions["size"].to_numpy()),
            }
        )
        .filter(pl.col("hits") > 0)
        .sort("hits", "share", descending=True)
    )


def region_of(study: Study, token: int, spec: PartitionSpec) -> int:
    """The region of a token row."""
    found, _ = find_or_job(study, spec)
    if found is None:
        raise NotFoundError("This partition is not computed yet.", "Wait for its job.")
    if not 0 <= token < len(found.tokens):
        raise NotFoundError(
            f"There is no token {token} in this partition.",
            f"It holds tokens 0 to {len(found.tokens) - 1}.",
        )
    return int(found.owner[token])


def stops(study: Study) -> pl.DataFrame:
    """p, k, theta, regions, gray, overlap, ambiguous of every stop; null where not computed."""
    curve = partition.thresholds.find(
        study.model, study.site, study.corpus, list(study.p_stops), study.partition.seed
    )
    thetas = dict(curve.frame("curve").iter_rows()) if curve else {}
    rows = []
    for p in study.p_stops:
        for k in study.k_stops:
            found = find(study, replace(study.partition, p=p, k=k))
            gray, _, overlap, ambiguous = found.shares if found else (None,) * 4
            count = len(found.regions) if found else None
            theta = found.theta if found else thetas.get(p)
            rows.append((p, k, theta, count, gray, overlap, ambiguous))
    kinds: dict[str, Any] = dict.fromkeys(
        ("p", "k", "theta", "regions", "gray", "overlap", "ambiguous"), pl.Float64
    )
    return pl.DataFrame(rows, schema=kinds | {"regions": pl.Int64}, orient="row")


def document(study: Study, number: int, spec: PartitionSpec) -> Passage:
    """A whole document: each token's region, valued by its distance to the exemplar."""
    found, _ = find_or_job(study, spec)
    if found is None:
        raise NotFoundError("This partition is not computed yet.", "Wait for its job.")
    first, last = found.tokens.document_span(number)
    shown = passages.passage(found.tokens, first, last, -1, found.distance[first:last])
    return replace(shown, regions=tuple(found.owner[first:last].tolist()))
