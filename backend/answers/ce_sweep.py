"""CE-Bench over several SAEs: those that a study lists, or those of the registry that match."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl
import scipy  # its parts load when they are used

from backend.answers import tasks
from backend.evals.ce_bench import pairs, report
from backend.evals.ce_bench.means import READERS
from backend.models import sae as sae_models
from backend.schema import Job, ModelError, PairsRef, SaeRef, Site, Study, TesseraError
from backend.store.memo import Entry

Listed = tuple[Site, SaeRef]


def own(study: Study) -> Listed:
    """Raises ModelError where the study has no SAE."""
    if study.sae is None:
        raise ModelError(f"The study {study.name} has no SAE.", "Name one under [sae].")
    return study.site, study.sae


def reports(study: Study, at: Listed, ref: PairsRef) -> dict[str, Entry] | None:
    """The reports of both readers; None where one is not computed."""
    found = {r: report.report.find(study.model, *at, ref, r) for r in READERS}
    return None if None in found.values() else found  # type: ignore[return-value]


def sweep_of(study: Study, listed: Iterable[Listed], ref: PairsRef) -> tuple[pl.DataFrame, int]:
    """source, layer, width, l0, reader, definition, score, value, low, high, null, half_0, half_1
    of the SAEs that are computed, and how many are not."""
    rows, missing = [], 0
    for site, sae in dict.fromkeys(listed):
        found = reports(study, (site, sae), ref)
        missing += found is None
        for reader, entry in (found or {}).items():
            halves = entry.frame("halves").pivot(
                "half", index=("definition", "score"), values="value"
            )
            scores = entry.frame("scores").join(halves, on=("definition", "score"))
            rows.append(
                scores.select(
                    pl.lit(sae.source).alias("source"),
                    pl.lit(site.layer).alias("layer"),
                    pl.lit(entry.value("width")).alias("width"),
                    pl.lit(entry.value("l0")).alias("l0"),
                    pl.lit(reader).alias("reader"),
                    "definition", "score", "value", "low", "high", "null",
                    half_0="0", half_1="1",
                )
            )  # fmt: skip
    return (pl.concat(rows, how="vertical_relaxed") if rows else pl.DataFrame()), missing


def rankings(sweep: pl.DataFrame) -> pl.DataFrame:
    """definition, score, rho, saes: Spearman's ρ of SAEs ranked on either half of the subjects;
    empty below four SAEs."""
    rows = []
    for names, part in (
        sweep.group_by("definition", "score", maintain_order=True) if len(sweep) else ()
    ):
        known = part.filter(reader="sae").drop_nulls(["half_0", "half_1"])
        if len(known) >= 4 and known["half_0"].n_unique() > 1 and known["half_1"].n_unique() > 1:
            rho = scipy.stats.spearmanr(known["half_0"], known["half_1"]).statistic
            rows.append((*names, float(rho), len(known)))
    kinds = {"definition": pl.String, "score": pl.String, "rho": pl.Float64, "saes": pl.Int64}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def ce_sweep(study: Study, name: str = "", ask: bool = True) -> pl.DataFrame | Job | None:
    """The study's SAE and all that it lists, as `sweep_of`; None as in `ce_bench`."""
    listed, ref = [own(study), *study.saes], pairs.choose(name)
    table, missing = sweep_of(study, listed, ref)
    if not missing:
        return table
    key = "sweep:" + report.report.digest(study.model, *listed[-1], ref, READERS[-1])
    return tasks.ensure("ce_bench", study, key, pairs=name, sweep=True) if ask else None


def ce_bench_releases(sae_regex: str, sae_block: str = ".*") -> pl.DataFrame:
    """release, id, model, repository: SAEs of SAELens' registry whose release and id match two
    regular expressions, each as a whole.

    Raises:
        ModelError: a pattern is none, or nothing matches.
    """
    return pl.DataFrame(sae_models.releases(sae_regex, sae_block))


def ce_bench_sweep(
    study: Study, sae_regex: str, sae_block: str = ".*", name: str = "", ask: bool = True
) -> pl.DataFrame | Job | None:
    """Every SAE of the registry that matches and belongs to the study's model, at its own layer: as
    `sweep_of`, with those that do not belong (`source` and `reason`) at the end.

    Raises:
        ModelError: as `ce_bench_releases`; or none of the matches belongs to the study's model.
    """
    belongs, refused = matched(study, ce_bench_releases(sae_regex, sae_block))
    if not belongs:
        first = refused["reason"].unique(maintain_order=True).to_list()[:3]
        raise ModelError(
            f"Of {len(refused)} SAEs that match, none can be run here: {' '.join(first)}",
            "Choose a release of the study's model, or list SAEs of yours under [[saes]].",
        )
    ref = pairs.choose(name)
    table, missing = sweep_of(study, belongs, ref)
    if not missing:
        return pl.concat([table, refused], how="diagonal_relaxed")
    key = "sweep:" + report.report.digest(study.model, *belongs[-1], ref, READERS[-1])
    asked = [(site.layer, sae.source, sae.revision) for site, sae in belongs]
    return tasks.ensure("ce_bench", study, key, pairs=name, saes=asked) if ask else None


def matched(study: Study, releases: pl.DataFrame) -> tuple[list[Listed], pl.DataFrame]:
    """SAEs of the registry that can be run on the study's model, resolved, and the others with the
    reason why not (`source`, `reason`)."""
    belongs, refused = [], []
    for row in releases.iter_rows(named=True):
        ref = SaeRef(f"saelens:{row['release']}/{row['id']}", "")
        try:
            if not sae_models.is_named(row["model"], study.model):
                reason = f"It was trained on {row['model']}, the study is of {study.model.source}."
                raise ModelError(reason, "Choose another release.")
            site = sae_models.site_of(ref)
            belongs.append((site, SaeRef(ref.source, sae_models.resolve(ref.source))))
        except TesseraError as error:
            refused.append({"source": ref.source, "reason": error.problem})
    return belongs, pl.DataFrame(refused, schema={"source": pl.String, "reason": pl.String})
