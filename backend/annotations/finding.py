"""Finding features or regions by label, token or text, and the best label that each has."""

from __future__ import annotations

import re

import numpy as np
import polars as pl

from backend import run
from backend.annotations.hand_labels import labels_of
from backend.corpus import passages
from backend.features.answers import feature_index, search_features
from backend.labels import label_search
from backend.labels.label_search import LABELS
from backend.labels.subjects import Sampling, Subject, subject_of
from backend.query import lookup, query
from backend.regions.answers import available, search_regions
from backend.regions.partitioned import spec_key
from backend.schema import Study
from backend.store import queue

# of the model whose label stands for a feature's where there are several
FIRST = ("eleuther_acts_top5",)
EXACT, WORDS, TOKEN = 4.0, 3.0, 2.0  # ranks above those of texts, which are below 1


# ---------------------------------------------------------------- labels


@lookup
def best_labels(
    study: Study, kind: str = "feature", p: float | None = None, k: float | None = None
) -> pl.DataFrame:
    """number, method, label: of each feature or region the best label that it has so far, by hand,
    else by a model, else by counting. Nothing is made for it."""
    return _labels(study, kind, p, k)


def _labels(study: Study, kind: str, p: float | None, k: float | None) -> pl.DataFrame:
    parts = [_by_hand(study)] if kind == "feature" else []
    if subject := run.optional(subject_of, study, kind, p, k):
        parts += [_by_model(subject), _by_counting(subject)]
    best = pl.concat(
        [pl.DataFrame(schema=LABELS), *(part.select(LABELS.names()).cast(LABELS) for part in parts)]
    )
    return best.unique("number", keep="first", maintain_order=True).sort("number")


def _by_hand(study: Study) -> pl.DataFrame:
    """The last that somebody gave; what no label fits is no label."""
    valid = labels_of(study).filter((pl.col("failed") == "") & (pl.col("text") != ""))
    last = valid.unique("feature", keep="last", maintain_order=True)
    return last.select("method", number="feature", label="text")


def _by_model(subject: Subject) -> pl.DataFrame:
    labels = label_search.labels_by_models(subject)
    return labels.sort(~pl.col("method").is_in(FIRST), "method", maintain_order=True)


def _by_counting(subject: Subject) -> pl.DataFrame:
    entry = label_search.counted.find(subject, Sampling())
    return (
        label_search.of_either_side(entry.frame("labels")) if entry else pl.DataFrame(schema=LABELS)
    )


# ---------------------------------------------------------------- a search


@query("A search", priority=queue.SHORT)
def find_features(study: Study, text: str) -> pl.DataFrame:
    """Features that a text finds, best first: feature, matched (label, token, text), rank, hits,
    share. Matches of labels come first, then features whose commonest token it is, then those that
    fire on it, by the F1 of "it fires" as a sign of the text. Whole words; `*` for parts."""
    index = feature_index(study)
    table = index.table.select("feature", size="active", top_token="top_token")
    total = len(passages.find_text(index.tokens, text))
    hits = search_features.part(study, text)
    return _rank(table, hits, total, _labels(study, "feature", None, None), text)


@query("A search of regions by label, token and text", priority=queue.SHORT, key=spec_key)
def find_regions(
    study: Study, text: str, p: float | None = None, k: float | None = None
) -> pl.DataFrame:
    """Regions that a text finds, as `find_features`; a text is found among their members."""
    mapped = available(study, p, k)
    codes = mapped.regions["token_value"].to_numpy()
    tokens = pl.Series("top_token", passages.token_text(mapped.model, codes), pl.String)
    table = mapped.regions.select("region", "size").with_columns(tokens)
    total = len(passages.find_text(mapped.tokens, text))
    hits = search_regions.part(study, text, p, k)
    return _rank(table, hits, total, _labels(study, "region", p, k), text)


def _rank(
    table: pl.DataFrame, hits: pl.DataFrame, total: int, labels: pl.DataFrame, text: str
) -> pl.DataFrame:
    """`table` has the kind's number first, then `size` and `top_token`."""
    kind = table.columns[0]
    labels = labels.with_columns(pl.Series("label_rank", rank_labels(labels["label"], text)))
    word = text.strip().strip("*").strip().casefold()
    spelled = table["top_token"].str.strip_chars().str.to_lowercase()
    joined = (
        table.join(hits, on=kind, how="left")
        .join(labels.select(pl.col("number").alias(kind), "label_rank"), on=kind, how="left")
        .with_columns(pl.col("hits", "share", "label_rank").fill_null(0))
        .with_columns(
            token_rank=((spelled == word) & (word != "")) * TOKEN,
            f1=2 * pl.col("hits") / (pl.col("size") + max(total, 1)),
        )
    )
    ways = {"label": "label_rank", "token": "token_rank", "text": "f1"}
    names = [pl.when(pl.col(rank) > 0).then(pl.lit(way)) for way, rank in ways.items()]
    return (
        joined.with_columns(
            matched=pl.concat_str(names, separator=", ", ignore_nulls=True),
            rank=pl.max_horizontal("label_rank", "token_rank") + pl.col("f1"),
        )
        .filter(pl.col("rank") > 0)
        .sort("rank", kind, descending=[True, False])
        .select(kind, "matched", "rank", "hits", "share")
    )


def rank_labels(labels: pl.Series, text: str) -> np.ndarray:
    """[labels] how well each matches a text: 0 not at all, `EXACT` where it is all that the label
    says or quotes, from `WORDS` where it is some of its words, the more of them the better."""
    pattern = passages.words_pattern(text)
    if pattern is None:
        return np.zeros(len(labels))
    return np.array([_rank_label(label, pattern) for label in labels], dtype=np.float64)


def _rank_label(label: str, pattern: re.Pattern[str]) -> float:
    match = pattern.search(label)
    if match is None:
        return 0.0
    quoted = re.search(r'"(.*)"', label)
    core = (quoted[1] if quoted else label).strip()
    if match[0].casefold() == core.casefold():
        return EXACT
    return WORDS + len(match[0]) / (len(label) + 1)
