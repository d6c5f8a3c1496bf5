"""How strongly a text points along directions: S[i, r] = max_t x_it · v_r over the points of its
tokens, for every region, rival and feature at once; and where its tokens lie among them."""

from __future__ import annotations

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
from backend.schema import (
    ConceptRef,
    Partition,
    Reading,
    SaeRef,
)
from backend.store.memo import memoize

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
        for at in range(0, len(part), ROWS):
            raise_to_strongest(part[at : at + ROWS] @ transposed, first + at, offsets, best)
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
    device = run.current().device
    texts = ConceptSet(concept_sets.read(reading.model, reading.corpus, ref))
    activations = Activations(reading.model, reading.site, texts.tokens)
    shape = len(texts.offsets) - 1, sae_models.load(sae, device).width
    scores, counts = np.zeros(shape, np.float32), np.zeros(shape, np.int32)
    for chunk in range(activations.chunks):
        coded = codes.encode(activations.entry(chunk), sae)
        each = coded.array("counts")
        row = np.repeat(np.arange(len(each)), each) + int(activations.bounds[chunk])
        text = texts.tokens.document_of[row]
        np.maximum.at(scores, (text, coded.array("features")), coded.array("values"))
        np.add.at(counts, (text, coded.array("features")), 1)
        run.report(chunk + 1, activations.chunks, "Encoding texts", "chunks")
    return {"scores": scores, "counts": counts}


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
