"""Concept sets: texts with labels, tokenized as a small corpus of their own.

A text is a document, stands once, and is in one split, whatever concepts it is labelled for.
Two texts are the same that differ in case and white space only.
"""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import polars as pl

from backend import run
from backend.corpus.concept_sources import source_of
from backend.corpus.concept_tables import LEAST, Labelled
from backend.corpus.contexts import TOKENIZE_BATCH, Tokens, encoded, packed, tokenize
from backend.models.language_model import tokenizer
from backend.schema import (
    ConceptRef,
    CorpusError,
    CorpusRef,
    ModelRef,
    NotFoundError,
    conform,
)
from backend.store.memo import Entry, memoize

SPLITS = ("train", "test")
KINDS = ("positive", "negative", "hard")
NONE = np.empty(0, dtype=np.int64)
PER_POSITIVE = 2  # negatives that are drawn at most
CONCEPTS = pl.Schema({"concept": pl.Int32, "name": pl.String, "genre": pl.String})
LABELS = pl.Schema({"concept": pl.Int32, "text": pl.Int32, "kind": pl.String, "split": pl.String})


@memoize("corpus.concept_set", version=1)
def read(model: ModelRef, corpus: CorpusRef, ref: ConceptRef) -> dict[str, Any]:
    """The texts of a resolved set as `Tokens` reads them (a document's `topic` is its split), and
    tables `concepts` (concept, name, genre) and `labels` (concept, text, kind, split).

    `dropped` counts rows of the source by why a label of theirs was left out; `windowed`, texts
    longer than one context, which are read in several.

    Raises:
        CorpusError: the set cannot be read, or a concept has too few texts; it is named.
    """
    run.report(0, 1, "Reading labelled texts")
    source = source_of(ref).read(ref, lambda: Tokens(tokenize(model, corpus)).documents)
    rows, dropped = _cleaned(source)
    rows, tokens, without_tokens = _tokenized(model, rows)
    dropped = {**dropped, "empty": dropped["empty"] + without_tokens}
    rows = _split(rows, ref.seed)
    labels = _with_negatives(rows, ref.seed) if source.rest else rows
    _check(labels, source)
    texts = rows.unique("document", keep="first").sort("document")
    columns = texts.select("split", "title", "text").iter_rows()
    numbers = {key: number for number, key in enumerate(source.concepts)}
    return {
        **packed([(ref.kind, *row) for row in columns], tokens, corpus.context_length),
        "concepts": pl.DataFrame(
            [(number, *names) for number, names in enumerate(source.concepts.values())],
            schema=CONCEPTS,
            orient="row",
        ),
        "labels": labels.select(
            pl.col("concept").replace_strict(numbers, return_dtype=pl.Int32),
            pl.col("document").alias("text"),
            "kind",
            "split",
        ).sort("concept", "split", "kind", "text"),
        "dropped": dropped,
        "windowed": sum(len(part) > corpus.context_length - 1 for part in tokens),
    }


def folded(text: str) -> str:
    """What is the same in two texts that count as one."""
    return " ".join(text.split()).casefold()


def _cleaned(source: Labelled) -> tuple[pl.DataFrame, dict[str, int]]:
    """Rows with `key`, one a concept and text, and how many rows were left out for what."""
    is_positive = pl.col("kind") == "positive"
    claims = (
        pl.col("concept").n_unique().over("key")  # its texts are negatives of the others
        if source.rest
        else is_positive.n_unique().over("concept", "key")
    )
    left_out = {
        "empty": pl.col("key") == "",
        "contradictory": claims > 1,
        "in_both_splits": (pl.col("split") == "train")
        & (pl.col("split") == "test").any().over("key"),
        "repeated": ~pl.struct("concept", "split", "key").is_first_distinct(),
    }
    keys = pl.Series("key", [folded(text) for text in source.rows["text"]], dtype=pl.String)
    # hard before negative: a text that is said to be both is kept as hard
    rows = source.rows.with_columns(keys).sort(pl.col("kind") != "hard", "row")
    dropped = {"too_few": source.too_few}
    for why, bad in left_out.items():
        dropped[why] = rows.filter(bad)["row"].n_unique()
        rows = rows.filter(~bad)
    return rows.sort("row", "concept"), dropped


def _tokenized(model: ModelRef, rows: pl.DataFrame) -> tuple[pl.DataFrame, list[np.ndarray], int]:
    """Rows with `document`, the tokens of each document, and how many rows had none."""
    texts = rows.unique("key", keep="first", maintain_order=True)
    keys: list[str] = []
    parts: list[np.ndarray] = []
    for number, part in enumerate(encoded(tokenizer(model), texts["text"].to_list())):
        if number % TOKENIZE_BATCH == 0:
            run.report(number, len(texts), "Tokenizing", "texts")
        if len(part):  # a tokenizer may drop every character of a text
            keys.append(texts["key"][number])
            parts.append(part)
    documents = pl.DataFrame(
        {"key": keys, "document": range(len(keys))},
        schema={"key": pl.String, "document": pl.Int32},
    )
    joined = rows.join(documents, on="key", how="left", maintain_order="left")
    without_tokens = joined.filter(pl.col("document").is_null())["row"].n_unique()
    return joined.drop_nulls("document"), parts, without_tokens


