"""Jobs: what runs, ran and failed, with the buttons to cancel and to try again."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from backend.schema import Job
from components.shell import address, controls, numbers
from components.shell.browsing import number, text
from components.shell.provenance import recipe_html
from components.shell.rows import Opening, render_rows
from components.shell.status import (
    Desk,
    name_of,
    pace,
    render_empty,
    render_problem,
    render_progress,
    share_of,
)

ROWS = "job-rows"
NONE = {  # of jobs that ended so
    "all": ("No job has ended.", "Open Regions or Features: what they need is computed."),
    "done": ("No job is done.", ""),
    "failed": ("No job has failed.", ""),
    "cancelled": ("No job was cancelled.", ""),
}


def took(job: Job) -> str:
    """How long a job ran."""
    return numbers.span(job.seconds) if job.finished is not None else numbers.MISSING


# how each column is shown, and what of a job
COLUMNS: dict[str, tuple[ColumnConfig, Callable[[Job], object]]] = {
    "work": (text("work", 330), name_of),
    "study": (text("study", 90), lambda job: job.study),
    "state": (text("state", 80), lambda job: job.state),
    "progress": (
        st.column_config.ProgressColumn("progress", width=110, format="percent"),
        lambda job: 1.0 if job.state == "done" else share_of(job) or 0.0,
    ),
    "age": (text("age", 64), lambda job: numbers.age(job.created)),
    "took": (text("took", 90), took),
    "device": (text("device", 64), lambda job: job.device),
    "restarts": (number("restarts", 68), lambda job: job.attempts),
    "error": (text("error", 250), lambda job: job.error),
}


def frame_of(jobs: list[Job]) -> pl.DataFrame:
    """Jobs as rows."""
    cells = {name: [cell(job) for job in jobs] for name, (_, cell) in COLUMNS.items()}
    return pl.DataFrame(cells, schema_overrides={"error": pl.String})


def outdated_words(count: int, gigabytes: float) -> str:
    """What an earlier version left in the cache; empty where nothing is."""
    if not count:
        return ""
    return (
        f"{count:,} results ({gigabytes:.1f} GB) of an earlier version are in the cache: "
        "they are computed anew when they are asked for. They are deleted when space is needed, or "
        "by python -m backend cache evict --outdated."
    )


def render_live(jobs: list[Job], desk: Desk) -> None:
    """What runs, then what waits in its order, each with its way out."""
    if not jobs:
        st.html('<p class="note">Nothing runs and nothing waits.</p>')
    for job in jobs:
        with st.container(key=f"live-{job.id}"):
            render_progress(job, desk, job.id, line=jobs)


def render_ended(jobs: list[Job]) -> None:
    """What has ended; a row opens below."""
    controls.segmented_control("state", "State", address.ENDED, label_visibility="collapsed")
    state = address.get("state")
    listed_jobs = [job for job in jobs if state in ("all", job.state)]
    if not listed_jobs:
        render_empty(*NONE[state])
        return
    render_rows(
        frame_of(listed_jobs),
        Opening(
            [job.id for job in listed_jobs],
            address.get("job"),
            lambda job: address.put(job=job or ""),
        ),
        ROWS,
        column_config={name: look for name, (look, _) in COLUMNS.items()},
        row_height=28,
        placeholder="",
        alt="Jobs that have ended; click a row to open it",
    )


def render_job(job: Job, desk: Desk) -> None:
    """One job closely: what was asked, how it ended, and the way to repeat it."""
    facts = {
        "work": name_of(job),
        "study": job.study,
        "state": job.state,
        "progress": pace(job) or numbers.MISSING,
        "took": took(job),
        "device": job.device,
        "restarts after a worker died": str(job.attempts),
        "arguments": job.arguments,
    }
    if job.state == "failed":
        render_problem(job.error or "No reason was given.", "", job.traceback)
    st.html(recipe_html(facts))
    if job.state in ("failed", "cancelled"):
        label = "Try again" if job.state == "failed" else "Resume"
        st.button(label, key=f"retry-{job.id}", on_click=desk.retry, args=(job.id,))
