"""Hard membership of texts in regions: three rules, and how well each tells a concept's texts from
others.

A text is in a region by the rule *ball* where a token is within θ of the exemplar, by *owner* where
a token has no nearer exemplar, by *both* where one token is and has. Arrays `inside` [texts, K] are
bool, dense or sparse; `positive` and `negative` are rows of texts. The best of K regions
is best by chance too: choose on training texts, read the rates on others.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import polars as pl
import scipy  # its parts load when they are used

from backend.concepts.views import RATE_ENDS
from backend.statistics.intervals import Z, wilson

Inside: TypeAlias = "np.ndarray | scipy.sparse.csr_array"
RATES = pl.Schema(
    dict.fromkeys(("region", "tp", "fn", "fp", "tn"), pl.Int32)
    | dict.fromkeys(RATE_ENDS, pl.Float64)
)


# ---------------------------------------------------------------- rules


def ball_membership(similarity: np.ndarray, theta: float) -> np.ndarray:
    """[texts, K] bool: some token is within θ. `similarity` [texts, K] is the highest of any."""
    return similarity >= 1 - theta


def owner_membership(
    owner: np.ndarray, distance: np.ndarray, theta: float, offsets: np.ndarray, regions: int
) -> tuple[scipy.sparse.csr_array, scipy.sparse.csr_array]:
    """Two [texts, regions] bool: some token has this owner; and is within θ of it, too. `owner` and
    `distance` [N] are of tokens, those of text i from `offsets[i]`; a negative owner is none."""
    texts = len(offsets) - 1
    text = np.repeat(np.arange(texts), np.diff(offsets))

    def marked(tokens: np.ndarray) -> scipy.sparse.csr_array:
        pairs = np.unique(text[tokens] * regions + owner[tokens])
        row, column = np.divmod(pairs, regions)
        ones = np.ones(len(pairs), dtype=bool)
        return scipy.sparse.csr_array((ones, (row, column)), shape=(texts, regions))

    return marked(owner >= 0), marked((owner >= 0) & (distance <= theta))


# ---------------------------------------------------------------- how well they tell texts apart


def rates(inside: Inside, positive: np.ndarray, negative: np.ndarray) -> pl.DataFrame:
    """`RATES`, a row a region. Intervals: Wilson's; of J from those of TPR and TNR, squared and
    added, as `statistics.estimates.balanced_accuracy` does."""
    tp, fp = (_counts(inside, texts) for texts in (positive, negative))
    sizes = np.array([[len(positive)], [len(negative)]])
    right = np.stack([tp, sizes[1] - fp])
    mask = np.where(sizes > 0, 1.0, np.nan)  # no share of a class without texts
    low, high = (end * mask for end in wilson(right, sizes, Z))
    shares = right / np.maximum(sizes, 1) * mask
    j = shares.sum(axis=0) - 1
    below, above = (np.linalg.norm(shares - end, axis=0) for end in (low, high))
    counts = (tp, sizes[0] - tp, fp, right[1])
    ends = [end for pair in zip(shares, low, high, strict=True) for end in pair]
    j_ends = (j, np.maximum(j - below, -1), np.minimum(j + above, 1))
    columns = dict(zip(RATES, (np.arange(len(tp)), *counts, *ends, *j_ends), strict=True))
    return pl.DataFrame(columns, RATES, nan_to_null=True)


def tied_regions(table: pl.DataFrame) -> np.ndarray:
    """The regions of highest J in `RATES`, of equals those with most true positives, in order;
    empty where a class has no text."""
    tp, fn, fp, tn = (table[name].to_numpy().astype(np.int64) for name in ("tp", "fn", "fp", "tn"))
    if not len(tp) or not tp[0] + fn[0] or not fp[0] + tn[0]:
        return np.empty(0, np.int64)
    score = tp * (fp + tn) - fp * (tp + fn)  # J in whole numbers
    best = _first(score, tp)
    is_tied = (score == score[best]) & (tp == tp[best])
    return table["region"].to_numpy()[is_tied].astype(np.int64)


def greedy_union(
    inside: Inside, positive: np.ndarray, negative: np.ndarray, most: int = 10
) -> list[int]:
    """Regions in the order of a greedy search: each the one that raises J of all together most
    (of equals the first of `tied_regions`), until none does. Empty where none beats no region."""
    parts = (positive, negative)
    regions: list[int] = []
    best = 0
    while len(regions) < min(most, inside.shape[1]):
        covered = in_any_region(inside, regions)[:, 0]
        tp, fp = (covered[part].sum() + _counts(inside, part[~covered[part]]) for part in parts)
        score = tp * len(parts[1]) - fp * len(parts[0])  # J in whole numbers: ties are exact
        region = _first(score, tp)
        if score[region] <= best:
            break
        regions.append(region)
        best = score[region]
    return regions


def in_any_region(inside: Inside, regions: list[int]) -> np.ndarray:
    """[texts, 1] bool: inside one of these regions; `rates` takes it as a single region."""
    part = inside[:, np.asarray(regions, dtype=np.int64)]
    dense = part if isinstance(part, np.ndarray) else part.toarray()
    return np.asarray(dense.any(axis=1, keepdims=True))


def _counts(inside: Inside, rows: np.ndarray) -> np.ndarray:
    """[K] how many of the texts are in each region."""
    part = inside[rows]
    if isinstance(part, np.ndarray):
        return np.count_nonzero(part, axis=0)
    return np.bincount(part.indices[part.data], minlength=part.shape[1])


def _first(score: np.ndarray, tp: np.ndarray) -> int:
    return int(np.lexsort((-tp, -score))[0])
