"""A study as the picker and the header show it."""

from __future__ import annotations

from dataclasses import dataclass

from backend.schema import Find


@dataclass(frozen=True)
class StudyCard:
    """A study as the picker and the header show it; of a bad file no more than its problem."""

    name: str
    title: str = ""
    model: str = ""
    site: str = ""
    corpus: str = ""
    sae: str = ""
    embedder: str = ""
    revisions: tuple[tuple[str, str], ...] = ()  # (what, revision)
    device: str = ""
    dtype: str = ""
    p: float = 0.0
    k: float = 1.0
    p_stops: tuple[float, ...] = ()
    k_stops: tuple[float, ...] = ()
    notes: str = ""
    finds: tuple[Find, ...] = ()
    problem: str = ""
    remedy: str = ""
