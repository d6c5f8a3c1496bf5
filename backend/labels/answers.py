"""The methods that label, and the server that they may ask."""

from __future__ import annotations

import polars as pl

from backend.labels import explainers
from backend.labels.server import configured
from backend.query import lookup
from backend.schema import LlmError


@lookup
def label_methods() -> pl.DataFrame:
    """The methods that make labels: method, help, needs."""
    rows = [(e.name, e.help, " and ".join(e.needs)) for e in explainers.EXPLAINERS.values()]
    return pl.DataFrame(rows, schema=["method", "help", "needs"], orient="row")


@lookup
def server() -> str:
    """The language model that the environment names as a server's; empty where there is none."""
    try:
        return configured().model
    except LlmError:
        return ""
