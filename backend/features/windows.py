"""How alike the windows around a feature's peaks are: the correlation scores of the baez post.

With peak i of each of a feature's n strongest examples, window W relative to it and sentence
embedder E of unit vectors, ρ(W) = 2 / (n(n−1)) Σ_{a<b} cos(E(w_a), E(w_b)). The post's footnote
weights pairs by activation: Σ w_a w_b cos / Σ w_a w_b, w = peak / highest peak.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from backend import run
from backend.corpus.contexts import Tokens, tokenize
from backend.features.codes import index as codes_index
from backend.models import embedder as embedders
from backend.schema import CorpusRef, EmbedderRef, ModelRef, Reading, SaeRef, Window
from backend.store.memo import Entry, memoize

MOST = 20  # examples looked at
COUNTS = (5, 10, 20)  # examples a score may stand on
TRANCHES = ((0, 5), (5, 10), (10, 20))  # ranks embedded together, so that more reuse fewer
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
    offsets, at, heights = (np.asarray(index.array(n)) for n in ("offsets", "rows", "values"))
    rows, values = strongest(offsets, at, heights, tokens)
    return {"rows": rows, "values": values}


def strongest(
    offsets: np.ndarray, rows: np.ndarray, values: np.ndarray, tokens: Tokens
) -> tuple[np.ndarray, np.ndarray]:
    """`peaks` of codes by feature."""
    from backend.features import passes  # compiled

    return passes.highest_of_runs(offsets, rows, values, tokens.document_of, MOST)


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


@memoize("tiers.window_vectors", version=1)
def embed(
    found: Entry,
    model: ModelRef,
    corpus: CorpusRef,
    embedder: EmbedderRef,
    window: Window,
    tranche: int,
    block: int,
) -> dict[str, Any]:
    """Vectors of a block of the windows around `anchors`: `vectors` [n, width] float16, unit
    length, and `empty` [n] bool. Each text is embedded once."""
    device = run.current().device
    tokens = Tokens(tokenize(model, corpus))
    rows = anchors(found, tranche)[block * BLOCK : (block + 1) * BLOCK]
    return _embedded(texts(tokens, rows, window), embedder, device)


def anchors(found: Entry, tranche: int) -> np.ndarray:
    """Token rows of a tranche of peaks, ascending, each once."""
    low, high = TRANCHES[tranche]
    rows = np.unique(np.asarray(found.array("rows"))[:, low:high])
    return rows[rows >= 0]


@memoize("tiers.context_vectors", version=1)
def contexts(
    model: ModelRef, corpus: CorpusRef, embedder: EmbedderRef, block: int
) -> dict[str, Any]:
    """As `embed`, of whole contexts `block` · CONTEXTS and on: every feature shares them."""
    device = run.current().device
    tokens = Tokens(tokenize(model, corpus))
    firsts = tokens.contexts["first_token"].to_numpy().astype(np.int64)
    rows = firsts[block * CONTEXTS : (block + 1) * CONTEXTS]
    return _embedded(texts(tokens, rows, Window(whole=True)), embedder, device)


@memoize("tiers.null_pool", version=1)
def pool(
    model: ModelRef, corpus: CorpusRef, embedder: EmbedderRef, window: Window
) -> dict[str, Any]:
    """As `embed`, of windows around POOL `rows` [n] int64 at random, for a null."""
    device = run.current().device
    tokens = Tokens(tokenize(model, corpus))
    rng = np.random.default_rng(0)
    rows = np.sort(rng.choice(len(tokens), min(POOL, len(tokens)), replace=False))
    return {"rows": rows, **_embedded(texts(tokens, rows, window), embedder, device)}


def _embedded(said: list[str], embedder: EmbedderRef, device: str) -> dict[str, Any]:
    unique = sorted({text for text in said if text.strip()}, key=len)
    place = {text: at for at, text in enumerate(unique)}
    vectors = embedders.load(embedder, device).embed([*unique, "."])  # the last: no text
    order = np.array([place.get(text, len(unique)) for text in said], dtype=np.int64)
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
def scores(
    found: Entry,
    model: ModelRef,
    corpus: CorpusRef,
    embedder: EmbedderRef,
    window: Window,
    count: int,
) -> dict[str, Any]:
    """ρ of every feature over its `count` strongest examples.

    Arrays [features]: `plain`, `weighted` float32, NaN where fewer than two windows hold text;
    `odd` and `even`, plain ρ of every second example; `examples` and `cut` int32. Arrays [DRAWS],
    ascending: `random`, plain ρ of as many windows around random tokens, and `shuffled`, of
    windows of as many different features.
    """
    tokens = Tokens(tokenize(model, corpus))
    vectors = _vectors(found, tokens, model, corpus, embedder, window, count)
    rows = np.asarray(found.array("rows"))[:, :count]
    values = np.asarray(found.array("values"))[:, :count]
    parts = [
        _scored(vectors, rows[at : at + ROWS], values[at : at + ROWS])
        for at in range(0, len(rows), ROWS)
    ]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    cut = np.zeros(rows.shape, dtype=bool)
    cut[rows >= 0] = is_cut(tokens, rows[rows >= 0], window)
    if window.whole:
        chance = vectors
    else:
        kept = pool(model, corpus, embedder, window)
        chance = _Vectors(tokens, window, np.asarray(kept.array("rows")), [kept])
    return {
        **columns,
        "cut": cut.sum(axis=1, dtype=np.int32),
        "random": _null_of_random(chance, tokens, count),
        "shuffled": _null_of_shuffled(vectors, rows, count),
    }


def _scored(vectors: _Vectors, rows: np.ndarray, values: np.ndarray) -> dict[str, np.ndarray]:
    found, there = vectors.of(rows)
    weights = np.where(there, values / np.maximum(values.max(axis=1, keepdims=True), 1e-30), 0)
    second = np.arange(rows.shape[1]) % 2 == 1
    return {
        "plain": correlation(found, there).astype(np.float32),
        "weighted": correlation(found, weights).astype(np.float32),
        "odd": correlation(found, there & ~second).astype(np.float32),
        "even": correlation(found, there & second).astype(np.float32),
        "examples": there.sum(axis=1, dtype=np.int32),
    }


class _Vectors:
    """The vector of any peak's window, from memoized blocks in the order of token `rows`; where
    windows are whole contexts, of these the first tokens."""

    def __init__(
        self, tokens: Tokens, window: Window, rows: np.ndarray, blocks: Sequence[Entry]
    ) -> None:
        self.tokens, self.window = tokens, window
        kept = [np.asarray(block.array("vectors")) for block in blocks]
        empty = [np.asarray(block.array("empty")) for block in blocks]
        self.rows, first = np.unique(np.r_[rows, -1], return_index=True)
        self.vectors = np.concatenate([*kept, np.zeros((1, kept[0].shape[1]), np.float16)])[first]
        self.empty = np.concatenate([*empty, [True]])[first]

    def of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vectors of the windows at token rows (-1: none), float32, and which hold text."""
        wanted = rows.copy()
        if self.window.whole:
            wanted[rows >= 0] = span(self.tokens, rows[rows >= 0], self.window)[0]
        at = np.searchsorted(self.rows, wanted)
        there = ~self.empty[at]
        return self.vectors[at].astype(np.float32) * there[..., None], there


