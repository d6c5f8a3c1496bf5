"""Judge: the blind tasks of an experiment, for people."""

from __future__ import annotations

import streamlit as st

from backend import queries
from components import address, experiment, judge, markup
from components.frame import frame
from components.judge import TASK
from components.status import reported

KEYS = {"S": "save and next", "1 2": "take the left or right text"}
place = frame("Judge", queries, KEYS, (TASK,))


def excerpts(run: str, person: str) -> None:
    task = queries.detection_task(place.study, run, person)
    if judge.is_open(task):
        if (fits := judge.render_task(task)) is not None:
            queries.answer_detection(place.study, run, person, task.item, fits)
            judge.next_one()
    else:
        markup.render(judge.detectors_html(queries.detection_scores(place.study, run)))


def activations(run: str, person: str) -> None:
    guess = queries.verbalization_task(place.study, run, person)
    if judge.is_open(guess):
        if (which := judge.render_guess(guess)) is not None:
            queries.answer_verbalization(place.study, run, person, guess.item, which)
            judge.next_one()
    else:
        markup.render(judge.guesses_html(queries.verbalization_scores(place.study, run)))


@st.fragment(key=TASK)
def show_task(run: str) -> None:
    with reported():
        person = judge.render_person()
        (excerpts if address.get("task") == "excerpts" else activations)(run, person)


with reported():
    show_task(experiment.choose(queries.experiments(place.study), "There is nothing to judge yet."))
