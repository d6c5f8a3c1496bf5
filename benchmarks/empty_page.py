"""A page that does nothing: what a rerun costs before a page of Tessera does anything."""

from __future__ import annotations

import streamlit as st

state = st.session_state
if st.button("again"):
    state["count"] = state.get("count", 0) + 1
st.html(f'<p class="chips">{state.get("count", 0)}</p>')
