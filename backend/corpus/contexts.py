"""Documents in stream order, cut into token contexts.

Documents of each topic are shuffled by the corpus seed and the topics interleaved in proportion
to their length, so every prefix of the stream has the mix of the whole. A hub stream, of which
only the beginning is read, keeps its own order, so that more of it begins with the same texts.
Each context is BOS and up to `context_length - 1` tokens of one document. The BOS is in no table
and no count: token *i* of the corpus is row *i* of every per-token array.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from backend import run
from backend.corpus import sources
from backend.corpus.repeats import Deduplicator
from backend.models.language_model import tokenizer
from backend.schema import (
    CorpusError,
    CorpusRef,
    ModelRef,
    check_number,
    conform,
)
from backend.store.memo import Entry, memoize

CHARACTERS_PER_TOKEN = 12  # more than any script needs: how much of a hub stream is read
TOKENIZE_BATCH = 64


Document = tuple[str, str, str, str]  # source, topic, title, text

DOCUMENTS = pl.Schema(
    {
        "document": pl.Int32,
        "source": pl.String,
        "topic": pl.String,
        "title": pl.String,
        "text": pl.String,
        "tokens": pl.Int32,
    }
)
CONTEXTS = pl.Schema(
    {
        "context": pl.Int32,  # row in the token matrix
        "document": pl.Int32,
        "start": pl.Int32,  # index of its first token within the document
        "length": pl.Int32,  # tokens that are not BOS
        "first_token": pl.Int64,  # global index of its first token, BOS left out
    }
)


@memoize("corpus.tokens", version=1)
def tokenize(model: ModelRef, corpus: CorpusRef) -> dict[str, Any]:
    """Tokens of a corpus: `ids`, `starts`, `ends` ([tokens] int32; characters within the
    document), tables `documents` and `contexts`, and how many repeats were dropped.

    Raises:
        CorpusError: a source cannot be read, or nothing is in it.
    """
    run.report(0, 1, "Reading texts")
    documents, repeats = _documents(corpus)
    tokenized: list[Document] = []
    parts: list[np.ndarray] = []
    total = 0
    for number, tokens in enumerate(encoded(tokenizer(model), [d[3] for d in documents])):
        if number % TOKENIZE_BATCH == 0:
            done = (total, corpus.tokens) if corpus.tokens else (number, len(documents))
            run.report(*done, "Tokenizing", "tokens" if corpus.tokens else "documents")
        if not len(tokens):  # a tokenizer may drop every character of a text
            continue
        parts.append(tokens[: corpus.tokens - total] if corpus.tokens else tokens)
        tokenized.append(documents[number])
        total += len(parts[-1])
        if total == corpus.tokens:
            break
    if not tokenized:
        raise CorpusError("The corpus holds no tokens.", "Give it a source with some text.")
    return {**packed(tokenized, parts, corpus.context_length), "repeats": repeats}


def packed(
    documents: list[Document], parts: list[np.ndarray], context_length: int
) -> dict[str, Any]:
    """What `Tokens` reads, of documents and the tokens of each, as `encoded` gives them."""
    rows = np.concatenate(parts)
    lengths = [len(part) for part in parts]
    return {
        "ids": np.ascontiguousarray(rows[:, 0]),
        "starts": np.ascontiguousarray(rows[:, 1]),
        "ends": np.ascontiguousarray(rows[:, 2]),
        "documents": pl.DataFrame(
            [(n, *documents[n], length) for n, length in enumerate(lengths)],
            schema=DOCUMENTS,
            orient="row",
        ),
        "contexts": _context_table(lengths, context_length - 1),
    }


def encoded(encode: Any, texts: list[str]) -> Iterator[np.ndarray]:
    """[tokens, 3] int32 of each text: id, first character, one past the last."""
    for first in range(0, len(texts), TOKENIZE_BATCH):
        batch = encode(
            texts[first : first + TOKENIZE_BATCH],
            add_special_tokens=False,
            return_offsets_mapping=True,
        )
        for ids, offsets in zip(batch["input_ids"], batch["offset_mapping"], strict=True):
            pairs = np.asarray(offsets, dtype=np.int32).reshape(-1, 2)
            yield np.column_stack([np.asarray(ids, dtype=np.int32), pairs])


def _documents(corpus: CorpusRef) -> tuple[list[Document], int]:
    """Documents in stream order, repeats left out and counted."""
    strata: dict[tuple[str, str], list[Document]] = {}
    deduplicator = Deduplicator()
    repeats = 0
    for source in corpus.sources:
        for topic, title, text in sources.read(source, corpus.tokens * CHARACTERS_PER_TOKEN):
            if deduplicator.is_repeat(text):
                repeats += 1
                continue
            stratum = source.kind, source.path if source.kind == "hub" else topic
            strata.setdefault(stratum, []).append((source.kind, topic, title, text))
    if not strata:
        raise CorpusError("The corpus holds no text.", "Give the study a source with some text.")
    return _interleave(strata, corpus.seed), repeats


def _interleave(strata: dict[tuple[str, str], list[Document]], seed: int) -> list[Document]:
    """Each document at the middle of the share of its stratum that it covers."""
    placed: list[tuple[float, tuple[str, str], Document]] = []
    for name in sorted(strata):
        documents = strata[name]
        number = int.from_bytes(hashlib.sha256("/".join(name).encode()).digest()[:4])
        order = np.arange(len(documents))
        if name[0] != "hub":
            order = np.random.default_rng([seed, number]).permutation(order)
        lengths = np.array([len(documents[i][3]) for i in order], dtype=np.float64)
        middles = (np.cumsum(lengths) - lengths / 2) / lengths.sum()
        placed += [(middle, name, documents[i]) for middle, i in zip(middles, order, strict=True)]
    placed.sort(key=lambda item: item[:2])
    return [document for _, _, document in placed]


def _context_table(lengths: list[int], window: int) -> pl.DataFrame:
    rows: list[tuple[int, int, int, int, int]] = []
    first = 0
    for document, length in enumerate(lengths):
        for start in range(0, length, window):
            size = min(window, length - start)
            rows.append((len(rows), document, start, size, first))
            first += size
    return pl.DataFrame(rows, schema=CONTEXTS, orient="row")


@dataclass(frozen=True)
class Tokens:
    """A tokenized corpus, read from its memo entry."""

    entry: Entry

    @cached_property
    def ids(self) -> np.ndarray:
        return self.entry.array("ids")

    @cached_property
    def starts(self) -> np.ndarray:
        return self.entry.array("starts")

    @cached_property
    def ends(self) -> np.ndarray:
        return self.entry.array("ends")

    @cached_property
    def documents(self) -> pl.DataFrame:
        return conform(self.entry.frame("documents"), DOCUMENTS)

    @cached_property
    def contexts(self) -> pl.DataFrame:
        return conform(self.entry.frame("contexts"), CONTEXTS)

    @cached_property
    def context_of(self) -> np.ndarray:
        """[tokens] int32: the context of each token."""
        return np.repeat(
            np.arange(len(self.contexts), dtype=np.int32), self.contexts["length"].to_numpy()
        )

    @cached_property
    def document_of(self) -> np.ndarray:
        """[tokens] int32: the document of each token."""
        return self.contexts["document"].to_numpy()[self.context_of]

    @cached_property
    def document_starts(self) -> np.ndarray:
        """[documents + 1] int64: the token at which each document begins; last, how many."""
        return np.append(0, np.cumsum(self.documents["tokens"].to_numpy()))

    @cached_property
    def topic_names(self) -> list[str]:
        return sorted(self.documents["topic"].unique())

    @cached_property
    def topic_of(self) -> np.ndarray:
        """[tokens] int32: index into `topic_names`."""
        codes = {name: code for code, name in enumerate(self.topic_names)}
        of_document = np.array([codes[t] for t in self.documents["topic"]], dtype=np.int32)
        return of_document[self.document_of]

    @cached_property
    def topic_prior(self) -> np.ndarray:
        """[topics] float64: share of all tokens that are of each topic."""
        return np.bincount(self.topic_of, minlength=len(self.topic_names)) / len(self)

    def __len__(self) -> int:
        return len(self.ids)

    def document_span(self, document: int) -> tuple[int, int]:
        """First and one-past-last token of a document."""
        check_number(document, len(self.documents), "document", "The corpus")
        first, last = self.document_starts[document : document + 2]
        return int(first), int(last)

    def context_span(self, token: int) -> tuple[int, int]:
        """First and one-past-last token of the context that holds a token."""
        context = int(self.context_of[token])
        first = int(self.contexts["first_token"][context])
        return first, first + int(self.contexts["length"][context])

    def pieces(self, first: int, last: int) -> Iterator[str]:
        """The text of tokens first..last-1 as the document spells it.

        The pieces of a document join to its text up to its last token, however they are asked
        for. Of several tokens that spell one character the first carries it; what a tokenizer
        skips goes to the token after it.
        """
        document, text, done = -1, "", 0
        for token in range(first, last):
            if self.document_of[token] != document:
                document = int(self.document_of[token])
                text = self.documents["text"][document]
                inside = token > 0 and self.document_of[token - 1] == document
                done = int(self.ends[token - 1]) if inside else 0
            end = max(int(self.ends[token]), done)
            yield text[done:end]
            done = end
