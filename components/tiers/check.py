"""Whether tiers are any good: features of known kind, other examples and windows, a second
opinion, and the scores of labels by tier."""

from __future__ import annotations

import polars as pl
import streamlit as st

from backend.experiments.views import Run
from backend.schema import Job, Plan, Thresholds, Tier, TierSpec
from backend.tiers.views import TierCheck
from backend.tiers.words import PER_TIER
from components.shell import address, controls, markup, numbers, palette
from components.shell.lists import frame_html
from components.shell.markup import escape
from components.shell.status import Desk, render_estimate, waiting
from components.tiers.table import side_words, tier_of

EXPERIMENT = (
    "An experiment by the study's own model: token_frequency and eleuther_acts_top5, judged by "
    "detection, fuzzing and embedding, on as many features of each tier"
)
NOT_CHECKED = (
    "Not checked yet: features whose kind is known by construction are sorted with these windows, "
    "a sample of features is scored anew with others, and every feature's input and output score "
    "is read. Minutes, computed once."
)


def render(desk: Desk, study: str, spec: TierSpec, thresholds: Thresholds) -> None:
    """The check, or the button that asks for it, and label scores by tier."""
    markup.head("Is the protocol any good?")
    ask = desk.tier_check if address.get("checked") else desk.tier_check.live
    check: TierCheck | Job | None = ask(study, spec, thresholds)
    if check is None:
        markup.note(NOT_CHECKED)
        render_estimate(desk.tier_check, study, spec, thresholds)
        controls.start_button("Check the protocol", "ask-check", "checked")
    elif not waiting(check, desk, "check"):
        render_check(check)
    markup.head("Labels by tier", "do cheap ones hold up in tier 1, do models fail in tier 3?")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        run = choose_run(desk.experiments(study))
        each = st.number_input("Features a tier", 5, 60, PER_TIER, step=5, width=140, key="each")
        if st.button("Score labels by tier", key="by-tier", help=EXPERIMENT):
            address.put(run=desk.start_experiment_by_tier(study, spec, thresholds, int(each)))
            st.rerun(scope="fragment")
        plan: Plan = desk.plan_by_tier(study, spec, thresholds, int(each))
        render_estimate(desk.run_experiment, study, plan)
    if run:
        scores: pl.DataFrame | Job = desk.labels_by_tier(study, run, spec, thresholds)
        if not waiting(scores, desk, "labels"):
            markup.render(labels_html(scores))


def render_check(view: TierCheck) -> None:
    """Every table of the check."""
    left, right = st.columns([7, 5], gap="large")
    with left:
        markup.render(planted_html(view))
        markup.render(separation_html(view.separation))
    with right:
        markup.render(opinion_html(view.opinion))
        markup.render(stability_html(view.stability))


def planted_html(view: TierCheck) -> str:
    """What became of the features of known kind."""
    tiers = tuple(Tier)[1:]
    f1 = {row["tier"]: row for row in view.kinds.iter_rows(named=True)}
    rows = []
    for kind in tiers:
        part = view.confusion.filter(kind=kind.title)
        shares = {row["tier"]: row for row in part.iter_rows(named=True)}
        cells = [_share(shares[tier.title], tier == kind) for tier in tiers]
        own = f1[kind.title]
        rows.append(
            [named(kind.title), *cells, markup.interval(own["f1"], own["low"], own["high"])]
        )
    spec, tau = view.spec, view.thresholds
    best = (
        f"Best on the other planted set: {spec.count} examples, "
        f"{side_words('input', spec.input)}, {side_words('output', spec.output)}, "
        f"{side_words('cross', spec.cross)}; τ {numbers.fraction(tau.input)}, "
        f"{numbers.fraction(tau.output)}, {numbers.fraction(tau.cross, 3)} "
        f"(mean F1 {numbers.fraction(view.f1)} there)."
    )
    note = (
        "Rows: what a feature is by construction (on a word, before a word, on documents of one "
        "topic, at random). Columns: the tier it gets with the windows and τ above, with Wilson's "
        "95% interval; F1 with that of resamples. No word and no document of a topic is shared "
        "with the set that thresholds were chosen on. " + best
    )
    heads = ("planted", *(tier.title for tier in tiers), "F1")
    return markup.table(heads, rows, "t" + "n" * 5, note)


def _share(row: dict[str, float], own: bool) -> str:
    counts = f"{row['count']:.0f} of {row['of']:.0f}"
    ends = f"{numbers.fraction(row['low'])}–{numbers.fraction(row['high'])}"
    return f"<b>{counts}</b> <small>{ends}</small>" if own else counts if row["count"] else "–"


