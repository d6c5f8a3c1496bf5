"""Judge: the blind tasks of an experiment, for people."""

from __future__ import annotations

import streamlit as st

from backend import queries
from components import address, experiment, judge, markup
from components.frame import frame
from components.judge import TASK
from components.status import render_empty, reported

KEYS = {"S": "save and next", "1 2": "take the left or right text"}
place = frame("Judge", queries, KEYS, (TASK,))


def next_one() -> None:
    address.put(ticks=0, item="")
    st.rerun(scope="fragment")


def show_excerpts(run: str, person: str) -> None:
    task = queries.task(place.study, run, person)
    markup.render(judge.progress_html(task.done, task.of))
    if not task.item:
        markup.render(judge.detectors_html(queries.detectors(place.study, run)))
        return
    fits = judge.render_task(task)
    if fits is not None:
        queries.answer(place.study, run, person, task.item, fits)
        next_one()


def show_activations(run: str, person: str) -> None:
    guess = queries.guess(place.study, run, person)
    markup.render(judge.progress_html(guess.done, guess.of))
    if not guess.item:
        markup.render(judge.guesses_html(queries.guesses(place.study, run)))
        return
    which = judge.render_guess(guess)
    if which is not None:
        queries.guessed(place.study, run, person, guess.item, which)
        next_one()


@st.fragment(key=TASK)
def show_task(run: str) -> None:
    with reported():
        person = judge.render_person()
        (show_excerpts if address.get("task") == "excerpts" else show_activations)(run, person)


with reported():
    runs = [run for run in queries.experiments(place.study) if run.done]
    if not runs:
        render_empty("There is nothing to judge yet.", "Make an experiment first.")
        st.page_link("pages/experiment.py", label="To the experiments")
        st.stop()
    opened = address.get("run") or runs[0].run
    address.assume(run=opened)
    experiment.render_runs(runs, opened)
    show_task(opened)
