"""CE-Bench: scores of contrastive stories by three definitions, beside nulls and random directions,
and what they are worth."""

from __future__ import annotations

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.evals.ce_bench.views import CeBench
from backend.evals.ce_bench.words import PARTS
from components.evals.ce_bench import checks, details
from components.evals.ce_bench.checks import DEFINITIONS, READERS, ROWS, Row, ended, hue
from components.evals.tab import Desk, Tab, Tables
from components.shell import address, controls, markup, numbers, palette, terms
from components.shell.links import anchor
from components.shell.markup import escape, unbroken
from components.shell.status import render_estimate, waiting

# contrastive and independent are distances from 0 to 1, interpretability is their sum
UNITS: dict[str, str] = dict.fromkeys(("corrected", "seed"), "distance, 0–1 (the sum: 0–2)")
UNITS |= {"published": "z over features"}
TITLES = {
    "scores": "Scores",
    "held out": "A pair held out",
    "features": "Features",
    "saes": "Several SAEs",
    "stories": "Stories and steering",
}
LEAST = 5  # subjects; an interval over fewer says nothing
COUNTS = {
    "unmarked": "pairs mark no subject (the seed's independent score leaves them out)",
    "broken": "stories have broken marks, which are not used",
    "cut": "stories were cut",
}


def render_choice() -> tuple[str]:
    """Whose stories are read; "" for Tessera's own."""
    controls.text_input(
        "pairs", "Stories",
        placeholder="Tessera's own · or the path of a table, or a dataset on the hub",
        help="JSONL, CSV or Parquet with story1, story2 and subject (marked <subject>…</subject>), "
        "or a name such as GulkoA/contrastive-stories-v4.",
        also={"subject": "", "feature": -1, "started": False},
    )  # fmt: skip
    return (str(address.get("pairs")),)


def render(view: CeBench, study: str, arguments: tuple[str], desk: Desk) -> Tables:
    """Scores and checks; several SAEs; one subject's stories; a prompt steered towards it."""
    checks.mend(view)
    markup.render(f'<p class="answer">{escape(answer(view))}</p>')
    markup.render(head_html(view))
    part = _render_parts()
    if part == "scores":
        _render_scores(view)
    elif part == "held out":
        _render_held_out(view)
    elif part == "features":
        _render_features(view)
    elif part == "saes":
        _render_sweep(view, study, arguments[0], desk)
    else:
        _render_stories(view, study, arguments[0], desk)
    return tables(view)


def _render_parts() -> str:
    """The part that is shown, and its question; a link to a subject leads to its stories."""
    about_one = address.get("subject") or address.get("steered") or address.get("feature") >= 0
    part = str(address.get("part") or ("stories" if about_one else "scores"))
    controls.segmented_control(
        "part", "Part", list(PARTS), value=part, format_func=TITLES.__getitem__,
        label_visibility="collapsed",
    )  # fmt: skip
    markup.note(PARTS[part])
    return part


def _render_stories(view: CeBench, study: str, pairs: str, desk: Desk) -> None:
    subject = details.render_subjects(view)
    feature = address.get("definition"), address.get("feature")
    stories = desk.ce_subject(study, subject, pairs, *feature)
    if not waiting(stories, desk, "ce_subject"):
        details.render_subject(stories)
    prompt, strength = details.render_prompt()
    if prompt:
        steered = desk.ce_steer(study, subject, prompt, strength, pairs)
        if not waiting(steered, desk, "ce_steer"):
            details.render_steer(steered)


def _render_scores(view: CeBench) -> None:
    for column, definition in zip(st.columns(3, gap="large"), DEFINITIONS, strict=True):
        with column:
            markup.head(definition, DEFINITIONS[definition])
            chart = scores_chart(view, definition)
            palette.render_chart(
                chart, f"scores-{definition}", "Scores of this SAE and of random directions"
            )
    markup.render(scores_html(view) + terms.key("L0", "null", "control SAE", "contrastive score"))
    markup.head("Halves of the subjects", f"split by seed {view.seed}")
    markup.render(checks.halves_html(view))


