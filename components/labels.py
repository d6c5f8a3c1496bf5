"""A feature's labels by method, and their scores beside those of labels that know nothing."""

from __future__ import annotations

import polars as pl
import streamlit as st

from backend.views import Labels, LabelScores
from components import address, markup, numbers
from components.feature_table import INSPECTOR
from components.markup import escape

SCORERS = {
    "embedding_auroc": "embedding",
    "detection_auroc": "detection",
    "fuzzing_auroc": "fuzzing",
}
CONTROLS = {"shuffled": "another feature's label", "empty": "no label"}


def render_labels(view: Labels) -> None:
    """Each method's label, and why it says so."""
    markup.head("Labels", "by methods that ask no language model")
    if not len(view.labels):
        return markup.note(view.evidence)
    rows = [
        [_name(row["method"]), f"<b>{escape(row['text'] or '–')}</b>", escape(row["detail"])]
        for row in view.labels.iter_rows(named=True)
    ]
    st.html(markup.table(("method", "label", "why"), rows, "ttt", f"Drawn: {view.evidence}."))


def _name(method: str) -> str:
    """A method's name, which may break at its underscores."""
    return escape(method).replace("_", "_<wbr>")


def asked() -> bool:
    """Whether scores are asked for; if not, the way to them: they take the model some seconds."""
    if address.get("scored"):
        return True
    st.button(
        "Score these labels",
        type="tertiary",
        key="score-labels",
        help="On contexts that no label was made from, beside labels that know nothing",
        on_click=_ask,
    )
    return False


def _ask() -> None:
    address.put(scored=True)
    st.rerun([INSPECTOR])


def render_scores(view: LabelScores) -> None:
    """AUROC of every label and control, with 95% intervals."""
    st.html(scores_html(view.scores))


def scores_html(scores: pl.DataFrame) -> str:
    """One row a label, one column a scorer; a control in the same method's name below it."""
    rows = []
    for (method, of, label), group in scores.group_by("method", "of", "label", maintain_order=True):
        found = {row["scorer"]: row for row in group.iter_rows(named=True)}
        name = _name(str(method)) if of == "label" else f"<i>{CONTROLS[str(of)]}</i>"
        cells = [_cell(found[scorer]) for scorer in SCORERS]
        failures = sum(row["failures"] for row in found.values())
        rows.append([name, escape(str(label) or "–"), *cells, numbers.count(failures)])
    some = scores.row(0, named=True)
    note = (
        f"AUROC on {some['n']} held-out contexts, half of them negatives, with 95% intervals; "
        f"chance is {numbers.fraction(0.5)}. Detection and fuzzing are judged by the study's own "
        "model, a weak judge. An interval that holds .50, or that of a control, shows nothing."
    )
    heads = ("method", "label", *SCORERS.values(), "failed")
    return markup.table(heads, rows, "ttnnnn", note)


def _cell(row: dict[str, object]) -> str:
    span = f"{numbers.fraction(row['low'])}–{numbers.fraction(row['high'])}"
    return f"{numbers.fraction(row['value'])} <small>{span}</small>"
