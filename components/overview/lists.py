"""Short lists of what is worth a look, each with its reason, and without what is known to mislead:
regions of one token or one text, rare topics, features whose peaks are large everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from backend.features.views import FeatureTable
from backend.regions.views import RegionMap
from components.regions.table import one_line
from components.shell import markup, numbers
from components.shell.links import anchor

ENOUGH = 30  # members below which a region's shape is mostly chance
LEAST_TOKENS = 20  # tokens below which a feature's shape is mostly chance
LEAST_TEXTS = 10  # documents below which a topic may be one text's
ONE_TEXT = 0.5  # explained share from which a region is a document's
ONE_TOKEN = 0.2  # share of its commonest token from which a feature may be that token's
UNMATCHED = 0.1  # F1 below which no feature is the region
LISTED = 6


@dataclass(frozen=True)
class ShortList:
    """The first rows of a frame, as a list under its name and the reason why they are shown."""

    name: str
    reason: str
    rows: pl.DataFrame
    value: Callable[[dict[str, Any]], str]  # of a row, at the end of its line


# ---------------------------------------------------------------- regions


def _solid(table: pl.DataFrame) -> pl.DataFrame:
    return table.filter(pl.col("size") >= ENOUGH)


def several(table: pl.DataFrame) -> pl.DataFrame:
    """Regions with enough members that neither one token nor one text explains."""
    one_text = pl.col("document_explained").fill_nan(0.0) >= ONE_TEXT
    return _solid(table).filter(~pl.col("token_driven"), ~one_text)


def tightest(table: pl.DataFrame) -> pl.DataFrame:
    """Those, the most coherent first."""
    return several(table).sort("coherence", descending=True, nulls_last=True)


def by_region(table: pl.DataFrame) -> pl.DataFrame:
    """Regions bound to a topic whose commonest token is a word, the largest first."""
    word = pl.col("top_token").str.contains(r"^\s?\p{L}{4,}$")
    return several(table).filter(word).sort("size", descending=True)


def best_of_topics(frame: pl.DataFrame) -> pl.DataFrame:
    """The row of each topic whose lift is surest, by the low end of its interval: were they ranked
    by lift alone, the rarest topic would lead, since its lift can be the highest."""
    known = frame.drop_nulls("topic").filter(pl.col("topic") != "")
    return known.sort("lift_low", descending=True, nulls_last=True).unique(
        "topic", keep="first", maintain_order=True
    )


def of_regions(view: RegionMap) -> list[ShortList]:
    """Regions worth a look."""
    unmatched = tightest(view.table).filter(pl.col("f1") < UNMATCHED)
    lists = [
        ShortList(
            "Tightest",
            "highest κ where neither one token nor one text explains it",
            tightest(view.table),
            lambda row: numbers.fraction(row["coherence"]),
        ),
        ShortList(
            "Most topic-bound",
            "the surest of each topic, by lift; one text does not count",
            best_of_topics(several(view.table)),
            lambda row: f"{row['topic']} {numbers.times(row['lift'])}",
        ),
        ShortList(
            "Largest",
            "by members; often where what fits nowhere goes, so draw at random",
            _solid(view.table).sort("size", descending=True),
            lambda row: numbers.count(row["size"]),
        ),
    ]
    if len(unmatched):
        reason = f"highest κ where the best feature has F1 below {numbers.fraction(UNMATCHED)}"
        lists.append(
            ShortList(
                "What no feature has",
                reason,
                unmatched,
                lambda row: f"F1 {numbers.fraction(row['f1'], 3)}",
            )
        )
    return lists


def regions_html(view: RegionMap) -> str:
    """Regions worth a look, as lists beside each other."""

    def line(row: dict[str, Any]) -> tuple[str, str]:
        link = anchor(str(row["region"]), "regions", region=row["region"])
        return link, in_context(row["before"], row["token"], row["after"])

    return _lists_html(of_regions(view), line)


def in_context(before: str, token: str, after: str) -> str:
    """A token with a few words around it, on one line, the token in the middle."""
    left, middle, right = (markup.escape(one_line(part)) for part in (before, token, after))
    return (
        f'<span class="kwic"><span><bdi>{left}</bdi></span><b>{middle}</b>'
        f"<span>{right}</span></span>"
    )


# ---------------------------------------------------------------- features


def of_features(view: FeatureTable) -> list[ShortList]:
    """Features worth a look, among those that fire often enough."""
    solid = view.table.filter(pl.col("active") >= LEAST_TOKENS)
    varied = solid.filter(pl.col("top_token_share") < ONE_TOKEN)
    matched = varied.drop_nulls("f1").filter(pl.col("region") >= 0)
    lists = [
        ShortList(
            "Many words, one region",
            f"no token above {ONE_TOKEN:.0%}; by F1, each region once",
            matched.sort("f1", descending=True).unique("region", keep="first", maintain_order=True),
            lambda row: f"F1 {numbers.fraction(row['f1'])}",
        ),
        ShortList(
            "Most topic-bound",
            f"the surest of each topic, by lift, in {LEAST_TEXTS} texts or more",
            best_of_topics(solid.filter(pl.col("documents") >= LEAST_TEXTS)),
            lambda row: f"{row['topic']} {numbers.times(row['lift'])}",
        ),
        ShortList(
            "Most sparing",
            f"fires least often, in {LEAST_TEXTS} texts or more, no token above {ONE_TOKEN:.0%}",
            varied.filter(pl.col("documents") >= LEAST_TEXTS).sort("active"),
            lambda row: f"{numbers.count(row['active'])} tokens",
        ),
        ShortList(
            "Densest",
            "share of tokens; may carry position or norm rather than meaning",
            solid.sort("density", descending=True),
            lambda row: numbers.percent(row["density"]),
        ),
    ]
    return [each for each in lists if len(each.rows)]


def features_html(view: FeatureTable) -> str:
    """Features worth a look, as lists beside each other."""

    def line(row: dict[str, Any]) -> tuple[str, str]:
        link = anchor(str(row["feature"]), "features", feature=row["feature"])
        promoted = f"→ {markup.escape(one_line(row['promoted']))}" if row["promoted"] else ""
        return link, f"<span>{markup.token(row['top_token'])} <small>{promoted}</small></span>"

    return _lists_html(of_features(view), line)


def _lists_html(
    lists: Sequence[ShortList], line: Callable[[dict[str, Any]], tuple[str, str]]
) -> str:
    """Short lists beside each other; `line` gives the link and the token of a row."""
    sections = []
    for each in lists:
        lines = ""
        for row in each.rows.head(LISTED).iter_rows(named=True):
            link, token = line(row)
            lines += (
                f'<div class="line"><span>{link}</span>{token}'
                f"<b>{markup.escape(each.value(row))}</b></div>"
            )
        head = f"{markup.escape(each.name)}<small>{markup.escape(each.reason)}</small>"
        sections.append(f'<section><h3 class="head">{head}</h3>{lines}</section>')
    return f'<div class="lists">{"".join(sections)}</div>'
