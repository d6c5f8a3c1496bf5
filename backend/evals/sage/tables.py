"""What stands in SAGE's tables: the guess beside the truth, and every dictionary at a place."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from backend.evals.sage import metrics
from backend.evals.sage.tasks import PromptSet
from backend.statistics.bootstrap import mean_of_rows, ratio_of_means, weight_rows
from backend.statistics.correlation import spearman_interval
from backend.statistics.intervals import NOTHING, wilson
from backend.store.memo import Entry


def agree(patched: pl.DataFrame) -> pl.DataFrame:
    """Spearman's ρ and equal signs of guess and truth: drawn, n, spearman, low, high, same,
    same_low, same_high, signed. Fisher's interval, with the variance that ranks have. Signs count
    where the interval of the true effect leaves out 0: `signed` of n."""
    rows = []
    for drawn in ("first", "random", "all"):
        wanted = ("first", "random") if drawn == "all" else (drawn,)
        part = patched.filter(pl.col("drawn").is_in(wanted))
        x, y = (part[name].to_numpy() for name in ("estimate", "effect"))
        sure = (part["low"] * part["high"] > 0).to_numpy()
        same, signed = int((np.sign(x) == np.sign(y))[sure].sum()), int(sure.sum())
        ends = (float(end) for end in wilson(same, signed)) if signed else (None, None)
        share = same / signed if signed else None
        rows.append((drawn, len(part), *spearman_interval(x, y), share, *ends, signed))
    names = ["drawn", "n", "spearman", "low", "high", "same", "same_low", "same_high", "signed"]
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


class PlacedRuns:
    """The runs of one place, by what they are."""

    def __init__(self, part: Entry) -> None:
        self.table = part.frame("runs").with_row_index("run")
        self.ld = np.asarray(part.array("ld"), dtype=np.float64)
        self.drawn = weight_rows(self.ld.shape[1])

    def ld_of(self, **kind: str) -> np.ndarray:
        """[n] LD of the one run that is so."""
        return self.ld[self.table.filter(**kind)["run"].item()]


TEXT, ENDS = ("kind", "edit", "dictionary"), ("value", "low", "high")
COUNTS = ("same", "of", "turned_same", "turned")
SCORES: Any = dict.fromkeys(("role", "kind", "dictionary", "measure"), pl.String) | dict.fromkeys(
    ENDS, pl.Float64
)
CONTROL: Any = (
    dict.fromkeys(TEXT, pl.String)
    | {"k": pl.Int64}
    | dict.fromkeys(("size", *ENDS), pl.Float64)
    | dict.fromkeys(COUNTS, pl.Int64)
)


def scores(role: str, kind: str, part: Entry) -> list[tuple[Any, ...]]:
    """role, kind, dictionary, measure, value, low, high of every reconstruction. Where mean
    ablation does next to nothing, nothing is said of what it takes away."""
    runs, rows = PlacedRuns(part), []
    clean, base = runs.ld_of(what="clean", edit=""), runs.ld_of(what="kept", dictionary="mean")
    taken, nothing = metrics.matters(base, clean, runs.drawn), NOTHING
    for row in runs.table.filter(pl.col("what") == "kept").iter_rows(named=True):
        name = row["dictionary"]
        kept, removed = (runs.ld_of(what=what, dictionary=name) for what in ("kept", "removed"))
        measured = {
            "sufficiency": metrics.sufficiency(kept, clean, runs.drawn),
            "relative": metrics.relative(kept, clean, base, runs.drawn) if taken else nothing,
            "necessity": metrics.necessity(removed, clean, base, runs.drawn) if taken else nothing,
            "explained": (row["explained"], None, None),
        }
        rows += [(role, kind, name, measure, *ends) for measure, ends in measured.items()]
    return rows


def controls(kind: str, part: Entry) -> pl.DataFrame:
    """Every edit: kind, edit, dictionary, k, size, value, low, high, same, of, turned_same,
    turned. The edit of no feature is the null: it agrees wherever the true patch turns nothing."""
    runs, rows = PlacedRuns(part), []
    for row in runs.table.filter(pl.col("what").is_in(["edited", "true"])).iter_rows(named=True):
        clean, true = (runs.ld_of(what=what, edit=row["edit"]) for what in ("clean", "true"))
        edited = runs.ld[row["run"]]
        ends = metrics.control(edited, clean, true, runs.drawn)
        counted = metrics.agreement(edited, clean, true)
        name = row["dictionary"] or "true"
        rows.append((kind, row["edit"], name, row["k"], row["size"], *ends, *counted))
    for edit in dict.fromkeys(row[1] for row in rows):
        clean, true = (runs.ld_of(what=what, edit=edit) for what in ("clean", "true"))
        ends = metrics.control(clean, clean, true, runs.drawn)
        counted = metrics.agreement(clean, clean, true)
        rows.append((kind, edit, "none", 0, 0.0, *ends, *counted))
    return pl.DataFrame(rows, schema=CONTROL, orient="row")


def causes(prompts: PromptSet, part: Entry) -> pl.DataFrame:
    """What taking away a value's best feature does, beside taking away its u: attribute, sae, means
    and share with their ends."""
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
    names = ["sae", "means", "share"]
    names = [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    return pl.DataFrame(rows, ["attribute", *names], orient="row", infer_schema_length=None)
