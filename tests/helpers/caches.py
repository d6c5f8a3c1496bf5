"""The shared cache of the small world without some of its results."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from backend import settings


def use_copy_without(names: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test have a cache of its own in `folder`: that of now, but for results whose names
    match the pattern `names`."""
    left_out = shutil.ignore_patterns(names)
    shutil.copytree(settings.current().cache, folder / "cache", ignore=left_out)
    monkeypatch.setenv("TESSERA_CACHE", str(folder / "cache"))
