"""What CE-Bench's scores are worth: intervals, nulls, halves of the subjects, a pair held out, and
how far opposite stories share features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
import scipy  # its parts load when they are used

from backend.evals.ce_bench import DEFINITIONS, definitions, views
from backend.evals.ce_bench.definitions import SCORES, Distances, Means
from backend.statistics.bootstrap import grouped_mean, percentile_interval

SHUFFLES, CELLS = 200, 2_000_000_000  # times that stories or subjects are shuffled; of all cells
TOP = 20  # features of a story that are looked for in another
NEAR = 10  # a rank that counts as found again


def _times(means: Means) -> int:
    return int(np.clip(CELLS // max(1, means.mean.size), 20, SHUFFLES))


# ---------------------------------------------------------------- scores and nulls


def scores(
    means: Means, by_definition: dict[str, Distances], null_scores: np.ndarray, seed: int
) -> pl.DataFrame:
    """`views.SCORES`: every score beside its null."""
    rows = []
    for definition, distances in by_definition.items():
        draws = nulls(means, definition, null_scores, seed)
        for column, score in enumerate(SCORES):
            values = distances.scores[:, column]
            finite = np.isfinite(values)
            ends = grouped_mean(values, means.subject_of, [seed, 4])
            counts = int(finite.sum()), len(np.unique(means.subject_of[finite]))
            rows.append((definition, score, *ends, *_spread(draws[score]), *counts))
    return pl.DataFrame(rows, views.SCORES, orient="row").fill_nan(None)


def _spread(draws: np.ndarray) -> tuple[float, float, float]:
    """Mean and 95% of draws."""
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return np.nan, np.nan, np.nan
    return float(finite.mean()), *percentile_interval(finite)


def nulls(
    means: Means, definition: str, null_scores: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Draws of each score of an SAE where nothing is left of what it is about: second stories
    shuffled between pairs (contrastive); subjects shuffled between pairs (corrected independent) or
    marks put elsewhere (seed). The published independent score has nothing to shuffle."""
    rng, times = np.random.default_rng([seed, 3]), _times(means)
    one, other = definitions.story_means(means, definition)
    orders = [rng.permutation(len(one)) for _ in range(times)]
    if definition == "published":
        draws = [_published(means, one, other, order) for order in orders]
        contrastive, whole = np.array(draws).T
        nothing = np.full(times, np.nan)
        return dict(zip(SCORES, (contrastive, nothing, whole), strict=True))
    contrastive = np.array([definitions.distance(one, other[o]).max(axis=1).mean() for o in orders])
    if definition == "seed":
        finite = null_scores[:, np.isfinite(null_scores).all(axis=0)]
        few = finite.mean(axis=1) if finite.size else np.full(len(null_scores), np.nan)
        independent = np.resize(few, times)
    else:
        inside, _ = definitions.subject_means(means, "corrected")
        others = (definitions.means_of_others(inside, means.subject_of[o]) for o in orders)
        best = [definitions.distance(inside, mean).max(axis=1) for mean in others]
        independent = np.array(best).mean(axis=1)
    return dict(zip(SCORES, (contrastive, independent, contrastive + independent), strict=True))


def _published(
    means: Means, one: np.ndarray, other: np.ndarray, order: np.ndarray
) -> tuple[float, float]:
    """Mean contrastive score and interpretability of pairs with the second stories of others."""
    n1, n2 = means.tokens[::2, None] + 1, means.tokens[1::2, None][order] + 1
    far, inside = np.abs(one - other[order]), (n1 * one + n2 * other[order]) / (n1 + n2)
    parts = far, far + np.abs(inside)
    best = [definitions.standardise(part).max(axis=1).mean() for part in parts]
    return float(best[0]), float(best[1])


# ---------------------------------------------------------------- halves of the subjects


def halves(means: Means, seed: int) -> pl.DataFrame:
    """`HALVES`: each half of the subjects scored alone, told from its own other subjects;
    `agreement`, Spearman's ρ between halves of the mean distance of features that are active in
    either."""
    side = sides(int(means.subject_of.max()) + 1, seed)[means.subject_of]
    parts = [means.subset(np.flatnonzero(side == half)) for half in (0, 1)]
    rows = []
    for definition in DEFINITIONS:
        distances = [definitions.score(part, definition) for part in parts]
        for column, score in enumerate(SCORES):
            agreement = _agreement(distances, parts, score)
            for half, (part, each) in enumerate(zip(parts, distances, strict=True)):
                values = each.scores[:, column]
                finite = values[np.isfinite(values)]
                mean = float(finite.mean()) if len(finite) else np.nan
                counts = len(finite), len(np.unique(part.subject_of))
                rows.append((definition, score, half, mean, agreement, *counts))
    return pl.DataFrame(rows, views.HALVES, orient="row").fill_nan(None)


