"""Around the queue: who labels what in which order, and what to do where there is nothing."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from backend.queue.views import Agreement
from backend.queue.words import ORDERS
from backend.schema import Job
from backend.tiers.words import TIERS
from components.shell import address, controls, markup, numbers, person, status
from components.shell.links import anchor

QUEUE = "queue"


def render_person(render_files: Callable[[str], None]) -> str:
    """Who labels, and what is in the queue; files beside it."""
    why = "Labels are kept by name, so the queue begins when you have given yours."
    if not (name := person.render_person((QUEUE,), why, awaited=True)):
        return ""
    with st.container(horizontal=True, gap="small", key="queue-setup", vertical_alignment="center"):
        markup.note(_what())
        with st.popover("Change", type="tertiary"):
            person.render_name("Your name, on Queue, Judge and Compare", (QUEUE,))
            if not address.get("only"):
                controls.selectbox("tier", "Features", TIERS, rerun=(QUEUE,))
            controls.selectbox("order", "Order", list(ORDERS), rerun=(QUEUE,))
            controls.number_input("seed", "Seed", step=1, rerun=(QUEUE,))
            controls.toggle("compare", "Compare my repeats by meaning", rerun=(QUEUE,))
        render_files(name)
    return name


def _what() -> str:
    only, tier = address.get("only"), address.get("tier")
    which = f"{len(only.split(','))} chosen features" if only else f"{tier} features"
    order = address.get("order")
    if order == "margin" and (only or tier == "all"):
        order = "density"  # what is of no tier has no margin
    seed = f" (seed {address.get('seed')})" if order == "random" else ""
    return f"{person.current()} · {which}, {ORDERS[order]}{seed}"


def render_agreement(desk: status.Desk, study: str, person: str) -> None:
    """How much alike a person's labels of the same feature are, where that is asked for."""
    if address.get("compare"):
        answer: Agreement | Job = desk.agreement(study, person)
        if not status.waiting(answer, desk, "agreement"):
            markup.note(agreement_words(answer))


def agreement_words(agreement: Agreement) -> str:
    if agreement.mean is None:
        return "No feature has two labels of yours yet: one in ten comes back."
    ends = f"{numbers.fraction(agreement.low)}–{numbers.fraction(agreement.high)}"
    words = f"Your labels of the same feature: cosine {numbers.fraction(agreement.mean)} ({ends})"
    words += f", n = {agreement.pairs}"
    if agreement.null is None:
        return f"{words}."
    nulls = f"{numbers.fraction(agreement.null_low)}–{numbers.fraction(agreement.null_high)}"
    null = numbers.fraction(agreement.null)
    return f"{words}; of different features {null} (9 of 10 in {nulls})."


def render_nothing() -> None:
    """What to do where there is nothing to label."""
    tier = address.get("tier")
    what = "chosen feature" if address.get("only") else f"{tier} feature".removeprefix("all ")
    status.render_empty(
        f"No {what} is left to label.",
        "Somebody else has labelled them, or none fires in two contexts. Choose others under "
        "Change above, or lower the thresholds of the tiers.",
    )
    ways = anchor("Look at the tiers", "tiers"), anchor("Queue all features", "queue", tier="all")
    st.html(f"<p class='note'>{' · '.join(ways)}</p>")
