"""Tokens of the corpus as passages of text, what stands among some of them, and where a text
occurs."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

import numpy as np
import polars as pl

from backend.corpus.contexts import Tokens, tokenize
from backend.corpus.views import LOGITS, TOKENS, TOPICS, Passage
from backend.models.language_model import vocabulary
from backend.schema import CorpusRef, ModelRef
from backend.statistics.intervals import wilson
from backend.store.memo import Entry

BEFORE, AFTER = 28, 14  # tokens shown around a region's member
CHARACTERS = 8  # of one's own text, for each token allowed

Values = Callable[[int, int], np.ndarray]  # token rows first..last-1 -> one number each


_tokens = functools.lru_cache(maxsize=4)(Tokens)


def tokens_of(model: ModelRef, corpus: CorpusRef) -> Tokens:
    """The tokenized corpus, kept in memory."""
    return _tokens(tokenize(model, corpus))


def passage(tokens: Tokens, first: int, last: int, focus: int, values: np.ndarray) -> Passage:
    """Token rows first..last-1 of one document; `focus` is a token row, -1 for none."""
    document = int(tokens.document_of[first])
    row = tokens.documents.row(document, named=True)
    return Passage(
        document=document,
        title=row["title"],
        topic=row["topic"],
        first=first,
        pieces=tuple(tokens.pieces(first, last)),
        values=tuple(float(v) for v in values),
        focus=focus - first if focus >= 0 else -1,
    )


def around(tokens: Tokens, row: int, values: Values) -> Passage:
    """The tokens before and after one, within its document."""
    begin, end = tokens.document_span(int(tokens.document_of[row]))
    first, last = max(begin, row - BEFORE), min(end, row + 1 + AFTER)
    return passage(tokens, first, last, row, values(first, last))


def context(tokens: Tokens, row: int, values: Values) -> Passage:
    """The whole context that holds a token."""
    first, last = tokens.context_span(row)
    return passage(tokens, first, last, row, values(first, last))


@functools.lru_cache(maxsize=4)
def _pieces(entry: Entry) -> list[str]:
    return entry.frame("pieces")["text"].to_list()


def token_text(model: ModelRef, ids: np.ndarray) -> list[str]:
    """The text of each vocabulary entry; nothing for a negative id."""
    pieces = _pieces(vocabulary(model))
    return [pieces[i] if i >= 0 else "" for i in ids.tolist()]


def piece_at(tokens: Tokens, row: int) -> str:
    return next(iter(tokens.pieces(row, row + 1)), "")


def counted(model: ModelRef, ids: np.ndarray, limit: int) -> pl.DataFrame:
    """`TOKENS` of the commonest ids."""
    values, counts = np.unique(np.asarray(ids), return_counts=True)
    best = np.argsort(-counts, kind="stable")[:limit]
    return pl.DataFrame(
        {
            "text": token_text(model, values[best]),
            "count": counts[best],
            "share": counts[best] / max(1, len(ids)),
        },
        schema=TOKENS,
    )


def topic_shares(tokens: Tokens, rows: np.ndarray) -> pl.DataFrame:
    """How often topics of documents stand among some tokens: `topic`, `count` and `share` of the
    tokens `rows`, `prior` share of all tokens, `lift` = share / prior with its 95% interval `low`,
    `high` (Wilson's of the share, over the prior); highest lift first.

    Tokens of a document are not independent, so intervals are narrower than they should be.
    """
    prior, total = tokens.topic_prior, max(1, len(rows))
    counts = np.bincount(tokens.topic_of[rows], minlength=len(prior))
    low, high = wilson(counts, total)
    share = counts / total
    return pl.DataFrame(
        {
            "topic": tokens.topic_names,
            "count": counts,
            "share": share,
            "prior": prior,
            "lift": share / prior,
            "low": low / prior,
            "high": high / prior,
        },
        schema=TOPICS,
    ).sort("lift", descending=True)


def words_pattern(text: str) -> re.Pattern[str] | None:
    """What a search looks for: whole words, case ignored; a `*` at either end also finds parts of
    words. None where nothing is asked for."""
    query = text.strip()
    core = query.strip("*").strip()
    if not core:
        return None
    pattern = re.escape(core)
    if not query.startswith("*") and re.match(r"\w", core):
        pattern = rf"\b{pattern}"
    if not query.endswith("*") and re.search(r"\w$", core):
        pattern = rf"{pattern}\b"
    return re.compile(pattern, re.IGNORECASE)


@functools.lru_cache(maxsize=8)  # of one search several answers are made
def find_text(tokens: Tokens, text: str) -> np.ndarray:
    """Token rows that spell `text` anywhere in the corpus, as `words_pattern` reads it."""
    expression = words_pattern(text)
    if expression is None:
        return np.empty(0, dtype=np.int64)
    rows: list[np.ndarray] = []
    for document, content in enumerate(tokens.documents["text"]):
        matches = [m.span() for m in expression.finditer(content)]
        if matches:
            first, last = tokens.document_span(document)
            starts, ends = tokens.starts[first:last], tokens.ends[first:last]
            for low, high in matches:
                begin = np.searchsorted(ends, low, side="right")
                end = np.searchsorted(starts, high, side="left")
                rows.append(np.arange(first + begin, first + end))
    return np.unique(np.concatenate(rows)) if rows else np.empty(0, dtype=np.int64)


def logit_frame(model: ModelRef, entry: Entry | None, name: str, row: int) -> pl.DataFrame:
    """`LOGITS`: one row of a block of logit effects; empty where there is no block."""
    if entry is None:
        return pl.DataFrame(schema=LOGITS)
    ids = entry.array(name)[row]
    logits = entry.array(f"{name}_logits")[row]
    return pl.DataFrame({"text": token_text(model, ids), "logit": logits}, schema=LOGITS)
