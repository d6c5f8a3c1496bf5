"""A language model's server on this machine, and the writer that asks it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai._base_client as client
import pytest

from backend.labels import writers
from backend.labels.server import configured
from backend.labels.writers import OpenAiWriter, server_ref
from tests.helpers.llm import KEY, Open, Rehearsed, serving


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def server(own_cache: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsed]:
    """It is the one that the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(client, "INITIAL_RETRY_DELAY", 0.02)  # seconds, doubled at each try
    with serving() as server:
        monkeypatch.setenv("TESSERA_LLM_URL", server.url)
        monkeypatch.setenv("TESSERA_LLM_MODEL", "tiny")
        monkeypatch.setenv("TESSERA_LLM_KEY", KEY)
        yield server


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Open:
    """The writer that the environment names, of so many `tries` and such a `timeout`."""

    def open_writer(**options: float) -> OpenAiWriter:
        for name, value in options.items():
            monkeypatch.setattr(writers, name.upper(), value)
        return OpenAiWriter(server_ref(configured()))

    return open_writer


@pytest.fixture
def writer(server: Rehearsed, opened: Open) -> OpenAiWriter:
    return opened()
