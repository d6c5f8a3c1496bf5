"""How alike the windows around a feature's peaks are: the correlation scores of the baez post.

With peak i of each of a feature's n strongest examples, window W relative to it and sentence
embedder E of unit vectors, ρ(W) = 2 / (n(n−1)) Σ_{a<b} cos(E(w_a), E(w_b)). The post's footnote
weights pairs by activation: Σ w_a w_b cos / Σ w_a w_b, w = peak / highest peak.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from backend import run
from backend.corpus.contexts import Tokens, tokenize
from backend.features.codes import index as codes_index
from backend.models import embedder as embedders
from backend.schema import CorpusRef, EmbedderRef, ModelRef, Reading, SaeRef, Window
from backend.store.memo import Entry, memoize
from backend.tiers.words import COUNTS

MOST = 20  # examples looked at
# ranks embedded together, so that scores over more examples reuse the windows of fewer
TRANCHES = tuple(zip((0, *COUNTS), COUNTS, strict=False))
BLOCK = 8192  # windows embedded and kept together
CONTEXTS = 512  # whole contexts, which take as long
DRAWS = 2000  # sets that a null is made of
POOL = 4096  # random windows that one null draws from
ROWS = 2048  # features scored at once


# ---------------------------------------------------------------- peaks


@memoize("tiers.peaks", version=1)
def peaks(reading: Reading, sae: SaeRef) -> dict[str, Any]:
    """The strongest peak of each of a feature's strongest documents: `rows` [features, MOST] int64
    token rows, strongest first, -1 where it fires in fewer; `values` float32 likewise."""
    index = codes_index(reading, sae)
    tokens = Tokens(tokenize(reading.model, reading.corpus))
    run.report(0, 1, "Looking for peaks")
    offsets, rows, values = (np.asarray(index.array(n)) for n in ("offsets", "rows", "values"))
    return strongest(offsets, rows, values, tokens)


def strongest(
    offsets: np.ndarray, rows: np.ndarray, values: np.ndarray, tokens: Tokens
) -> dict[str, np.ndarray]:
    """`peaks` of codes by feature."""
    from backend.features import passes  # compiled

    highest = passes.highest_of_runs(offsets, rows, values, tokens.document_of, MOST)
    return dict(zip(("rows", "values"), highest, strict=True))


# ---------------------------------------------------------------- windows


def span(tokens: Tokens, rows: np.ndarray, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """First and last + 1 token row of each window, within the context of its peak."""
    context = tokens.context_of[rows]
    starts = tokens.contexts["first_token"].to_numpy()[context].astype(np.int64)
    ends = starts + tokens.contexts["length"].to_numpy()[context]
    if window.whole:
        return starts, ends
    return np.maximum(rows + window.first, starts), np.minimum(rows + window.last + 1, ends)


def is_cut(tokens: Tokens, rows: np.ndarray, window: Window) -> np.ndarray:
    """Whether the context ends before the window does."""
    first, last = span(tokens, rows, window)
    return ~np.array(window.whole) & (last - first < window.last - window.first + 1)


def texts(tokens: Tokens, rows: np.ndarray, window: Window) -> list[str]:
    """The text of each window; empty where the context ends at the peak."""
    first, last = span(tokens, rows, window)
    return [
        "".join(tokens.pieces(int(a), int(b))) if a < b else ""
        for a, b in zip(first, last, strict=True)
    ]


@dataclass(frozen=True)
class PeakSet:
    """Peaks of features (`rows` and `values` as in `peaks`), the texts that they lie in, and what
    embeds the windows around them."""

    peaks: Entry
    model: ModelRef
    corpus: CorpusRef
    embedder: EmbedderRef

    @property
    def tokens(self) -> Tokens:
        return Tokens(tokenize(self.model, self.corpus))

    def anchors(self, tranche: int) -> np.ndarray:
        """Token rows of a tranche of the peaks, ascending, each once."""
        low, high = TRANCHES[tranche]
        rows = np.unique(np.asarray(self.peaks.array("rows"))[:, low:high])
        return rows[rows >= 0]


@memoize("tiers.window_vectors", version=1)
def embed(peak_set: PeakSet, window: Window, tranche: int, block: int) -> dict[str, Any]:
    """Vectors of a block of the windows around the anchors of a tranche: `vectors` [n, width]
    float16, unit length, and `empty` [n] bool. Each text is embedded once."""
    rows = peak_set.anchors(tranche)[block * BLOCK : (block + 1) * BLOCK]
    return _embedded(texts(peak_set.tokens, rows, window), peak_set.embedder)


@memoize("tiers.context_vectors", version=1)
def contexts(
    model: ModelRef, corpus: CorpusRef, embedder: EmbedderRef, block: int
) -> dict[str, Any]:
    """As `embed`, of whole contexts `block` · CONTEXTS and on: every feature shares them."""
    tokens = Tokens(tokenize(model, corpus))
    firsts = tokens.contexts["first_token"].to_numpy().astype(np.int64)
    rows = firsts[block * CONTEXTS : (block + 1) * CONTEXTS]
    return _embedded(texts(tokens, rows, Window(whole=True)), embedder)


@memoize("tiers.null_pool", version=1)
def pool(
    model: ModelRef, corpus: CorpusRef, embedder: EmbedderRef, window: Window
) -> dict[str, Any]:
    """As `embed`, of windows around POOL `rows` [n] int64 at random, for a null."""
    tokens = Tokens(tokenize(model, corpus))
    rng = np.random.default_rng(0)
    rows = np.sort(rng.choice(len(tokens), min(POOL, len(tokens)), replace=False))
    return {"rows": rows, **_embedded(texts(tokens, rows, window), embedder)}


def _embedded(window_texts: list[str], embedder: EmbedderRef) -> dict[str, Any]:
    # in one order, whatever the run: what is embedded together changes the last digits
    unique = sorted(sorted({text for text in window_texts if text.strip()}), key=len)
    place = {text: index for index, text in enumerate(unique)}
    # the last stands for no text: an embedder gives no vector of an empty one
    vectors = embedders.load(embedder, run.current().device).embed([*unique, "."])
    order = np.array([place.get(text, len(unique)) for text in window_texts], dtype=np.int64)
    return {"vectors": vectors[order].astype(np.float16), "empty": order == len(unique)}


# ---------------------------------------------------------------- ρ


def correlation(vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """[features] mean cosine over pairs, weighted by the products of `weights`.

    `vectors` [features, n, width] of unit length; `weights` [features, n], 0 where there is no
    example. NaN where fewer than two count. Σ_{a<b} w_a w_b cos = (‖Σ w v‖² − Σ w²) / 2.
    """
    total = np.einsum("fn,fnd->fd", weights, vectors, dtype=np.float64)
    square = (weights.astype(np.float64) ** 2).sum(axis=1)
    pairs = weights.sum(axis=1, dtype=np.float64) ** 2 - square
    some = (weights > 0).sum(axis=1) > 1
    value = ((total**2).sum(axis=1) - square) / np.where(some, pairs, 1.0)
    return np.where(some, value, np.nan)


@memoize("tiers.correlations", version=1)
def scores(peak_set: PeakSet, window: Window, count: int) -> dict[str, Any]:
    """ρ of every feature over its `count` strongest examples.

    Arrays [features]: `plain`, `weighted` float32, NaN where fewer than two windows hold text;
    `odd` and `even`, plain ρ of every second example; `examples` and `cut` int32. Arrays [DRAWS],
    ascending: `random`, plain ρ of as many windows around random tokens, and `shuffled`, of
    windows of as many different features.
    """
    tokens = peak_set.tokens
    vectors = _vectors(peak_set, tokens, window, count)
    rows = np.asarray(peak_set.peaks.array("rows"))[:, :count]
    values = np.asarray(peak_set.peaks.array("values"))[:, :count]
    parts = [
        _scored(vectors, rows[start : start + ROWS], values[start : start + ROWS])
        for start in range(0, len(rows), ROWS)
    ]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    cut = np.zeros(rows.shape, dtype=bool)
    cut[rows >= 0] = is_cut(tokens, rows[rows >= 0], window)
    return {
        **columns,
        "cut": cut.sum(axis=1, dtype=np.int32),
        "random": _null_of_random(_pooled(peak_set, vectors, tokens, window), tokens, count),
        "shuffled": _null_of_shuffled(vectors, rows, count),
    }


def _scored(vectors: _Vectors, rows: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
    embedded, there = vectors.values_at(rows)
    weights = np.where(there, values / np.maximum(values.max(axis=1, keepdims=True), 1e-30), 0)
    second = np.arange(rows.shape[1]) % 2 == 1
    return {
        "plain": correlation(embedded, there).astype(np.float32),
        "weighted": correlation(embedded, weights).astype(np.float32),
        "odd": correlation(embedded, there & ~second).astype(np.float32),
        "even": correlation(embedded, there & second).astype(np.float32),
        "examples": there.sum(axis=1, dtype=np.int32),
    }


class _Vectors:
    """The vector of any peak's window, from memoized blocks in the order of token `rows`; where
    windows are whole contexts, of these the first tokens."""

    def __init__(
        self, tokens: Tokens, window: Window, rows: np.ndarray, blocks: Sequence[Entry]
    ) -> None:
        self.tokens, self.window = tokens, window
        parts = [np.asarray(block.array("vectors")) for block in blocks]
        empty = [np.asarray(block.array("empty")) for block in blocks]
        self.rows, first = np.unique(np.r_[rows, -1], return_index=True)
        self.vectors = np.concatenate([*parts, np.zeros((1, parts[0].shape[1]), np.float16)])[first]
        self.empty = np.concatenate([*empty, [True]])[first]

    def values_at(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vectors of the windows at token rows (-1: none), float32, and which hold text."""
        anchors = rows.copy()
        if self.window.whole:
            anchors[rows >= 0] = span(self.tokens, rows[rows >= 0], self.window)[0]
        places = np.searchsorted(self.rows, anchors)
        there = ~self.empty[places]
        return self.vectors[places].astype(np.float32) * there[..., None], there


