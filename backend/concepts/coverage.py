"""How many features, which overlap, it takes to reach a concept's tokens: a greedy cover.

Parts of a partition are disjoint, so that the largest come first and their tokens add up. A token
has dozens of active features, so firings do not add up to tokens, and the fewest features whose
union holds enough are found greedily (the fewest of all may be fewer)."""

from __future__ import annotations

from typing import Any

import numpy as np

from backend import run
from backend.corpus import concept_sets
from backend.corpus.activations import Activations
from backend.corpus.concept_sets import ConceptSet
from backend.features import codes
from backend.schema import ConceptRef, Reading, SaeRef
from backend.store.memo import memoize

SHARES = (0.5, 0.9)  # of the tokens that have any feature


@memoize("concepts.feature_coverage", version=1)
def feature_coverage(reading: Reading, ref: ConceptRef, sae: SaeRef) -> dict[str, Any]:
    """Of the tokens of each concept's positive test texts: `half`, `most` [concepts] int32, how
    many features hold 50% and 90% of those with an active feature (0 where none has), and
    `uncovered`, how many have none."""
    texts = ConceptSet(concept_sets.read(reading.model, reading.corpus, ref))
    activations = Activations(reading.model, reading.site, texts.tokens)
    counts, features = [], []
    for chunk in range(activations.chunks):
        coded = codes.encode(activations.entry(chunk), sae)
        counts.append(coded.array("counts"))
        features.append(coded.array("features"))
        run.report(chunk + 1, activations.chunks, "Covering tokens", "chunks")
    starts, fired = np.append(0, np.cumsum(np.concatenate(counts))), np.concatenate(features)
    rows = []
    for concept in range(len(texts.concepts)):
        tokens = np.isin(texts.tokens.document_of, texts.texts_of(concept, "test")[0])
        sizes = np.diff(starts)[tokens]
        part = fired[np.repeat(tokens, np.diff(starts))]
        reached = np.cumsum(greedy_cover(np.repeat(np.arange(len(sizes)), sizes), part))
        total = int((sizes > 0).sum())
        needed = [int(np.searchsorted(reached, share * total - 1e-9)) + 1 for share in SHARES]
        rows.append((*(needed if total else (0, 0)), len(sizes) - total))
    named = zip(("half", "most", "uncovered"), np.array(rows, np.int32).T, strict=True)
    return {name: np.ascontiguousarray(values) for name, values in named}


def greedy_cover(tokens: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """How many tokens each group adds to those before it, in the order of a greedy search (of equal
    groups the lowest number), until every token is held. Token `tokens[i]` is in `groups[i]`, no
    pair twice."""
    if not len(tokens):
        return np.empty(0, np.int64)
    groups_by_token, tokens_by_group = _lists(tokens, groups), _lists(groups, tokens)
    left = np.bincount(groups)  # tokens of each group that no chosen one has
    covered, gains = np.zeros(int(tokens.max()) + 1, bool), []
    while (best := int(left.argmax())) >= 0 and left[best]:
        new = tokens_by_group[best][~covered[tokens_by_group[best]]]
        covered[new] = True
        gains.append(len(new))
        others = np.concatenate([groups_by_token[token] for token in new])
        left -= np.bincount(others, minlength=len(left))
    return np.array(gains, np.int64)


def _lists(keys: np.ndarray, values: np.ndarray) -> list[np.ndarray]:
    """The values of each key."""
    order = np.argsort(keys, kind="stable")
    return np.split(values[order], np.cumsum(np.bincount(keys))[:-1])
