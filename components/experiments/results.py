"""What a labelling experiment came to: means beside their controls, differences, what the
verbalizer carries, labels farthest apart."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import polars as pl
import streamlit as st

from backend.experiments.views import Experiment
from backend.labels import words
from components.experiments.form import NEGATIVES, SPLITS
from components.shell import address, controls, markup, numbers, palette
from components.shell.links import anchor
from components.shell.lists import Column, frame_html
from components.shell.markup import escape

MEASURES = {"auroc": "AUROC where there is one", "post": "as in the baez post"}
MOST_DISTANCES = 12
EACH = 10  # texts with and without a word, in the judge's own test
PASSED = 0.7  # a judge whose interval lies above is one
NOTHING_CARRIED = (
    "What this verbalizer says of an activation is not told from what it says of a control.",
    "Read labels made from it (baez, nla_vector) as made from little or nothing of the feature.",
)


def scorers(means: pl.DataFrame, kind: str) -> list[str]:
    """The scorers to show: AUROC where there is one, or what the post counted."""
    there = set(means["scorer"])
    names = []
    for name in words.scorer_names():
        ranked = name + words.RANKED
        score = ranked if kind == "auroc" and ranked in there else name
        names += [score] if score in there else []
    return names


def shown_scores(frame: pl.DataFrame, view: Experiment, kind: str) -> pl.DataFrame:
    """The rows of the scorers that are shown."""
    return frame.filter(pl.col("scorer").is_in(scorers(view.means, kind)))


def render_plan(view: Experiment, methods: pl.DataFrame) -> None:
    """How it was done; `methods`: each with a description."""
    markup.head("How it was done")
    plan = view.plan
    failed = view.labels.filter(pl.col("failed") != "")
    window = f"±{plan.window} tokens" if plan.window else "whole contexts"
    chips = [
        markup.chip("features", numbers.count(view.labels["feature"].n_unique())),
        markup.chip("labels", numbers.count(len(view.labels))),
        markup.chip(
            "failed",
            numbers.count(len(failed)),
            "methods that gave no label",
            "warn" if len(failed) else "",
        ),
        markup.chip("train and test", escape(SPLITS.get(plan.split, plan.split))),
        markup.chip("negatives", escape(NEGATIVES.get(plan.negatives, plan.negatives))),
        markup.chip("judge sees", escape(window)),
        markup.chip("writer", escape(view.writer)),
        markup.chip("judge", escape(view.judge)),
    ]
    helps = dict(methods.select("method", "help").iter_rows())
    rows = [[name(each), escape(helps.get(each, "–"))] for each in plan.methods]
    st.html(markup.chips(chips) + markup.table(("method", "what it does"), rows, "tt"))


# ---------------------------------------------------------------- the figure


def means_chart(view: Experiment, kind: str) -> go.Figure:
    """Mean over features of each method by each scorer, with 95% intervals; hollow: the same
    method's labels given to other features; dashed: chance."""
    colours = palette.current()
    scores = scorers(view.means, kind)
    rows = ["", *reversed(view.plan.methods)]
    figure = palette.figure(height=76 + 44 * len(rows))
    figure.set_subplots(1, max(1, len(scores)), shared_yaxes=True, horizontal_spacing=0.04)
    for column, scorer in enumerate(scores, 1):
        some = view.means.filter(pl.col("scorer") == scorer)
        for place, method in enumerate(rows):
            for control, symbol, hue, shift in (
                ("empty", "x-thin-open", colours.muted, 0.0),
                ("shuffled", "circle-open", colours.muted, -0.2),
                ("label", "circle", palette.method(method), 0.12),
            ):
                part = some.filter((pl.col("method") == method) & (pl.col("of") == control))
                if len(part):
                    trace = _point(part.row(0, named=True), place + shift, hue, symbol)
                    figure.add_trace(trace, 1, column)
        chance = {"color": colours.muted, "dash": "dash", "width": 1}
        figure.add_vline(some["chance"][0], line=chance, col=column, row=1)  # type: ignore[arg-type]
        counted = some.filter(pl.col("of") == "label")["features"].to_list()
        title = f"{words.base(scorer)} · {words.measure(scorer)} · n = {min(counted, default=0)}"
        figure.update_xaxes(title=title, col=column, row=1)
    figure.update_layout(margin={"l": 0, "r": 8, "t": 4, "b": 4})
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=["no label", *(f"{method}{doubt(method, view)}" for method in rows[1:])],
        range=[-0.5, len(rows) - 0.5],
        showgrid=False,
    )
    return figure


