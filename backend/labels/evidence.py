"""What is known of a feature before it gets a label, cut so that train and test never meet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar, get_args

import numpy as np

from backend.corpus.contexts import Tokens
from backend.features.codes import Column
from backend.features.examples import peaks, silent
from backend.labels.contract import Evidence, Excerpt, Negatives, Split
from backend.schema import EmbedderRef, NotFoundError
from backend.store.memo import Entry

LEAST = 15  # contexts in which a feature has to fire, as in the post
TRAIN, TEST = 20, 10  # excerpts drawn
POST_TRAIN = 5  # the post's ranks 1–5, tested on 6–15
SPLITS: tuple[Split, ...] = get_args(Split)
NEGATIVES: dict[Negatives, str] = {
    "other": "of others, in which this one is silent",
    "silent": "at random of those in which this one is silent",
    "hard": "in which this one is silent, nearest to train by their embedding",
}
Name = TypeVar("Name", bound=str)


class TooFewError(NotFoundError):
    """It fires in too few contexts for a label that can be tested."""


@dataclass(frozen=True)
class Source:
    """What fires where: all features of an SAE, or all regions of a partition, whose members fire
    with 1 − distance/θ. Number i has `rows` and `values` from offsets[i] to offsets[i + 1]."""

    what: str  # "feature" or "region"
    offsets: np.ndarray
    rows: np.ndarray
    values: np.ndarray

    def column(self, number: int) -> Column:
        """Token rows, ascending, and values of one; raises NotFoundError."""
        if not 0 <= number < len(self.offsets) - 1:
            last = len(self.offsets) - 2
            raise NotFoundError(
                f"There is no {self.what} {number}.", f"There are {self.what}s 0 to {last}."
            )
        first, last = self.offsets[number : number + 2].tolist()
        return Column(number, self.rows[first:last], self.values[first:last])

    def frequent(self) -> np.ndarray:
        """Numbers of those that fire on so many tokens that they may be labelled."""
        return np.flatnonzero(np.diff(self.offsets) >= LEAST)


def of_features(index: Entry) -> Source:
    """From a `codes.index` entry."""
    return Source("feature", *(index.array(name) for name in ("offsets", "rows", "values")))


def of_regions(partition: Entry) -> Source:
    """From a `partition.partition` entry: members alone, neither gray nor uncovered points."""
    owner, distance = partition.array("owner"), partition.array("distance")
    theta = float(partition.value("theta"))
    members = np.flatnonzero(distance <= theta)
    rows = members[np.argsort(owner[members], kind="stable")].astype(np.int32)
    counts = np.bincount(owner[members], minlength=len(partition.array("exemplar_tokens")))
    near = np.maximum(1 - distance[rows] / theta, np.finfo(np.float32).tiny)
    return Source("region", np.append(0, np.cumsum(counts)), rows, near.astype(np.float32))


@dataclass(frozen=True)
class Sampling:
    """How evidence is drawn; `embedder` looks for hard negatives, None where others are drawn."""

    split: str = "range"
    negatives: str = "other"
    seed: int = 0
    embedder: EmbedderRef | None = None

    @property
    def train(self) -> Sampling:
        """As far as train depends on it, and so a label."""
        return Sampling(self.split, "other", self.seed)


def draw(
    source: Source, tokens: Tokens, feature: int, sampling: Sampling, near: Sequence[int] = ()
) -> Evidence:
    """Train, test and negative excerpts of a feature or region, of different contexts.

    `range` takes both parts from the whole range of peaks, of different documents where there are
    enough; `post` trains on the strongest and tests on those that follow. Negatives are as many as
    test: contexts in which this feature is silent, `other` where another one fires, `silent` any,
    `hard` those that begin at the token rows `near`.

    Raises:
        NotFoundError: no such feature, split or negatives.
        TooFewError: it fires in too few contexts.
    """
    split, kind = _checked(sampling.split, SPLITS), _checked(sampling.negatives, NEGATIVES)
    own = source.column(feature)
    rows, values = peaks(own, tokens)
    if len(rows) < LEAST:
        verb = "fires" if source.what == "feature" else "has members"
        raise TooFewError(
            f"{source.what.capitalize()} {feature} {verb} in {len(rows)} contexts; a label needs "
            f"{LEAST} to be tested.",
            "Choose one that fires more often, or read more of the corpus.",
        )
    rng = np.random.default_rng([sampling.seed, feature])
    if split == "post":
        order = np.lexsort((rows, -values))
        train, test = order[:POST_TRAIN], order[POST_TRAIN : POST_TRAIN + TEST]
        how = f"train: ranks 1–{len(train)} by peak; test: the {len(test)} that follow"
    else:
        train, test, how = _of_the_range(rows, values, tokens, rng)
    train = train[np.argsort(-values[train], kind="stable")]
    if kind == "other":
        negatives, foreign = _others(source, tokens, own, len(test), rng)
    elif kind == "hard":
        negatives, foreign = _silenced(tokens, own, near[: len(test)])
    else:
        firsts = silent(own, tokens, len(test), int(rng.integers(2**31))).tokens
        negatives, foreign = _silenced(tokens, own, firsts.tolist())
    return Evidence(
        feature,
        float(values.max()),
        tuple(excerpt(tokens, own, int(row)) for row in rows[train]),
        tuple(excerpt(tokens, own, int(row)) for row in rows[test]),
        negatives,
        foreign,
        split,
        kind,
        sampling.seed,
        f"{how}; {len(negatives)} negatives: contexts {NEGATIVES[kind]} (seed {sampling.seed})",
    )


def _checked(name: str, names: Iterable[Name]) -> Name:
    for each in names:
        if each == name:
            return each
    raise NotFoundError(f"There is no {name!r} here.", f"Use one of {', '.join(names)}.")


def excerpt(tokens: Tokens, own: Column, row: int, fires: bool = True) -> Excerpt:
    """The context that holds a token row, with a feature's activations."""
    first, last = _span(tokens, row)
    peak = row - first if fires else -1
    return Excerpt(row, tuple(tokens.pieces(first, last)), dense(own, first, last), peak)


