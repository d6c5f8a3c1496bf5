"""The tab of ExpertLens."""

from __future__ import annotations

from typing import Protocol

from backend.evals.expert_lens.views import ExpertConcept, ExpertLens
from backend.schema import Job
from components.evals.expert_lens import concept as expert_concept
from components.evals.expert_lens import tab as expert_lens
from components.evals.tab import Tab, Tables
from components.shell import status
from components.shell.status import waiting

Choice = tuple[str, str, str]  # units, source of sentences, concepts


class Desk(status.Desk, Protocol):
    """The part of `backend.queries` that is needed here."""

    def expert_concept(
        self, study: str, /, concept: str, units: str, sentences: str, concepts: str
    ) -> ExpertConcept | Job: ...


def render(view: ExpertLens, study: str, arguments: Choice, desk: Desk) -> Tables:
    """All concepts, then one of them."""
    at = expert_lens.render_expert_lens(view)
    concept = expert_concept.render_pick(view.concepts["concept"].to_list())
    one = desk.expert_concept(study, concept, *arguments)
    if not waiting(one, desk, "expert_concept"):
        expert_concept.render_expert_concept(one)
    return expert_lens.tables(view, at)


TAB = Tab(expert_lens.render_choice, render)