def _vectors(peak_set: PeakSet, tokens: Tokens, window: Window, count: int) -> _Vectors:
    """Vectors of the windows of the `count` strongest peaks, embedded where they are not yet."""
    blocks: list[Callable[[], Entry]]
    if window.whole:  # of the first tokens of all contexts
        rows = tokens.contexts["first_token"].to_numpy().astype(np.int64)
        texts_of = peak_set.model, peak_set.corpus, peak_set.embedder
        blocks = [partial(contexts, *texts_of, n) for n in range(-(-len(rows) // CONTEXTS))]
    else:  # tranche by tranche
        parts = [
            peak_set.anchors(tranche) for tranche, (low, _) in enumerate(TRANCHES) if low < count
        ]
        rows = np.concatenate(parts)
        blocks = [
            partial(embed, peak_set, window, tranche, block)
            for tranche, part in enumerate(parts)
            for block in range(-(-len(part) // BLOCK))
        ]
    entries = run.each(lambda block: block(), blocks, f"Embedding windows {window.words}")
    return _Vectors(tokens, window, rows, entries)


# ---------------------------------------------------------------- nulls


def _pooled(peak_set: PeakSet, vectors: _Vectors, tokens: Tokens, window: Window) -> _Vectors:
    """Windows that the null of random ones is drawn from; whole contexts are all there already."""
    if window.whole:
        return vectors
    entry = pool(peak_set.model, peak_set.corpus, peak_set.embedder, window)
    return _Vectors(tokens, window, np.asarray(entry.array("rows")), [entry])


def _null_of_random(vectors: _Vectors, tokens: Tokens, count: int) -> np.ndarray:
    """ρ of windows around tokens at random, each of another document where there are enough."""
    rng = np.random.default_rng(0)
    rows = vectors.rows[~vectors.empty]
    if len(rows) < count:
        return np.empty(0, np.float32)
    documents, ones = tokens.document_of[rows], np.ones((1, count))
    sets = [vectors.values_at(rows[_apart(rng, documents, count)])[0] for _ in range(DRAWS)]
    return np.sort(np.concatenate([correlation(each[None], ones) for each in sets])).astype(
        np.float32
    )


def _apart(rng: np.random.Generator, documents: np.ndarray, count: int) -> np.ndarray:
    """As many at random, of different documents where that is possible."""
    order = rng.permutation(len(documents))
    _, first = np.unique(documents[order[: 8 * count]], return_index=True)
    return np.r_[order[np.sort(first)], order][:count]


def _null_of_shuffled(vectors: _Vectors, rows: np.ndarray, count: int) -> np.ndarray:
    """ρ of one window each of `count` different features."""
    rng = np.random.default_rng(1)
    examples = (rows >= 0).sum(axis=1)
    some = np.flatnonzero(examples)
    if len(some) < count:
        return np.empty(0, np.float32)
    features = np.array([rng.choice(some, count, replace=False) for _ in range(DRAWS)])
    embedded, there = vectors.values_at(rows[features, rng.integers(examples[features])])
    return np.sort(correlation(embedded, there).astype(np.float32))
