"""Labels of one feature or region by method, and their scores beside those of labels that know
nothing."""

from __future__ import annotations

import polars as pl
import streamlit as st

from backend.labels import words
from backend.labels.views import Labels, LabelScores
from backend.labels.words import LabelRequest
from backend.schema import Job
from components.experiments.results import name, scorers
from components.shell import address, markup, numbers
from components.shell.lists import frame_html
from components.shell.markup import escape
from components.shell.status import Desk, waiting

ENDS = ("value", "low", "high")
HUMAN = "human"
LONGEST = 48  # characters before a peak
CONTROLS = {"shuffled": "another's label", "empty": "no label"}


def render_section(desk: Desk, fragment: str, study: str, request: LabelRequest) -> None:
    """What each method calls a feature or region; asks the model, and judges, when a person wants
    it."""
    markup.head("Labels", "by methods that count, and by those that ask a model")
    number = request.number
    view: Labels | Job = desk.labels(study, request)
    if waiting(view, desk, "known-labels"):
        return
    if not len(view.labels):
        return markup.note(view.evidence)
    missing, job = _missing(view), None
    if missing and address.get("labelled") == number:
        written = desk.write_labels(study, request, ",".join(missing))
        job = written if isinstance(written, Job) else None
        fresh: Labels | Job = desk.labels(study, request)  # written since the look above, perhaps
        view = view if isinstance(fresh, Job) else fresh
    st.html(labels_html(view) + verbalizations_html(view))
    if job and waiting(job, desk, "asked"):
        return
    labelled = view.labels.filter((pl.col("text") != "") & (pl.col("method") != HUMAN))
    methods = labelled["method"].to_list()
    if methods and address.get("scored") == number:
        scores: LabelScores | Job = desk.label_scores(study, request, ",".join(methods))
        if not waiting(scores, desk, "labels"):
            st.html(scores_html(scores.scores))
    _render_buttons(number, fragment, _missing(view), methods)


def _missing(view: Labels) -> list[str]:
    """Methods whose labels no model has written yet."""
    return view.labels.filter(~pl.col("known"))["method"].to_list()


def _render_buttons(number: int, fragment: str, missing: list[str], methods: list[str]) -> None:
    scoring = "On contexts that no label was made from, beside labels that know nothing"
    more = f"Ask the model for {len(missing)} more"
    buttons = (
        (missing, "labelled", "ask-labels", more, "By " + ", ".join(missing)),
        (methods, "scored", "score-labels", "Score these labels", scoring),
    )
    with st.container(horizontal=True, gap="small", key="label-buttons"):
        for some, field, key, label, hint in buttons:
            if some and address.get(field) != number:
                args = fragment, field, number
                st.button(label, type="tertiary", key=key, help=hint, on_click=_put, args=args)


def _put(fragment: str, field: str, number: int) -> None:
    address.put(**{field: number})
    st.rerun([fragment])


def labels_html(view: Labels) -> str:
    """Each known label and why it says so."""
    columns = (
        ("method", "t", name, "method"),
        ("label", "t", lambda text: f"<b>{escape(text or '–')}</b>", "text"),
        ("why", "t", escape, "detail"),
    )
    return frame_html(view.labels.filter(pl.col("known")), columns, f"Drawn: {view.evidence}.")


def verbalizations_html(view: Labels) -> str:
    """The texts of the verbalizer at the peaks that `baez` stands on, its controls beside them."""
    if not len(view.verbalizations):
        return ""
    texts = {"said of it": "real", "of another's peak": "other", "of a random vector": "random"}
    columns = (
        ("up to the peak", "t", lambda context: f"…{escape(context[-LONGEST:])}", "context"),
        *((head, "t", lambda text: escape(text or "–"), field) for head, field in texts.items()),
    )
    note = "What reads alike in all columns tells nothing; Experiment measures it."
    table = frame_html(view.verbalizations, columns, note)
    summary = "What the verbalizer said, beside its controls"
    return f"<details><summary>{summary}</summary>{table}</details>"


def scores_html(scores: pl.DataFrame) -> str:
    """One row a label, one column a scorer; a control in the same method's name below it."""
    by_model = words.judged_names()
    columns = sorted(scorers(scores, "auroc"), key=lambda s: words.base(s) in by_model)
    rows = []
    keys = ("method", "of", "label")
    for (method, control, label), group in scores.group_by(*keys, maintain_order=True):
        by_scorer = {row["scorer"]: row for row in group.iter_rows(named=True)}
        title = name(str(method)) if control == "label" else f"<i>{CONTROLS[str(control)]}</i>"
        cells = [markup.interval(*(by_scorer[scorer][end] for end in ENDS)) for scorer in columns]
        failures = sum(row["failures"] for row in by_scorer.values())
        rows.append([title, escape(str(label) or "–"), *cells, numbers.count(failures)])
    some = scores.row(0, named=True)
    judge = scores.filter(pl.col("scorer").is_in(by_model))["judge"][0]
    note = (
        f"On {some['n']} held-out contexts, half of them negatives, with 95% intervals; chance is "
        f"{numbers.fraction(0.5)}. {' and '.join(by_model).capitalize()} are judged by {judge}. "
        "An interval that holds .50, or that of a control, shows nothing."
    )
    heads = ("method", "label", *map(words.title, columns))
    return markup.table((*heads, "failed"), rows, "tt" + "n" * (len(columns) + 1), note)
