"""What stands under every table and inspector: its data, and how it came about."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import streamlit as st

from backend.store.views import Provenance
from components.shell.downloads import render_downloads
from components.shell.provenance import render_provenance


@st.fragment
def render_footer(tables: Mapping[str, pl.DataFrame], provenance: Provenance, key: str) -> None:
    """Downloads beside the recipe; what they hold is made when they are opened."""
    with st.container(horizontal=True):
        render_downloads(tables, key)
        render_provenance(provenance, key)
