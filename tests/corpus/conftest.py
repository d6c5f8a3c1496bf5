"""Concept sets of a test's own: tables, a folder of AxBench, files of WordNet."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from backend.corpus import concept_sets, concept_sources
from backend.corpus.concept_sets import ConceptSet
from backend.schema import ConceptRef, Study
from backend.study import loading

NOTHING = {"too_few": 0, "empty": 0, "contradictory": 0, "in_both_splits": 0, "repeated": 0}
PER_CONTEXT = 31  # tokens of the small world's contexts, less the BOS


@pytest.fixture
def loaded(small: str) -> Study:
    return loading.load(small)


def opened(loaded: Study, ref: ConceptRef) -> ConceptSet:
    ref = concept_sources.resolve(ref)
    return ConceptSet(concept_sets.read(loaded.model, loaded.corpus, ref))


def table(path: Path, rows: list[dict[str, Any]]) -> ConceptRef:
    """Writes rows in the format that the name of the file says."""
    if path.suffix == ".parquet":
        pl.DataFrame(rows).write_parquet(path)
    elif path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return ConceptRef("file", str(path))


def rows_of(labels: dict[str, int], text: str = "text") -> list[dict[str, Any]]:
    """So many different texts of each label."""
    return [
        {text: f"The {label} text of number {n}.", "label": label}
        for label, count in labels.items()
        for n in range(count)
    ]


def texts(found: ConceptSet, concept: int, split: str) -> tuple[list[str], list[str], list[str]]:
    spelled = found.tokens.documents["text"].to_list()
    positive, negative, hard = (
        [spelled[i] for i in part] for part in found.texts_of(concept, split)
    )
    return positive, negative, hard


def everything(found: ConceptSet, concept: int) -> list[list[str]]:
    """Positive, negative and hard texts of a concept, train and test together."""
    both = zip(texts(found, concept, "train"), texts(found, concept, "test"), strict=True)
    return [sorted(train + test) for train, test in both]


def bench(folder: Path, **change: Any) -> Path:
    """Two concepts, of genres text and maths; shared negatives of text and code."""
    folder.mkdir()

    def row(concept: int, category: str, genre: str, n: int, side: str) -> dict[str, Any]:
        return {
            "input": "?",
            "output": f"{side} {concept} {category} {genre} {n}",
            "output_concept": f"concept {concept}" if category == "positive" else "none",
            "concept_genre": genre,
            "category": category,
            "concept_id": concept,
        } | change

    genres = {0: "text", 1: "math"}
    train = [row(c, "positive", g, n, "train") for c, g in genres.items() for n in range(3)]
    train += [row(-1, "negative", g, n, "train") for g in ("text", "code") for n in range(4)]
    test = [
        row(c, category, g, n, "test")
        for c, g in genres.items()
        for category, count in (("positive", 3), ("negative", 2), ("hard negative", c))
        for n in range(count)
    ]
    pl.DataFrame(train).write_parquet(folder / "train_data.parquet")
    pl.DataFrame(test).write_parquet(folder / "latent_eval_data.parquet")
    named = {"concept_id": 0, "concept": "the colour of the sea"}
    (folder / "metadata.jsonl").write_text(json.dumps(named) + "\n")
    return folder


LICENCE = "  1 This is not a synset, and begins with two spaces | as all of the licence does\n"
PARTS = {"noun": (5, 13, 9), "verb": (38, 43), "adj": (0,), "adv": (2,)}
TOO_FEW = 9


def wordnet(folder: Path) -> ConceptRef:
    """Data files as WordNet's, with six synsets of each domain but one of `TOO_FEW`."""
    folder.mkdir()
    for part, domains in PARTS.items():
        lines = [
            f"{n:08d} {d:02d} {part[0]} 02 odd_{part} 0 other 1 001 @ 00001740 n 0000 | "
            f'gloss {d} number {n} tells it; "a use of it"  \n'
            for d in domains
            for n in range(1 if d == TOO_FEW else 6)
        ]
        marked = "".join(lines).replace("odd_adj", "odd_adj(p)")  # as predicates are
        (folder / f"data.{part}").write_text(LICENCE + marked)
    return ConceptRef("wordnet", str(folder))
