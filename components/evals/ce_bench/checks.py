"""What CE-Bench's scores are worth: a pair held out, halves of the subjects, opposites; and
what a link asks for that is not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from backend.evals.ce_bench.views import CeBench
from components.shell import address, markup, numbers, palette
from components.shell.lists import Column, frame_html
from components.shell.markup import unbroken
from components.shell.status import render_problem

DEFINITIONS = {
    "corrected": "BOS left out, a subject told from all others",
    "seed": "README: marked tokens told from unmarked ones",
    "published": "code: BOS counted, no marks, told from nothing",
}
READERS = {"sae": "this SAE", "random_topk": "random directions"}
READ_BY: Column = ("features of", "t", lambda reader: unbroken(READERS[reader]), "reader")
CHECKS = {
    "pair": "the other story of the pair",
    "subject": "stories of other pairs of the subject",
    "others": "stories of other subjects",
}
ROWS = ("interpretability", "independent", "contrastive")
STRENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
Row = Mapping[str, Any]


def hue(reader: str) -> str:
    return palette.current().accent if reader == "sae" else palette.current().slate


# what a feature held out is chosen by
CHOSEN_BY = {name: name for name in DEFINITIONS} | {"unmarked": "words out"}


def ended(value: str, low: str, high: str) -> str:
    """A value with the ends of its interval, alone where there are none."""
    return value if numbers.MISSING in (low, high) else f"{value} <small>{low}–{high}</small>"


def held_out_chart(view: CeBench) -> go.Figure:
    """Share of pairs on which the chosen feature is among the first ten."""
    chart = palette.figure(height=270)
    colours = palette.current()
    kinds = (
        ("sae", "share", "this SAE, the subject's own pair", colours.accent),
        ("sae", "null", "this SAE, shuffled subjects", palette.OTHER),
        ("sae", "other_share", "this SAE, others' pairs", palette.fade(hue("sae"), 0.35)),
        ("random_topk", "share", "random directions, own pair", colours.slate),
    )  # fmt: skip
    for reader, column, name, colour in kinds:
        rows = {row["definition"]: row for row in view.held_out.filter(reader=reader).to_dicts()}
        parts = [rows[name] for name in CHOSEN_BY]
        share, low, high = ([row[end] for row in parts] for end in ("share", "low", "high"))
        bars = palette.error_bars(share, low, high, color=colours.ink, width=3)
        chart.add_bar(
            x=list(CHOSEN_BY.values()), y=[row[column] for row in parts],
            name=name, marker_color=colour, error_y=bars if column == "share" else None,
            hovertemplate=f"{name}: %{{y:.0%}}<extra></extra>",
        )  # fmt: skip
    chart.update_layout(barmode="group", showlegend=True, bargap=0.25, legend_y=-0.15)
    chart.update_xaxes(tickangle=0)
    chart.update_yaxes(tickformat=".0%", range=[0, 1.05], title="among the first 10")
    return chart


def held_out_html(view: CeBench) -> str:
    """Ranks on pairs held out."""
    columns = (
        ("definition", "t", lambda name: unbroken(CHOSEN_BY[name]), "definition"),
        READ_BY,
        ("rank", "n", numbers.count, "median"),
        ("in first 10", "n", _percents, "share", "low", "high"),
        ("shuffled", "n", _shuffled, "null", "null_high"),
        ("others' rank", "n", numbers.count, "other_median"),
        ("in first 10", "n", numbers.percent, "other_share"),
        ("pairs", "n", numbers.count, "pairs"),
    )
    note = (
        "The feature of largest mean independent distance on a subject's other pairs is looked up "
        "on the pair left out. It reads the subject if it is high there and low on other subjects' "
        "pairs: one that is high everywhere, as by the published definition, reads nothing. "
        "Words out: the corrected definition without marked tokens, since stories of a "
        "subject repeat its words. Median ranks; shuffled: with shuffled subjects, mean and "
        "97.5%. Chance is 10 of "
        f"{view.width:,}."
    )
    return frame_html(view.held_out, columns, note)


def _percents(share: float | None, low: float | None, high: float | None) -> str:
    return ended(f"<b>{numbers.percent(share)}</b>", numbers.percent(low), numbers.percent(high))


def _shuffled(mean: float | None, high: float | None) -> str:
    """A share with shuffled subjects, and its 97.5% where there is one."""
    upper = numbers.percent(high)
    end = "" if upper == numbers.MISSING else f" <small>to {upper}</small>"
    return numbers.percent(mean) + end


def halves_html(view: CeBench) -> str:
    """Scores on either half of the subjects."""
    halves = {
        (row["reader"], row["definition"], row["score"], row["half"]): row
        for row in view.halves.iter_rows(named=True)
    }
    rows = []
    for definition in DEFINITIONS:
        for score in ROWS[::-1]:
            parts = [halves[r, definition, score, half] for r in READERS for half in (0, 1)]
            values = [numbers.fraction(row["value"]) for row in parts]
            agreement = [numbers.fraction(parts[first_half]["agreement"]) for first_half in (0, 2)]
            names = unbroken(definition), unbroken(score)
            rows.append([*names, *values[:2], agreement[0], *values[2:], agreement[1]])
    first = [halves["sae", "seed", "contrastive", half] for half in (0, 1)]
    sizes = " and ".join(f"{row['subjects']} subjects, {row['pairs']} pairs" for row in first)
    note = (
        f"{sizes}, each half scored alone. ρ: whether features rank alike in both (Spearman, of "
        "features active in either)."
    )
    heads = ("definition", "score", "half 1", "half 2", "ρ", "random 1", "random 2", "ρ")
    return markup.table(heads, rows, "ttnnnnnn", note)


def overlap_chart(view: CeBench) -> go.Figure:
    """How many of its strongest features a story shares, by whose the other is."""
    chart = palette.figure(height=170)
    for reader in READERS:
        rows = {row["of"]: row for row in view.overlap.filter(reader=reader).to_dicts()}
        chart.add_bar(
            y=[CHECKS[name] for name in reversed(CHECKS)],
            x=[rows[name]["value"] for name in reversed(CHECKS)],
            orientation="h", name=READERS[reader], marker_color=hue(reader),
            hovertemplate="%{x:.0%}<extra></extra>",
        )  # fmt: skip
    chart.update_layout(barmode="group", bargap=0.3, showlegend=True, legend_y=-0.25)
    chart.update_xaxes(tickformat=".0%", rangemode="tozero")
    return chart


def overlap_html(view: CeBench) -> str:
    """The same in numbers."""
    columns = (
        READ_BY,
        ("shared with", "t", CHECKS.__getitem__, "of"),
        ("mean share", "n", _percents, "value", "low", "high"),
        ("subjects", "n", numbers.count, "subjects"),
    )
    note = (
        "Reviewers asked: should two opposites of one subject not share most features? Compare the "
        "first row with the second."
    )
    return frame_html(view.overlap, columns, note)


# ---------------------------------------------------------------- wrong links


def mend(view: CeBench) -> None:
    """Say what the address gives wrongly, and correct it."""
    values = {name: address.get(name) for name in ("subject", "feature", "shift")}
    wrong = amiss(view, **values)
    for name, what in wrong.items():
        render_problem(
            f"The link says {name} = {address.spell(values[name])!r}, not {what}.",
            "The usual is shown instead; choose another on the page.",
        )
    if wrong:
        address.put(**{name: address.fields("benchmarks")[name].default for name in wrong})


def amiss(view: CeBench, subject: str, feature: int, shift: float) -> dict[str, str]:
    """What each wrong value should be: values that can be read, but are not of these stories or
    this SAE."""
    checks = {
        "subject": (subject in ("", *view.subjects), "a subject of these stories"),
        "feature": (-1 <= feature < view.width, f"a feature from 0 to {view.width - 1}"),
        "shift": (shift in STRENGTHS, f"one of {', '.join(f'{s:g}' for s in STRENGTHS)}"),
    }
    return {name: what for name, (right, what) in checks.items() if not right}
