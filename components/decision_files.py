"""Labels made by hand as files, out and in."""

from __future__ import annotations

import functools
import re
from typing import Protocol

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

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
# a browser that has a file of this name puts a number into it: a.events (1).jsonl
ENDINGS = {
    r"\.events\b.*\.jsonl": "events",
    r"\.jsonl": "jsonl",
    r"\.csv": "csv",
    r"\.parquet": "parquet",
}
HELD = (
    "Only the first holds everything: what was undone or superseded, tags, confidence, flags, "
    "texts, whether hints were seen. JSONL, CSV and Parquet hold who called which feature what, "
    "notes and times; Neuronpedia’s form the labels alone, and is not taken in."
)
TAKEN = "decisions.taken"  # in the session: the upload taken last, and what was answered


class DecisionDesk(Protocol):
    """The part of `backend.queries` that reads and writes decisions."""

    def export_decisions(self, study: str, format: str) -> bytes: ...

    def take_decisions(
        self, study: str, person: str, data: bytes, format: str, file: str
    ) -> Taken: ...


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
        markup.note(HELD)
        given = st.file_uploader(
            "Take in a file of events (.events.jsonl) or labels (.jsonl, .csv, .parquet)",
            type=["jsonl", "csv", "parquet"],
            key="decisions-in",
        )
        if given is not None:
            with reported():
                markup.render(taken_html(_taken(desk, study, person, given)))


def _taken(desk: DecisionDesk, study: str, person: str, given: UploadedFile) -> Taken:
    """What became of an upload; each is taken once, however often the page runs."""
    upload = study, person, given.file_id
    last, answer = st.session_state.get(TAKEN, (None, None))
    if last != upload:
        kind = format_of(given.name)
        answer = desk.take_decisions(study, person, given.getvalue(), kind, given.name)
        st.session_state[TAKEN] = upload, answer
    return answer


def format_of(name: str) -> str:
    """The format of a file by how its name ends."""
    lower = name.lower()
    return next((kind for end, kind in ENDINGS.items() if re.search(f"{end}$", lower)), "")


def taken_html(taken: Taken) -> str:
    """What became of a file."""
    said = f"{numbers.count(taken.kept)} taken in, {numbers.count(taken.known)} known already."
    said = " ".join([said, *map(markup.escape, taken.notes)])
    wrong = "".join(f"<li>{markup.escape(problem)}</li>" for problem in taken.problems[:20])
    more = len(taken.problems) - 20
    rest = f"<li>and {numbers.count(more)} more</li>" if more > 0 else ""
    return f'<p class="note">{said}</p>' + (f"<ul>{wrong}{rest}</ul>" if wrong else "")
