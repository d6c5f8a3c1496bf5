"""How much alike the labels are that a person gave to the same feature twice, by the study's
embedder, beside labels of different features."""

from __future__ import annotations

import numpy as np

from backend.annotations import hand_labels
from backend.labels import label_search
from backend.query import query
from backend.queue.answers import pairs
from backend.queue.views import Agreement
from backend.schema import Study
from backend.statistics.intervals import mean_interval


@query("Your labels, compared by meaning", priority=48)
def agreement(study: Study, person: str) -> Agreement:
    """How much alike a person's two labels of the same feature are, by the study's embedder.

    Raises:
        StoreError: the annotations cannot be read.
        NotFoundError: nobody is named.
    """
    name = hand_labels.checked_name(person)
    with hand_labels.ledger(study) as book:
        twice = [(first.label, second.label) for first, second in pairs(book, name)]
    labels = [pair for pair in twice if all(pair)]
    texts = tuple(sorted({text for pair in labels for text in pair}))
    if not texts:
        return Agreement(0, None, None, None, None, None, None)
    vectors = np.asarray(label_search.vectors(texts, study.embedder).array("vectors"))
    first, second = (
        vectors[[texts.index(text) for text in side]] for side in zip(*labels, strict=True)
    )
    cosines = first @ second.T
    mean, low, high = mean_interval(np.diag(cosines).tolist())
    others = cosines[~np.eye(len(labels), dtype=bool)]
    if not len(others):
        return Agreement(len(labels), mean, low, high, None, None, None)
    ends = np.quantile(others, [0.05, 0.95]).tolist()
    return Agreement(len(labels), mean, low, high, float(others.mean()), *ends)