def dense(own: Column, first: int, last: int) -> tuple[float, ...]:
    """A feature's activation at token rows first..last-1."""
    low, high = np.searchsorted(own.rows, [first, last])
    values = np.zeros(last - first)
    values[own.rows[low:high] - first] = own.values[low:high]
    return tuple(values.tolist())


def _span(tokens: Tokens, row: int) -> tuple[int, int]:
    context = int(tokens.context_of[row])
    first = int(tokens.contexts["first_token"][context])
    return first, first + int(tokens.contexts["length"][context])


def _of_the_range(
    rows: np.ndarray, values: np.ndarray, tokens: Tokens, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, str]:
    """Indices of train and test: contexts ordered by peak, one of each of equal parts of that
    order, two of three consecutive ones for train."""
    order = rng.permutation(len(rows))
    documents = tokens.document_of[rows[order]]
    _, first = np.unique(documents, return_index=True)
    apart = len(first) >= TRAIN + TEST
    if apart:
        order = order[first]
    order = order[np.argsort(values[order], kind="stable")]
    parts = np.array_split(order, min(len(order), TRAIN + TEST))
    sample = np.array([rng.choice(part) for part in parts])
    thirds = np.arange(len(sample)) // 3
    test = np.zeros(len(sample), dtype=bool)
    for third in np.unique(thirds):
        test[rng.choice(np.flatnonzero(thirds == third))] = True
    where = "of different documents" if apart else "of documents that may be the same"
    how = (
        f"train {int((~test).sum())}, test {int(test.sum())}: contexts {where}, "
        "over the whole range of peaks"
    )
    return sample[~test], sample[test], how


Excerpts = tuple[tuple[Excerpt, ...], tuple[tuple[float, ...], ...]]


def _others(
    source: Source, tokens: Tokens, own: Column, count: int, rng: np.random.Generator
) -> Excerpts:
    """Contexts around a random activation of random others, where `own` is silent."""
    contexts = set(tokens.context_of[own.rows].tolist())
    alive = np.flatnonzero(np.diff(source.offsets) > 0)
    excerpts, foreign = [], []
    for other in rng.permutation(alive[alive != own.feature]):
        theirs = source.column(int(other))
        row = int(theirs.rows[rng.integers(len(theirs.rows))])
        context = int(tokens.context_of[row])
        if context in contexts:
            continue
        contexts.add(context)
        excerpts.append(excerpt(tokens, own, _span(tokens, row)[0], fires=False))
        foreign.append(dense(theirs, *_span(tokens, row)))
        if len(excerpts) == count:
            break
    return tuple(excerpts), tuple(foreign)


def _silenced(tokens: Tokens, own: Column, rows: Sequence[int]) -> Excerpts:
    excerpts = tuple(excerpt(tokens, own, row, fires=False) for row in rows)
    return excerpts, tuple((0.0,) * len(each.pieces) for each in excerpts)
