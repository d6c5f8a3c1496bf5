"""What a search on the Regions page finds: text that members spell, or labels by meaning."""

from __future__ import annotations

from typing import Protocol

import polars as pl

from backend.schema import Job
from components.shell import address
from components.shell.frame import Place


class Finder(Protocol):
    """The part of `backend.queries` that searches regions."""

    def search_regions(
        self, study: str, /, text: str, p: float | None, k: float | None
    ) -> pl.DataFrame | Job: ...

    def search_labels(
        self, study: str, /, text: str, kind: str, p: float | None, k: float | None
    ) -> pl.DataFrame | Job: ...


def hits(desk: Finder, place: Place) -> pl.DataFrame | Job | None:
    """What the search finds, or the job that finds it; None where nothing is searched."""
    search = address.get("search").strip()
    if not search:
        return None
    if address.get("by") == "meaning":
        return desk.search_labels(place.study, search, "region", place.p, place.k)
    return desk.search_regions(place.study, search, place.p, place.k)
