"""Scores of labels on held-out excerpts, each with n, a 95% interval, chance and failures.

Detection and fuzzing: how well a judge tells a feature's excerpts from others by the label alone
(Paulo et al., arXiv 2410.13928). Embedding: how much nearer the label lies to them. `estimates`
says how each interval is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from backend.labels.contract import Embedder, Evidence
from backend.labels.judges import Verdicts
from backend.labels.tables import ALIKE, DIFFERENCES, SCORE_COLUMNS, SUMMARY, Score
from backend.labels.trials import Trial, trial
from backend.statistics.estimates import Estimate, auroc, balanced_accuracy, gap
from backend.statistics.intervals import mean_interval, smallest_difference

WINDOW = 20  # tokens on either side of the peak that an embedder reads


# ---------------------------------------------------------------- judged scores


def scored(trial: Trial, verdicts: Verdicts, judge: str) -> list[Score]:
    """Balanced accuracy and, where there are probabilities, AUROC of a judge's verdicts."""
    counts = confusion(trial.truth, verdicts)
    n = sum(counts.values())
    plain = Score(
        **_source(trial.evidence),
        scorer=trial.scorer,
        judge=judge,
        n=n,
        **counts,
        failures=len(trial.truth) - n,
        **asdict(balanced_accuracy(**counts)),
        setting=trial.setting,
    )
    ranked = ranking(trial.truth, verdicts)
    if ranked is None:
        return [plain]
    return [plain, replace(plain, scorer=f"{trial.scorer}_auroc", **NO_COUNTS, **asdict(ranked))]


def confusion(truth: Sequence[int], verdicts: Verdicts) -> dict[str, int]:
    """How many answers are true and false positives and negatives; failed ones are neither."""
    pairs = list(zip(truth, verdicts.answers, strict=True))
    kinds = {"tp": (1, 1), "fp": (0, 1), "tn": (0, 0), "fn": (1, 0)}
    return {kind: pairs.count(pair) for kind, pair in kinds.items()}


def ranking(truth: Sequence[int], verdicts: Verdicts) -> Estimate | None:
    """AUROC of the probabilities, where the judge gives them."""
    if verdicts.probabilities is None:
        return None
    likely = list(zip(truth, verdicts.probabilities, strict=True))
    fits, others = ([p for t, p in likely if t == side and p is not None] for side in (1, 0))
    return auroc(fits, others)


NO_COUNTS: dict[str, None] = {"tp": None, "fp": None, "tn": None, "fn": None}


def _source(evidence: Evidence) -> dict[str, Any]:
    """The part of a score that says what it was measured on; the label's method is not known."""
    return {
        "feature": evidence.feature,
        "method": "",
        "split": evidence.split,
        "kind": evidence.kind,
        "seed": evidence.seed,
    }


# ---------------------------------------------------------------- embedding


def embedding(
    label: str, evidence: Evidence, embedder: Embedder, window: int | None = WINDOW
) -> list[Score]:
    """`embedding`: mean cosine of the label with positives less that with negatives, as in the
    post; `embedding_auroc`: how often a positive is nearer than a negative.

    An embedder drops what is beyond its length, perhaps the peak: so excerpts are cut to `window`
    tokens on either side, negatives at places where positives peak. None leaves them whole.
    """
    test = trial("detection", label, evidence, window=window)
    vectors = np.asarray(embedder.embed([label, *test.question.texts]), dtype=np.float64)
    near, true = vectors[1:] @ vectors[0], np.array(test.truth, dtype=bool)
    base = Score(
        **_source(evidence),
        scorer="embedding",
        judge=embedder.name,
        n=len(near),
        **NO_COUNTS,
        failures=0,
        **asdict(gap(near[true], near[~true], evidence.seed)),
        setting=test.setting,
    )
    ranked = auroc(near[true], near[~true])
    return [base, replace(base, scorer="embedding_auroc", **asdict(ranked))]


# ---------------------------------------------------------------- controls


def shuffled(labels: Mapping[int, str], seed: int = 0) -> dict[int, str]:
    """Labels that know nothing of their features, to be scored as the real ones: each feature has
    the label of another, never its own.

    Raises:
        ValueError: fewer than two features.
    """
    if len(labels) < 2:
        raise ValueError("shuffling labels takes two features or more")
    rng = np.random.default_rng(seed)
    cycles = [rng.permutation(sorted(labels)).tolist() for _ in range(20)]

    def moved(cycle: Sequence[int]) -> dict[int, str]:
        return {
            one: labels[other] for one, other in zip(cycle, [*cycle[1:], cycle[0]], strict=True)
        }

    # other features may have the same words: of some shuffles, the one where fewest meet
    best = min(map(moved, cycles), key=lambda new: sum(new[f] == labels[f] for f in labels))
    return {feature: best[feature] for feature in labels}


# ---------------------------------------------------------------- many features

INTERVAL = "95% t, features as units"


def table(scores: Iterable[Score]) -> pl.DataFrame:
    """One row a score, as `tables.SCORE_COLUMNS`."""
    return pl.DataFrame([asdict(score) for score in scores], schema=SCORE_COLUMNS)


def summary(scores: pl.DataFrame) -> pl.DataFrame:
    """One row of `SUMMARY` for each method and scorer of a `table`, and for each judge, kind of
    negatives, split and setting where these differ. A feature scored more than once counts once,
    by its mean."""
    rows = []
    keys = ["method", *ALIKE]
    for values, part in scores.group_by(keys, maintain_order=True):
        means = _by_feature(part)
        ends = mean_interval(list(means.values()))
        unscored = part["feature"].n_unique() - len(means)
        excerpts = part["n"].sum(), part["failures"].sum()
        counts = len(means), unscored, *excerpts
        rows.append((*values, *ends, INTERVAL, *counts, part["chance"][0]))
    return pl.DataFrame(rows, schema=SUMMARY, orient="row").sort(keys)


def differences(scores: pl.DataFrame) -> pl.DataFrame:
    """One row of `DIFFERENCES` for each pair of methods of a `table`, over the features that have
    both scores. Intervals are of single pairs: among many, some will leave out 0 by chance."""
    rows = []
    for values, part in scores.group_by(ALIKE, maintain_order=True):
        groups = sorted(part.group_by("method"))
        methods = {str(name): _by_feature(group) for (name,), group in groups}
        for (one, left), (other, right) in combinations(methods.items(), 2):
            both = [left[feature] - right[feature] for feature in sorted(left.keys() & right)]
            sd = float(np.std(both, ddof=1)) if len(both) > 1 else None
            smallest = None if sd is None else smallest_difference(len(both), sd)
            ends = mean_interval(both)
            rows.append((one, other, *values, *ends, INTERVAL, len(both), sd, smallest))
    return pl.DataFrame(rows, schema=DIFFERENCES, orient="row").sort(["method", "other", *ALIKE])


def _by_feature(scores: pl.DataFrame) -> dict[int, float]:
    """Mean value of each feature that has one."""
    valued = scores.drop_nulls("value").group_by("feature", maintain_order=True)
    return dict(valued.agg(pl.col("value").mean()).iter_rows())
