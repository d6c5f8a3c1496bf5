""" "How was this computed?": the recipe behind a number, one click away."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from backend.store.views import Provenance
from components.shell import numbers
from components.shell.markup import escape


def render_provenance(provenance: Provenance, key: str) -> None:
    """A small button that opens arguments, versions, device, seconds, age, key and command."""
    name = "How was this computed?"
    with st.popover(name, type="tertiary", key=f"how-{key}", on_change="rerun") as box:
        if not box.open:
            return
        st.html(provenance_html(provenance))
        st.code(provenance.command, language=None, wrap_lines=True)
        with st.expander("Arguments"):
            st.code(provenance.arguments, language="json", wrap_lines=True)


def provenance_html(provenance: Provenance) -> str:
    """The recipe as a list of terms."""
    versions = ", ".join(f"{name} {version}" for name, version in provenance.libraries)
    rows = {
        "function": provenance.function,
        "took": f"{numbers.span(provenance.seconds)} on {provenance.device}",
        "age": numbers.age(provenance.created),
        "cache key": provenance.digest,
        "versions": versions,
    }
    return f'{recipe_html(rows)}<p class="note">To repeat it:</p>'


def recipe_html(terms: Mapping[str, str]) -> str:
    """Terms with their values."""
    body = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in terms.items())
    return f'<dl class="recipe">{body}</dl>'
