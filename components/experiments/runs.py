"""Which experiment a page looks at, named by what it did, and how far those are that still run."""

from __future__ import annotations

import datetime

import streamlit as st

from backend.experiments.views import Run
from backend.schema import Job, Plan
from components.experiments import small
from components.shell import address, controls
from components.shell.frame import Place
from components.shell.links import anchor
from components.shell.markup import escape
from components.shell.status import Desk, waiting

FEW = 4  # chosen features that are named one by one


def render_runs(runs: list[Run], opened: str) -> None:
    """The experiments of the study; the one that is looked at is chosen."""
    by_name = {run.run: run for run in runs}
    controls.selectbox(
        "run",
        "Experiment",
        list(by_name),
        opened,
        format_func=lambda run: title(by_name[run]) if run in by_name else f"{run[:12]} (missing)",
        label_visibility="collapsed",
    )


def choose(desk: Desk, place: Place, missing: str) -> str:
    """The experiment that a page looks at: the latest that has ended, or the one under way where
    none has; stops the page where there is none, with the offer of a small one."""
    runs = desk.experiments(place.study)
    latest = [*(run for run in runs if run.done), *runs]
    opened = address.get("run") or (latest[0].run if latest else "")
    if not opened:
        small.render_offer(desk, place, missing)
        st.stop()
    address.assume(run=opened)
    render_runs(runs, opened)
    for run in runs:
        if run.job:
            st.html(running_html(run.run, run.job, run.run == opened))
    return opened


def awaits_labels(desk: Desk, place: Place, run: str) -> bool:
    """Whether an experiment has not ended and no label of it is written yet; if so, how far it is.
    The page runs again when all of them are written."""
    view = desk.experiment(place.study, run)
    if not isinstance(view, Job) or len(desk.experiment_so_far(place.study, run).labels):
        return False
    return waiting(view, desk, "labels")


def running_html(run: str, job: Job, is_opened: bool) -> str:
    """How far an experiment is that has not ended, and the way to it."""
    ended = {"failed": "failed", "cancelled": "was cancelled"}
    if job.state in ended:
        words = f"An experiment {ended[job.state]}; it can be resumed:"
    elif job.state == "queued":
        words = "Your experiment waits for its turn:"
    else:
        words = f"Your experiment is running: {job.message}"
        words += f", {job.done:,.0f} of {job.total:,.0f}." if job.total > 1 else "."
    link = anchor("see it on Experiment", "experiment", run=run)
    more = " What stands already is shown here." if is_opened else ""
    return f'<p class="note"><b>{escape(words)}</b> {link}.{more}</p>'


def compare_html(run: str) -> str:
    """The way to what stands of an experiment under way."""
    link = anchor("labels that are written already", "compare", run=run)
    return f'<p class="note">Compare shows the {link}, and what they score so far.</p>'


def title(run: Run) -> str:
    """What an experiment did, in a line: methods, scorers, features, writer and when."""
    plan = run.plan
    created = datetime.datetime.fromtimestamp(run.created).strftime("%d %b %H:%M")
    who = run.writer.split("@")[0].split(" at ")[0].removeprefix("package:")
    parts = (", ".join(plan.methods), f"by {', '.join(plan.scorers)}", which(plan), who)
    return " · ".join([*filter(None, parts), f"seed {plan.seed}", created])


def which(plan: Plan) -> str:
    """How many features of what a plan names."""
    if not plan.among:
        return f"{plan.features} random features"
    if len(plan.among) <= FEW:
        return f"features {', '.join(map(str, plan.among))}"
    if plan.features >= len(plan.among):
        return f"{len(plan.among)} chosen features"
    return f"{plan.features} of {len(plan.among):,} chosen features"