def _render_held_out(view: CeBench) -> None:
    markup.head("Does a feature read a subject?", "chosen on all pairs but one, ranked on that one")
    left, right = st.columns([4, 8], gap="large")
    with left:
        palette.render_chart(
            checks.held_out_chart(view),
            "held",
            "Share of pairs held out on which the chosen feature is among the first ten",
        )
    right.html(checks.held_out_html(view))
    markup.head("Do opposites share features?", "of the 20 strongest of a story")
    left, right = st.columns(2, gap="large")
    with left:
        palette.render_chart(
            checks.overlap_chart(view),
            "overlap",
            "Share of the strongest features that stories have in common",
        )
    right.html(checks.overlap_html(view))


def _render_features(view: CeBench) -> None:
    markup.head("Features", "distances, by one definition")
    controls.segmented_control(
        "definition", "Definition", list(DEFINITIONS), label_visibility="collapsed",
        also={"feature": -1},
    )  # fmt: skip
    definition = str(address.get("definition"))
    left, right = st.columns([6, 6], gap="large")
    with left:
        markup.note("Every feature: mean distances over all pairs of all subjects.")
        palette.render_chart(
            details.cloud_chart(view, definition),
            "cloud",
            "Contrastive against independent distance of every feature",
        )
        markup.render(firsts_html(view, definition))
    with right:
        markup.note("First features: means over the pairs of the column's subject alone.")
        palette.render_chart(
            details.heat_chart(view, definition), "heat", "Heat map: a row a unit or feature"
        )


def _render_sweep(view: CeBench, study: str, pairs: str, desk: Desk) -> None:
    markup.head("Several SAEs", f"{view.listed} more listed by the study")
    if not view.listed:
        markup.note(
            "Add [[saes]] tables with layer and source to the study's file to compare scores over "
            "layers, widths and L0."
        )
        return
    if view.missing and address.get("swept"):
        waiting(desk.ce_sweep(study, pairs), desk, "sweep")
    elif view.missing:
        them = "One is" if view.missing == 1 else f"{view.missing} are"
        markup.note(f"{them} not computed yet.")
        render_estimate(desk.ce_sweep, study, pairs)
        controls.start_button("Run them", "sweep-saes", "swept")
    if view.sweep["source"].n_unique() > 1:
        score = f"{address.get('definition')} interpretability"
        palette.render_chart(
            details.sweep_chart(view.sweep, score),
            "sweep",
            "Score of each SAE by block, width and L0",
        )
        markup.render(details.sweep_html(view))


# ---------------------------------------------------------------- in words


def answer(view: CeBench) -> str:
    """The result in two sentences; over few subjects no verdict, and why."""
    if len(view.subjects) < 2:
        return "There is one subject, so nothing can be told from anything."
    held_out = {
        row["reader"]: row for row in view.held_out.filter(definition="corrected").to_dicts()
    }
    own, control = held_out["sae"], held_out["random_topk"]
    verdict = _reads(own, control)
    if own["share"] is None:
        text = "No subject has two pairs, so nothing says whether a feature reads its subject."
    else:
        ends = f"{numbers.percent(own['low'])} to {numbers.percent(own['high'])}; "
        finding = (
            f"a feature chosen for a subject is among the first 10 of {view.width:,} on a pair "
            f"held out in {numbers.percent(own['share'])} of {own['pairs']} cases"
        )
        chance = (
            f"({ends if _sure(own) else ''}by chance, with shuffled subjects, "
            f"{numbers.percent(own['null'])}; random directions "
            f"{numbers.percent(control['share'])})."
        )
        text = f"{verdict or 'No verdict over so few'}: {finding} {chance}"
    text += _score_words(_scores(view), verdict)
    few = len(view.subjects)
    if few < LEAST:
        text += f" There are {few} subjects only: intervals over fewer than {LEAST} mean nothing."
    return text


def _reads(own: Row, control: Row) -> str:
    """Whether features read subjects on pairs held out; "" where intervals say nothing."""
    if own["share"] is None or not _sure(own):
        return ""
    chance = own["null"] if own["null_high"] is None else own["null_high"]
    if own["low"] <= chance:
        return "This SAE is not shown to read the subject"
    if control["share"] is not None and own["low"] <= (control["high"] or control["share"]):
        return "This SAE reads the subject no better than random directions"
    return READS


