"""Experiments as files: out in every format, in from a folder of the baez post."""

from __future__ import annotations

import functools

import streamlit as st

from backend.experiments.views import ExperimentImport
from backend.experiments.words import FORMATS
from components.shell import address, markup
from components.shell.status import Desk, reported


def render_export(desk: Desk, study: str, run: str) -> None:
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


def render_import(desk: Desk) -> None:
    """A field for the folder of an experiment; what could not be read in it is listed."""
    with st.popover("Import", type="tertiary", key="import"):
        file = st.file_uploader(
            "An experiment folder of the baez post, as a zip", type="zip", key="import-file"
        )
        if file is None:
            return
        with reported():
            imported: ExperimentImport = desk.import_experiment(file.getvalue())
            show = functools.partial(address.put, run=imported.run)
            st.button("Show it", type="primary", key="import-show", on_click=show)
            for words in (*imported.problems, *imported.notes):
                markup.note(words)
