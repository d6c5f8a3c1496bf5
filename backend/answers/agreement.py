"""How much alike the labels are that a person gave to the same feature twice, by the study's
embedder, beside labels of different features."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from backend.answers import decisions, meaning, queue, tasks
from backend.schema import Job, Study
from backend.statistics.intervals import mean_interval
from backend.views import Agreement


def agreement(study: Study, person: str) -> Agreement | Job:
    """Raises as `queue.queue`."""
    both = _labels(study, decisions.checked_name(person))
    texts = sorted({text for pair in both for text in pair})
    if not texts:
        return Agreement(0, None, None, None, None, None, None)
    entry = meaning.vectors.find(_digest(texts), study.embedder)
    if entry is None:
        key = meaning.vectors.digest(_digest(texts), study.embedder)
        return tasks.ensure("agreement", study, key, texts=texts)
    rows = np.asarray(entry.array("vectors"))
    one, two = (rows[[texts.index(text) for text in side]] for side in zip(*both, strict=True))
    cosines = one @ two.T
    mean, low, high = mean_interval(np.diag(cosines).tolist())
    others = cosines[~np.eye(len(both), dtype=bool)]
    if not len(others):
        return Agreement(len(both), mean, low, high, None, None, None)
    ends = np.quantile(others, [0.05, 0.95]).tolist()
    return Agreement(len(both), mean, low, high, float(others.mean()), *ends)


def _labels(study: Study, name: str) -> list[tuple[str, str]]:
    with decisions.ledger(study) as book:
        return [(a.label, b.label) for a, b in queue.pairs(book, name) if a.label and b.label]


def _digest(texts: list[str]) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:32]


def compute(request: tasks.Request) -> None:
    """What the job does."""
    texts = request.asked["texts"]
    request.run_with(meaning.vectors, texts, _digest(texts), request.study.embedder)
