"""Features whose kind is known by construction, to choose and to judge tiers by.

Each fires on real tokens of the corpus: on a word (input), on the token before a word (output), on
tokens at random of documents on one topic (cross), or on tokens at random (obscure). A topic is a
document and those nearest to it by tf-idf of their tokens, so that no embedder decides what is
alike. A tenth of every feature's peaks are tokens at random, as strong as the others. Two sets
share no word and no document of a topic: defaults come from the one, and are judged on the other.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import scipy  # its parts load when they are used

from backend import run
from backend.corpus.contexts import Tokens, tokenize
from backend.models import language_model
from backend.schema import CorpusError, CorpusRef, ModelRef, Thresholds, Tier, TierSpec, Window
from backend.statistics.agreement import f1_scores
from backend.statistics.intervals import wilson
from backend.store.memo import memoize
from backend.tiers import windows
from backend.tiers.assignment import Rho, assign
from backend.tiers.views import CONFUSION
from backend.tiers.words import COUNTS

KINDS = (Tier.INPUT, Tier.OUTPUT, Tier.CROSS, Tier.OBSCURE)
EACH = 20  # features of each kind in a set
FIRES = 60  # tokens a planted feature fires on
STRAY = 0.1  # of which at random
NEAR = 30  # documents of a topic
LOOKED_AT = 4000  # documents among which topics are looked for
# of equally good ones the first is taken: a few tokens, since real features read more than one, and
# whole contexts, which all features share
INPUTS = (Window(-2, 0), Window(-1, 0), Window(0, 0), Window(-5, 0))
OUTPUTS = (Window(1, 2), Window(1, 1), Window(1, 5))
CROSSES = (Window(whole=True), Window(-20, 20), Window(-10, 10), Window(-5, 5))
STEPS = np.linspace(0, 1, 101)
FINE = np.linspace(0, 1, 401)  # for cross, whose scores lie closer together


# ---------------------------------------------------------------- planting


@memoize("tiers.planted_features", version=1)
def plant(model: ModelRef, corpus: CorpusRef, which: int) -> dict[str, Any]:
    """Set 0 or 1: `rows` and `values` as in `windows.peaks`; table `planted`: kind, word.

    Raises:
        CorpusError: the corpus has too few words that occur often enough.
    """
    tokens = Tokens(tokenize(model, corpus))
    pieces = language_model.vocabulary(model).frame("pieces")["text"]
    rng = np.random.default_rng([which, 2025])
    words = _words(tokens, pieces)[which::2][: 2 * EACH].tolist()
    run.report(0, 1, "Planting features")
    sites = [np.flatnonzero(np.asarray(tokens.ids) == word) for word in words]
    sites[EACH:] = [_before(tokens, rows) for rows in sites[EACH:]]
    sites += _topics(tokens, which)
    strewn = [_strewn(tokens, rows, rng) for rows in sites]
    strewn += [np.unique(rng.choice(len(tokens), FIRES)).astype(np.int32) for _ in range(EACH)]
    offsets = np.cumsum([0, *map(len, strewn)])
    values = rng.lognormal(0, 0.25, offsets[-1]).astype(np.float32)
    names = [*(pieces[word] for word in words), *[""] * 2 * EACH]
    kinds = np.repeat(np.array(KINDS, dtype=np.int8), EACH)
    return {
        **windows.strongest(offsets, np.concatenate(strewn), values, tokens),
        "planted": pl.DataFrame({"kind": kinds, "word": names}),
    }


def _words(tokens: Tokens, pieces: pl.Series) -> np.ndarray:
    """Tokens that are words of four letters or more and are said in enough documents, but not in
    most, in random order.

    Raises:
        CorpusError: there are too few.
    """
    pairs = np.unique(np.stack([np.asarray(tokens.ids), tokens.document_of]), axis=1)
    spoken = np.bincount(pairs[0], minlength=len(pieces))
    is_word = pieces.str.contains(r"^ \p{L}{4,}$").to_numpy()
    often = (spoken >= windows.MOST) & (spoken <= len(tokens.documents) / 3)
    words = np.flatnonzero(is_word & often)
    if len(words) < 4 * EACH or len(tokens.documents) < 4 * NEAR:
        raise CorpusError(
            f"Only {len(words)} words of this corpus occur in {windows.MOST} documents or more.",
            f"Read more of it: {4 * EACH} words and {4 * NEAR} documents are needed to plant "
            "features of known kind.",
        )
    return np.random.default_rng(7).permutation(words)


def _before(tokens: Tokens, rows: np.ndarray) -> np.ndarray:
    """The tokens before some, in the same context."""
    before = rows[rows > 0] - 1
    return before[tokens.context_of[before] == tokens.context_of[before + 1]]


def _topics(tokens: Tokens, which: int) -> list[np.ndarray]:
    """Token rows of the NEAR documents about one of EACH documents, of one half of all."""
    rng = np.random.default_rng(8)
    half = rng.permutation(len(tokens.documents))[:LOOKED_AT][which::2]
    weights = _tf_idf(tokens)[half]
    seeds = rng.choice(len(half), EACH, replace=False)
    alike = (weights[seeds] @ weights.T).toarray()
    nearest = half[np.argsort(-alike, axis=1, kind="stable")[:, :NEAR]]
    return [np.flatnonzero(np.isin(tokens.document_of, some)) for some in nearest]


def _tf_idf(tokens: Tokens) -> scipy.sparse.csr_array:
    """[documents, vocabulary] (1 + ln tf) · ln(documents / df), rows of unit length.

    scikit-learn's TfidfTransformer adds one to ln(documents / df), so that words of every document
    count; those say nothing of a topic, and other documents would be nearest.
    """
    ids, documents = np.asarray(tokens.ids), tokens.document_of
    pairs, counts = np.unique(np.stack([documents, ids]), axis=1, return_counts=True)
    rare = np.log(len(tokens.documents) / np.bincount(pairs[1])[pairs[1]])
    value = (1 + np.log(counts)) * rare
    length = np.sqrt(np.bincount(pairs[0], value**2))
    shape = len(tokens.documents), int(ids.max()) + 1
    return scipy.sparse.csr_array(
        (value / np.maximum(length[pairs[0]], 1e-12), (pairs[0], pairs[1])), shape=shape
    )


def _strewn(tokens: Tokens, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One token a document of some, and as many strays as are a tenth of all."""
    some = rng.permutation(rows)
    _, first = np.unique(tokens.document_of[some], return_index=True)
    regular = some[np.sort(first)][: round(FIRES * (1 - STRAY))]
    strays = rng.choice(len(tokens), round(len(regular) * STRAY / (1 - STRAY)), replace=False)
    return np.unique(np.r_[regular, strays]).astype(np.int32)