def _split(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Rows with a split each: the source's, or half and half of each class by chance.

    Texts of the same labels take turns; one goes to the split that has fewer of its labels, so
    that a text of several concepts upsets none of them.
    """
    if (rows["split"] != "").all():
        return rows
    roles: dict[int, list[tuple[str, str]]] = {}
    for document, *role in rows.select("document", "concept", "kind").iter_rows():
        roles.setdefault(document, []).append((role[0], role[1]))
    alike: dict[tuple[tuple[str, str], ...], list[int]] = {}
    for document, its in roles.items():
        alike.setdefault(tuple(sorted(its)), []).append(document)
    rng = np.random.default_rng(seed)
    ahead: Counter[tuple[str, str]] = Counter()  # of a role: texts of train less those of test
    split: dict[int, str] = {}
    for its in sorted(alike, key=lambda its: (len(alike[its]), its)):  # the larger make up
        for document in rng.permutation(alike[its]).tolist():
            test = sum(ahead[role] for role in its) > 0
            split[document] = SPLITS[test]
            ahead.update(dict.fromkeys(its, -1 if test else 1))
    return rows.with_columns(pl.col("document").replace_strict(split).alias("split"))


def _with_negatives(rows: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Rows and, for each concept and split, negatives drawn from the texts of the others."""
    parts = [rows]
    for number, concept in enumerate(rows["concept"].unique(maintain_order=True)):
        for side, split in enumerate(SPLITS):
            there = rows.filter(pl.col("split") == split)
            others = there.filter(pl.col("concept") != concept)
            order = np.random.default_rng([seed, number, side]).permutation(len(others))
            negatives = order[: PER_POSITIVE * (len(there) - len(others))]
            parts.append(
                others[np.sort(negatives)].with_columns(
                    concept=pl.lit(concept), kind=pl.lit(KINDS[1])
                )
            )
    return pl.concat(parts)


def _check(labels: pl.DataFrame, source: Labelled) -> None:
    """Raises `CorpusError` for the first concept that lacks texts of a class in a split."""
    if labels.is_empty():
        raise CorpusError("The concept set holds no text.", "Give it rows with text.")
    counts = Counter(labels.select("concept", "split", "kind").iter_rows())
    for key, (name, _) in source.concepts.items():
        for split, kind in product(SPLITS, KINDS[:2]):
            count = counts[key, split, kind]
            if count < LEAST:
                every = sum(n for (concept, _, _), n in counts.items() if concept == key)
                raise CorpusError(
                    f"The concept {name!r} has {count or 'no'} {kind} text{'s' * (count != 1)} in "
                    f"{split}; its texts are {every} in all.",
                    f"It needs {LEAST} positive and {LEAST} negative ones in train and in test, "
                    f"hard negatives not counted: {2 * LEAST} of each where the set has no split.",
                )


@dataclass(frozen=True)
class ConceptSet:
    """A concept set, read from its memo entry."""

    entry: Entry

    @cached_property
    def tokens(self) -> Tokens:
        return Tokens(self.entry)

    @cached_property
    def concepts(self) -> pl.DataFrame:
        """concept, name, genre ("" where the source has none)."""
        return conform(self.entry.frame("concepts"), CONCEPTS)

    @cached_property
    def labels(self) -> pl.DataFrame:
        """concept, text, kind (positive, negative, hard), split (train, test)."""
        return conform(self.entry.frame("labels"), LABELS)

    @cached_property
    def offsets(self) -> np.ndarray:
        """[texts + 1] int64: tokens of text i are rows offsets[i]..offsets[i + 1] - 1."""
        return self.tokens.document_starts

    @cached_property
    def dropped(self) -> dict[str, int]:
        """Rows of the source that lost a label: too_few, empty, contradictory, in_both_splits,
        repeated."""
        return self.entry.value("dropped")

    @cached_property
    def windowed(self) -> int:
        """How many texts are longer than one context."""
        return self.entry.value("windowed")

    def texts_of(self, concept: int, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """[n] int64 each: texts that are positive, negative and hard for a concept in a split."""
        if not 0 <= concept < len(self.concepts) or split not in SPLITS:
            raise NotFoundError(
                f"There is no concept {concept} in {split!r}.",
                f"The set has concepts 0 to {len(self.concepts) - 1}, in train and test.",
            )
        positive, negative, hard = (self._texts.get((concept, split, k), NONE) for k in KINDS)
        return positive, negative, hard

    @cached_property
    def _texts(self) -> dict[tuple[Any, ...], np.ndarray]:
        groups = self.labels.group_by("concept", "split", "kind", maintain_order=True)
        return {key: group["text"].to_numpy().astype(np.int64) for key, group in groups}

    def number_of(self, name: str) -> int:
        """The concept of a name, case and white space aside.

        Raises:
            NotFoundError: there is none; names like it are given.
        """
        names = {folded(known): known for known in reversed(self.concepts["name"].to_list())}
        key = folded(name)
        if key in names:
            return self.concepts["name"].to_list().index(names[key])
        near = difflib.get_close_matches(key, names, cutoff=0.4) if key else []
        near = near or [known for known in names if key in known] or list(names)
        listed = ", ".join(names[known] for known in near[:5])
        raise NotFoundError(f"There is no concept {name!r}.", f"Try one of: {listed}.")
