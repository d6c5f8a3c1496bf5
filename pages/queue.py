"""Queue: labels by hand, one feature a screen."""

from __future__ import annotations

import functools

import streamlit as st

from backend import queries
from components.annotations import hand_label_files, queue, queue_setup
from components.annotations.queue_setup import QUEUE
from components.shell.frame import frame
from components.shell.status import reported

place = frame("Queue", queries, queue.KEYS, (QUEUE,))


@st.fragment(key=QUEUE)
def show() -> None:
    with reported():
        files = functools.partial(hand_label_files.render_files, queries, place.study)
        if person := queue_setup.render_person(files):
            queue_setup.render_agreement(queries, place.study, person)
            queue.render_queue(queries, place.study, person)


show()
