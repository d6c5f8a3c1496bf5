"""What stands in SAGE's tables: the guess beside the truth, and every dictionary at a place."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from backend.evals.sage import metrics
from backend.evals.sage.tasks import PromptSet
from backend.evals.sage.views import AGREEMENT, CAUSAL, CONTROL
from backend.statistics.bootstrap import mean_of_rows, ratio_of_means, weight_rows
from backend.statistics.correlation import spearman_interval
from backend.statistics.intervals import NOTHING, share_interval
from backend.store.memo import Entry


def agreement_table(patched: pl.DataFrame) -> pl.DataFrame:
    """`AGREEMENT`: Spearman's ρ and equal signs of guess and truth. Fisher's interval, with the
    variance that ranks have. Signs count where the interval of the true effect leaves out 0."""
    rows = []
    for source in ("first", "random", "all"):
        sources = ("first", "random") if source == "all" else (source,)
        part = patched.filter(pl.col("drawn").is_in(sources))
        x, y = (part[name].to_numpy() for name in ("estimate", "effect"))
        sure = (part["low"] * part["high"] > 0).to_numpy()
        same, signed = int((np.sign(x) == np.sign(y))[sure].sum()), int(sure.sum())
        share = share_interval(same, signed)
        rows.append((source, len(part), *spearman_interval(x, y), *share, signed))
    return pl.DataFrame(rows, AGREEMENT, orient="row")


class PlacedRuns:
    """The runs of one place, by what they are."""

    def __init__(self, part: Entry) -> None:
        self.table = part.frame("runs").with_row_index("run")
        self.ld = np.asarray(part.array("ld"), dtype=np.float64)
        self.drawn = weight_rows(self.ld.shape[1])

    def ld_of(self, **kind: str) -> np.ndarray:
        """[n] LD of the one run that is so."""
        return self.ld[self.table.filter(**kind)["run"].item()]


def reconstruction_scores(role: str, kind: str, part: Entry) -> list[tuple[Any, ...]]:
    """Rows of `SCORES` of every reconstruction, without those over mean ablation where that does
    next to nothing."""
    runs, rows = PlacedRuns(part), []
    clean, base = runs.ld_of(what="clean", edit=""), runs.ld_of(what="kept", dictionary="mean")
    ablation_matters = metrics.matters(base, clean, runs.drawn)
    for row in runs.table.filter(pl.col("what") == "kept").iter_rows(named=True):
        name = row["dictionary"]
        rebuilt, removed = (runs.ld_of(what=what, dictionary=name) for what in ("kept", "removed"))
        relative = necessity = NOTHING
        if ablation_matters:
            relative = metrics.share_of_change(rebuilt, base, clean, runs.drawn)
            necessity = metrics.share_of_change(removed, base, clean, runs.drawn, folded=True)
        ratios = {
            "sufficiency": ratio_of_means(rebuilt, clean, runs.drawn),
            "relative": relative,
            "necessity": necessity,
            "explained": (row["explained"], None, None),
        }
        rows += [(role, kind, name, measure, *ends) for measure, ends in ratios.items()]
    return rows


def control_table(kind: str, part: Entry) -> pl.DataFrame:
    """`CONTROL`: every edit. That of no feature is the null: it agrees where the true patch turns
    nothing."""
    runs, rows = PlacedRuns(part), []
    edited = runs.table.filter(pl.col("what").is_in(["edited", "true"]))

    def add(edit: str, ld: np.ndarray | None, *edit_columns: Any) -> None:
        clean, true = (runs.ld_of(what=what, edit=edit) for what in ("clean", "true"))
        ld = clean if ld is None else ld
        ends = metrics.share_of_change(ld, clean, true, runs.drawn)
        rows.append((kind, edit, *edit_columns, *ends, *metrics.agreement(ld, clean, true)))

    for row in edited.iter_rows(named=True):
        add(row["edit"], runs.ld[row["run"]], row["dictionary"] or "true", row["k"], row["size"])
    for edit in edited["edit"].unique(maintain_order=True):
        add(edit, None, "none", 0, 0.0)
    return pl.DataFrame(rows, CONTROL, orient="row")


def causal_table(prompts: PromptSet, part: Entry) -> pl.DataFrame:
    """`CAUSAL`: what taking away a value's best feature does, beside taking away its u."""
    runs, rows = PlacedRuns(part), []
    clean = runs.ld_of(what="clean", edit="")
    for attribute in prompts.attributes:
        if not len(runs.table.filter(what="ablated", attribute=attribute)):
            continue
        sae, means = (
            runs.ld_of(what="ablated", dictionary=name, attribute=attribute) - clean
            for name in ("sae", "means")
        )
        ends = *mean_of_rows(sae, runs.drawn), *mean_of_rows(means, runs.drawn)
        rows.append((attribute, *ends, *ratio_of_means(sae, means, runs.drawn)))
    return pl.DataFrame(rows, CAUSAL, orient="row")
