"""Everything that is not an answer yet: work in progress, errors, nothing to show."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import streamlit as st
from typing_extensions import TypeIs

from backend.schema import Job, TesseraError
from components.shell import numbers
from components.shell.markup import escape

log = logging.getLogger("tessera.pages")
Desk = Any  # the module `backend.queries`, which pages hand over: components may not import it

# ---------------------------------------------------------------- errors


@contextmanager
def reported() -> Iterator[None]:
    """Show what goes wrong inside as problem and remedy; the rest of the page goes on."""
    try:
        yield
    except TesseraError as error:
        render_problem(error.problem, error.remedy)
    except Exception as error:  # the page stays alive whatever an answer does
        log.exception("a page failed")
        render_problem(
            f"This part of the page failed: {type(error).__name__}: {error}",
            "Reload the page; if it comes back, the traceback below says where.",
            traceback.format_exc(),
        )


def render_problem(problem: str, remedy: str, trace: str = "") -> None:
    """What is wrong, what to do, and the traceback one click away."""
    st.html(
        f'<div class="problem" role="alert"><b>{escape(problem)}</b><p>{escape(remedy)}</p></div>'
    )
    if trace:
        with st.expander("Traceback"):
            st.code(trace, language=None, wrap_lines=True)


def render_empty(problem: str, remedy: str) -> None:
    """An empty state: what is missing and what to do next."""
    st.html(f'<div class="empty"><b>{escape(problem)}</b><p>{escape(remedy)}</p></div>')


# ---------------------------------------------------------------- work


def name_of(job: Job) -> str:
    """What a job computes, in words, with the stops of its partition."""
    arguments = json.loads(job.arguments or "{}")
    stops = (
        f"{stop} {arguments[stop]:g}" for stop in ("p", "k") if arguments.get(stop) is not None
    )
    return " · ".join([job.title or job.query, *stops])


def share_of(job: Job) -> float:
    """How much is done, 0..1."""
    return min(1.0, job.done / job.total) if job.total > 0 else 0.0


def ahead(job: Job) -> str:
    """How long it will still take."""
    return f"{numbers.span(job.eta)} left" if job.eta is not None else "time left not known yet"


def pace(job: Job) -> str:
    """done of total · rate · time left."""
    if job.state == "queued":
        return "waiting for its turn"
    parts = []
    if job.total > 1:
        parts.append(f"{numbers.count(job.done)} of {numbers.count(job.total)} {job.unit}".strip())
    if job.rate:
        parts.append(numbers.rate(job.rate, job.unit or "steps"))
    if job.eta is not None:
        parts.append(ahead(job))
    return " · ".join(parts)


def line_html(job: Job, words: str) -> str:
    """A hairline of progress, with what is provisional and what is being done about it."""
    percent = 100 * share_of(job)
    parts = (name_of(job), f"{percent:.0f}%" if job.total else "", job.message, pace(job))
    doing = " · ".join(escape(part) for part in parts if part)
    return (
        f'<div class="work line"><span class="track"><i style="width:{percent:.1f}%"></i></span>'
        f"<p><b>{escape(words)}</b> {doing}</p></div>"
    )


def progress_html(job: Job, words: str = "") -> str:
    """A thin bar with what is being done."""
    percent = 100 * share_of(job)
    return (
        f'<div class="work"><b>{escape(name_of(job))}</b>'
        f'<span class="track" role="progressbar" aria-valuenow="{percent:.0f}">'
        f'<i style="width:{percent:.1f}%"></i></span>'
        f"<p>{escape(job.message or 'Starting')}</p><p>{escape(pace(job))}</p>"
        f"<p>{escape(words)}</p></div>"
    )


def render_progress(job: Job, desk: Desk, key: str, words: str = "") -> None:
    """How far a job is, and the button that cancels it."""
    st.html(progress_html(job, words))
    st.button("Cancel", key=f"cancel-{key}", type="tertiary", on_click=desk.cancel, args=(job.id,))


def waiting(answer: object, desk: Desk, key: str = "waiting") -> TypeIs[Job]:
    """Whether an answer is still being computed; if so, show how far it is.

    The page runs again when the job is done.
    """
    if not isinstance(answer, Job):
        return False
    with st.container(key=f"panel-{key}"):
        _watch(answer.id, desk, key, whole=True, milestones=answer.milestones)
    return True


def render_pending(job: Job | None, desk: Desk, words: str, key: str, follow: bool = False) -> None:
    """A line about work that will improve what is already shown; with `follow` the page shows each
    better answer as soon as it stands."""
    if job is None:
        return
    _watch(job.id, desk, key, whole=False, words=words, milestones=job.milestones if follow else -1)


@st.fragment(run_every=1.0)
def _watch(
    id: str, desk: Desk, key: str, whole: bool, words: str = "", milestones: int = -1
) -> None:
    """`milestones`: how many the job had when the page was drawn; -1 to wait until it is done."""
    with reported():
        job: Job = desk.job(id)
        if 0 <= milestones < job.milestones:
            st.rerun()
        if job.state == "done":
            _show_result(job)
        elif job.state in ("failed", "cancelled"):
            _render_ended(job, desk, key)
        elif whole:
            render_progress(job, desk, key, "Computed once, then kept. You can leave this page.")
        else:
            st.html(line_html(job, words))


def _show_result(job: Job) -> None:
    shown_jobs = st.session_state.setdefault("status.done", set())
    if job.id not in shown_jobs:
        shown_jobs.add(job.id)
        st.rerun()
    if st.button("It is done: show it", key=f"done-{job.id}"):
        st.rerun()


def _render_ended(job: Job, desk: Desk, key: str) -> None:
    if job.state == "cancelled":
        render_empty(f"{name_of(job)}: cancelled.", "Nothing is lost; go on where it stopped.")
    else:
        render_problem(
            f"{name_of(job)}: failed.", job.error or "No reason was given.", job.traceback
        )
    label = "Go on" if job.state == "cancelled" else "Try again"
    if st.button(label, key=f"retry-{key}", type="primary"):
        desk.retry(job.id)
        st.rerun()
