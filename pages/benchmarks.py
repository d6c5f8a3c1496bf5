"""Benchmarks: evaluations of SAEs and of units, each beside its nulls and controls."""

from __future__ import annotations

from backend import queries
from components.evals import benchmarks
from components.shell.frame import frame
from components.shell.status import reported

place = frame("Benchmarks", queries)

with reported():
    evaluation = queries.EVALUATIONS[benchmarks.render_which()]
    benchmarks.render_tab(evaluation, place.study, queries)
