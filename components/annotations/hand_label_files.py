"""Labels made by hand as files, out and in."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from backend.annotations.views import DecisionImport
from backend.annotations.words import FileFormat, format_of
from components.shell import markup, numbers
from components.shell.status import Desk, reported

LAST = "decisions.import"  # in the session: the last upload, and what became of it
MOST_PROBLEMS = 20  # that are listed


def render_files(desk: Desk, study: str, person: str) -> None:
    """Every format out, and a field for a file that is imported."""
    formats: list[FileFormat] = desk.decision_formats()
    with st.popover("Export / import", type="tertiary", key="decision-files"):
        for each in formats:
            st.download_button(
                each.title,
                data=functools.partial(desk.export_decisions, study, each.name),
                file_name=f"{study}-by-hand.{each.ending}",
                mime=each.mime,
                key=f"decisions-{each.name}",
                on_click="ignore",
                type="tertiary",
                help=each.loses or "Holds everything",
            )
        whole = " or ".join(each.title for each in formats if not each.loses)
        markup.note(f"Nothing is lost in {whole}; what the others lose, their hints say.")
        upload = st.file_uploader(
            f"Import a file of events or labels ({', '.join(endings(formats))})",
            type=list(dict.fromkeys(ending.rsplit(".")[-1] for ending in endings(formats))),
            key="decisions-in",
        )
        if upload is not None:
            with reported():
                markup.render(import_html(_imported(desk, study, person, upload)))


def endings(formats: Sequence[FileFormat]) -> list[str]:
    """How the names of files end that can be imported."""
    return [f".{each.ending}" for each in formats if each.can_import]


def _imported(desk: Desk, study: str, person: str, upload: UploadedFile) -> DecisionImport:
    """What became of an upload; each is imported once, however often the page runs."""
    identity = study, person, upload.file_id
    last, answer = st.session_state.get(LAST, (None, None))
    if last != identity:
        kind = format_of(upload.name, desk.decision_formats())
        answer = desk.import_decisions(study, person, upload.getvalue(), kind, upload.name)
        st.session_state[LAST] = identity, answer
    return answer


def import_html(answer: DecisionImport) -> str:
    """What became of a file."""
    counts = f"{numbers.count(answer.kept)} imported, {numbers.count(answer.known)} known already."
    words = " ".join([counts, *map(markup.escape, answer.notes)])
    problems = answer.problems[:MOST_PROBLEMS]
    items = "".join(f"<li>{markup.escape(problem)}</li>" for problem in problems)
    more = len(answer.problems) - len(problems)
    rest = f"<li>and {numbers.count(more)} more</li>" if more > 0 else ""
    return f'<p class="note">{words}</p>' + (f"<ul>{items}{rest}</ul>" if items else "")
