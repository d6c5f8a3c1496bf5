"""Sentences that hold a word, and others that do not: from the corpus, or from frames.

Whole documents (of frames: frames, and the words that fill negatives) are split into train and test
once for all concepts, so nothing that is said of test was seen in train. Negatives come from one
pool and are matched in length, since the largest of many tokens is larger.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from backend import run
from backend.corpus.contexts import encoded, tokenize
from backend.evals.expert_lens import ratings
from backend.evals.expert_lens.frames import FILLERS, FRAMES, SHOWN
from backend.evals.expert_lens.inflections import inflections, sentences, words_of
from backend.evals.expert_lens.ratings import RatingsRef
from backend.evals.expert_lens.views import REFUSED
from backend.models.language_model import tokenizer
from backend.schema import CorpusError, CorpusRef, ModelRef
from backend.statistics.estimates import auroc
from backend.store.memo import memoize

LEAST, MOST = 10, 40  # positive sentences of a half
DEFAULT_LEAST = 20  # those that a word needs to be chosen by itself
PER_POSITIVE = 2  # negatives
POOL = 480  # sentences of a half that negatives are drawn from
CONCEPTS, LIMIT = 80, 200  # chosen by themselves; at most

SENTENCES = pl.Schema(
    {"document": pl.Int32, "half": pl.Int8, "text": pl.String, "length": pl.Int32}
)


@dataclass(frozen=True)
class Half:
    """One half of a concept: `positives` (`SENTENCES`), how many there were to choose from, and
    rows of the pool."""

    positives: pl.DataFrame
    available: int
    negatives: np.ndarray


# ---------------------------------------------------------------- the corpus in sentences


@memoize("expert_lens.corpus_sentences", version=1)
def split(model: ModelRef, corpus: CorpusRef, seed: int) -> dict[str, Any]:
    """Table `sentences` (`SENTENCES`): every sentence of 6 to 40 words, once, in random order;
    `half` is its document's (0 train, 1 test), `length` its tokens. Documents are read whole,
    beyond the tokens that the study reads; of a hub stream, no more than those."""
    if all(source.kind != "hub" for source in corpus.sources):
        corpus = replace(corpus, tokens=0)
    documents = tokenize(model, corpus).frame("documents")["text"]
    rng, different = np.random.default_rng(seed), set()
    halves = rng.permutation(np.arange(len(documents)) % 2)
    rows = []
    for document, text in enumerate(documents):
        for sentence in sentences(text):
            key = " ".join(sentence.casefold().split())
            if key not in different:
                different.add(key)
                rows.append((document, halves[document], sentence))
    order = rng.permutation(len(rows))
    texts = [rows[index][2] for index in order]
    lengths = [len(part) for part in encoded(tokenizer(model), texts)]
    columns = {
        "document": [rows[index][0] for index in order],
        "half": [rows[index][1] for index in order],
        "text": texts,
        "length": lengths,
    }
    return {"sentences": pl.DataFrame(columns, schema=SENTENCES)}


# ---------------------------------------------------------------- concepts and their sentences


@memoize("expert_lens.sentences", version=1)
def select(
    model: ModelRef,
    corpus: CorpusRef,
    source: str,
    concepts: tuple[str, ...],
    rated: tuple[RatingsRef, ...],
    seed: int,
) -> dict[str, Any]:
    """Sentences of the `concepts` or, if there are none, of rated words that the corpus
    holds often enough, as `ratings.choose` picks them. `source` is corpus or templates.

    Tables: `concepts` (concept, positives and negatives of a half, documents, length: the AUROC of
    length alone), `refused` (concept, train, test: positive sentences of each half),
    `positives` (concept, half, text), `negatives` (concept, half, row), `pool` (half, text).
    Array `together` [concepts, concepts] int64: documents that hold both words. Values: how many
    `documents` there are, words were looked for (`rated`), and are there `often` enough.

    Raises:
        CorpusError: fewer than two concepts have enough sentences.
    """
    run.report(0, 1, "Looking for sentences")
    table = split(model, corpus, seed).frame("sentences")
    tables = {ref.name: ratings.read_ratings(ref) for ref in rated}
    rows = occurrences(table, concepts or ratings.words(tables))
    words = concepts or tuple(default_concepts(table, rows, tables, source))
    framed = source == "templates"
    source_of = FrameSentences(model) if framed else CorpusSentences(table, rows)
    halves = {word: source_of.halves(word) for word in words}
    selected = {word: pair for word, pair in halves.items() if has_enough(pair)}
    if len(selected) < 2:
        raise CorpusError(
            f"Only {len(selected)} of {len(words)} concepts have {LEAST} sentences with the "
            f"word and {PER_POSITIVE * LEAST} without in each half{sentence_counts(halves)}.",
            "Two at least are compared: take other words, a larger corpus, or sentences “from "
            "frames”.",
        )
    documents = [set(table["document"].gather(rows[word])) for word in selected]
    return {
        **_tables(selected, source_of.pool),
        "refused": _refused(halves, selected),
        "documents": table["document"].n_unique(),
        "rated": len(rows),
        "often": sum(is_frequent(table["half"].to_numpy(), part) for part in rows.values()),
        "together": np.array([[len(one & other) for other in documents] for one in documents]),
    }


def occurrences(table: pl.DataFrame, words: Iterable[str]) -> dict[str, list[int]]:
    """The rows of `SENTENCES` that hold each word or phrase whole."""
    rows: dict[str, list[int]] = {word: [] for word in words}
    longest = max((word.count(" ") + 1 for word in rows), default=1)
    for row, text in enumerate(table["text"]):
        spoken_words = words_of(text)
        grams = {
            " ".join(spoken_words[begin : begin + size])
            for size in range(1, longest + 1)
            for begin in range(len(spoken_words) - size + 1)
        }
        for word in rows.keys() & grams:
            rows[word].append(row)
    return rows


def default_concepts(
    table: pl.DataFrame,
    rows: Mapping[str, list[int]],
    rated: Mapping[str, pl.DataFrame],
    source: str,
) -> list[str]:
    """The concepts that are taken if none are named: rated words of which either half of the
    corpus holds enough; for templates any rated words, where those are too few to compare."""
    half = table["half"].to_numpy()
    enough = [word for word, part in rows.items() if is_frequent(half, part)]
    few = source == "templates" and len(enough) < CONCEPTS // 4
    return ratings.choose(rated, list(rows) if few else enough, CONCEPTS)


def is_frequent(half: np.ndarray, rows: list[int]) -> bool:
    """Whether rows of sentences are enough in both halves to be chosen for."""
    return bool(np.bincount(half[rows], minlength=2).min() >= DEFAULT_LEAST)


class CorpusSentences:
    """Sentences of the corpus: of as many documents as there are, then more of each."""

    def __init__(self, table: pl.DataFrame, rows: Mapping[str, list[int]]) -> None:
        self.table, self.rows = table, rows
        parts = [_spread(table.filter(pl.col("half") == half)).head(POOL) for half in (0, 1)]
        self.pool = pl.concat(parts)
        self.words = [set(words_of(text)) for text in self.pool["text"]]

    def halves(self, word: str) -> list[Half]:
        spread = _spread(self.table[self.rows[word]])
        positives = [spread.filter(pl.col("half") == half) for half in (0, 1)]
        is_form = inflections(word)
        free = np.array([not any(map(is_form, words)) for words in self.words], dtype=bool)
        rows = [np.flatnonzero(free & (self.pool["half"].to_numpy() == half)) for half in (0, 1)]
        count = min(MOST, *map(len, positives), *(len(part) // PER_POSITIVE for part in rows))
        pool = self.pool["length"].to_numpy()
        halves = []
        for part, free_rows in zip(positives, rows, strict=True):
            negatives = match_lengths(part["length"].to_numpy()[:count], pool, free_rows)
            halves.append(Half(part.head(count), len(part), negatives))
        return halves


class FrameSentences:
    """Frames filled with a word; negatives are the same frames with other words. Each half has
    frames and fillers of its own."""

    def __init__(self, model: ModelRef) -> None:
        self.model = model
        filled = []
        for number, frame in enumerate(FRAMES):
            half = number % 2
            for turn in range(SHOWN):
                filler = FILLERS[half::2][(number // 2 + 3 * turn) % (len(FILLERS) // 2)]
                filled.append((number, half, fill(frame, filler), filler))
        self.fillers = [row[3] for row in filled]
        self.pool = self._table([row[:3] for row in filled])

    def _table(self, rows: list[tuple[int, int, str]]) -> pl.DataFrame:
        lengths = [len(part) for part in encoded(tokenizer(self.model), [row[2] for row in rows])]
        with_lengths = [(*row, length) for row, length in zip(rows, lengths, strict=True)]
        return pl.DataFrame(with_lengths, schema=SENTENCES, orient="row")

    def halves(self, word: str) -> list[Half]:
        is_form, halves = inflections(word), []
        for half in (0, 1):
            numbers = range(half, len(FRAMES), 2)
            filled = self._table([(number, half, fill(FRAMES[number], word)) for number in numbers])
            negatives = []
            for number in numbers:
                fillings = range(number * SHOWN, (number + 1) * SHOWN)
                free = [index for index in fillings if not is_form(self.fillers[index])]
                negatives += free[:PER_POSITIVE]
            halves.append(Half(filled, len(filled), np.array(negatives)))
        return halves


def fill(frame: str, word: str) -> str:
    """A frame with a word in it, which is capitalized where it begins the sentence."""
    return frame.format(word.capitalize() if frame.startswith("{") else word)


def match_lengths(targets: np.ndarray, lengths: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Of `rows`, two for each length wanted, the nearest in length that are left; the longest, of
    which there are fewest, choose first."""
    left, matches = list(rows), []
    for length in np.sort(targets)[::-1].repeat(PER_POSITIVE):
        matches.append(left.pop(int(np.abs(lengths[left] - length).argmin())))
    return np.array(matches, dtype=np.int64)


