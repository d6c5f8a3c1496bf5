"""CE-Bench over several SAEs: those that a study lists, or those of the registry that match."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import polars as pl
import scipy  # its parts load when they are used

from backend import run
from backend.evals.ce_bench import pairs as stories
from backend.evals.ce_bench import report
from backend.evals.ce_bench.means import READERS
from backend.models import sae as sae_models
from backend.query import key_of, lookup, query
from backend.schema import ModelError, ModelRef, PairsRef, SaeRef, Site, Study, TesseraError
from backend.store import queue
from backend.store.memo import Entry

PlacedSae = tuple[Site, SaeRef]
Reports = dict[str, Entry]  # by reader

# ---------------------------------------------------------------- reports


def own_sae(study: Study) -> PlacedSae:
    """Raises ModelError where the study has no SAE."""
    if study.sae is None:
        raise ModelError(f"The study {study.name} has no SAE.", "Name one under [sae].")
    return study.site, study.sae


def reports(model: ModelRef, ref: PairsRef, placed: PlacedSae) -> Reports:
    """The reports of an SAE and of the control beside it."""
    return {reader: report.report(model, *placed, ref, reader) for reader in READERS}


def find_reports(model: ModelRef, ref: PairsRef, placed: PlacedSae) -> Reports | None:
    """The same where both are computed already."""
    entries = {reader: report.report.find(model, *placed, ref, reader) for reader in READERS}
    return None if None in entries.values() else entries  # type: ignore[return-value]


# ---------------------------------------------------------------- several SAEs in one table


def sweep_table(by_sae: Mapping[PlacedSae, Reports]) -> pl.DataFrame:
    """source, layer, width, l0, reader, definition, score, value, low, high, null, half_0, half_1
    of each SAE and of its control; no columns where there is none."""
    parts = [
        _sweep_rows(placed, reader, entry)
        for placed, entries in by_sae.items()
        for reader, entry in entries.items()
    ]
    return pl.concat(parts, how="vertical_relaxed") if parts else pl.DataFrame()


def _sweep_rows(placed: PlacedSae, reader: str, entry: Entry) -> pl.DataFrame:
    site, sae = placed
    halves = entry.frame("halves").pivot("half", index=("definition", "score"), values="value")
    return (
        entry.frame("scores")
        .join(halves, on=("definition", "score"))
        .select(
            pl.lit(sae.source).alias("source"),
            pl.lit(site.layer).alias("layer"),
            pl.lit(entry.value("width")).alias("width"),
            pl.lit(entry.value("l0")).alias("l0"),
            pl.lit(reader).alias("reader"),
            "definition", "score", "value", "low", "high", "null",
            half_0="0", half_1="1",
        )
    )  # fmt: skip


def rankings(sweep: pl.DataFrame) -> pl.DataFrame:
    """definition, score, rho, saes: Spearman's ρ of SAEs ranked on either half of the subjects;
    empty below four SAEs."""
    rows = []
    groups = sweep.group_by("definition", "score", maintain_order=True) if len(sweep) else ()
    for names, part in groups:
        scored = part.filter(reader="sae").drop_nulls(["half_0", "half_1"])
        differ = scored["half_0"].n_unique() > 1 and scored["half_1"].n_unique() > 1
        if len(scored) >= 4 and differ:
            rho = scipy.stats.spearmanr(scored["half_0"], scored["half_1"]).statistic
            rows.append((*names, float(rho), len(scored)))
    kinds = {"definition": pl.String, "score": pl.String, "rho": pl.Float64, "saes": pl.Int64}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def _sweep(study: Study, ref: PairsRef, placed: list[PlacedSae]) -> pl.DataFrame:
    saes = list(dict.fromkeys(placed))
    read = functools.partial(reports, study.model, ref)
    return sweep_table(dict(zip(saes, run.each(read, saes, "Scoring SAEs", "SAEs"), strict=True)))


# ---------------------------------------------------------------- queries


def stories_key(study: Study, pairs: str = "", **arguments: Any) -> str:
    """Requests share a job where the stories are the same, so stories that were corrected are read
    anew."""
    return key_of(study, pairs=stories.choose(pairs), **arguments)


@query("CE-Bench of several SAEs", priority=queue.LONG - 1, key=stories_key)
def ce_sweep(study: Study, pairs: str = "") -> pl.DataFrame:
    """CE-Bench of the study's SAE and of all others that its file lists, beside their controls, as
    `sweep_table`; `pairs` as in `ce_bench`."""
    return _sweep(study, stories.choose(pairs), [own_sae(study), *study.saes])


@lookup
def ce_bench_releases(sae_regex: str, sae_block: str = ".*") -> pl.DataFrame:
    """release, id, model, repository: SAEs of SAELens' registry whose release and id match two
    regular expressions, each as a whole.

    Raises:
        ModelError: a pattern is none, or nothing matches.
    """
    return pl.DataFrame(sae_models.releases(sae_regex, sae_block))


@query("CE-Bench of SAEs in the registry", priority=queue.LONG - 1, key=stories_key)
def ce_bench_sweep(
    study: Study, sae_regex: str, sae_block: str = ".*", pairs: str = ""
) -> pl.DataFrame:
    """CE-Bench of every SAE of the registry that matches and belongs to the study's model, at its
    own layer: as `sweep_table`, with those that do not belong (`source` and `reason`) at the end.

    Raises:
        ModelError: as `ce_bench_releases`; or none of the matches belongs to the study's model.
    """
    matches, refused = match_releases(study, ce_bench_releases(sae_regex, sae_block))
    if not matches:
        first = refused["reason"].unique(maintain_order=True).to_list()[:3]
        raise ModelError(
            f"Of {len(refused)} SAEs that match, none can be run here: {' '.join(first)}",
            "Choose a release of the study's model, or list SAEs of yours under [[saes]].",
        )
    table = _sweep(study, stories.choose(pairs), matches)
    return pl.concat([table, refused], how="diagonal_relaxed")


def match_releases(study: Study, releases: pl.DataFrame) -> tuple[list[PlacedSae], pl.DataFrame]:
    """SAEs of the registry that can be run on the study's model, resolved, and the others with the
    reason why not (`source`, `reason`)."""
    matches, refused = [], []
    for row in releases.iter_rows(named=True):
        ref = SaeRef(f"saelens:{row['release']}/{row['id']}", "")
        try:
            if not sae_models.is_named(row["model"], study.model):
                reason = f"It was trained on {row['model']}, the study is of {study.model.source}."
                raise ModelError(reason, "Choose another release.")
            site = sae_models.site_of(ref)
            matches.append((site, SaeRef(ref.source, sae_models.resolve(ref.source))))
        except TesseraError as error:
            refused.append({"source": ref.source, "reason": error.problem})
    return matches, pl.DataFrame(refused, schema={"source": pl.String, "reason": pl.String})
