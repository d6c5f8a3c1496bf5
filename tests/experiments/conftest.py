"""A study whose experiments no worker runs."""

from __future__ import annotations

import pytest

from backend.schema import Study
from backend.study import loading as studies
from tests.helpers.experimenting import PATCHES


@pytest.fixture
def study(ready: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setattr("backend.store.jobs.launch", lambda device: None)
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path))
    PATCHES[:] = [monkeypatch]
    return studies.load(ready)
