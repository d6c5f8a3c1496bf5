"""The report on one reader, an SAE or its control, on a set of pairs: from its means alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from backend import run
from backend.evals.ce_bench import DEFINITIONS, checks, definitions
from backend.evals.ce_bench.definitions import SCORES, Distances, Means
from backend.evals.ce_bench.means import means, read_means
from backend.evals.ce_bench.pairs import Stories, read_stories
from backend.evals.ce_bench.views import PAIRS, TOPS
from backend.schema import ModelRef, PairsRef, SaeRef, Site
from backend.store.memo import Entry, memoize

LISTED, SHOWN = 20, 3  # features of a subject in the table, and of each in the heatmap


@memoize("ce_bench.report", version=2)
def report(
    model: ModelRef, site: Site, sae: SaeRef, pairs: PairsRef, reader: str
) -> dict[str, Any]:
    """Tables `scores`, `halves`, `held` (with `unmarked`, the corrected definition over unmarked
    tokens alone) and `overlap` as in `checks`; `pairs` (`PAIRS`) and `tops` (`TOPS`). Of each
    definition `<d>_contrastive` and `<d>_independent` [width] float32, means over pairs, and
    `<d>_heat` [features, subjects] float32 of the features `<d>_shown`. Values `width`, `l0`
    and `bos_l0` (mean active features a token, without and with the BOS).
    """
    entry = means(model, site, sae, pairs, reader)
    story_means, null_scores, seed = read_means(entry), entry.array("moved"), pairs.seed
    by_definition = {}
    for number, definition in enumerate(DEFINITIONS):
        run.report(number, 6, f"Scoring pairs, {definition}", "steps")
        by_definition[definition] = definitions.score(story_means, definition)
    subjects = Stories(read_stories(model, pairs)).subjects
    run.report(3, 6, "Shuffling stories and subjects", "steps")
    scores = checks.scores(story_means, by_definition, null_scores, seed)
    run.report(4, 6, "Holding pairs out", "steps")
    held_out = _held_out(story_means, by_definition, seed)
    run.report(5, 6, "Splitting subjects", "steps")
    return {
        "scores": scores,
        "held": held_out,
        "halves": checks.halves(story_means, seed),
        "overlap": checks.overlap(story_means, seed),
        "pairs": pl.concat(
            _pairs(story_means, definition, distances, subjects)
            for definition, distances in by_definition.items()
        ),
        **_features(story_means, by_definition, subjects),
        **_sparsity(entry),
        "width": story_means.mean.shape[1],
    }


def _held_out(means: Means, by_definition: dict[str, Distances], seed: int) -> pl.DataFrame:
    """`checks.held_out` of all definitions, and of the corrected one over unmarked tokens alone."""
    bare = means.unmarked()
    corrected = {"corrected": definitions.score(bare, "corrected")}
    unmarked = checks.held_out(bare, corrected, seed).with_columns(definition=pl.lit("unmarked"))
    return pl.concat([checks.held_out(means, by_definition, seed), unmarked])


def _features(
    means: Means, by_definition: dict[str, Distances], subjects: list[str]
) -> dict[str, Any]:
    """Mean distances of every feature, the first features of every subject, and their heatmap."""
    result: dict[str, Any] = {}
    tops = []
    for definition, distances in by_definition.items():
        for name in SCORES[:2]:
            mean = checks.over_pairs(getattr(distances, name))
            result[f"{definition}_{name}"] = mean.astype(np.float32)
        by_subject, rows = _subjects(means, definition, distances, subjects)
        features = np.unique(rows.filter(pl.col("rank") <= SHOWN)["feature"].to_numpy())
        result |= {f"{definition}_shown": features, f"{definition}_heat": by_subject.T[features]}
        tops.append(rows)
    return result | {"tops": pl.concat(tops)}


def _sparsity(entry: Entry) -> dict[str, float]:
    """Mean active features a token, without and with the BOS of every story."""
    l0, tokens = entry.array("l0"), entry.array("tokens")
    with_bos = (l0 * tokens + entry.value("bos_l0")) / (tokens + 1)
    return {"l0": float(np.average(l0, weights=tokens)), "bos_l0": float(with_bos.mean())}


def _pairs(
    means: Means, definition: str, distances: Distances, subjects: list[str]
) -> pl.DataFrame:
    best = np.where(np.isfinite(distances.interpretability), distances.interpretability, -np.inf)
    table = {
        "definition": definition,
        "pair": np.arange(len(best)),
        "subject": [subjects[index] for index in means.subject_of],
        **dict(zip(SCORES, distances.scores.T, strict=True)),
        "feature": best.argmax(axis=1),
    }
    return pl.DataFrame(table, PAIRS, nan_to_null=True)


def _subjects(
    means: Means, definition: str, distances: Distances, subjects: list[str]
) -> tuple[np.ndarray, pl.DataFrame]:
    """[subjects, W] mean independent distance over the pairs of each, and the first features
    (`TOPS`)."""
    values = np.full((len(subjects), means.mean.shape[1]), np.nan, np.float32)
    rows = []
    for number, subject in enumerate(subjects):
        pairs = np.flatnonzero(means.subject_of == number)
        values[number] = checks.over_pairs(distances.independent[pairs])
        if np.isnan(values[number]).any():
            continue
        best = np.argsort(-values[number], kind="stable")[:LISTED]
        contrast, above = distances.contrastive[pairs], distances.above[pairs].mean(axis=0)
        for rank, feature in enumerate(best.tolist(), 1):
            distance = float(values[number, feature]), float(contrast[:, feature].mean())
            rows.append((definition, subject, rank, feature, *distance, float(above[feature])))
    return values, pl.DataFrame(rows, TOPS, orient="row")
