"""What stands under every table and inspector: its data, and how it came about."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import streamlit as st

from backend.views import Provenance
from components.downloads import render_downloads
from components.provenance import render_provenance


def render_footer(tables: Mapping[str, pl.DataFrame], provenance: Provenance, key: str) -> None:
    """Downloads beside the recipe."""
    with st.container(horizontal=True):
        render_downloads(tables, key)
        render_provenance(provenance, key)