READS = "This SAE reads the subject"
COMPARED = {"above": "lower", "below": "higher", "level": "no differently"}


def _score_words(rows: dict[tuple[str, str, str], Row], verdict: str) -> str:
    """What CE-Bench's own score says beside random directions; "" where it says nothing."""
    places: dict[str, list[str]] = {}
    for definition in DEFINITIONS:
        if place := _place(rows, definition):
            own, control = (rows[reader, definition, "interpretability"] for reader in READERS)
            pair = f"{numbers.fraction(control['value'])}, this SAE"
            pair += f" {numbers.fraction(own['value'])}"
            places.setdefault(place, []).append(f"{definition} ({pair})")
    if not places:
        return ""
    parts = [
        f"{COMPARED[place]} by the {' and the '.join(names)} definition"
        for place, names in places.items()
    ]
    hidden = verdict == READS and set(places) != {"above"}
    begin = "The CE-Bench score does not show it" if hidden else "By CE-Bench's score"
    return f" {begin}: random directions score {', '.join(parts)}."


def _sure(row: Row) -> bool:
    """Whether an interval stands on enough subjects to be spoken of."""
    return row["low"] is not None and row["subjects"] >= LEAST


def _place(rows: dict[tuple[str, str, str], Row], definition: str) -> str:
    """Where an SAE is beside random directions; "" where either has no score or interval."""
    own, control = (rows[reader, definition, "interpretability"] for reader in READERS)
    if not (_sure(own) and _sure(control)):
        return ""
    apart = own["high"] < control["low"] or own["low"] > control["high"]
    return "level" if not apart else "above" if own["value"] > control["value"] else "below"


def head_html(view: CeBench) -> str:
    """What the scores stand on."""
    l0 = {row["reader"]: row for row in view.readers.iter_rows(named=True)}
    sizes = {
        "stories": f"2 × {len(view.pairs) // 3}",
        "subjects": numbers.count(len(view.subjects)),
        "tokens": numbers.count(view.tokens),
        "features": numbers.count(view.width),
        "L0": f"{l0['sae']['l0']:.1f}",
        "L0 at random": f"{l0['random_topk']['l0']:.1f}",
        "seed": str(view.seed),
    }
    chips = [markup.chip(name, escape(words)) for name, words in sizes.items()]
    lost = [f"{view.counts[name]} {words}" for name, words in COUNTS.items() if view.counts[name]]
    if view.counts["cut"]:
        lost[-1] += f" at {view.counts['limit']:,} tokens"
    if len(view.subjects) < 2:
        lost.append("there is one subject, so none can be told from others: no corrected score")
    words = f'<p class="note warn">{escape("; ".join(lost))}.</p>' if lost else ""
    return f'{markup.chips(chips)}<p class="note">{escape(view.source)}</p>{words}'


def _scores(view: CeBench) -> dict[tuple[str, str, str], Row]:
    names = ("reader", "definition", "score")
    return {tuple(row[n] for n in names): row for row in view.scores.iter_rows(named=True)}


# ---------------------------------------------------------------- scores


def scores_chart(view: CeBench, definition: str) -> go.Figure:
    """Each score with its interval, over the band of its null."""
    chart, rows = palette.figure(height=210), _scores(view)
    for reader, shift in (("sae", 0.17), ("random_topk", -0.17)):
        parts = [
            (place + shift, rows[reader, definition, score]) for place, score in enumerate(ROWS)
        ]
        scored = [(place, row) for place, row in parts if row["value"] is not None]
        value, low, high = ([row[end] for _, row in scored] for end in ("value", "low", "high"))
        for place, row in scored:
            if row["null"] is not None:
                chart.add_shape(
                    x0=row["null_low"], x1=row["null_high"], y0=place - 0.15, y1=place + 0.15,
                    fillcolor=palette.current().null,
                    line={"color": palette.OTHER, "width": 0.5},
                )  # fmt: skip
        chart.add_scatter(
            x=value, y=[place for place, _ in scored], mode="markers", name=READERS[reader],
            marker={"color": hue(reader), "size": 8},
            error_x=palette.error_bars(value, low, high, color=hue(reader)),
            hovertemplate=f"{READERS[reader]}: %{{x:.2f}}<extra></extra>",
        )  # fmt: skip
    chart.update_layout(showlegend=True, legend_y=-0.32)
    chart.update_xaxes(title=UNITS[definition], rangemode="tozero")
    chart.update_yaxes(tickvals=list(range(len(ROWS))), ticktext=list(ROWS), range=[-0.5, 2.5])
    return chart


