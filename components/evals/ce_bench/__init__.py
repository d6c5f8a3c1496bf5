"""The tab of CE-Bench."""

from __future__ import annotations

from typing import Protocol

import polars as pl

from backend.evals.ce_bench.views import CeBench, CeSteer, CeSubject
from backend.schema import Job
from components.evals.ce_bench import details as ce_bench_details
from components.evals.ce_bench import tab as ce_bench
from components.evals.tab import Tab, Tables
from components.shell import address, status
from components.shell.status import waiting


class Desk(status.Desk, Protocol):
    """The part of `backend.queries` that is needed here."""

    def ce_sweep(self, study: str, /, pairs: str) -> pl.DataFrame | Job: ...

    def ce_subject(
        self, study: str, /, subject: str, pairs: str, definition: str, feature: int
    ) -> CeSubject | Job: ...

    def ce_steer(
        self, study: str, /, subject: str, prompt: str, strength: float, pairs: str
    ) -> CeSteer | Job: ...


def choose() -> tuple[str]:
    """Whose stories are read."""
    return (ce_bench.render_choice(),)


def render(view: CeBench, study: str, arguments: tuple[str], desk: Desk) -> Tables:
    """Scores and checks; one subject's stories; a prompt steered towards it."""
    (pairs,) = arguments
    ce_bench.render_ce_bench(view, lambda: desk.ce_sweep(study, pairs), desk)
    subject = ce_bench_details.render_subjects(view)
    by = address.get("definition"), address.get("feature")
    one = desk.ce_subject(study, subject, pairs, *by)
    if not waiting(one, desk, "ce_subject"):
        ce_bench_details.render_subject(one)
    prompt, strength = ce_bench_details.render_prompt()
    if prompt:
        steered = desk.ce_steer(study, subject, prompt, strength, pairs)
        if not waiting(steered, desk, "ce_steer"):
            ce_bench_details.render_steer(steered)
    return ce_bench.tables(view)


TAB = Tab(choose, render)