def _vectors(
    found: Entry,
    tokens: Tokens,
    model: ModelRef,
    corpus: CorpusRef,
    embedder: EmbedderRef,
    window: Window,
    count: int,
) -> _Vectors:
    """Vectors of the windows of the `count` strongest peaks, embedded where they are not yet."""
    calls: list[tuple[int, Callable[..., Entry]]] = []
    if window.whole:
        rows = tokens.contexts["first_token"].to_numpy().astype(np.int64)
        calls = [
            (
                min(CONTEXTS, len(rows) - at),
                partial(contexts, model, corpus, embedder, at // CONTEXTS),
            )
            for at in range(0, len(rows), CONTEXTS)
        ]
    else:
        parts = [anchors(found, at) for at, (low, _) in enumerate(TRANCHES) if low < count]
        rows = np.concatenate(parts)
        where = found, model, corpus, embedder, window
        calls = [
            (min(BLOCK, len(part) - at), partial(embed, *where, tranche, at // BLOCK))
            for tranche, part in enumerate(parts)
            for at in range(0, len(part), BLOCK)
        ]
    done, entries = 0, []
    for size, call in calls:
        run.report(done, len(rows), f"Embedding windows {window.words}", "windows")
        entries.append(call())
        done += size
    return _Vectors(tokens, window, rows, entries)


# ---------------------------------------------------------------- nulls


def _null_of_random(vectors: _Vectors, tokens: Tokens, count: int) -> np.ndarray:
    """ρ of windows around tokens at random, each of another document where there are enough."""
    rng = np.random.default_rng(0)
    rows = vectors.rows[~vectors.empty]
    if len(rows) < count:
        return np.empty(0, np.float32)
    documents, ones = tokens.document_of[rows], np.ones((1, count))
    drawn = [vectors.of(rows[_apart(rng, documents, count)])[0] for _ in range(DRAWS)]
    return np.sort(np.concatenate([correlation(one[None], ones) for one in drawn])).astype(
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
    held = (rows >= 0).sum(axis=1)
    some = np.flatnonzero(held)
    if len(some) < count:
        return np.empty(0, np.float32)
    drawn = np.array([rng.choice(some, count, replace=False) for _ in range(DRAWS)])
    found, there = vectors.of(rows[drawn, rng.integers(held[drawn])])
    return np.sort(correlation(found, there).astype(np.float32))
