"""The control that stands beside every verbalizer: does its text depend on the vector at all?

A text made from a residual vector is compared with a text made, in the same way, from a vector that
has nothing to do with the example: `random`, of the same norm, and `other`, the residual at another
feature's peak. An embedder says which of the two lies nearer to the example's own text. `random`
is easily beaten, for a vector unlike any residual may bring no sensible text; `other` asks whether
the text fits this example more than any.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from backend.labels.contract import Embedder

CHANCE = 0.5
ROUNDING = 1e-6  # of a cosine in float32: a smaller difference is a tie


def random_vectors(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """[n, width] float32: random directions, each with the norm of the vector in its place."""
    directions = np.random.default_rng(seed).standard_normal(vectors.shape)
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    units = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return (units * norms).astype(np.float32)


def compare(
    real: Sequence[str],
    controls: Mapping[str, Sequence[str]],
    examples: Sequence[str],
    embedder: Embedder,
) -> dict[str, list[float]]:
    """For each kind in `controls`, whose texts stand in the order of `real`, which text is the
    nearer one to each example: 1 the real one, 0 the control's, .5 neither.

    `examples` are the contexts that the real vectors are of, cut at the peak. A text that is empty
    says nothing, so there neither is nearer.

    Raises:
        ValueError: there are not as many texts as examples.
    """
    if any(len(texts) != len(examples) for texts in (real, *controls.values())):
        raise ValueError("texts and examples differ in number")
    # each text once: the same text in another batch may come back a little different
    texts = sorted({*real, *examples, *(text for each in controls.values() for text in each)})
    vectors = dict(zip(texts, embedder.embed(texts).astype(np.float64), strict=True))
    return {
        kind: [
            _nearer(vectors, one, other, example)
            for one, other, example in zip(real, others, examples, strict=True)
        ]
        for kind, others in controls.items()
    }


def _nearer(vectors: Mapping[str, np.ndarray], one: str, other: str, example: str) -> float:
    if not one or not other:
        return CHANCE
    difference = float((vectors[one] - vectors[other]) @ vectors[example])
    return CHANCE if abs(difference) <= ROUNDING else float(difference > 0)
