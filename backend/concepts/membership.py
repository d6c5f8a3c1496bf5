"""Hard membership of texts in regions: three rules, and how well each tells a concept's texts from
others.

A text is in a region by the rule *ball* where a token is within θ of the exemplar, by *owner* where
a token has no nearer exemplar, by *both* where one token is and has. Arrays `inside` [texts, K] are
bool, dense or sparse; `positive` and `negative` are masks or rows of texts. The best of K regions
is best by chance too: choose on training texts, read the rates on others.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import scipy  # its parts load when they are used
from numpy.typing import ArrayLike

from backend.schema import conform
from backend.statistics.intervals import Z, wilson

# null where a class has no text, and so for its interval; J = TPR + TNR − 1
RATES = pl.Schema(
    {
        "region": pl.Int32,
        **dict.fromkeys(["tp", "fn", "fp", "tn"], pl.Int32),
        **{
            f"{name}{end}": pl.Float64
            for name in ("tpr", "tnr", "j")
            for end in ("", "_low", "_high")
        },
    }
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


def rates(
    inside: np.ndarray | scipy.sparse.csr_array, positive: ArrayLike, negative: ArrayLike
) -> pl.DataFrame:
    """`RATES`, a row a region. Intervals: Wilson's; of J from those of TPR and TNR, squared and
    added, as `statistics.estimates.balanced_accuracy` does."""
    rows = [_rows(positive), _rows(negative)]
    tp, fp = (_counts(inside, part) for part in rows)
    sizes = np.array([[len(part)] for part in rows])
    right = np.stack([tp, sizes[1] - fp])
    known = np.where(sizes > 0, 1.0, np.nan)  # no share of a class without texts
    low, high = (end * known for end in wilson(right, sizes, Z))
    shares = right / np.maximum(sizes, 1) * known
    j = shares.sum(axis=0) - 1
    below, above = (np.linalg.norm(shares - end, axis=0) for end in (low, high))
    columns = {
        "region": np.arange(len(tp)),
        **{"tp": tp, "fn": sizes[0] - tp, "fp": fp, "tn": right[1]},
        **{"tpr": shares[0], "tpr_low": low[0], "tpr_high": high[0]},
        **{"tnr": shares[1], "tnr_low": low[1], "tnr_high": high[1]},
        **{"j": j, "j_low": np.maximum(j - below, -1), "j_high": np.minimum(j + above, 1)},
    }
    return with_nulls(columns, RATES)


def best_region(table: pl.DataFrame) -> int | None:
    """The region of highest J in `RATES`; of equals that of more true positives, then the lower
    number. None where a class has no text."""
    alike = tied_regions(table)
    return int(alike[0]) if len(alike) else None


def tied_regions(table: pl.DataFrame) -> np.ndarray:
    """The regions that are alike in both, in order; empty where a class has no text."""
    tp, fn, fp, tn = (table[name].to_numpy().astype(np.int64) for name in ("tp", "fn", "fp", "tn"))
    if not len(tp) or not tp[0] + fn[0] or not fp[0] + tn[0]:
        return np.empty(0, np.int64)
    score = tp * (fp + tn) - fp * (tp + fn)  # J in whole numbers
    best = _first(score, tp)
    alike = (score == score[best]) & (tp == tp[best])
    return table["region"].to_numpy()[alike].astype(np.int64)


def greedy_union(
    inside: np.ndarray | scipy.sparse.csr_array,
    positive: ArrayLike,
    negative: ArrayLike,
    most: int = 10,
) -> list[int]:
    """Regions in the order of a greedy search: each the one that raises J of all together most
    (ties as in `best_region`), until none does. Empty where none beats no region at all."""
    parts = (_rows(positive), _rows(negative))
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


def in_any_region(inside: np.ndarray | scipy.sparse.csr_array, regions: list[int]) -> np.ndarray:
    """[texts, 1] bool: inside one of these regions; `rates` takes it as a single region."""
    part = inside[:, np.asarray(regions, dtype=np.int64)]
    dense = part if isinstance(part, np.ndarray) else part.toarray()
    return np.asarray(dense.any(axis=1, keepdims=True))


def _rows(texts: ArrayLike) -> np.ndarray:
    array = np.asarray(texts)
    return np.flatnonzero(array) if array.dtype == bool else array.astype(np.int64)


def _counts(inside: np.ndarray | scipy.sparse.csr_array, rows: np.ndarray) -> np.ndarray:
    """[K] how many of the texts are in each region."""
    part = inside[rows]
    if isinstance(part, np.ndarray):
        return np.count_nonzero(part, axis=0)
    return np.bincount(part.indices[part.data], minlength=part.shape[1])


def _first(score: np.ndarray, tp: np.ndarray) -> int:
    return int(np.lexsort((-tp, -score))[0])


def with_nulls(columns: dict[str, np.ndarray], schema: pl.Schema) -> pl.DataFrame:
    """A table of the schema's types; null where a number is NaN."""
    frame = pl.DataFrame(columns).cast(dict(schema))  # type: ignore[arg-type]
    return conform(frame.with_columns(pl.col(pl.Float64).fill_nan(None)), schema)
