"""The tab of SAGE."""

from __future__ import annotations

from backend.evals.sage.views import Sage
from components.evals.sage import tab as sage
from components.evals.tab import Tab, Tables


def render(view: Sage, _study: str, _arguments: tuple[str, str], _desk: object) -> Tables:
    """The whole answer: it has no parts that are asked for one by one."""
    sage.render_sage(view)
    return sage.tables(view)


TAB = Tab(sage.render_choice, render)
