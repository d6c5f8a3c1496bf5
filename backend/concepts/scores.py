"""How strongly a text points along directions: S[i, r] = max_t x_it · v_r over the points of its
tokens, for every region, rival and feature at once; where its tokens lie among them; and how many
features, which overlap, it takes to reach them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend import run
from backend.concepts import rivals
from backend.corpus import concept_sets
from backend.corpus.activations import Activations
from backend.corpus.concept_sets import ConceptSet
from backend.features import codes
from backend.models import sae as sae_models
from backend.regions import partitioning
from backend.regions.points import Points
from backend.schema import ConceptRef, Partition, Reading, SaeRef
from backend.store.memo import Entry, memoize

ROWS = 2048  # points multiplied at once


def text_points(reading: Reading, ref: ConceptRef) -> tuple[ConceptSet, Points]:
    """A concept set, and its points about the centre of the study's corpus."""
    texts = ConceptSet(concept_sets.read(reading.model, reading.corpus, ref))
    centre = torch.from_numpy(np.array(partitioning.centre(reading).array("centre")))
    activations = Activations(reading.model, reading.site, texts.tokens)
    return texts, Points(activations, centre.to(run.current().device))


@memoize("concepts.strongest_similarities", version=1)
def strongest_similarities(
    partition: Partition, ref: ConceptRef, kind: str, seed: int
) -> dict[str, Any]:
    """`scores` [texts, K] float32 of a concept set along the directions of a kind."""
    device = run.current().device
    vectors = rivals.directions(partition, kind, seed)
    texts, every = text_points(partition.reading, ref)
    directions = torch.from_numpy(np.array(vectors)).to(device)
    return {"scores": strongest_along(every, texts.offsets, directions)}


def strongest_along(every: Points, offsets: np.ndarray, directions: Tensor) -> np.ndarray:
    """[texts, R] float32; text i has the points `offsets[i]` to `offsets[i + 1]`."""
    best = torch.full((len(offsets) - 1, len(directions)), -torch.inf, device=directions.device)
    transposed = directions.T.contiguous()
    for first, part in every.steps("Scoring texts"):
        for begin in range(0, len(part), ROWS):
            raise_to_strongest(
                part[begin : begin + ROWS] @ transposed, first + begin, offsets, best
            )
    return best.cpu().numpy()


def raise_to_strongest(similarity: Tensor, first: int, offsets: np.ndarray, best: Tensor) -> None:
    """Raises `best` [texts, R] to what the rows of `similarity`, from point `first` on, have."""
    last = first + len(similarity)
    text = int(np.searchsorted(offsets, first, side="right")) - 1
    while text < len(best) and offsets[text] < last:
        low, high = max(int(offsets[text]), first), min(int(offsets[text + 1]), last)
        rows = similarity[low - first : high - first]
        torch.maximum(best[text], rows.amax(dim=0), out=best[text])
        text += 1


@memoize("concepts.feature_activations", version=1)
def feature_activations(reading: Reading, ref: ConceptRef, sae: SaeRef) -> dict[str, Any]:
    """`scores` [texts, features] float32: the strongest activation of each feature in each text;
    `counts` [texts, features] int32: the tokens it is active on."""
    texts = ConceptSet(concept_sets.read(reading.model, reading.corpus, ref))
    shape = len(texts.offsets) - 1, sae_models.load(sae, run.current().device).width
    scores, counts = np.zeros(shape, np.float32), np.zeros(shape, np.int32)
    for first, chunk in _encoded_chunks(reading, texts, sae):
        each = chunk.array("counts")
        text = texts.tokens.document_of[np.repeat(np.arange(len(each)), each) + first]
        np.maximum.at(scores, (text, chunk.array("features")), chunk.array("values"))
        np.add.at(counts, (text, chunk.array("features")), 1)
    return {"scores": scores, "counts": counts}


def _encoded_chunks(
    reading: Reading, texts: ConceptSet, sae: SaeRef
) -> Iterator[tuple[int, Entry]]:
    """The first token row of every chunk, and the features that fire in it."""
    activations = Activations(reading.model, reading.site, texts.tokens)
    for chunk in range(activations.chunks):
        run.report(chunk, activations.chunks, "Encoding texts", "chunks")
        yield int(activations.bounds[chunk]), codes.encode(activations.entry(chunk), sae)


@memoize("concepts.token_owners", version=1)
def token_owners(partition: Partition, ref: ConceptRef, kind: str, seed: int) -> dict[str, Any]:
    """Of every token of a concept set: `owner`, `runner_up`, `overlap` (int32), `distance`,
    `margin` (float32), as in `nearest.Nearest`, among the directions of a kind at the
    partition's θ."""
    device = run.current().device
    built = partitioning.build_partition(partition)
    vectors = torch.from_numpy(rivals.directions(partition, kind, seed).copy()).to(device)
    _, every = text_points(partition.reading, ref)
    return partitioning.assigned(every, vectors, built.value("theta"), built.value("reach"))


@memoize("concepts.text_means", version=1)
def text_means(reading: Reading, ref: ConceptRef) -> dict[str, Any]:
    """`means` [texts, width] float32: the mean point of each text (not of unit length)."""
    texts, every = text_points(reading, ref)
    sums = torch.zeros(len(texts.offsets) - 1, len(every.centre), dtype=torch.float64)
    for first, part in every.steps("Averaging texts"):
        text = texts.tokens.document_of[first : first + len(part)].astype(np.int64)
        sums.index_add_(0, torch.from_numpy(text), part.double().cpu())
    return {"means": (sums.numpy() / np.diff(texts.offsets)[:, None]).astype(np.float32)}


# ---------------------------------------------------------------- features that overlap

# Parts of a partition are disjoint, so that the largest come first and their tokens add up. A token
# has dozens of active features, so firings do not add up to tokens, and the fewest features whose
# union holds enough are found greedily (the fewest of all may be fewer).
COVERED = (0.5, 0.9)  # of the tokens that have any feature


@memoize("concepts.feature_coverage", version=1)
def feature_coverage(reading: Reading, ref: ConceptRef, sae: SaeRef) -> dict[str, Any]:
    """Of the tokens of each concept's positive test texts: `half`, `most` [concepts] int32, how
    many features hold 50% and 90% of those with an active feature (0 where none has), and
    `uncovered`, how many have none."""
    texts = ConceptSet(concept_sets.read(reading.model, reading.corpus, ref))
    chunks = [chunk for _, chunk in _encoded_chunks(reading, texts, sae)]
    counts, fired = (
        np.concatenate([chunk.array(name) for chunk in chunks]) for name in ("counts", "features")
    )
    rows = []
    for concept in range(len(texts.concepts)):
        tokens = np.isin(texts.tokens.document_of, texts.texts_of(concept, "test")[0])
        sizes = counts[tokens]
        part = fired[np.repeat(tokens, counts)]
        reached = np.cumsum(greedy_cover(np.repeat(np.arange(len(sizes)), sizes), part))
        total = int((sizes > 0).sum())
        needed = [int(np.searchsorted(reached, share * total - 1e-9)) + 1 for share in COVERED]
        rows.append((*(needed if total else (0, 0)), len(sizes) - total))
    columns = zip(("half", "most", "uncovered"), np.array(rows, np.int32).T, strict=True)
    return {name: np.ascontiguousarray(values) for name, values in columns}


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
