"""Scores of labels on held-out excerpts, each with n, a 95% interval, chance and failures.

Detection and fuzzing: how well a judge tells a feature's excerpts from others by the label alone
(Paulo et al., arXiv 2410.13928). Embedding: how much nearer the label lies to them. `estimates`
says how each interval is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl

from backend.labels.contract import Embedder, Evidence
from backend.labels.judges import Verdicts
from backend.labels.trials import Trial, trial
from backend.statistics.estimates import auroc, balanced_accuracy, gap
from backend.statistics.intervals import mean_interval, smallest_difference

WINDOW = 20  # tokens on either side of the peak that an embedder reads


@dataclass(frozen=True)
class Score:
    """One label of one feature by one scorer. Failed excerpts are counted and left out of all
    else; `value` is None where a class has no other excerpt, and the interval then rules out
    nothing."""

    feature: int
    method: str  # the explainer whose label it is
    scorer: str
    judge: str  # or embedder
    n: int  # excerpts that the value stands on: not the failures
    tp: int | None  # None where the scorer makes no verdicts
    fp: int | None
    tn: int | None
    fn: int | None
    failures: int
    value: float | None
    low: float
    high: float
    chance: float
    interval: str  # how low and high were made
    split: str
    kind: str  # of negatives
    setting: str  # marks and window
    seed: int  # of the evidence and of all draws


COLUMNS = {"int": pl.Int64(), "float": pl.Float64(), "str": pl.String()}
SCORES = pl.Schema(
    {each.name: COLUMNS[str(each.type).removesuffix(" | None")] for each in fields(Score)}
)


# ---------------------------------------------------------------- judged scores


def scored(trial: Trial, verdicts: Verdicts, judge: str) -> list[Score]:
    """Balanced accuracy and, where there are probabilities, AUROC of a judge's verdicts."""
    pairs = list(zip(trial.truth, verdicts.answers, strict=True))
    counts = {
        name: pairs.count(pair)
        for name, pair in {"tp": (1, 1), "fp": (0, 1), "tn": (0, 0), "fn": (1, 0)}.items()
    }
    n = sum(counts.values())
    estimate = balanced_accuracy(**counts)
    plain = Score(
        **_source(trial.evidence),
        method=trial.method,
        scorer=trial.scorer,
        judge=judge,
        n=n,
        **counts,
        failures=len(pairs) - n,
        **asdict(estimate),
        setting=trial.setting,
    )
    if verdicts.probabilities is None:
        return [plain]
    known = [
        (true, likely)
        for true, likely in zip(trial.truth, verdicts.probabilities, strict=True)
        if likely is not None
    ]
    ranked = auroc([p for true, p in known if true], [p for true, p in known if not true])
    return [plain, replace(plain, scorer=f"{trial.scorer}_auroc", **NO_COUNTS, **asdict(ranked))]


NO_COUNTS: dict[str, None] = {"tp": None, "fp": None, "tn": None, "fn": None}


def _source(evidence: Evidence) -> dict[str, Any]:
    """The part of a score that says what it was measured on."""
    return {
        "feature": evidence.feature,
        "split": evidence.split,
        "kind": evidence.kind,
        "seed": evidence.seed,
    }


# ---------------------------------------------------------------- embedding