def doubt(method: str, view: Experiment) -> str:
    """What is said beside a method whose verbalizer is not told from its control."""
    stands = method.startswith(("baez", "nla_vector")) and carries_nothing(view)
    return "<br><i>verbalizer not told from its control</i>" if stands else ""


CONTROL_NAMES = {"label": "label", "shuffled": "another feature's label", "empty": "no label"}


def _point(row: dict[str, Any], y: float, hue: str, symbol: str) -> go.Scatter:
    """One mean with its interval, and all of it in words on hover."""
    hint = (
        f"{row['method']} · {CONTROL_NAMES[row['of']]}<br>{numbers.fraction(row['mean'], 3)} "
        f"({numbers.fraction(row['low'], 3)} to {numbers.fraction(row['high'], 3)})<br>"
        f"{row['features']} features, {row['n']:,} excerpts, {row['failures']} failed"
    )
    ends = ([row[end]] for end in ("mean", "low", "high"))
    return go.Scatter(
        x=[row["mean"]],
        y=[y],
        text=[hint],
        mode="markers",
        marker={
            "color": hue,
            "size": 9 if symbol == "circle" else 7,
            "symbol": symbol,
            "line": {"color": hue, "width": 1.5},
        },
        error_x=palette.error_bars(*ends, color=hue, thickness=1.5),
        hovertemplate="%{text}<extra></extra>",
    )


def render_measures() -> None:
    """Which number of a judge is shown."""
    controls.segmented_control(
        "measure",
        "Measure",
        list(MEASURES),
        format_func=MEASURES.__getitem__,
        label_visibility="collapsed",
    )


def render_means(view: Experiment) -> None:
    """The figure with how to read it."""
    kind = address.get("measure")
    st.plotly_chart(
        means_chart(view, kind), theme=None, config=palette.CONFIG, key="means",
        alt="Mean score of each method by each scorer",
    )  # fmt: skip
    st.html(f'<p class="note">{escape(reading(view, kind))}</p>')


def reading(view: Experiment, kind: str) -> str:
    """What the figure can and cannot show."""
    pairs = shown_scores(view.differences, view, kind)
    smallest = pairs.filter(pl.col("smallest") > 0)["smallest"]
    lines = [
        "Filled: mean over features with 95% interval; hollow: the same labels given to other "
        "features; ×: no label; dashed: chance."
    ]
    if len(smallest):
        lines.append(
            f"With {pairs['features'].max()} features, the smallest true difference between two "
            f"methods that would mostly show (80% power) is {numbers.fraction(smallest.min(), 3)} "
            f"to {numbers.fraction(smallest.max(), 3)}, depending on pair and scorer."
        )
    return " ".join(lines)


# ---------------------------------------------------------------- tables


def _signed(value: object) -> str:
    return numbers.signed(value, 3)


def _signed_interval(low: object, high: object) -> str:
    return f"{_signed(low)} to {_signed(high)}"


_SCORE: Column = ("by", "t", lambda s: escape(f"{words.base(s)} · {words.measure(s)}"), "scorer")
_INTERVAL: Column = ("95% interval", "n", _signed_interval, "low", "high")
_SAMPLE: tuple[Column, ...] = (  # the smallest difference that would show, and of how many features
    ("smallest", "n", lambda value: numbers.fraction(value, 3), "smallest"),
    ("n", "n", numbers.count, "features"),
)


def answer_html(view: Experiment, kind: str) -> str:
    """What the experiment says, in a sentence: which methods beat their shuffled control."""
    some = shown_scores(view.gains, view, kind)
    if not len(some):
        failed = len(view.labels.filter(pl.col("failed") != ""))
        sentence = f"Nothing could be compared: {failed} of {len(view.labels)} labels failed."
        return f'<p class="answer"><b>{escape(sentence)}</b></p>'
    beats = [row for row in some.iter_rows(named=True) if (row["low"] or 0) > 0]
    parts = [
        f"{row['method']} by {words.title(row['scorer'])} "
        f"({_signed(row['difference'])}, 95% interval {_signed_interval(row['low'], row['high'])}; "
        f"{row['features']} features)"
        for row in beats
    ]
    few, most = some["features"].min(), some["features"].max()
    n = f"{most}" if few == most else f"{few} to {most}"
    sentence = (
        f"Labels that beat their shuffled control: {'; '.join(parts)}."
        if beats
        else f"No method beats its shuffled control, on {n} features."
    )
    more = (
        f"Shuffled: the same labels, each given to another feature. Of {len(some)} such intervals "
        f"about {len(some) / 40:.1f} lie above 0 by chance alone."
    )
    return f'<p class="answer"><b>{escape(sentence)}</b></p><p class="note">{escape(more)}</p>'


