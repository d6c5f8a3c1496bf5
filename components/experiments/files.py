"""Experiments as files: out in every format, in from a folder of the baez post."""

from __future__ import annotations

import functools
from typing import Protocol

import streamlit as st

from backend.experiments.views import Imported
from components.shell import address, markup
from components.shell.status import reported

FORMATS = {
    "jsonl": ("labels as JSONL", "jsonl", "application/jsonl"),
    "csv": ("labels as CSV", "csv", "text/csv"),
    "parquet": ("labels as Parquet", "parquet", "application/vnd.apache.parquet"),
    "neuronpedia": ("labels as Neuronpedia explanations", "zip", "application/zip"),
    "baez": ("all, as a folder of the baez post", "zip", "application/zip"),
}


class FileDesk(Protocol):
    """The part of `backend.queries` that reads and writes files."""

    def export_experiment(self, study: str, /, run: str, format: str) -> bytes: ...

    def import_experiment(self, data: bytes) -> Imported: ...


def render_export(desk: FileDesk, study: str, run: str) -> None:
    """The experiment as files, each made when it is asked for."""
    with st.popover("Export", type="tertiary", key="export"):
        for kind, (words, ending, mime) in FORMATS.items():
            st.download_button(
                words,
                data=functools.partial(desk.export_experiment, study, run, kind),
                file_name=f"{study}-{run[:12]}-{kind}.{ending}",
                mime=mime,
                key=f"export-{kind}",
                on_click="ignore",
                type="tertiary",
            )


def render_import(desk: FileDesk) -> None:
    """A field for the folder of an experiment; what could not be read in it is listed."""
    with st.popover("Import", type="tertiary", key="import"):
        file = st.file_uploader(
            "An experiment folder of the baez post, as a zip", type="zip", key="import-file"
        )
        if file is None:
            return
        with reported():
            imported = desk.import_experiment(file.getvalue())
            show = functools.partial(address.put, run=imported.run)
            st.button("Show it", type="primary", key="import-show", on_click=show)
            for words in (*imported.problems, *imported.notes):
                markup.note(words)
