"""Labels made by hand as files, out and in."""

from __future__ import annotations

import functools
from typing import Protocol

import streamlit as st

from backend.views import Taken
from components import markup, numbers
from components.status import reported

FORMATS = {
    "events": ("everything that was said, as JSONL", "events.jsonl", "application/jsonl"),
    "jsonl": ("current labels as JSONL", "jsonl", "application/jsonl"),
    "csv": ("current labels as CSV", "csv", "text/csv"),
    "parquet": ("current labels as Parquet", "parquet", "application/vnd.apache.parquet"),
    "neuronpedia": ("current labels as Neuronpedia explanations", "zip", "application/zip"),
}
ENDINGS = {".events.jsonl": "events", ".jsonl": "jsonl", ".csv": "csv", ".parquet": "parquet"}


class DecisionDesk(Protocol):
    """The part of `backend.queries` that reads and writes decisions."""

    def export_decisions(self, study: str, format: str) -> bytes: ...

    def take_decisions(self, study: str, person: str, data: bytes, format: str) -> Taken: ...


def render_files(desk: DecisionDesk, study: str, person: str) -> None:
    """Every format out, and a field for a file to take in."""
    with st.popover("Files", type="tertiary", key="decision-files"):
        for kind, (words, ending, mime) in FORMATS.items():
            st.download_button(
                words,
                data=functools.partial(desk.export_decisions, study, kind),
                file_name=f"{study}-by-hand.{ending}",
                mime=mime,
                key=f"decisions-{kind}",
                on_click="ignore",
                type="tertiary",
            )
        given = st.file_uploader(
            "Take in a file of events (.events.jsonl) or labels (.jsonl, .csv, .parquet)",
            type=["jsonl", "csv", "parquet"],
            key="decisions-in",
        )
        if given is not None:
            with reported():
                kind = format_of(given.name)
                markup.render(
                    taken_html(desk.take_decisions(study, person, given.getvalue(), kind))
                )


def format_of(name: str) -> str:
    """The format of a file by how its name ends."""
    return next((kind for ending, kind in ENDINGS.items() if name.endswith(ending)), "")


def taken_html(taken: Taken) -> str:
    """What became of a file."""
    said = f"{numbers.count(taken.kept)} taken in, {numbers.count(taken.known)} known already."
    wrong = "".join(f"<li>{markup.escape(problem)}</li>" for problem in taken.problems[:20])
    more = len(taken.problems) - 20
    rest = f"<li>and {numbers.count(more)} more</li>" if more > 0 else ""
    return f'<p class="note">{said}</p>' + (f"<ul>{wrong}{rest}</ul>" if wrong else "")
