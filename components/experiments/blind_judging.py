"""The blind tasks for people: which excerpts does a label fit, which text was said of this?"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import streamlit as st

from backend.experiments.views import Guess, Task
from components.shell import address, controls, markup, numbers
from components.shell.lists import frame_html
from components.shell.markup import escape
from components.shell.tokens import piece_html

TASK = "task"


def render_person() -> str:
    """Whose answers these are."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="bottom", key="who"):
        name = "Your name, kept with every answer"
        controls.text_input("person", name, width=240, rerun=(TASK,))
        controls.segmented_control(
            "task",
            "Task",
            ("excerpts", "activations"),
            format_func=lambda task: {
                "excerpts": "Which excerpts fit a label",
                "activations": "Which text was said of this activation",
            }[task],
            rerun=(TASK,),
        )
    return address.get("person")


def is_open(task: Task | Guess) -> bool:
    """Whether something is left to answer; shows how far the round is."""
    share = 100 * task.done / max(1, task.total)
    st.html(
        f'<div class="work line"><span class="track"><i style="width:{share:.0f}%"></i></span>'
        f"<p>{task.done} of {task.total} in this round</p></div>"
    )
    return bool(task.item)


def next_one() -> None:
    """On to the next item, its ticks empty."""
    address.put(ticks=0, item="")
    st.rerun(scope="fragment")


# ---------------------------------------------------------------- excerpts


def ticked(task: Task) -> list[int]:
    """The ticks, which are in the URL so that a reload keeps them."""
    marks = address.get("ticks") if address.get("item") == task.item else 0
    return [marks >> place & 1 for place in range(len(task.texts))]


def render_task(task: Task) -> Sequence[int | None] | None:
    """The label and its excerpts; the answers once they are given."""
    st.html(f'<div class="exemplar"><b>{escape(task.label)}</b></div>')
    markup.note(
        "Tick the excerpts in which what the label describes occurs. Some, none or all may fit; "
        "you are not told which method the label is from. Say “x” means that x comes next; "
        "token “x”, that the excerpt holds the token."
    )
    marks = ticked(task)
    for place, text in enumerate(task.texts):
        tick, body = st.columns([1, 24], gap="small", vertical_alignment="center")
        key = controls.element(f"tick-{task.item}-{place}", bool(marks[place]))
        tick.checkbox(
            f"Excerpt {place + 1}", bool(marks[place]), key=key, label_visibility="collapsed",
            on_change=_tick, args=(task, place, key),
        )  # fmt: skip
        body.html(f'<div class="passage">{piece_html(text.strip(), breaks=False)}</div>')
    with st.container(horizontal=True, gap="small"):
        if st.button("Save and next", type="primary", shortcut="S", key="save"):
            return list(marks)
        if st.button("Cannot tell at all", type="tertiary", key="cannot"):
            return [None] * len(marks)
    return None


def _tick(task: Task, number: int, key: str) -> None:
    marks = sum(mark << place for place, mark in enumerate(ticked(task)))
    marks = marks | 1 << number if st.session_state[key] else marks & ~(1 << number)
    address.put(ticks=marks, item=task.item)
    st.rerun([TASK])


def detectors_html(frame: pl.DataFrame) -> str:
    """People beside the judge on the same labels."""
    columns = (
        ("who", "t", escape, "who"),
        ("score", "n", markup.interval, "mean", "low", "high"),
        ("labels", "n", numbers.count, "labels"),
        ("excerpts", "n", numbers.count, "n"),
        ("could not tell", "n", numbers.count, "failures"),
    )
    note = (
        "Mean balanced accuracy over labels with 95% interval; chance is .50. A person's score is "
        "the yardstick of a model's."
    )
    return frame_html(frame, columns, note)


# ---------------------------------------------------------------- activations


def render_guess(guess: Guess) -> int | None:
    """A text and two verbalizations; which was taken, once one is."""
    st.html(f'<div class="exemplar passage">{escape(guess.context)}</div>')
    markup.note(
        "One of these was said of the activation at the last token of this text, the other of "
        "something else. Which is it?"
    )
    for place, column in enumerate(st.columns(2, gap="medium")):
        column.html(f'<div class="passage">{escape(guess.texts[place] or "(nothing)")}</div>')
        if column.button(f"This one ({place + 1})", shortcut=str(place + 1), key=f"guess-{place}"):
            return place
    return None


def guesses_html(frame: pl.DataFrame) -> str:
    """How often people told the real one."""
    kinds = {"random": "a random vector", "other": "another feature's peak"}
    columns = (
        ("who", "t", escape, "person"),
        ("against", "t", kinds.__getitem__, "control"),
        ("right", "n", "{} of {}".format, "right", "n"),
        ("share", "n", markup.interval, "share", "low", "high"),
    )
    note = "How often the text of the real activation was told; chance is .50."
    return frame_html(frame, columns, note)
