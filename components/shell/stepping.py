"""The way from what is open to what stands before and after it, or to another sample of it."""

from __future__ import annotations

from collections.abc import Callable, Collection

import streamlit as st

from components.shell import address

INSPECTOR = "inspector"  # the fragment that shows what is open
STEPS = -1, 1  # to the one before, to the one after


def stay(step: int, fragment: str = INSPECTOR) -> None:
    """At the end of a list a step leads nowhere, which the title, in a fragment, says."""
    st.session_state["steps.end"] = "the last of the list" if step > 0 else "the first of the list"
    st.rerun([fragment])


def render_steps(title: str, on_step: Callable[[int], None], ways: Collection[int] = STEPS) -> None:
    """What is open, as HTML, and the way to the one before (-1) and after (+1), of those in
    `ways`."""
    end = st.session_state.pop("steps.end", "")
    with st.container(horizontal=True, key="steps", vertical_alignment="center"):
        st.html(f'<h2 class="title">{title}{f"<small>{end}</small>" if end else ""}</h2>')
        for label, step, key in (("Previous", -1, "P"), ("Next", 1, "N")):
            st.button(
                label, type="tertiary", shortcut=key, key=f"step-{key}",
                on_click=on_step, args=(step,), disabled=step not in ways,
            )  # fmt: skip


def render_draw_again(number: int, *fixed: str) -> None:
    """Another sample of what is open; for draws that are `fixed` there is none."""
    st.button(
        "Draw again",
        type="tertiary",
        shortcut="D",
        disabled=address.get("draw") in fixed,
        help="Another sample, with the next seed",
        on_click=_draw_again,
        key=f"again-{number}",
    )


def _draw_again() -> None:
    address.put(seed=address.get("seed") + 1)
    st.rerun([INSPECTOR])
