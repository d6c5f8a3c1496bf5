"""What a dictionary is worth, from logit differences of patched runs and from which features fire.

With LD the logit difference of a prompt, means over prompts throughout:

- sufficiency = LD(reconstruction in place) / LD(clean), and, over mean ablation,
  (LD(reconstruction) − LD(mean)) / (LD(clean) − LD(mean));
- necessity = 1 − |LD(removed) − LD(mean)| / |LD(clean) − LD(mean)|, where *removed* is the
  activation less the reconstruction, plus the mean;
- control = (LD(edited) − LD(clean)) / (LD(true patch) − LD(clean)).

Intervals: 95%, bootstrap over prompts. Where the interval of a denominator holds 0 nothing can be
said, and the value is None.
"""

from __future__ import annotations

import numpy as np

from backend.statistics.agreement import f1_scores
from backend.statistics.bootstrap import mean_of_rows, ratio_of_means
from backend.statistics.intervals import Ends

UNION = 8  # features in a union
SHUFFLES = 20
NEGLIGIBLE = 0.05  # of LD


def share_of_change(
    ld: np.ndarray, begin: np.ndarray, end: np.ndarray, weights: np.ndarray, folded: bool = False
) -> Ends:
    """How much of the way from LD `begin` to LD `end` is gone at `ld`, [n] each. From mean ablation
    to clean: relative sufficiency and, `folded`, necessity; from clean to the true patch:
    control."""
    return ratio_of_means(ld - begin, end - begin, weights, folded)


def matters(true: np.ndarray, clean: np.ndarray, weights: np.ndarray) -> bool:
    """Whether the true patch does something to LD: its interval leaves out 0, and it is no less
    than `NEGLIGIBLE` of the clean LD."""
    change, low, high = mean_of_rows(true - clean, weights)
    return low * high > 0 and abs(change) >= NEGLIGIBLE * float(np.abs(clean).mean())


def agreement(edited: np.ndarray, clean: np.ndarray, true: np.ndarray) -> tuple[int, int, int, int]:
    """Prompts with the answer of the true patch, of all; and of those alone whose answer the true
    patch changes, (same, of, turned, of)."""
    same = (edited > 0) == (true > 0)
    is_turned = (clean > 0) != (true > 0)
    return int(same.sum()), len(same), int((same & is_turned).sum()), int(is_turned.sum())


# ---------------------------------------------------------------- which features read what


def table(active: np.ndarray, codes: np.ndarray, size: int) -> np.ndarray:
    """[values, features] F1 of `active` [n, features] for each value of `codes` [n]."""
    hot = np.eye(size, dtype=np.float32)[codes]
    return f1_scores(
        hot.T @ active.astype(np.float32), active.sum(axis=0)[None], hot.sum(axis=0)[:, None]
    )


def union(active: np.ndarray, truth: np.ndarray, most: int = UNION) -> list[int]:
    """Features, at most so many, whose union has the best F1 for `truth` [n] bool; greedy: the one
    next that raises it most, none that does not."""
    features: list[int] = []
    covered, best = np.zeros(len(truth), dtype=bool), 0.0
    while len(features) < most:
        joined = active | covered[:, None]
        scores = f1_scores((joined & truth[:, None]).sum(axis=0), joined.sum(axis=0), truth.sum())
        feature = int(scores.argmax())
        if scores[feature] <= best:
            break
        features.append(feature)
        covered, best = joined[:, feature], float(scores[feature])
    return features


def best_value_union(
    active: np.ndarray, codes: np.ndarray, size: int
) -> tuple[int, list[int], float]:
    """The feature that reads a union of values best: feature, values, F1. A feature's values are
    taken in the order of how often it fires on them; best is what is most above always saying yes,
    which for nearly all values has an F1 near 1."""
    hot = np.eye(size, dtype=np.float32)[codes]
    hits, has = hot.T @ active.astype(np.float32), hot.sum(axis=0)
    share = hits / np.maximum(has, 1)[:, None]
    order = np.argsort(-share, axis=0, kind="stable")
    true_positives = np.take_along_axis(hits, order, axis=0).cumsum(axis=0)
    positives = has[order].cumsum(axis=0)
    scores = f1_scores(true_positives, active.sum(axis=0)[None], positives)
    gain = (scores - 2 * positives / (len(codes) + positives))[: max(1, size - 1)]
    count, feature = np.unravel_index(int(gain.argmax()), gain.shape)
    return int(feature), order[: count + 1, feature].tolist(), float(scores[count, feature])


def shuffled_f1(
    train: np.ndarray, codes: np.ndarray, test: np.ndarray, truth: np.ndarray, size: int, seed: int
) -> np.ndarray:
    """[values] mean F1 on test of the features chosen on train with shuffled values."""
    rng, sums = np.random.default_rng(seed), np.zeros(size)
    on_test = table(test, truth, size)
    for _ in range(SHUFFLES):
        best = table(train, rng.permutation(codes), size).argmax(axis=1)
        sums += on_test[np.arange(size), best]
    return sums / SHUFFLES
