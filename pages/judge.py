"""Judge: the blind tasks of an experiment, for people."""

from __future__ import annotations

import streamlit as st

from backend import queries
from components.experiments import blind_judging
from components.experiments import runs as experiment_runs
from components.experiments.blind_judging import TASK
from components.shell import address, markup
from components.shell.frame import frame
from components.shell.status import reported

KEYS = {"S": "save and next", "1 2": "take the left or right text"}
place = frame("Judge", queries, KEYS, (TASK,))


def excerpts(run: str, person: str) -> None:
    task = queries.detection_task(place.study, run, person)
    if blind_judging.is_open(task):
        if (fits := blind_judging.render_task(task)) is not None:
            queries.answer_detection(place.study, run, person, task.item, fits)
            blind_judging.next_one()
    else:
        markup.render(blind_judging.detectors_html(queries.detection_scores(place.study, run)))


def activations(run: str, person: str) -> None:
    guess = queries.verbalization_task(place.study, run, person)
    if blind_judging.is_open(guess):
        if (which := blind_judging.render_guess(guess)) is not None:
            queries.answer_verbalization(place.study, run, person, guess.item, which)
            blind_judging.next_one()
    else:
        markup.render(blind_judging.guesses_html(queries.verbalization_scores(place.study, run)))


@st.fragment(key=TASK)
def show_task(run: str) -> None:
    with reported():
        person = blind_judging.render_person()
        (excerpts if address.get("task") == "excerpts" else activations)(run, person)


with reported():
    show_task(
        experiment_runs.choose(queries.experiments(place.study), "There is nothing to judge yet.")
    )
