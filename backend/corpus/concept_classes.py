"""Texts that a class is known of: each class is a concept, and every text of another class may be a
negative of it."""

from __future__ import annotations

import numpy as np

from backend.corpus.concept_tables import LEAST, Labelled, Row, frame, labelled

MOST = 100  # texts that are drawn of a class

Classes = dict[str, list[tuple[str, str]]]  # class: (title, text) of each


def draw_classes(classes: Classes, genres: dict[str, str], seed: int) -> Labelled:
    """Up to `MOST` (title, text) of each class, at random; classes of too few are left out."""
    rows: list[Row] = []
    few = {name for name, texts in classes.items() if len(texts) < 2 * LEAST}
    for number, (name, texts) in enumerate(classes.items()):
        if name not in few:
            order = np.random.default_rng([seed, number]).permutation(len(texts))
            for at in sorted(order[:MOST].tolist()):
                title, text = texts[at]
                rows.append(labelled(len(rows), text, name, "positive", "", title))
    left_out = sum(len(classes[name]) for name in few)
    concepts = {name: (name, genres.get(name, "")) for name in classes if name not in few}
    return Labelled(frame(rows), concepts, True, left_out)