def sentence_counts(halves: Mapping[str, list[Half]]) -> str:
    """How many sentences each word has, of the first dozen."""
    words = [
        f"{word} has {train.available:,} in train and {test.available:,} in test"
        for word, (train, test) in halves.items()
    ]
    more = [f"{len(words) - 12} more"] * (len(words) > 12)
    return f": {'; '.join(words[:12] + more)}" if words else ""


def has_enough(halves: list[Half]) -> bool:
    """Whether either half has positives that a score can be made of."""
    return min(len(half.positives) for half in halves) >= LEAST


def _spread(table: pl.DataFrame) -> pl.DataFrame:
    """The same rows, the first of every document before the second of any."""
    turn = pl.int_range(pl.len()).over("document")
    return table.with_columns(turn=turn).sort("turn", maintain_order=True).drop("turn")


def _tables(selected: Mapping[str, list[Half]], pool: pl.DataFrame) -> dict[str, Any]:
    concepts, positives, negatives = [], [], []
    for word, halves in selected.items():
        lengths = (
            pl.concat([half.positives["length"] for half in halves]),
            pool["length"].gather(np.concatenate([half.negatives for half in halves])),
        )
        documents = sum(half.positives["document"].n_unique() for half in halves)
        sizes = len(halves[0].positives), len(halves[0].negatives), documents
        concepts.append((word, *sizes, auroc(*lengths).value))
        for number, half in enumerate(halves):
            positives += [(word, number, text) for text in half.positives["text"]]
            negatives += [(word, number, int(row)) for row in half.negatives]
    names = ["concept", "positives", "negatives", "documents", "length"]
    return {
        "concepts": pl.DataFrame(concepts, schema=names, orient="row"),
        "positives": pl.DataFrame(positives, schema=["concept", "half", "text"], orient="row"),
        "negatives": pl.DataFrame(negatives, schema=["concept", "half", "row"], orient="row"),
        "pool": pool.select("half", "text"),
    }


def _refused(halves: Mapping[str, list[Half]], selected: Collection[str]) -> pl.DataFrame:
    rows = [
        (word, *(half.available for half in pair))
        for word, pair in halves.items()
        if word not in selected
    ]
    return pl.DataFrame(rows, REFUSED, orient="row")
