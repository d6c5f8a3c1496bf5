"""A study as the picker and the header show it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StudyCard:
    """A study as the picker and the header show it; `problem` is set where its file is bad."""

    name: str
    title: str
    model: str
    site: str
    corpus: str
    sae: str
    embedder: str
    revisions: tuple[tuple[str, str], ...]  # (what, revision)
    device: str
    dtype: str
    p: float
    k: float
    p_stops: tuple[float, ...]
    k_stops: tuple[float, ...]
    notes: str
    problem: str = ""
    remedy: str = ""
