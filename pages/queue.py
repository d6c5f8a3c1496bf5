"""Queue: labels by hand, one feature a screen."""

from __future__ import annotations

import functools

import streamlit as st

from backend import queries
from components.annotations import hand_label_files
from components.queue import desk, setup
from components.queue.setup import QUEUE
from components.shell.frame import frame
from components.shell.status import reported

place = frame("Queue", queries, desk.KEYS, (QUEUE,))


@st.fragment(key=QUEUE)
def show() -> None:
    with reported():
        files = functools.partial(hand_label_files.render_files, queries, place.study)
        if person := setup.render_person(files):
            setup.render_agreement(queries, place.study, person)
            desk.render_queue(queries, place.study, person)


show()
