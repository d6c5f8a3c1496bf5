"""What an SAE, or a control beside it, does on every story: from the model to means over tokens.

The control `random_topk` has as many features of random unit directions, of which on every token
the most active are kept, as many as the SAE keeps on average, over activations less their centre
(the part of their mean along their mean direction, as for regions).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy  # its parts load when they are used
import torch
from torch import Tensor

from backend import run
from backend.corpus.activations import Activations
from backend.evals.ce_bench import definitions
from backend.evals.ce_bench.definitions import Means
from backend.evals.ce_bench.pairs import Stories, read_stories
from backend.models import language_model
from backend.models import sae as sae_models
from backend.schema import ModelRef, NotFiniteError, PairsRef, SaeRef, Site
from backend.store.memo import Entry, memoize

READERS = ("sae", "random_topk")
MOVES = 10  # times that marks are placed at random
Encoder = Callable[[Tensor], tuple[np.ndarray, np.ndarray, np.ndarray]]


@memoize("ce_bench.codes", version=1)
def encode_stories(
    model: ModelRef, site: Site, sae: SaeRef, pairs: PairsRef, reader: str
) -> dict[str, Any]:
    """What fires on every token of the stories: `offsets` [tokens + 1] into `features` int32 and
    `values` float32, `bos` [width] float32 the activations at the BOS, and `width`.

    Raises:
        ModelError: the SAE does not belong to this model and site.
        NotFiniteError: the SAE gives NaN or infinity.
    """
    device = run.current().device
    sae_models.check(sae, model, site, int(language_model.config(model).hidden_size))
    stories = Stories(read_stories(model, pairs))
    activations = Activations(model, site, stories.tokens)
    for chunk in range(activations.chunks):
        activations.entry(chunk)
    network = language_model.load(model, device)
    bos = network.residual(torch.tensor([[network.bos]]), None, site.layer)[0].cpu()
    width, encode = _encoder(activations, sae, pairs, reader)
    counts, features, values = [], [], []
    for first, residual in activations:
        run.report(first, len(stories.tokens), "Encoding stories", "tokens")
        row, feature, value = encode(residual)
        counts.append(np.bincount(row, minlength=len(residual)))
        features.append(feature)
        values.append(value)
    at_bos = np.zeros(width, np.float32)
    _, feature, value = encode(bos)
    at_bos[feature] = value
    if not all(np.isfinite(part).all() for part in (*values, at_bos)):
        raise NotFiniteError(
            f"{sae.source} gives NaN or infinite activations on these stories.",
            "Check that the SAE was trained on this model and layer.",
        )
    return {
        "offsets": np.append(0, np.cumsum(np.concatenate(counts))),
        "features": np.concatenate(features),
        "values": np.concatenate(values),
        "bos": at_bos,
        "width": width,
    }


def _encoder(
    activations: Activations, sae: SaeRef, pairs: PairsRef, reader: str
) -> tuple[int, Encoder]:
    """The width of a reader, and what it does."""
    if reader == "sae":
        network = sae_models.load(sae, run.current().device)
        return network.width, network.encode_sparse
    where = activations.model, activations.site, sae, pairs
    own = encode_stories(*where, "sae")
    width, active = own.value("width"), len(own.array("values")) / len(activations.tokens)
    keep = min(max(1, round(active)), width)
    return width, _random(width, keep, activations.centre()[0], pairs.seed)


def _random(width: int, keep: int, centre: Tensor, seed: int) -> Encoder:
    """An encoder of random unit directions, the `keep` most active on each token; those not above
    0 stay silent."""
    normal = np.random.default_rng([seed, 1]).standard_normal((width, len(centre)))
    rows = torch.from_numpy(normal.astype(np.float32))
    directions = torch.nn.functional.normalize(rows, dim=1).T.contiguous()

    def encode(x: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        parts = []
        step = max(1, sae_models.CELLS // width)
        for begin in range(0, len(x), step):
            along = (x[begin : begin + step].float() - centre) @ directions
            value, feature = along.topk(keep, dim=1)
            feature, order = feature.sort(dim=1)
            value = value.gather(1, order)
            row, column = (value > 0).nonzero(as_tuple=True)
            parts.append((row + begin, feature[row, column].int(), value[row, column]))
        return tuple(torch.cat(part).numpy() for part in zip(*parts, strict=True))  # type: ignore

    return encode


# ---------------------------------------------------------------- means


@memoize("ce_bench.means", version=1)
def means(model: ModelRef, site: Site, sae: SaeRef, pairs: PairsRef, reader: str) -> dict[str, Any]:
    """Arrays of `definitions.Means`, and with them `l0` [stories], the mean number of active
    features, BOS out; `bos_l0`, that of the BOS; `moved` [10, pairs], the seed's independent score
    with as many runs of marks of the same lengths placed at random in the same stories."""
    codes = encode_stories(model, site, sae, pairs, reader)
    stories = Stories(read_stories(model, pairs))
    offsets, width, number = stories.offsets, codes.value("width"), len(stories.pairs)
    mean, marked = (np.zeros((2 * number, width), np.float32) for _ in range(2))
    null_scores, rng = np.full((MOVES, number), np.nan), np.random.default_rng([pairs.seed, 2])
    pair: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # of its stories read so far
    for story, active in _stories(codes, offsets, width):
        mask = stories.marked[offsets[story] : offsets[story + 1]]
        mean[story] = _sums(active, np.ones((1, len(mask)), np.float32))[0] / len(mask)
        if mask.any():
            marked[story] = _sums(active, mask[None].astype(np.float32))[0] / mask.sum()
        fake = _sums(active, np.array([shuffle_marks(mask, rng) for _ in range(MOVES)], np.float32))
        total, size = mean[story].astype(np.float64) * len(mask), np.array([mask.sum(), len(mask)])
        pair.append((fake, total, size))
        if story % 2 == 0:
            run.report(story // 2, number, "Averaging stories", "pairs")
            continue
        fakes, totals, sizes = (one + other for one, other in zip(*pair, strict=True))
        pair = []
        marks, tokens = sizes
        apart = definitions.split_means(fakes, totals, marks, tokens)
        null_scores[:, story // 2] = definitions.distance(*apart).max(axis=1)
    lengths = np.diff(offsets)
    active = np.add.reduceat(np.diff(codes.array("offsets")), offsets[:-1])
    return {
        "mean": mean,
        "marked": marked,
        "tokens": lengths,
        "marks": np.add.reduceat(stories.marked.astype(np.int64), offsets[:-1]),
        "bos": np.array(codes.array("bos")),
        "subject_of": stories.subject_of,
        "l0": active / lengths,
        "bos_l0": int((codes.array("bos") != 0).sum()),
        "moved": null_scores,
    }


def _stories(codes: Entry, offsets: np.ndarray, width: int) -> Iterator[tuple[int, Any]]:
    """Story by story its activations, a sparse [tokens, width]."""
    rows, features, values = (codes.array(name) for name in ("offsets", "features", "values"))
    for story in range(len(offsets) - 1):
        bounds = rows[offsets[story] : offsets[story + 1] + 1]
        part = slice(int(bounds[0]), int(bounds[-1]))
        cells = values[part], features[part], bounds - bounds[0]
        yield story, scipy.sparse.csr_array(cells, shape=(len(bounds) - 1, width))


def _sums(active: Any, weights: np.ndarray) -> np.ndarray:
    """[n, width] sums of activations [tokens, width] by weights [n, tokens]."""
    return (active.T @ weights.T).T


def shuffle_marks(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same runs of marks, of the same lengths, in random order at random places that do not
    touch where they did not."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    lengths = rng.permutation(edges[1::2] - edges[::2])
    free = len(mask) - int(mask.sum())
    # a run stands before one of the free tokens, or after the last
    gaps = np.sort(rng.choice(free + 1, len(lengths), replace=False))
    marks = np.zeros(len(mask), dtype=bool)
    for gap, before, length in zip(gaps, np.cumsum(lengths) - lengths, lengths, strict=True):
        marks[gap + before : gap + before + length] = True
    return marks


def read_means(entry: Entry) -> Means:
    """The arrays of a `means` entry."""
    names = ("mean", "marked", "tokens", "marks", "bos", "subject_of")
    return Means(**{name: entry.array(name) for name in names})