def sides(subjects: int, seed: int) -> np.ndarray:
    """[subjects] 0 or 1: which half a subject is in."""
    order = np.random.default_rng([seed, 5]).permutation(subjects)
    return (order < subjects // 2).astype(np.int64)


def _agreement(distances: list[Distances], parts: list[Means], score: str) -> float:
    active = np.any([part.mean.any(axis=0) for part in parts], axis=0)
    profile = [over_pairs(getattr(each, score))[active] for each in distances]
    if active.sum() < 3 or any(np.isnan(each).any() or np.ptp(each) == 0 for each in profile):
        return np.nan
    return float(scipy.stats.spearmanr(*profile).statistic)


def over_pairs(distances: np.ndarray) -> np.ndarray:
    """[W] mean over the pairs that can be scored; NaN where there is none."""
    finite = distances[np.isfinite(distances).all(axis=1)]
    return finite.mean(axis=0) if len(finite) else np.full(distances.shape[1], np.nan)


# ---------------------------------------------------------------- a pair held out


def held_out(means: Means, by_definition: dict[str, Distances], seed: int) -> pl.DataFrame:
    """`HELD_OUT`: does a feature read a subject? Of every subject the feature of largest mean
    independent distance is chosen on all but one of its pairs; its rank is taken on the pair left
    out, and on other subjects' pairs, where one that reads the subject should not be near the top.
    """
    rows = []
    for definition, distances in by_definition.items():
        finite = np.asarray(np.isfinite(distances.independent).all(axis=1))
        apart, labels = distances.independent[finite], means.subject_of[finite]
        folds = list(_folds(apart, labels))
        row = {"definition": definition, "chance": NEAR / apart.shape[1], "pairs": len(folds)}
        if folds:
            own = np.array([rank(apart[[pair]], feature)[0] for pair, feature in folds])
            subjects = labels[[pair for pair, _ in folds]]
            value, low, high = grouped_mean((own <= NEAR).astype(float), subjects, [seed, 4])
            row |= {
                "median": float(np.median(own)), "share": value, "low": low, "high": high,
                "subjects": len(np.unique(subjects)),
                **_shuffled_share(means, definition, apart, labels, finite, seed),
            }  # fmt: skip
            if len(np.unique(labels)) > 1:
                others = [rank(apart[labels != labels[pair]], feature) for pair, feature in folds]
                row["other_median"] = float(np.median([np.median(each) for each in others]))
                row["other_share"] = float(np.mean([(each <= NEAR).mean() for each in others]))
        rows.append(row)
    return pl.DataFrame(rows, views.HELD_OUT).fill_nan(None)


def _folds(apart: np.ndarray, labels: np.ndarray) -> Iterator[tuple[int, int]]:
    """Each pair whose subject has another, and the feature chosen on the subject's other pairs."""
    for subject in np.unique(labels):
        pairs = np.flatnonzero(labels == subject)
        if len(pairs) < 2:
            continue
        total = apart[pairs].sum(axis=0)
        for pair in pairs:
            yield int(pair), int((total - apart[pair]).argmax())


def rank(apart: np.ndarray, feature: int) -> np.ndarray:
    """[n] the place of a feature on each of [n, W], from 1; equal distances share their mean."""
    own = apart[:, [feature]]
    return (apart > own).sum(axis=1) + ((apart == own).sum(axis=1) + 1) / 2


def _shuffled_share(
    means: Means,
    definition: str,
    apart: np.ndarray,
    labels: np.ndarray,
    finite: np.ndarray,
    seed: int,
) -> dict[str, float]:
    """The share again, with subjects shuffled between pairs; mean and 97.5%."""
    rng = np.random.default_rng([seed, 6])
    corrected = definition == "corrected"
    inside = definitions.subject_means(means, definition)[0][finite] if corrected else apart
    shares = []
    for _ in range(max(20, _times(means) // 4)):
        random_labels = rng.permutation(labels)
        if corrected:
            apart = definitions.distance(inside, definitions.means_of_others(inside, random_labels))
        folds = _folds(apart, random_labels)
        own = [rank(apart[[pair]], feature)[0] for pair, feature in folds]
        shares.append(np.mean(np.array(own) <= NEAR))
    return {"null": float(np.mean(shares)), "null_high": float(np.quantile(shares, 0.975))}


# ---------------------------------------------------------------- opposites


def overlap(means: Means, seed: int) -> pl.DataFrame:
    """`OVERLAP`: the mean share of the 20 features of largest mean activation that two stories have
    in common: of one pair (opposites), of other pairs of the subject, of other subjects."""
    count = min(TOP, means.mean.shape[1])
    best = np.argpartition(-means.mean, count - 1, axis=1)[:, :count]
    active = np.take_along_axis(means.mean, best, axis=1) > 0
    story, place = np.nonzero(active)
    cells = np.ones(len(story), np.float32), (story, best[story, place])
    table = scipy.sparse.csr_array(cells, shape=means.mean.shape)
    common = (table @ table.T).toarray() / count
    subject, pair = np.repeat(means.subject_of, 2), np.arange(len(common)) // 2
    same = subject[:, None] == subject
    masks = {
        "pair": (pair[:, None] == pair) & ~np.eye(len(pair), dtype=bool),
        "subject": same & (pair[:, None] != pair),
        "others": ~same,
    }
    rows = []
    for name, mask in masks.items():
        with np.errstate(invalid="ignore"):
            each = np.where(mask, common, 0).sum(axis=1) / mask.sum(axis=1)
        subjects = len(np.unique(subject[np.isfinite(each)]))
        rows.append((name, *grouped_mean(each, subject, [seed, 4]), subjects))
    return pl.DataFrame(rows, views.OVERLAP, orient="row").fill_nan(None)
