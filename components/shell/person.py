"""Who labels, judges or votes: one name, given once, for every page that keeps what people say."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from components.shell import address, controls, markup

LONGEST = 80  # characters of a name
AWAITED = "awaited"  # what links.js gives the keyboard


def current() -> str:
    """The name that was given, "" for none: of nothing but spaces there is none."""
    return str(address.get("person")).strip()


def render_person(rerun: Sequence[str], why: str, awaited: bool = False) -> str:
    """Who it is; where nobody has said so, the field that asks, and `why` it does. `awaited`:
    nothing else can be done before, so the field has the keyboard at once."""
    if current():
        return current()
    with st.container(key=AWAITED if awaited else "asked"):
        render_name("Your name, kept with every answer", rerun, width=280)
        markup.note(why)
    return ""


def render_name(label: str, rerun: Sequence[str], width: int | str = "stretch") -> None:
    """The field of the name, which holds on every page."""
    controls.text_input("person", label, width=width, max_chars=LONGEST, rerun=rerun)


def render_change(rerun: Sequence[str]) -> None:
    """Who it is, and where that is changed."""
    with st.popover(current(), type="tertiary", key="person"):
        render_name("Your name, on Queue, Judge and Compare", rerun)
