"""The report on one reader, an SAE or its control, on a set of pairs: from its means alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from backend import run
from backend.evals.ce_bench import DEFINITIONS, checks, definitions
from backend.evals.ce_bench.definitions import SCORES, Distances, Means
from backend.evals.ce_bench.means import means, read_means
from backend.evals.ce_bench.pairs import Stories, read
from backend.schema import ModelRef, PairsRef, SaeRef, Site
from backend.store.memo import Entry, memoize

LISTED, SHOWN = 20, 3  # features of a subject in the table, and of each in the heatmap


@memoize("ce_bench.report", version=2)
def report(
    model: ModelRef, site: Site, sae: SaeRef, pairs: PairsRef, reader: str
) -> dict[str, Any]:
    """Tables `scores`, `halves`, `held` (with `unmarked`, the corrected definition over unmarked
    tokens alone) and `overlap` as in `checks`; `pairs` (definition, pair,
    subject, the scores, feature: of largest interpretability); `tops` (definition, subject, rank,
    feature, independent, contrastive, above). Of each definition `<d>_contrastive` and
    `<d>_independent` [width] float32, means over pairs, and `<d>_heat` [features, subjects]
    float32 of the features `<d>_shown`. Values `width`, `l0` and `bos_l0` (mean active features a
    token, without and with the BOS).
    """
    entry = means(model, site, sae, pairs, reader)
    story_means, moved, seed = read_means(entry), entry.array("moved"), pairs.seed
    by_definition = {}
    for number, definition in enumerate(DEFINITIONS):
        run.report(number, 6, f"Scoring pairs, {definition}", "steps")
        by_definition[definition] = definitions.score(story_means, definition)
    subjects = Stories(read(model, pairs)).subjects
    run.report(3, 6, "Shuffling stories and subjects", "steps")
    scores = checks.scores(story_means, by_definition, moved, seed)
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
    return pl.concat(
        [checks.held_out(means, by_definition, seed), unmarked], how="vertical_relaxed"
    )


def _features(
    means: Means, by_definition: dict[str, Distances], subjects: list[str]
) -> dict[str, Any]:
    """Mean distances of every feature, the first features of every subject, and their heatmap."""
    result: dict[str, Any] = {}
    tops = []
    for definition, distances in by_definition.items():
        for name in SCORES[:2]:
            result[f"{definition}_{name}"] = _mean(getattr(distances, name))
        by_subject, rows = _subjects(means, definition, distances, subjects)
        shown = np.unique([row["feature"] for row in rows if row["rank"] <= SHOWN]).astype(np.int64)
        result |= {f"{definition}_shown": shown, f"{definition}_heat": by_subject.T[shown]}
        tops += rows
    kinds = {"feature": pl.Int64, "independent": pl.Float64, "contrastive": pl.Float64}
    return result | {"tops": pl.DataFrame(tops, schema_overrides=kinds)}


def _sparsity(entry: Entry) -> dict[str, float]:
    """Mean active features a token, without and with the BOS of every story."""
    l0, tokens = entry.array("l0"), entry.array("tokens")
    with_bos = (l0 * tokens + entry.value("bos_l0")) / (tokens + 1)
    return {"l0": float(np.average(l0, weights=tokens)), "bos_l0": float(with_bos.mean())}


def _mean(distances: np.ndarray) -> np.ndarray:
    return checks.over_pairs(distances).astype(np.float32)


def _pairs(
    means: Means, definition: str, distances: Distances, subjects: list[str]
) -> pl.DataFrame:
    best = np.where(np.isfinite(distances.interpretability), distances.interpretability, -np.inf)
    columns = {name: distances.scores[:, at] for at, name in enumerate(SCORES)}
    return pl.DataFrame(
        {
            "definition": [definition] * len(best),
            "pair": np.arange(len(best)),
            "subject": [subjects[at] for at in means.subject_of],
            **columns,
            "feature": best.argmax(axis=1),
        }
    ).with_columns(pl.col(pl.Float64).fill_nan(None))


def _subjects(
    means: Means, definition: str, distances: Distances, subjects: list[str]
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """[subjects, W] mean independent distance over the pairs of each, and the first features."""
    values = np.full((len(subjects), means.mean.shape[1]), np.nan, np.float32)
    rows = []
    for at, subject in enumerate(subjects):
        pairs = np.flatnonzero(means.subject_of == at)
        values[at] = checks.over_pairs(distances.independent[pairs])
        if np.isnan(values[at]).any():
            continue
        best = np.argsort(-values[at], kind="stable")[:LISTED]
        contrast, above = distances.contrastive[pairs], distances.above[pairs].mean(axis=0)
        rows += [
            {
                "definition": definition, "subject": subject, "rank": rank, "feature": int(feature),
                "independent": float(values[at, feature]),
                "contrastive": float(contrast[:, feature].mean()),
                "above": float(above[feature]),
            }
            for rank, feature in enumerate(best, 1)
        ]  # fmt: skip
    return values, rows
