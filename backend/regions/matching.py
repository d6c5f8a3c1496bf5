"""Which features fire where a region's members are: F1 over the tokens that both share.

A region and a feature are each a set of tokens: its members (within θ), and the tokens where it
is active. Precision is the share of the feature's active tokens that are members, recall the
share of the members where the feature is active, F1 their harmonic mean.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import polars as pl

from backend import run
from backend.features import codes
from backend.regions import partitioning
from backend.schema import Partition, SaeRef, Study
from backend.store.memo import Entry, memoize

Kind = Literal["region", "feature"]
BEST_MATCHES = 5  # best matches of each region, and of each feature
ROWS = 65_536  # members whose features are counted at once, unless one region has more

MATCHES = pl.Schema(
    {
        "region": pl.Int32,
        "feature": pl.Int32,
        "both": pl.Int32,  # members where the feature is active
        "f1": pl.Float64,
        "precision": pl.Float64,  # both / tokens where the feature is active
        "recall": pl.Float64,  # both / members
    }
)


@memoize("regions.feature_matches", version=1)
def match(partition: Partition, sae: SaeRef) -> dict[str, Any]:
    """The five best matches each way, best first, as tables of `MATCHES`: `by_region` in order
    of regions and `by_feature` in order of features. What shares no token with anything is in
    neither."""
    built = partitioning.build_partition(partition)
    index = codes.index(partition.reading, sae)
    owner = np.where(built.array("distance") <= built.value("theta"), built.array("owner"), -1)
    count = len(built.array("exemplar_tokens"))
    by_region, by_feature = best_matches(owner, count, codes.token_codes(index))
    return {"by_region": by_region, "by_feature": by_feature}


def matches_of(study: Study, partition: Partition) -> Entry | None:
    """The matches of a partition with the study's features; None without an SAE, for a preview,
    and until partition and features are there. A look that misses only the matches asks for them.
    """
    if study.sae is None or partition.reading != study.reading:
        return None
    index = codes.index.find(partition.reading, study.sae)
    if index is None or partitioning.build_partition.find(partition) is None:
        return None
    return run.optional(match, partition, study.sae)


def with_best(frame: pl.DataFrame, matches: Entry | None, kind: Kind) -> pl.DataFrame:
    """A frame of each `kind` with the best match: the other's number, -1 where there is none, and
    `f1`."""
    other = "feature" if kind == "region" else "region"
    every = matches.frame(f"by_{kind}") if matches else pl.DataFrame(schema=MATCHES)
    best = every.unique(kind, keep="first").select(kind, other, "f1")
    joined = frame.join(best, on=kind, how="left", maintain_order="left")
    return joined.with_columns(pl.col(other).fill_null(-1))


def best_matches(
    owner: np.ndarray, regions: int, by_token: codes.ByToken
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`by_region` and `by_feature`. `owner` [N] is the region each token is a member of, or
    negative.

    Regions are counted in blocks of members, so memory does not grow with the corpus.
    """
    members = np.flatnonzero(owner >= 0)
    members = members[np.argsort(owner[members], kind="stable")]
    sizes = np.bincount(owner[members], minlength=regions)
    ends = np.cumsum(sizes)
    by_region: list[pl.DataFrame] = []
    by_feature = pl.DataFrame(schema=MATCHES)
    first = 0
    while first < regions:
        run.report(first, regions, "Matching regions with features", "regions")
        begin = ends[first] - sizes[first]
        last = max(first + 1, int(np.searchsorted(ends, begin + ROWS, side="right")))
        tokens = members[begin : ends[last - 1]]
        lengths, features = by_token.on(tokens)
        pairs = pl.DataFrame({"region": np.repeat(owner[tokens], lengths), "feature": features})
        scored = _scored(pairs, sizes, by_token.active)
        by_region.append(_best(scored, "region", "feature"))
        by_feature = _best(pl.concat([by_feature, scored]), "feature", "region")
        first = last
    return pl.concat([pl.DataFrame(schema=MATCHES), *by_region]), by_feature


def _scored(pairs: pl.DataFrame, sizes: np.ndarray, active: np.ndarray) -> pl.DataFrame:
    """`MATCHES` of every pair of a region and a feature; `pairs` has one row for each member on
    which the feature is active."""
    counts = pairs.group_by("region", "feature").len("both").cast(pl.Int64)
    region, feature, both = (column.to_numpy() for column in counts)
    members, tokens = sizes[region], active[feature]
    return counts.with_columns(
        f1=2 * both / (members + tokens), precision=both / tokens, recall=both / members
    ).select(pl.col(name).cast(kind) for name, kind in MATCHES.items())


def _best(matches: pl.DataFrame, kind: str, other: str) -> pl.DataFrame:
    """The best few rows of each `kind`; ties to the lower `other`."""
    ordered = matches.sort(kind, "f1", other, descending=[False, True, False])
    return ordered.group_by(kind, maintain_order=True).head(BEST_MATCHES).select(list(MATCHES))
