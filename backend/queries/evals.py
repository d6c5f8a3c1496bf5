"""Evaluations of SAEs and of units, on a study's model and SAE."""

from backend.answers.ce_bench import ce_bench, ce_steer, ce_subject
from backend.answers.ce_sweep import ce_bench_releases, ce_bench_sweep, ce_sweep
from backend.answers.expert_lens import expert_concept, expert_lens, experts_between
from backend.answers.sage import sage
from backend.evals.words import EVALUATIONS

for _evaluation in EVALUATIONS.values():
    _evaluation.answers  # noqa: B018 - registers its queries

__all__ = [
    "EVALUATIONS",
    "ce_bench",
    "ce_bench_releases",
    "ce_bench_sweep",
    "ce_steer",
    "ce_subject",
    "ce_sweep",
    "expert_concept",
    "expert_lens",
    "experts_between",
    "sage",
]