# ---------------------------------------------------------------- choosing and judging


@dataclass(frozen=True)
class Choice:
    """What was chosen on one set: windows and τ, and the mean F1 over kinds there."""

    spec: TierSpec
    thresholds: Thresholds
    f1: float


def choose(
    kinds: np.ndarray, scored: dict[tuple[Window, int], np.ndarray], weighted: bool = False
) -> Choice:
    """The windows, counts and τ of highest mean F1 over the four kinds: τ of input and output
    together, for the F1 of these two, then τ of cross. Of equal τ the middle.

    `scored` [features] ρ by window and count.
    """
    best: Choice | None = None
    for count, inward, outward in itertools.product(COUNTS, INPUTS, OUTPUTS):
        pair = scored[inward, count], scored[outward, count]
        first = _best_pair(kinds, *pair)
        for cross in CROSSES:
            tau, f1 = _best_last(kinds, (*pair, scored[cross, count]), first)
            if best is None or f1 > best.f1 + 1e-9:
                width = 0 if cross.whole else cross.last
                spec = TierSpec(count, -inward.first, outward.last, width, weighted)
                best = Choice(spec, Thresholds(*first, tau), f1)
    assert best
    return best


def best_thresholds(kinds: np.ndarray, rho: Rho) -> Thresholds:
    """The best τ for given windows, as `choose` takes them."""
    first = _best_pair(kinds, rho[0], rho[1])
    return Thresholds(*first, _best_last(kinds, rho, first)[0])


def _best_pair(kinds: np.ndarray, inward: np.ndarray, outward: np.ndarray) -> tuple[float, float]:
    """τ of input and output: all pairs of STEPS at once, as `assign` sorts into tier 1."""
    over_in = (np.nan_to_num(inward, nan=-9) - STEPS[:, None])[:, None, :]
    over_out = (np.nan_to_num(outward, nan=-9) - STEPS[:, None])[None, :, :]
    first = (over_in >= 0) | (over_out >= 0)
    is_output = over_out > over_in
    grid = np.zeros((len(STEPS), len(STEPS)))
    for kind, assigned in ((Tier.INPUT, first & ~is_output), (Tier.OUTPUT, first & is_output)):
        hits = (assigned & (kinds == kind)).sum(axis=2)
        grid += f1_scores(hits, assigned.sum(axis=2), (kinds == kind).sum())
    a, b = _middle(np.argwhere(grid >= grid.max() - 1e-12))
    return float(STEPS[a]), float(STEPS[b])


def _best_last(kinds: np.ndarray, rho: Rho, first: tuple[float, float]) -> tuple[float, float]:
    """τ of cross where those of input and output are `first`, and the mean F1 with it."""
    line = np.array([macro_f1(kinds, assign(rho, Thresholds(*first, tau))) for tau in FINE])
    (index,) = _middle(np.argwhere(line >= line.max() - 1e-12))
    return float(FINE[index]), float(line[index])


def _middle(places: np.ndarray) -> tuple[int, ...]:
    """Of several places the one nearest to their mean."""
    apart = np.abs(places - places.mean(axis=0)).sum(axis=1)
    return tuple(int(index) for index in places[apart.argmin()])


def f1(kinds: np.ndarray, assigned: np.ndarray, tier: Tier) -> float:
    """2 TP / (2 TP + FP + FN); 0 where there is none of either."""
    hits = ((kinds == tier) & (assigned == tier)).sum()
    return float(f1_scores(hits, (assigned == tier).sum(), (kinds == tier).sum()))


def macro_f1(kinds: np.ndarray, assigned: np.ndarray) -> float:
    return sum(f1(kinds, assigned, tier) for tier in KINDS) / len(KINDS)


def confusion(kinds: np.ndarray, assigned: np.ndarray) -> pl.DataFrame:
    """`CONFUSION`: what became of the features of each kind."""
    rows = []
    for kind in KINDS:
        total = int((kinds == kind).sum())
        for tier in Tier:
            count = int(((kinds == kind) & (assigned == tier)).sum())
            low, high = wilson(count, total)
            rows.append(
                (kind.title, tier.title, count, total, count / total, float(low), float(high))
            )
    return pl.DataFrame(rows, schema=CONFUSION, orient="row")
