"""The blind tasks for people: which excerpts does a label fit, which text was said of this?

The browser holds ticks and answers (`judge.js`): an answer is done at once on the screen, and sent
until it is told to be on disk. The next questions are sent ahead, so nobody waits for the server.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import polars as pl
import streamlit as st
from streamlit.components.v2 import component

from backend.experiments.views import Guess, Task
from backend.schema import StoreError, TesseraError
from components.shell import controls, markup, numbers, person
from components.shell.lists import frame_html
from components.shell.markup import escape
from components.shell.tokens import piece_html

log = logging.getLogger("tessera.pages")
TASK = "task"
AHEAD = 3  # questions that the browser holds
KEYS = {
    "1–9 0": "tick the first ten excerpts, with Shift the next ten; of two texts, take one",
    "Enter S": "save and next",
    "X": "cannot tell at all",
    "U": "back to the last one",
}
TITLES = {
    "excerpts": "Which excerpts fit a label",
    "activations": "Which text was said of this activation",
}
WHY = "Answers are kept by name, so judging begins when you have given yours."
FITS = (
    "Tick every excerpt in which what the label describes occurs: some, none or all. The label "
    "“say x” means that x comes next, “token x” that the excerpt holds x, “after x” that it "
    "follows x."
)
SENTENCES = (
    "One of these was said of the activation at the last token of this text, the other of "
    "something else. Which is it? Click it, or press 1 or 2."
)
EMPTY: dict[str, Any] = {"acked": [], "problem": ""}  # what became of a wire
Q = TypeVar("Q", Task, Guess)
Keep = Callable[[dict[str, Any]], None]

SCRIPT = Path(__file__).with_name("judge.js").read_text(encoding="utf-8")
_judge = component(
    "tessera_judge",
    css=Path(__file__).with_name("judge.css").read_text(encoding="utf-8"),
    js=SCRIPT,
    isolate_styles=False,
)


def render_person() -> str:
    """Whose answers these are, and which task; "" before anybody is named."""
    if not (name := person.render_person((TASK,), WHY, awaited=True)):
        return ""
    with st.container(horizontal=True, gap="medium", vertical_alignment="center", key="who"):
        controls.segmented_control(
            "task", "Task", tuple(TITLES), format_func=TITLES.__getitem__,
            label_visibility="collapsed", rerun=(TASK,),
        )  # fmt: skip
        person.render_change((TASK,))
    return name


# ---------------------------------------------------------------- questions and answers


def ahead(ask: Callable[[tuple[str, ...]], Q]) -> list[Q]:
    """The next questions, given those before; the last has no item where the round ends."""
    questions = [ask(())]
    while questions[-1].item and len(questions) < AHEAD:
        questions.append(ask(tuple(each.item for each in questions)))
    return questions


def render_questions(place: Sequence[str], questions: Sequence[Task | Guess], keep: Keep) -> bool:
    """The questions of `place` (study, experiment, person, task), one at a time; whether any is
    left. `keep` keeps one answer of the browser's."""
    first, reply = questions[0], st.session_state.get("judge.reply", EMPTY)
    data = {
        "of": list(place),
        "seq": _wire().get("seq", ""),
        "tasks": [_sent(each) for each in questions if each.item],
        "done": first.done,
        "total": first.total,
        **reply,
    }
    _judge(key="judge-desk", data=data, on_wire_change=lambda: _keep(keep))
    return bool(first.item)


def _sent(question: Task | Guess) -> dict[str, Any]:
    """A question as the browser gets it, all text as HTML."""
    is_task = isinstance(question, Task)
    head = f"<b>{markup.label(question.label)}</b>" if is_task else escape(question.context)
    kind, note = ("exemplar", FITS) if is_task else ("exemplar passage", SENTENCES)
    return {
        "item": question.item,
        "question": f'<div class="{kind}">{head}</div><p class="note">{escape(note)}</p>',
        "texts": [piece_html(each.strip() or "(nothing)", breaks=False) for each in question.texts],
    }


def _wire() -> dict[str, Any]:
    """What the browser sent last."""
    wire = getattr(st.session_state.get("judge-desk"), "wire", None)
    return wire if isinstance(wire, dict) else {}


def _keep(keep: Keep) -> None:
    """Keeps all that the browser sent. What cannot be kept now stays there, and is sent again;
    what never can be is told, and dropped."""
    reply: dict[str, Any] = {"acked": [], "problem": ""}
    for answer in _wire().get("answers", ()):
        try:
            keep(answer)
        except StoreError as error:
            reply["problem"] = str(error)
            break  # a later answer to the same question must not come before this one
        except TesseraError as error:
            reply["problem"] = f"An answer was not kept: {error}"
        except Exception as error:  # the browser keeps it and says so
            log.exception("an answer was not kept")
            reply["problem"] = f"{type(error).__name__}: {error}."
            break
        reply["acked"].append(answer["uid"])
    st.session_state["judge.reply"] = reply


# ---------------------------------------------------------------- results


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
    return _finding(frame) + frame_html(frame, columns, note)


def _finding(frame: pl.DataFrame) -> str:
    """What the person who is here did, as a sentence."""
    own = frame.filter(who=person.current())
    if not len(own) or (row := own.row(0, named=True))["mean"] is None:
        return ""
    ends = f"{numbers.fraction(row['low'])}–{numbers.fraction(row['high'])}"
    known = f" (95% interval {ends})" if numbers.known(row["low"]) is not None else ""
    return (
        f'<p class="finding">You told with a balanced accuracy of {numbers.fraction(row["mean"])}'
        f"{known} on {numbers.count(row['labels'])} labels where their features fire; "
        "guessing gives .50.</p>"
    )


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