def named(title: str) -> str:
    """A tier's name after its colour, on one line."""
    return markup.dotted(title, palette.tier(tier_of(title)))


def separation_html(frame: pl.DataFrame) -> str:
    """What tells a topic from nothing."""
    counts = sorted(frame["count"].unique().to_list())
    rows = []
    for (window,), part in frame.group_by("window", maintain_order=True):
        areas = {row["count"]: row for row in part.iter_rows(named=True)}
        cells = [
            markup.interval(areas[c]["auroc"], areas[c]["low"], areas[c]["high"]) for c in counts
        ]
        rows.append([str(window), *cells])
    note = "AUROC of ρ between planted features on a topic and at random; chance is .50."
    return markup.table(
        ("window", *(f"{c} examples" for c in counts)), rows, "t" + "n" * len(counts), note
    )


def stability_html(frame: pl.DataFrame) -> str:
    """How many features keep their tier when something changes."""

    def change(what: str, effect: str) -> str:
        return escape(effect if what == "count" else side_words(what, int(effect)))

    columns = (
        ("changed", "t", str, "changed"),
        ("to", "t", change, "changed", "to"),
        ("same tier", "n", numbers.percent, "same"),
        ("κ", "n", numbers.fraction, "kappa"),
        ("n", "n", numbers.count, "n"),
    )
    note = (
        "Share of a sample of features that keep their tier, and Cohen's κ (agreement beyond "
        "chance). Where windows or examples change, τ is what suits the change best on planted "
        "features."
    )
    return frame_html(frame, columns, note)


def opinion_html(frame: pl.DataFrame) -> str:
    """Input and output score by tier."""
    columns = (
        ("tier", "t", named, "tier"),
        ("input score", "n", markup.interval, "input", "input_low", "input_high"),
        ("output score", "n", markup.interval, "output", "output_low", "output_high"),
        ("n", "n", numbers.count, "features"),
    )
    note = (
        "A second opinion that uses no embedder (arXiv 2505.20063). Input score: share of the "
        "strongest peaks at a token that the feature itself promotes. Output score: how likely "
        "its promoted tokens become when it is amplified. Means with 95% intervals."
    )
    return frame_html(frame, columns, note)


def choose_run(runs: list[Run]) -> str:
    """The experiment whose label scores are looked at; "" where there is none."""
    named = {run.run: run for run in runs if not run.run.startswith("import-")}
    if not named:
        return ""
    linked = address.get("run")
    name_shown = linked if linked in named else latest(list(named.values()))
    controls.selectbox(
        "run", "Experiment", list(named), name_shown, format_func=lambda run: words(named[run])
    )
    return name_shown


def latest(runs: list[Run]) -> str:
    """The one that ended last; where none has, the one that began last."""
    return max(runs, key=lambda run: (run.done, run.created)).run


def words(run: Run) -> str:
    """An experiment as a reader says it."""
    how = "by tier" if run.plan.among else "at random"
    return f"{run.plan.features} features {how} · {', '.join(run.plan.methods)}"


def labels_html(frame: pl.DataFrame) -> str:
    """Mean label scores by tier and method, beside the same labels given to other features."""
    scores = frame.filter((pl.col("of") != "empty") & (pl.col("tier") != Tier.UNSCORED.title))
    scorers = sorted(scores["scorer"].unique().to_list())
    rows = []
    for (method, tier), part in scores.group_by("method", "tier", maintain_order=True):
        means = {(row["scorer"], row["of"]): row for row in part.iter_rows(named=True)}
        count = max(row["features"] for row in means.values())
        cells = [
            _with_control(means.get((s, "label")), means.get((s, "shuffled"))) for s in scorers
        ]
        rows.append([str(method), named(str(tier)), *cells, str(count)])
    rows.sort(key=lambda row: row[0])
    note = (
        "Mean AUROC of labels with 95% interval; in brackets the same labels given to other "
        "features. Chance is .50."
    )
    heads = ("method", "tier", *(s.removesuffix("_auroc") for s in scorers), "features")
    return markup.table(heads, rows, "tt" + "n" * (len(scorers) + 1), note)


def _with_control(label: dict[str, float] | None, control: dict[str, float] | None) -> str:
    if label is None:
        return "–"
    cell = numbers.fraction(label["mean"])
    if label["features"] > 1:
        cell = markup.interval(label["mean"], max(0.0, label["low"]), min(1.0, label["high"]))
    return cell + (f" [{numbers.fraction(control['mean'])}]" if control else "")
