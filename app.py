"""Tessera: the navigation between pages, nothing else. Start with `streamlit run app.py`."""

from __future__ import annotations

import streamlit as st

from components.shell.frame import GROUPS, HIDDEN

names = [name for group in GROUPS.values() for name in group]
pages = [
    st.Page(
        f"pages/{name}.py",
        title=name.capitalize(),
        default=name == names[0],
        visibility="hidden" if name in HIDDEN else "visible",
    )
    for name in (*names, *HIDDEN)
]
st.navigation(pages, position="hidden").run()
