"""What is said of one reader, an SAE or its control, on a set of pairs, from its means alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from backend import run
from backend.evals.ce_bench import DEFINITIONS, checks, definitions
from backend.evals.ce_bench.definitions import SCORES, Distances, Means
from backend.evals.ce_bench.means import means, of
from backend.evals.ce_bench.pairs import Stories, read
from backend.schema import ModelRef, PairsRef, SaeRef, Site
from backend.store.memo import memoize

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
    given, moved, seed = of(entry), entry.array("moved"), pairs.seed
    found = {}
    for at, definition in enumerate(DEFINITIONS):
        run.report(at, 6, f"Scoring pairs, {definition}", "steps")
        found[definition] = definitions.score(given, definition)
    subjects = Stories(read(model, pairs)).subjects
    run.report(3, 6, "Shuffling stories and subjects", "steps")
    made: dict[str, Any] = {"scores": checks.scores(given, found, moved, seed)}
    run.report(4, 6, "Holding pairs out", "steps")
    bare = given.unmarked()
    without = {"corrected": definitions.score(bare, "corrected")}
    words_out = checks.held_out(bare, without, seed).with_columns(definition=pl.lit("unmarked"))
    made["held"] = pl.concat(
        [checks.held_out(given, found, seed), words_out], how="vertical_relaxed"
    )
    run.report(5, 6, "Splitting subjects", "steps")
    made |= {"halves": checks.halves(given, seed), "overlap": checks.overlap(given, seed)}
    made["pairs"] = pl.concat(_pairs(given, *each, subjects) for each in found.items())
    tops = []
    for definition, distances in found.items():
        for name in SCORES[:2]:
            made[f"{definition}_{name}"] = _mean(getattr(distances, name))
        by_subject, rows = _subjects(given, definition, distances, subjects)
        shown = np.unique([row["feature"] for row in rows if row["rank"] <= SHOWN]).astype(np.int64)
        made |= {f"{definition}_shown": shown, f"{definition}_heat": by_subject.T[shown]}
        tops += rows
    l0, tokens = entry.array("l0"), given.tokens
    within = (l0 * tokens + entry.value("bos_l0")) / (tokens + 1)
    means_of = {"l0": float(np.average(l0, weights=tokens)), "bos_l0": float(within.mean())}
    kinds = {"feature": pl.Int64, "independent": pl.Float64, "contrastive": pl.Float64}
    return (
        made
        | {"tops": pl.DataFrame(tops, schema_overrides=kinds), "width": given.mean.shape[1]}
        | means_of
    )


def _mean(distances: np.ndarray) -> np.ndarray:
    return checks.over_pairs(distances).astype(np.float32)


def _pairs(given: Means, definition: str, found: Distances, subjects: list[str]) -> pl.DataFrame:
    best = np.where(np.isfinite(found.interpretability), found.interpretability, -np.inf)
    columns = {name: found.scores[:, at] for at, name in enumerate(SCORES)}
    return pl.DataFrame(
        {
            "definition": [definition] * len(best),
            "pair": np.arange(len(best)),
            "subject": [subjects[at] for at in given.subject_of],
            **columns,
            "feature": best.argmax(axis=1),
        }
    ).with_columns(pl.col(pl.Float64).fill_nan(None))


def _subjects(
    given: Means, definition: str, found: Distances, subjects: list[str]
) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """[subjects, W] mean independent distance over the pairs of each, and the first features."""
    values = np.full((len(subjects), given.mean.shape[1]), np.nan, np.float32)
    rows = []
    for at, subject in enumerate(subjects):
        pairs = np.flatnonzero(given.subject_of == at)
        values[at] = checks.over_pairs(found.independent[pairs])
        if np.isnan(values[at]).any():
            continue
        best = np.argsort(-values[at], kind="stable")[:LISTED]
        contrast, above = found.contrastive[pairs], found.above[pairs].mean(axis=0)
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
