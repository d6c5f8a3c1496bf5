"""CE-Bench's scores of features on pairs of stories, by three definitions (Gulko et al. 2025).

A *contrastive* distance says of each feature how differently two stories of one subject use it, an
*independent* one how differently the subject uses it from what the subject is told from. Each pair
is scored by its best feature, an SAE by the mean over pairs.

- `seed`, the authors' README: means over tokens; marked tokens against unmarked ones of both
  stories; interpretability is the sum of the two scores.
- `published`, the authors' code: BOS among the tokens, no marks, nothing to be told from (its mean
  over other stories adds zero to itself), every distance standardised over features (n − 1; a
  spread of 0 counts as 1); interpretability is the best of the standardised sum of distances.
- `corrected`: BOS left out, and a subject told from the mean of all pairs of other subjects.

Our reading where the sources are silent: *jointly normalised* takes one minimum and one maximum
over both vectors and all features; means over two stories are over their tokens together; the seed
leaves BOS out; the corrected interpretability is a sum, as the seed's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

SCORES = ("contrastive", "independent", "interpretability")


@dataclass(frozen=True)
class Means:
    """What stories do to features. Story i of pair p has number 2p + i; [S, W] are stories ×
    features, means over tokens without BOS; `marked` is 0 where a story has no marked token."""

    mean: np.ndarray  # [S, W]
    marked: np.ndarray  # [S, W]
    tokens: np.ndarray  # [S]
    marks: np.ndarray  # [S] marked tokens
    bos: np.ndarray  # [W] activations at the BOS, the same before every story
    subject_of: np.ndarray  # [S / 2]

    def subset(self, pairs: np.ndarray) -> Means:
        """The same of some pairs."""
        stories = np.column_stack([2 * pairs, 2 * pairs + 1]).ravel()
        return replace(
            self,
            mean=self.mean[stories],
            marked=self.marked[stories],
            tokens=self.tokens[stories],
            marks=self.marks[stories],
            subject_of=self.subject_of[pairs],
        )

    def unmarked(self) -> Means:
        """The same over unmarked tokens alone, for what is not the subject's own words; 0 where a
        story has no other."""
        n, m = self.tokens[:, None].astype(np.float64), self.marks[:, None]
        mean = (n * self.mean - m * self.marked) / np.maximum(n - m, 1)
        left = np.maximum(self.tokens - self.marks, 1)
        return replace(self, mean=mean, marked=0 * self.marked, tokens=left, marks=0 * self.marks)


@dataclass(frozen=True)
class Distances:
    """Of each pair and feature [P, W], NaN where a pair cannot be scored; `above` says whether the
    subject has more of a feature than what it is told from. `scores` [P, 3] as in SCORES."""

    contrastive: np.ndarray
    independent: np.ndarray
    interpretability: np.ndarray
    above: np.ndarray
    scores: np.ndarray


def score(means: Means, definition: str) -> Distances:
    """Distances and scores of every pair by a definition."""
    one, other = story_means(means, definition)
    inside, outside = subject_means(means, definition)
    if definition == "published":
        far, apart = np.abs(one - other), np.abs(inside - outside)
        parts = standardise(far), standardise(apart), standardise(far + apart)
        best = np.column_stack([part.max(axis=1) for part in parts])
    else:
        far, apart = distance(one, other), distance(inside, outside)
        parts = far, apart, far + apart
        top = far.max(axis=1), apart.max(axis=1)
        best = np.column_stack([*top, top[0] + top[1]])
    return Distances(*parts, above=inside > outside, scores=best)


def story_means(means: Means, definition: str) -> tuple[np.ndarray, np.ndarray]:
    """[P, W] float64 each: V1 and V2, the mean activations of the two stories."""
    mean = means.mean.astype(np.float64)
    if definition == "published":
        n = means.tokens[:, None].astype(np.float64)
        mean = (n * mean + means.bos) / (n + 1)
    return mean[::2], mean[1::2]


def subject_means(means: Means, definition: str) -> tuple[np.ndarray, np.ndarray]:
    """[P, W] float64 each: I1 of the subject and I2 that it is told from; NaN where there is
    nothing to tell it from."""
    if definition == "seed":
        return marked_means(means)
    one, other = story_means(means, definition)
    n = means.tokens.astype(np.float64) + (definition == "published")
    n1, n2 = n[::2, None], n[1::2, None]
    inside = (n1 * one + n2 * other) / (n1 + n2)
    if definition == "published":
        return inside, np.zeros_like(inside)  # the slip
    return inside, means_of_others(inside, means.subject_of)


def means_of_others(inside: np.ndarray, subject_of: np.ndarray) -> np.ndarray:
    """[P, W] the mean of `inside` over the pairs of all other subjects."""
    count = int(subject_of.max(initial=-1)) + 1
    sums = np.zeros((count, inside.shape[1]))
    np.add.at(sums, subject_of, inside)
    left = len(inside) - np.bincount(subject_of, minlength=count)
    with np.errstate(invalid="ignore", divide="ignore"):
        return ((sums.sum(axis=0) - sums) / np.where(left, left, np.nan)[:, None])[subject_of]


def marked_means(means: Means) -> tuple[np.ndarray, np.ndarray]:
    """[P, W] mean over marked and over unmarked tokens of both stories of each pair."""
    n, m = means.tokens[:, None].astype(np.float64), means.marks[:, None].astype(np.float64)
    inside, whole = m * means.marked, n * means.mean
    marked, total = inside[::2] + inside[1::2], whole[::2] + whole[1::2]
    return split_means(marked, total, m[::2] + m[1::2], n[::2] + n[1::2])


def split_means(
    marked: np.ndarray, total: np.ndarray, marks: np.ndarray, tokens: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Means over marked and over unmarked tokens, of sums and counts; NaN where either has none."""
    none = (marks == 0) | (marks == tokens)
    with np.errstate(invalid="ignore", divide="ignore"):
        inside, outside = marked / marks, (total - marked) / (tokens - marks)
    return np.where(none, np.nan, inside), np.where(none, np.nan, outside)


def distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """[..., W] |one − other| once both are normalised by one minimum and maximum; 0 where they
    are constant."""
    low = np.minimum(one, other).min(axis=-1, keepdims=True)
    span = np.maximum(one, other).max(axis=-1, keepdims=True) - low
    return np.abs(one - other) / np.where(span == 0, 1, span)


def standardise(distances: np.ndarray) -> np.ndarray:
    """[P, W] less the mean over features, over their standard deviation."""
    spread = distances.std(axis=1, ddof=1, keepdims=True)
    centred = distances - distances.mean(axis=1, keepdims=True)
    return centred / np.where(spread == 0, 1, spread)
