"""How alike concepts are by their experts, and how far that agrees with people and with itself.

Spearman's ρ over rated pairs, with two bootstraps, over pairs and over words, of which the wider
is given: pairs share words, so they are not independent. Under the null the words of the measure
change places, which keeps its values and how they hang together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import torch

from backend import run
from backend.evals.expert_lens import ratings
from backend.evals.expert_lens.experts import TAUS
from backend.evals.expert_lens.ratings import RatingsRef
from backend.evals.expert_lens.views import AGREEMENT
from backend.models import embedder as embedders
from backend.models import language_model
from backend.schema import EmbedderRef, ModelRef
from backend.statistics.agreement import chance_jaccard, cosines, jaccard
from backend.statistics.bootstrap import (
    RESAMPLES,
    pair_weights,
    percentile_interval,
    wider_interval,
)
from backend.statistics.correlation import weighted_spearman
from backend.store.memo import Entry, memoize

LEAST_PAIRS = 8  # of which a ρ is said
Measure = tuple[str, float | None, np.ndarray]  # name, τ, matrix over concepts

# ---------------------------------------------------------------- between concepts


@memoize("expert_lens.concept_likeness", version=1)
def concept_likeness(concepts: list[Entry], others: list[Entry]) -> dict[str, Any]:
    """Likeness of concepts, given their `experts.expertise`, in the train halves of `concepts` and
    the test halves of `others` (the same concepts read elsewhere, or the same entries).

    Arrays [concepts, concepts] float64, and [len(TAUS), ...] where they depend on τ: `cosine` of
    AP, of both halves of `concepts` averaged; `centred`, the same less the mean over concepts;
    `experts`, Jaccard of the sets of units whose average is τ or more; `cosine_train`,
    `cosine_test` as `centred`, by half; `across` Jaccard of train sets (rows) and test sets
    (columns); `random` what sets of these sizes share by chance; `sizes` [len(TAUS), 2, concepts].
    """
    run.report(0, 1, "Comparing concepts")
    train = np.stack([entry.array("train") for entry in concepts])
    test = np.stack([entry.array("test") for entry in others])
    own = test if others == concepts else np.stack([entry.array("test") for entry in concepts])
    mean = (train + own) / 2
    by_tau: dict[str, list[np.ndarray]] = {"experts": [], "across": [], "random": [], "sizes": []}
    for tau in TAUS:
        is_expert, one, other = (rows >= np.float32(tau) for rows in (mean, train, test))
        by_tau["experts"].append(jaccard(is_expert, is_expert))
        by_tau["across"].append(jaccard(one, other))
        sizes = one.sum(axis=1), other.sum(axis=1)
        by_tau["random"].append(chance_jaccard(*sizes, train.shape[1]))
        by_tau["sizes"].append(np.stack(sizes))
    return {
        "best": train.argmax(axis=1),
        "cosine": cosines(mean),
        "centred": cosines(mean - mean.mean(axis=0)),
        "cosine_train": cosines(train - train.mean(axis=0)),
        "cosine_test": cosines(test - test.mean(axis=0)),
        **{name: np.stack(parts) for name, parts in by_tau.items()},
    }


# ---------------------------------------------------------------- baselines


@memoize("expert_lens.embedder_likeness", version=1)
def embedder_likeness(words: tuple[str, ...], embedder: EmbedderRef) -> dict[str, Any]:
    """`cosine` [words, words] of the words as a sentence embedder places them."""
    run.report(0, 1, "Embedding words")
    return {"cosine": cosines(embedders.load(embedder, run.current().device).embed(words))}


@memoize("expert_lens.token_likeness", version=1)
def token_likeness(words: tuple[str, ...], model: ModelRef) -> dict[str, Any]:
    """`cosine` [words, words] of the mean input embedding of each word's tokens, as they are after
    a space."""
    run.report(0, 1, "Reading input embeddings")
    encode = language_model.tokenizer(model)
    network = language_model.load(model, run.current().device).network
    weights: torch.Tensor = network.get_input_embeddings().weight
    ids = [encode(f" {word}", add_special_tokens=False)["input_ids"] for word in words]
    vectors = torch.stack([weights[tokens].float().mean(0) for tokens in ids])
    return {"cosine": cosines(vectors.cpu().numpy())}


def lift(together: np.ndarray, documents: int) -> np.ndarray:
    """[n, n] log of how much oftener two words share a document than by chance, one document being
    added to what was seen and to what was expected; from counts of documents that hold both."""
    alone = together.diagonal()
    return np.log((together + 1) / (alone[:, None] * alone[None] / documents + 1))


# ---------------------------------------------------------------- with people


@memoize("expert_lens.human_agreement", version=1)
def agreement(
    concepts: Entry,
    sentences: Entry,
    baselines: list[Entry],
    rated: tuple[RatingsRef, ...],
    seed: int,
) -> dict[str, Any]:
    """Tables `agreement` (`AGREEMENT`) and `pairs` (`PAIRS`), from the entries of
    `concept_likeness`, `sentences.select`, `embedder_likeness` and `token_likeness`."""
    words = sentences.frame("concepts")["concept"].to_list()
    together = lift(np.asarray(sentences.array("together")), sentences.value("documents"))
    embedder, inputs = (np.asarray(entry.array("cosine")) for entry in baselines)
    measures = {name: np.asarray(concepts.array(name)) for name in ("cosine", "centred")}
    measures |= {"embedder": embedder, "inputs": inputs, "together": together}
    every: list[Measure] = [(name, None, matrix) for name, matrix in measures.items()]
    jaccards = np.nan_to_num(np.asarray(concepts.array("experts")))  # two empty sets share nothing
    every += [("experts", tau, matrix) for tau, matrix in zip(TAUS, jaccards, strict=True)]
    rows, pairs = [], []
    for number, ref in enumerate(rated):
        run.report(number, len(rated), "Comparing with people", "ratings")
        table = ratings.read_ratings(ref)
        table = table.filter(pl.col("word").is_in(words) & pl.col("other").is_in(words))
        ends = [np.array([words.index(w) for w in table[side]], int) for side in ("word", "other")]
        values = {name: matrix[ends[0], ends[1]] for name, matrix in measures.items()}
        pairs.append(
            table.select(pl.lit(ref.name).alias("ratings"), pl.all()).with_columns(**values)
        )
        if len(table) >= LEAST_PAIRS:
            rated_rows = agreements(table["human"].to_numpy(), ends[0], ends[1], every, seed)
            rows += [(ref.name, *row) for row in rated_rows]
    return {
        "agreement": pl.DataFrame(rows, schema=AGREEMENT, orient="row"),
        "pairs": pl.concat(pairs),
    }


def agreements(
    human: np.ndarray,
    one: np.ndarray,
    other: np.ndarray,
    every: Sequence[Measure],
    seed: int,
) -> list[tuple[Any, ...]]:
    """Rows of `AGREEMENT` less the first column. `human` [pairs] rates the concepts `one` and
    `other`."""
    rng = np.random.default_rng(seed)
    weights = pair_weights(one, other, rng)
    concepts = np.union1d(one, other)
    orders = [concepts[rng.permutation(len(concepts))] for _ in range(RESAMPLES // 4)]
    base = next(matrix[one, other] for name, _, matrix in every if name == "embedder")
    base_draws = [weighted_spearman(base, human, part) for part in weights]
    rows = []
    for name, tau, matrix in every:
        values = matrix[one, other]
        each = [weighted_spearman(values, human, part) for part in weights]
        rho = float(weighted_spearman(values, human)[0])
        gain = rho - float(weighted_spearman(base, human)[0])
        gains = [rhos - base_rhos for rhos, base_rhos in zip(each, base_draws, strict=True)]
        ends = wider_interval(gains) if name != "embedder" else (None, None)
        null = permuted(matrix, human, one, other, concepts, orders)
        sizes = len(human), len(concepts)
        rows.append((name, tau, rho, *wider_interval(each), *sizes, *null, gain, *ends))
    return rows


def permuted(
    matrix: np.ndarray,
    human: np.ndarray,
    one: np.ndarray,
    other: np.ndarray,
    rated: np.ndarray,
    orders: list[np.ndarray],
) -> tuple[float | None, float | None]:
    """The middle 95% of ρ when the words `rated` change places, in each of `orders`."""
    place = np.arange(len(matrix))
    rhos = []
    for order in orders:
        place[rated] = order
        rhos.append(float(weighted_spearman(matrix[place[one], place[other]], human)[0]))
    finite = np.array(rhos)[np.isfinite(rhos)]
    return percentile_interval(finite) if len(finite) else (None, None)


def reliability(one: np.ndarray, other: np.ndarray, seed: int) -> tuple[float, Any, Any, Any, Any]:
    """Spearman's ρ between two matrices over the same concepts, above the diagonal; its 95%
    bootstrap interval over concepts, and the middle 95% when those of one change places."""
    pairs = np.triu_indices(len(one), 1)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(one), np.full(len(one), 1 / len(one)), size=RESAMPLES // 8)
    weights = counts[:, pairs[0]] * counts[:, pairs[1]]
    every = np.arange(len(one))
    orders = [rng.permutation(len(one)) for _ in range(RESAMPLES // 8)]
    rho = float(weighted_spearman(one[pairs], other[pairs])[0])
    ends = wider_interval([weighted_spearman(one[pairs], other[pairs], weights)])
    return rho, *ends, *permuted(one, other[pairs], *pairs, every, orders)
