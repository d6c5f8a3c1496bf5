"""Jobs: what runs, ran and failed."""

from __future__ import annotations

import streamlit as st

from backend import queries
from components.shell import address, jobs_table, markup
from components.shell.frame import frame
from components.shell.status import reported

frame("Jobs", queries)
LIVE = ("queued", "running")


@st.fragment(run_every=2.0)
def show_jobs() -> None:
    with reported():
        jobs = queries.jobs(50)
        markup.head("Now")
        jobs_table.render_live(queries.live_jobs(), queries)
        markup.head("Ended")
        jobs_table.render_ended([job for job in jobs if job.state not in LIVE])
        if chosen := address.get("job"):
            jobs_table.render_job(queries.job(chosen), queries)


show_jobs()
with reported():
    if words := jobs_table.outdated_words(*queries.outdated_results()):
        markup.note(words)
