"""Benchmarks: CE-Bench, ExpertLens and SAGE, each beside its nulls and controls."""

from __future__ import annotations

from backend import queries
from components import (
    address,
    benchmarks,
    ce_bench,
    ce_bench_parts,
    expert_concept,
    expert_lens,
    sage,
)
from components.footer import render_footer
from components.frame import frame
from components.status import reported, waiting

place = frame("Benchmarks", queries)


def show_ce_bench() -> None:
    pairs = ce_bench.render_choice()
    found = benchmarks.render_answer(
        "ce_bench", place.study, queries, lambda study, ask: queries.ce_bench(study, pairs, ask)
    )
    if found is None:
        return
    ce_bench.render_ce_bench(found, lambda: queries.ce_sweep(place.study, pairs), queries)
    subject = ce_bench_parts.render_subjects(found)
    by = address.get("definition"), address.get("feature")
    ce_bench_parts.render_subject(queries.ce_subject(place.study, subject, pairs, *by))
    prompt, strength = ce_bench_parts.render_prompt()
    if prompt:
        steered = queries.ce_steer(place.study, subject, prompt, strength, pairs)
        if steered is not None and not waiting(steered, queries, "ce_steer"):
            ce_bench_parts.render_steer(steered)
    render_footer(ce_bench.tables(found), found.provenance, "ce_bench")


def show_expert_lens() -> None:
    chosen = expert_lens.render_choice()
    found = benchmarks.render_answer(
        "expert_lens",
        place.study,
        queries,
        lambda study, ask: queries.expert_lens(study, *chosen, ask=ask),
        lambda study, other: queries.experts_between(study, other, *chosen),
    )
    if found is None:
        return
    at = expert_lens.render_expert_lens(found)
    concept = expert_concept.render_pick(found.concepts["concept"].to_list())
    one = queries.expert_concept(place.study, concept, *chosen)
    if not waiting(one, queries, "expert_concept"):
        expert_concept.render_expert_concept(one)
    render_footer(expert_lens.tables(found, at), found.provenance, "expert_lens")


def show_sage() -> None:
    which = sage.render_choice()
    found = benchmarks.render_answer(
        "sage", place.study, queries, lambda study, ask: queries.sage(study, *which, ask=ask)
    )
    if found is not None:
        sage.render_sage(found)
        render_footer(sage.tables(found), found.provenance, "sage")


SHOWN = {"ce_bench": show_ce_bench, "expert_lens": show_expert_lens, "sage": show_sage}

with reported():
    SHOWN[benchmarks.render_which()]()
