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
from backend.evals.ce_bench.views import RANKINGS, SWEEP
from backend.models import sae as sae_models
from backend.query import key_of, lookup, query
from backend.schema import ModelError, ModelRef, PairsRef, SaeRef, Site, Study, TesseraError
from backend.store import queue
from backend.store.memo import Entry
from backend.store.rates import CHUNK, Part

EACH = 1.5  # of a chunk's time, until it was measured: the stories are about as much text

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
    """`SWEEP` of each SAE and of its control."""
    parts = [
        _sweep_rows(placed, reader, entry)
        for placed, entries in by_sae.items()
        for reader, entry in entries.items()
    ]
    return pl.concat([pl.DataFrame(schema=SWEEP), *parts])


def _sweep_rows(placed: PlacedSae, reader: str, entry: Entry) -> pl.DataFrame:
    site, sae = placed
    halves = entry.frame("halves").pivot("half", index=("definition", "score"), values="value")
    whose = {
        "source": sae.source,
        "layer": site.layer,
        "width": entry.value("width"),
        "l0": entry.value("l0"),
        "reader": reader,
    }
    table = entry.frame("scores").join(halves, on=("definition", "score"))
    return table.with_columns(
        **{name: pl.lit(value, SWEEP[name]) for name, value in whose.items()},
        half_0="0",
        half_1="1",
    ).select(pl.col(name).cast(kind) for name, kind in SWEEP.items())


def rankings(sweep: pl.DataFrame) -> pl.DataFrame:
    """`RANKINGS`: Spearman's ρ of SAEs ranked on either half of the subjects; empty below four
    SAEs."""
    rows = []
    for names, part in sweep.group_by("definition", "score", maintain_order=True):
        scored = part.filter(reader="sae").drop_nulls(["half_0", "half_1"])
        differ = scored["half_0"].n_unique() > 1 and scored["half_1"].n_unique() > 1
        if len(scored) >= 4 and differ:
            rho = scipy.stats.spearmanr(scored["half_0"], scored["half_1"]).statistic
            rows.append((*names, float(rho), len(scored)))
    return pl.DataFrame(rows, RANKINGS, orient="row")


# ---------------------------------------------------------------- queries


def stories_key(study: Study, pairs: str = "", **arguments: Any) -> str:
    """Requests share a job where the stories are the same, so stories that were corrected are read
    anew."""
    return key_of(study, pairs=stories.choose(pairs), **arguments)


def _work(study: Study, pairs: str = "", saes: tuple[str, ...] = ()) -> list[Part]:
    """Each SAE that is not scored yet takes as long as the benchmark of one."""
    ref = stories.choose(pairs)
    left = [sae for sae in _different(study, saes) if not find_reports(study.model, ref, sae)]
    return [Part("ce_bench", len(left), {CHUNK: EACH})] if left else []


@query("CE-Bench of several SAEs", priority=queue.LONG - 1, key=stories_key, work=_work)
def ce_sweep(study: Study, pairs: str = "", saes: tuple[str, ...] = ()) -> pl.DataFrame:
    """CE-Bench of several SAEs beside their controls, as `sweep_table`: of the study's SAE and all
    others that its file lists, or of `saes`, each `<source>@<revision>`; `pairs` as in `ce_bench`.
    """
    different = _different(study, saes)
    score = functools.partial(reports, study.model, stories.choose(pairs))
    entries = run.each(score, different, "Scoring SAEs", "SAEs")
    return sweep_table(dict(zip(different, entries, strict=True)))


def _different(study: Study, saes: tuple[str, ...]) -> list[PlacedSae]:
    """The SAEs that are meant, each once."""
    return list(dict.fromkeys([_placed(sae) for sae in saes] or [own_sae(study), *study.saes]))


def _placed(sae: str) -> PlacedSae:
    source, _, revision = sae.rpartition("@")
    ref = SaeRef(source, revision)
    return sae_models.site_of(ref), ref


@lookup
def ce_bench_releases(sae_regex: str, sae_block: str = ".*") -> pl.DataFrame:
    """release, id, model, repository: SAEs of SAELens' registry whose release and id match two
    regular expressions, each as a whole.

    Raises:
        ModelError: a pattern is none, or nothing matches.
    """
    return pl.DataFrame(sae_models.releases(sae_regex, sae_block))


@query("CE-Bench of SAEs in the registry")
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
    # the job names the revisions, so it computes what is looked for here
    table = ce_sweep.part(study, pairs, tuple(f"{sae.source}@{sae.revision}" for sae in matches))
    return pl.concat([table, refused], how="diagonal_relaxed")


def match_releases(study: Study, releases: pl.DataFrame) -> tuple[list[SaeRef], pl.DataFrame]:
    """SAEs of the registry that can be run on the study's model, resolved, and the others with the
    reason why not (`source`, `reason`)."""
    matches, refused = [], []
    for row in releases.iter_rows(named=True):
        ref = SaeRef(f"saelens:{row['release']}/{row['id']}", "")
        try:
            if not sae_models.is_named(row["model"], study.model):
                reason = f"It was trained on {row['model']}, the study is of {study.model.source}."
                raise ModelError(reason, "Choose another release.")
            sae_models.site_of(ref)
            matches.append(SaeRef(ref.source, sae_models.resolve(ref.source)))
        except TesseraError as error:
            refused.append({"source": ref.source, "reason": error.problem})
    return matches, pl.DataFrame(refused, schema={"source": pl.String, "reason": pl.String})
