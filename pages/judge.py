"""Judge: the blind tasks of an experiment, for people."""

from __future__ import annotations

from typing import Any

import streamlit as st

from backend import queries
from components.experiments import blind_judging
from components.experiments import runs as experiment_runs
from components.experiments.blind_judging import TASK
from components.shell import address, markup
from components.shell.frame import frame
from components.shell.status import reported

place = frame("Judge", queries, blind_judging.KEYS, (TASK,))
ASK = {"excerpts": queries.detection_task, "activations": queries.verbalization_task}
KEEP = {"excerpts": queries.answer_detection, "activations": queries.answer_verbalization}
SCORES = {
    "excerpts": (queries.detection_scores, blind_judging.detectors_html),
    "activations": (queries.verbalization_scores, blind_judging.guesses_html),
}


def keep(answer: dict[str, Any]) -> None:
    *subject, task = answer["of"]
    KEEP[task](*subject, answer["item"], answer["answer"], answer["uid"])


@st.fragment(key=TASK)
def show_task(run: str) -> None:
    with reported():
        if not (person := blind_judging.render_person()):
            return
        task = address.get("task")
        questions = blind_judging.ahead(lambda after: ASK[task](place.study, run, person, after))
        questions_of = place.study, run, person, task
        if not blind_judging.render_questions(questions_of, questions, keep):
            scores, html = SCORES[task]
            markup.render(html(scores(place.study, run)))


with reported():
    opened = experiment_runs.choose(queries, place, "There are no labels to judge yet.")
    if not experiment_runs.awaits_labels(queries, place, opened):
        show_task(opened)
