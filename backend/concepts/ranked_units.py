"""Every direction as a reader of every concept: AUROC on training texts, by which one is chosen,
and on test texts, which says what it is worth. The best of thousands looks good by chance alone, so
what the best gets under shuffled labels stands beside."""

from __future__ import annotations

from typing import Any

import numpy as np

from backend import run
from backend.corpus.concept_sets import ConceptSet
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
        for contrast in CONTRASTS:
            positive, other = test_texts(labelled, concept, contrast)
            rows[contrast].append(aurocs(scores[positive], scores[other]))
        positive, other = test_texts(labelled, concept, "negative")
        ranked = ranks(scores[np.r_[positive, other]])
        rows["null"].append(permuted(ranked, len(positive), SHUFFLES, concept))
    return {name: np.array(values) for name, values in rows.items()}


def test_texts(labelled: ConceptSet, concept: int, contrast: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the test texts that are positive for a concept, and of those they are told from."""
    positive, negative, hard = labelled.texts_of(concept, "test")
    others = {"negative": negative, "hard": hard, "both": np.r_[negative, hard]}
    return positive, others[contrast]


def tied_units(train: np.ndarray) -> np.ndarray:
    """Columns that no other beats on the training texts."""
    return np.flatnonzero(train >= train.max() - 1e-12)
