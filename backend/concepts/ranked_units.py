"""Every direction as a reader of every concept: AUROC on training texts, by which one is chosen,
and on test texts, which says what it is worth. The best of thousands looks good by chance alone, so
what the best gets under shuffled labels stands beside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from backend import run
from backend.corpus.concept_sets import ConceptSet
from backend.statistics import estimates
from backend.statistics.estimates import Estimate
from backend.statistics.ranking import aurocs, permuted, ranks
from backend.store.memo import Entry, memoize

# what positives are told from: AxBench's published numbers leave hard negatives out, by a spelling
# in its script
CONTRASTS = ("negative", "hard", "both")
SHUFFLES = 100


@memoize("concepts.unit_scores", version=1)
def unit_scores(texts: Entry, scored: Entry) -> dict[str, Any]:
    """From `scores` [texts, R] of a concept set: `train`, `negative`, `hard`, `both` [concepts, R]
    float64, AUROC of every column on training texts, and on test texts against each contrast (NaN
    where it has no text); `null` [concepts, SHUFFLES], the best of all columns on the test texts
    under shuffled labels."""
    labelled, scores = ConceptSet(texts), np.asarray(scored.array("scores"))
    names = ("train", *CONTRASTS, "null")
    rows: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for concept in range(len(labelled.concepts)):
        run.report(concept, len(labelled.concepts), "Ranking texts", "concepts")
        positive, negative, _ = labelled.texts_of(concept, "train")
        rows["train"].append(aurocs(scores[positive], scores[negative]))
        positive, *_ = labelled.texts_of(concept, "test")
        for contrast in CONTRASTS:
            other = contrast_texts(labelled, concept, contrast)
            rows[contrast].append(aurocs(scores[positive], scores[other]))
        other = contrast_texts(labelled, concept, "negative")
        ranked = ranks(scores[np.r_[positive, other]])
        rows["null"].append(permuted(ranked, len(positive), SHUFFLES, concept))
    return {name: np.array(values) for name, values in rows.items()}


def contrast_texts(labelled: ConceptSet, concept: int, contrast: str) -> np.ndarray:
    """Rows of the test texts that a concept's positives are told from."""
    _, negative, hard = labelled.texts_of(concept, "test")
    return {"negative": negative, "hard": hard, "both": np.r_[negative, hard]}[contrast]


@dataclass(frozen=True)
class ChosenUnit:
    """What one column, chosen on training texts, is worth on test texts. `null` is what the best
    column gets under shuffled labels, mean and 95th percentile; `best` is the highest AUROC of any
    column on the test texts themselves, which shows that a good one exists and no more.

    Few training texts cannot choose: `tied` columns are as good on them as the one taken, and have
    the mean, lowest and highest AUROC `among` them on the test texts."""

    column: int
    train: float
    test: Estimate
    positives: int
    negatives: int
    best: float
    null: tuple[float, float]
    tied: int
    among: tuple[float, float, float]


def choose_unit(
    labelled: ConceptSet, table: Entry, scores: np.ndarray, concept: int, contrast: str
) -> ChosenUnit:
    """The column of highest training AUROC (of equal ones the first), and what it is worth."""
    train = np.asarray(table.array("train")[concept])
    column = int(train.argmax())
    positive, other = (
        labelled.texts_of(concept, "test")[0],
        contrast_texts(labelled, concept, contrast),
    )
    null = np.asarray(table.array("null")[concept])
    alike = tied_units(train)
    among = np.asarray(table.array(contrast)[concept])[alike]
    return ChosenUnit(
        column=column,
        train=float(train[column]),
        test=estimates.auroc(scores[positive, column], scores[other, column]),
        positives=len(positive),
        negatives=len(other),
        best=float(table.array(contrast)[concept].max()),
        null=(float(null.mean()), float(np.quantile(null, 0.95))),
        tied=len(alike),
        among=(float(among.mean()), float(among.min()), float(among.max())),
    )


def tied_units(train: np.ndarray) -> np.ndarray:
    """Columns that no other beats on the training texts."""
    return np.flatnonzero(train >= train.max() - 1e-12)