def gains_html(view: Experiment, kind: str) -> str:
    """Each method's labels less its control, over the same features."""
    columns = (
        ("method", "t", name, "method"),
        _SCORE,
        ("label − control", "n", _signed, "difference"),
        _INTERVAL,
        *_SAMPLE,
    )
    return frame_html(shown_scores(view.gains, view, kind), columns)


def differences_html(view: Experiment, kind: str) -> str:
    """Every pair of methods, over the same features."""
    pairs = shown_scores(view.differences, view, kind)
    columns = (
        ("methods", "t", lambda one, other: f"{name(one)} − {name(other)}", "method", "other"),
        _SCORE,
        ("difference", "n", _signed, "difference"),
        _INTERVAL,
        ("beyond 0", "n", lambda a, b: "yes" if (a or 0) * (b or 0) > 0 else "no", "low", "high"),
        *_SAMPLE,
    )
    note = (
        f"Over features that both methods have a score for. Of {len(pairs)} intervals about "
        f"{len(pairs) / 20:.1f} leave out 0 by chance alone. Smallest: the true difference that so "
        "many features would show with 80% power."
    )
    return frame_html(pairs, columns, note if len(pairs) else "")


def name(method: str) -> str:
    """A method's name, which may break at its underscores."""
    return escape(method).replace("_", "_<wbr>") or "no label"


def controls_html(view: Experiment) -> str:
    """Whether the verbalizer says more of a residual than of nothing."""
    kinds = {"random": "a random vector of the same length", "other": "another feature's peak"}
    columns = (
        ("against", "t", kinds.__getitem__, "control"),
        ("told apart", "n", markup.interval, "share", "low", "high"),
        ("features", "n", numbers.count, "features"),
        ("peaks", "n", numbers.count, "n"),
        ("ties", "n", numbers.count, "ties"),
    )
    note = (
        "How often the embedder finds what was said of the real residual nearer to its own text "
        "than what was said of the control (a tie is half); chance is .50."
    )
    return frame_html(view.controls, columns, note)


def carries_nothing(view: Experiment) -> bool:
    """Whether the verbalizer is not told from one of its controls."""
    return any((row["low"] or 0) <= 0.5 for row in view.controls.iter_rows(named=True))


def known_html(view: Experiment) -> str:
    """How the judge does where the answer is known; a warning where it fails."""
    ranked = view.known.filter(pl.col("scorer") == "detection" + words.RANKED)
    row = (ranked if len(ranked) else view.known).row(0, named=True)
    result = (
        f"Asked which of {2 * EACH} texts hold a given word, the judge scores "
        f"{numbers.fraction(row['mean'])} ({words.measure(row['scorer'])}, 95% interval "
        f"{numbers.fraction(row['low'])} to {numbers.fraction(row['high'])}, {row['words']} words, "
        f"{row['failures']} failed)."
    )
    if (row["low"] or 0) > PASSED:
        return f'<p class="note">{escape(result)}</p>'
    return finding_html(result, "A judge that fails this says nothing by its scores of labels.")


def finding_html(finding: str, so: str) -> str:
    """What was found, and what follows."""
    return f'<div class="finding"><b>{escape(finding)}</b><p>{escape(so)}</p></div>'


def distances_html(view: Experiment) -> str:
    """The labels of two methods that lie farthest apart, with the way to compare them."""

    def link(feature: int) -> str:
        return anchor(str(feature), "compare", run=view.run, feature=feature)

    columns = (
        ("feature", "t", link, "feature"),
        ("method", "t", name, "method"),
        ("label", "t", markup.label, "text"),
        ("method", "t", name, "other"),
        ("label", "t", markup.label, "other_text"),
        ("distance", "n", numbers.fraction, "distance"),
    )
    note = "Distance: 1 − cosine of the labels' embeddings; a number opens the feature on Compare."
    return frame_html(view.distances.head(MOST_DISTANCES), columns, note)


def failures_html(view: Experiment) -> str:
    """Methods that gave no label, and why."""
    failed = view.labels.filter(pl.col("failed") != "")
    counted = (
        failed.group_by("method", "failed", maintain_order=True).len().sort("len", descending=True)
    )
    columns = (
        ("method", "t", name, "method"),
        ("why there is no label", "t", escape, "failed"),
        ("features", "n", numbers.count, "len"),
    )
    note = "Counted here and left out of every mean: a label that was not given is not a wrong one."
    return frame_html(counted, columns, note)


def downloads_of(view: Experiment) -> dict[str, pl.DataFrame]:
    """The experiment's tables, by name."""
    names = ("labels", "scores", "means", "differences", "gains", "distances", "controls")
    return {f"experiment {view.run[:8]} {each}": getattr(view, each) for each in names}