def scores_html(view: CeBench) -> str:
    """All scores, then what the published ones are made of."""
    scores, rows = _scores(view), []
    for definition in DEFINITIONS:
        for score in ROWS[::-1]:
            pair = [scores[reader, definition, score] for reader in READERS]
            cells = [cell for row in pair for cell in (_interval(row), _null(row))]
            n = f"{pair[0]['pairs']} <small>of {pair[0]['subjects']} subjects</small>"
            rows.append([unbroken(definition), unbroken(score), *cells, n])
    root, composite = view.width**0.5, []
    for reader, words in READERS.items():
        l0 = view.readers.row(by_predicate=pl.col("reader") == reader, named=True)["bos_l0"]
        c, i, _ = (scores[reader, "published", score]["value"] for score in ROWS[::-1])
        values = (c / root, i / root, c + i - 0.25 * l0)
        composite.append(
            [unbroken(words), f"{l0:.1f}", *(numbers.fraction(value) for value in values)]
        )
    note = (
        "Mean over pairs of each pair's best feature; 95% by resampling whole subjects. Grey in "
        "the charts, and beside each score: the same with nothing left to find (mean and 95%): "
        "second stories shuffled between pairs; for independence subjects shuffled between pairs "
        "(corrected) or marks put elsewhere in the story (seed); the published code has nothing to "
        "shuffle. Stories of one subject are alike, so contrast lies below its null wherever "
        "features read subjects. Random directions: as many, with the same L0."
    )
    published = (
        "The published formula is C + I − .25·L0. Its weight was fitted on the same 48 SAEs of "
        "Gemma 2 2B that it is judged on: it orders 77.3% of pairs as SAEBench does, L0 alone "
        "70.9%. The largest of many z-scores grows with their number, up to √features: hence the "
        "division."
    )
    heads = ("definition", "score", "this SAE", "null", "random directions", "null", "pairs")
    more = ("published", "L0 with BOS", "C / √features", "I / √features", "C + I − .25·L0")
    return markup.table(heads, rows, "ttnnnnn", note) + markup.table(
        more, composite, "tnnnn", published
    )


def _interval(row: Row) -> str:
    value, *ends = (numbers.fraction(row[name]) for name in ("value", "low", "high"))
    return ended(f"<b>{value}</b>", *ends)


def _null(row: Row) -> str:
    value, *ends = (numbers.fraction(row[name]) for name in ("null", "null_low", "null_high"))
    return "none" if value == numbers.MISSING else ended(value, *ends)


# ---------------------------------------------------------------- features and SAEs


def firsts_html(view: CeBench, definition: str) -> str:
    """The first feature of every subject."""
    part = view.tops.filter(definition=definition, rank=1)
    rows = [
        [
            unbroken(escape(row["subject"])),
            anchor(str(row["feature"]), "features", feature=row["feature"]),
            numbers.fraction(row["independent"]), numbers.fraction(row["contrastive"]),
            "more" if row["above"] >= 0.5 else "less",
        ]
        for row in part.iter_rows(named=True)
    ]  # fmt: skip
    heads = ("subject", "first feature", "independent", "contrastive", "the subject has")
    note = "Means over the subject's own pairs; those of the scatter are over all pairs."
    return markup.table(heads, rows, "tnnnt", note)


def tables(view: CeBench) -> dict[str, pl.DataFrame]:
    """What can be downloaded."""
    return {
        "scores": view.scores, "held out": view.held_out, "halves": view.halves,
        "overlap": view.overlap, "pairs": view.pairs, "features": view.tops, "saes": view.sweep,
    }  # fmt: skip


TAB = Tab(render_choice, render)