def embedding(
    label: str, evidence: Evidence, embedder: Embedder, method: str, window: int | None = WINDOW
) -> list[Score]:
    """`embedding`: mean cosine of the label with positives less that with negatives, as in the
    post; `embedding_auroc`: how often a positive is nearer than a negative.

    An embedder drops what is beyond its length, perhaps the peak: so excerpts are cut to `window`
    tokens on either side, negatives at places where positives peak. None leaves them whole.
    """
    test = trial("detection", label, evidence, method, window=window)
    vectors = np.asarray(embedder.embed([label, *test.question.texts]), dtype=np.float64)
    near, true = vectors[1:] @ vectors[0], np.array(test.truth, dtype=bool)
    base = Score(
        **_source(evidence),
        method=method,
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


def controls(labels: Mapping[int, str], seed: int = 0) -> dict[str, dict[int, str]]:
    """Labels that know nothing of their features, to be scored as the real ones: `shuffled`, each
    feature with the label of another, never its own; `empty`, no label.

    Raises:
        ValueError: fewer than two features.
    """
    if len(labels) < 2:
        raise ValueError("shuffling labels takes two features or more")
    rng = np.random.default_rng(seed)
    cycles = [rng.permutation(sorted(labels)).tolist() for _ in range(20)]

    def shuffled(cycle: Sequence[int]) -> dict[int, str]:
        return {
            one: labels[other] for one, other in zip(cycle, [*cycle[1:], cycle[0]], strict=True)
        }

    # other features may have the same words: of some shuffles, the one where fewest meet
    best = min(map(shuffled, cycles), key=lambda given: sum(given[f] == labels[f] for f in labels))
    return {"shuffled": {f: best[f] for f in labels}, "empty": dict.fromkeys(labels, "")}


# ---------------------------------------------------------------- many features

# what must agree for scores to be of one kind
ALIKE = ("scorer", "judge", "kind", "split", "setting")
SUMMARY = pl.Schema(
    {
        "method": pl.String,
        **dict.fromkeys(ALIKE, pl.String),
        "mean": pl.Float64,
        "low": pl.Float64,  # null of a single feature
        "high": pl.Float64,
        "interval": pl.String,
        "features": pl.Int64,  # that the mean stands on
        "unscored": pl.Int64,  # features without a value: too many failures
        "n": pl.Int64,  # excerpts
        "failures": pl.Int64,  # excerpts
        "chance": pl.Float64,
    }
)
DIFFERENCES = pl.Schema(
    {
        "method": pl.String,
        "other": pl.String,
        **dict.fromkeys(ALIKE, pl.String),
        "difference": pl.Float64,  # method less other
        "low": pl.Float64,
        "high": pl.Float64,
        "interval": pl.String,
        "features": pl.Int64,  # scored with both
        "sd": pl.Float64,  # of the differences
        "smallest": pl.Float64,  # true difference that so many features would show, at power 0.8
    }
)
INTERVAL = "95% t, features as units"


def table(scores: Iterable[Score]) -> pl.DataFrame:
    """One row a score, as `SCORES`."""
    return pl.DataFrame([asdict(score) for score in scores], schema=SCORES)


def summary(scores: Iterable[Score]) -> pl.DataFrame:
    """One row of `SUMMARY` for each method and scorer, and for each judge, kind of negatives, split
    and setting where these differ. A feature scored more than once counts once, by its mean."""
    rows = []
    keys = ["method", *ALIKE]
    for values, part in table(scores).group_by(keys, maintain_order=True):
        means = _by_feature(part)
        mean, low, high = mean_interval(list(means.values()))
        rows.append(
            {
                **dict(zip(keys, values, strict=True)),
                "mean": mean,
                "low": low,
                "high": high,
                "interval": INTERVAL,
                "features": len(means),
                "unscored": part["feature"].n_unique() - len(means),
                "n": part["n"].sum(),
                "failures": part["failures"].sum(),
                "chance": part["chance"][0],
            }
        )
    return pl.DataFrame(rows, schema=SUMMARY).sort(keys)


def differences(scores: Iterable[Score]) -> pl.DataFrame:
    """One row of `DIFFERENCES` for each pair of methods, over the features that have both scores.
    Intervals are of single pairs: among many pairs, some will leave out 0 by chance."""
    rows = []
    for values, part in table(scores).group_by(ALIKE, maintain_order=True):
        methods = {str(name): _by_feature(of) for (name,), of in sorted(part.group_by("method"))}
        for (one, left), (other, right) in combinations(methods.items(), 2):
            both = [left[feature] - right[feature] for feature in sorted(left.keys() & right)]
            names = {"method": one, "other": other, **dict(zip(ALIKE, values, strict=True))}
            rows.append({**names, **_paired(both)})
    return pl.DataFrame(rows, schema=DIFFERENCES).sort(["method", "other", *ALIKE])


def _paired(both: Sequence[float]) -> dict[str, Any]:
    mean, low, high = mean_interval(both)
    sd = float(np.std(both, ddof=1)) if len(both) > 1 else None
    smallest = None if sd is None else smallest_difference(len(both), sd)
    return {
        "difference": mean,
        "low": low,
        "high": high,
        "interval": INTERVAL,
        "features": len(both),
        "sd": sd,
        "smallest": smallest,
    }


def _by_feature(scores: pl.DataFrame) -> dict[int, float]:
    """Mean value of each feature that has one."""
    valued = scores.drop_nulls("value").group_by("feature", maintain_order=True)
    return dict(valued.agg(pl.col("value").mean()).iter_rows())
