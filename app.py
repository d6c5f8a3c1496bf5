"""Tessera: the page list and its navigation, nothing else. Start with `streamlit run app.py`."""

from __future__ import annotations

import streamlit as st

pages = {
    "Explore": [
        st.Page("pages/overview.py", title="Overview", default=True),
        st.Page("pages/regions.py", title="Regions"),
        st.Page("pages/features.py", title="Features"),
        st.Page("pages/document.py", title="Document", visibility="hidden"),
    ],
    "Label": [
        st.Page("pages/experiment.py", title="Experiment"),
        st.Page("pages/compare.py", title="Compare"),
        st.Page("pages/judge.py", title="Judge"),
        st.Page("pages/queue.py", title="Queue"),
        st.Page("pages/tiers.py", title="Tiers"),
    ],
    "Measure": [
        st.Page("pages/concepts.py", title="Concepts"),
        st.Page("pages/benchmarks.py", title="Benchmarks"),
    ],
    "System": [st.Page("pages/jobs.py", title="Jobs")],
}
st.navigation(pages, position="hidden").run()
