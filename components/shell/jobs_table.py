"""Jobs: what runs, ran and failed, with the buttons to cancel and to try again."""

from __future__ import annotations

import polars as pl
import streamlit as st

from backend.schema import Job
from components.shell import address, controls, numbers
from components.shell.provenance import recipe_html
from components.shell.rows import render_rows
from components.shell.status import (
    Desk,
    name_of,
    pace,
    progress_html,
    render_empty,
    render_problem,
    share_of,
)

ROWS = "job-rows"
STATES = ("all", "done", "failed", "cancelled")
COLUMNS = {
    "work": st.column_config.TextColumn("work", width=260),
    "study": st.column_config.TextColumn("study", width=90),
    "state": st.column_config.TextColumn("state", width=80),
    "progress": st.column_config.ProgressColumn("progress", width=110, format="percent"),
    "age": st.column_config.TextColumn("age", width=64),
    "took": st.column_config.TextColumn("took", width=90),
    "device": st.column_config.TextColumn("device", width=64),
    "restarts": st.column_config.NumberColumn("restarts", width=68),
    "error": st.column_config.TextColumn("error", width=320),
}


def frame_of(jobs: list[Job]) -> pl.DataFrame:
    """Jobs as rows."""
    return pl.DataFrame(
        {
            "work": [name_of(job) for job in jobs],
            "study": [job.study for job in jobs],
            "state": [job.state for job in jobs],
            "progress": [1.0 if job.state == "done" else share_of(job) for job in jobs],
            "age": [numbers.age(job.created) for job in jobs],
            "took": [took(job) for job in jobs],
            "device": [job.device for job in jobs],
            "restarts": [job.attempts for job in jobs],
            "error": [job.error for job in jobs],
        },
        schema_overrides={"error": pl.String},
    )


def took(job: Job) -> str:
    """How long a job ran."""
    if job.started is None or job.finished is None:
        return numbers.MISSING
    return numbers.span(job.finished - job.started)


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
    """What runs or waits, each with its way out."""
    if not jobs:
        st.html('<p class="note">Nothing runs and nothing waits.</p>')
    for job in jobs:
        with st.container(key=f"live-{job.id}"):
            st.html(progress_html(job))
            st.button(
                "Cancel",
                key=f"cancel-{job.id}",
                type="tertiary",
                on_click=desk.cancel,
                args=(job.id,),
            )


def render_ended(jobs: list[Job]) -> None:
    """What has ended; a row opens below."""
    controls.segmented_control("state", "State", STATES, label_visibility="collapsed")
    state = address.get("state")
    listed_jobs = [job for job in jobs if state in ("all", job.state)]
    if not listed_jobs:
        render_empty("No job has ended.", "Open Regions or Features: what they need is computed.")
        return
    render_rows(
        frame_of(listed_jobs),
        [job.id for job in listed_jobs],
        address.get("job"),
        lambda job: address.put(job=job or ""),
        ROWS,
        column_config=COLUMNS,
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
        label = "Try again" if job.state == "failed" else "Go on"
        st.button(label, key=f"retry-{job.id}", on_click=desk.retry, args=(job.id,))
