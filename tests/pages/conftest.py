"""A study that nobody computes."""

from __future__ import annotations

import pytest


@pytest.fixture
def no_worker(small: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The study `small` with nothing computed and nobody to compute it."""
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    return small
