"""Everything that is not an answer yet: work in progress, errors, nothing to show."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import takewhile
from typing import Any

import streamlit as st
from typing_extensions import TypeIs

from backend.schema import Job, TesseraError
from backend.store.views import Estimate
from components.shell import numbers
from components.shell.markup import escape

log = logging.getLogger("tessera.pages")
RUN_NEXT = "Before all that waits; what runs now gives way to it and goes on after it"
PAUSE = "It stops after the block that it is at; what is finished is kept"
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


TEXTS = ("concept", "subject", "text", "prompt")  # arguments that are words
LONGEST = 40  # characters of them


def name_of(job: Job) -> str:
    """What a job computes, in words: of which feature, region or text, at which partition."""
    arguments = json.loads(job.arguments or "{}")
    request = arguments.get("request") or {}
    which = request.get("kind") or "feature"
    flat = {which: request.get("number"), **request, **arguments}
    parts = [f"{kind} {flat[kind]}" for kind in ("feature", "region") if _is_number(flat.get(kind))]
    parts += [f"“{_short(flat[name])}”" for name in TEXTS if isinstance(flat.get(name), str)]
    if plan := arguments.get("plan"):
        parts += [f"{plan['features']} features"] if "features" in plan else []
    parts += [f"{stop} {flat[stop]:g}" for stop in ("p", "k") if flat.get(stop) is not None]
    return " · ".join([job.title or job.query, *(part for part in parts if part != "“”")])


def _is_number(value: object) -> bool:
    return isinstance(value, int) and value >= 0


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rstrip()}…"


def share_of(job: Job) -> float | None:
    """How much of all of it is done, 0..1: by its time, where that was estimated, else by the work
    units of its one step; None where it has several."""
    seconds = remaining(job)
    if seconds is not None and job.expected:
        return 1 - seconds / job.expected
    if job.step > 1:
        return None
    return min(1.0, job.done / job.total) if job.total > 0 else 0.0


def ahead(job: Job) -> str:
    """How long it will still take, or the step that it is at where only that is known."""
    if (seconds := remaining(job)) is not None:
        return f"{numbers.about(seconds)} left" + (" of all steps" if job.step > 1 else "")
    late = "longer than estimated, " if job.expected else ""
    if job.eta is None:
        return f"{late}time left not known yet"
    return f"{late}{numbers.span(job.eta)} left" + (" of this step" if job.step else "")


def remaining(job: Job) -> float | None:
    """Seconds left of all of it, by the estimate made when it was asked for: None where there was
    none, or it has been wrong."""
    if not job.expected:
        return None
    started = job.started if job.state == "running" and job.started else None
    ran = job.seconds + (time.time() - started if started else 0.0)
    return job.expected - ran if ran < job.expected else None


def step_of(job: Job) -> str:
    """Which step it is at, where it has several."""
    return f"step {job.step}" if job.step > 1 else ""


def standing(job: Job, line: Sequence[Job] = ()) -> str:
    """Why a job does not run, or is about to stop; empty where it runs. `line`: all that runs and
    waits, in order."""
    if job.cancel:
        return "cancelling: it ends after the block that it is at"
    if job.paused:
        return "paused" if job.state == "queued" else "pausing after the block that it is at"
    if job.state != "queued":
        return ""
    before = list(takewhile(lambda other: other.id != job.id, line))
    before = [other for other in before if other.device == job.device and not other.paused]
    if not before or len(before) == len(line):
        return "waiting for its turn"
    first, rest = before[0], len(before) - 1
    is_known = first.eta is not None or remaining(first) is not None
    words = f"behind {name_of(first)}" + (f" ({ahead(first)})" if is_known else "")
    return words + (f" and {rest} more" if rest else "")


def pace(job: Job, line: Sequence[Job] = ()) -> str:
    """done of total · rate · time left; of one that waits, behind what."""
    if words := standing(job, line):
        return words
    parts = [step_of(job)] if step_of(job) else []
    if job.total > 1:
        parts.append(f"{numbers.count(job.done)} of {numbers.count(job.total)} {job.unit}".strip())
    if job.rate:
        parts.append(numbers.rate(job.rate, job.unit or "steps"))
    if job.eta is not None or remaining(job) is not None:
        parts.append(ahead(job))
    return " · ".join(parts)


def estimate_words(estimate: Estimate) -> str:
    """How long work takes on this machine, and what goes first."""
    words = "How long it takes is not known yet on this machine."
    if estimate.seconds is not None:
        about = numbers.about(estimate.seconds)
        words = f"{about[0].upper()}{about[1:]} on this machine."
    if not estimate.before:
        return words
    jobs = "1 job is" if estimate.before == 1 else f"{estimate.before} jobs are"
    return f"{words} {jobs} before it."


def render_estimate(ask: Any, study: str, *args: Any, **kwargs: Any) -> None:
    """How long a query (`backend.query.Query`) would take; to stand beside the button that asks for
    it. Nothing where it cannot be asked: then the button says why."""
    with suppress(TesseraError):
        words = estimate_words(ask.estimate(study, *args, **kwargs))
        st.html(f'<p class="note estimate">{escape(words)}</p>', width="content")


def bar_html(job: Job) -> str:
    """A thin bar; empty while it is not known how much of the whole is done."""
    share = share_of(job)
    if share is None:
        return '<span class="track"></span>'
    return (
        f'<span class="track" role="progressbar" aria-label="{escape(name_of(job))}" '
        f'aria-valuenow="{100 * share:.0f}"><i style="width:{100 * share:.1f}%"></i></span>'
    )


def line_html(job: Job, words: str) -> str:
    """A hairline of progress, with what is provisional and what is being done about it."""
    share = share_of(job)
    percent = f"{100 * share:.0f}%" if job.total and share is not None else ""
    parts = (name_of(job), percent, job.message, pace(job))
    doing = " · ".join(escape(part) for part in parts if part)
    return f'<div class="work line">{bar_html(job)}<p><b>{escape(words)}</b> {doing}</p></div>'


def progress_html(job: Job, words: str = "", line: Sequence[Job] = ()) -> str:
    """A thin bar with what is being done, or with what it waits for."""
    doing = "" if job.state == "queued" else job.message or "Starting"
    texts = (text for text in (doing, pace(job, line), words) if text)
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in texts)
    return f'<div class="work"><b>{escape(name_of(job))}</b>{bar_html(job)}{paragraphs}</div>'


def render_progress(
    job: Job, desk: Desk, key: str, words: str = "", line: Sequence[Job] = ()
) -> None:
    """How far a job is, and the buttons that move it in the line, stop it and cancel it."""
    st.html(progress_html(job, words, line))
    stopped, waits = job.paused or job.cancel, job.state == "queued"
    buttons = (
        ("Run next", desk.run_next, waits and not stopped and line[:1] != [job], RUN_NEXT),
        ("Resume", desk.resume, job.paused and not job.cancel, None),
        ("Pause", desk.pause, not stopped, PAUSE),
        ("Cancel", desk.cancel, not job.cancel, None),
    )
    with st.container(horizontal=True, gap="small", key=f"acts-{key}"):
        for label, act, is_offered, hint in buttons:
            if is_offered:
                name = f"{label.lower().replace(' ', '-')}-{key}"
                args = act, job.id
                st.button(label, key=name, type="tertiary", help=hint, on_click=_act, args=args)


def _act(act: Callable[[str], Job], id: str) -> None:
    """A job may have ended since the button was drawn: then there is nothing left to do."""
    with reported():
        act(id)


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
            line = desk.live_jobs() if job.state == "queued" else ()
            words = "Computed once, then kept. You can leave this page."
            render_progress(job, desk, key, words, line)
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
        render_empty(f"{name_of(job)}: cancelled.", "Nothing is lost; it resumes where it stopped.")
    else:
        render_problem(
            f"{name_of(job)}: failed.", job.error or "No reason was given.", job.traceback
        )
    label = "Resume" if job.state == "cancelled" else "Try again"
    if st.button(label, key=f"retry-{key}", type="primary"):
        desk.retry(job.id)
        st.rerun()
