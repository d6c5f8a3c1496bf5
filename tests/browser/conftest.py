"""The app on the shortened demo, and a browser to visit it with."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.labelling import Labeller
from tests.browser.queue_world import Server, build, serving
from tests.browser.visits import ROOT, Visit

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def app(real: Path) -> Iterator[str]:
    """The address of the app, running on the shortened demo."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folders = {name: str(real / name.lower()) for name in ("STUDIES", "CACHE", "ANNOTATIONS")}
    environment = os.environ | {f"TESSERA_{name}": path for name, path in folders.items()}
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"]
    with (real / "app.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            _await(f"http://127.0.0.1:{port}/_stcore/health")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30)


def _await(address: str) -> None:
    for _ in range(240):
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"nothing answers at {address}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    executable = next((path for name in NAMES if (path := shutil.which(name))), None)
    assert executable, f"install one of {', '.join(NAMES)}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser, app: str) -> Iterator[Visit]:
    visiting = Visit(chromium, app)
    yield visiting
    visiting.close()


# ---------------------------------------------------------------- the queue


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("queue"))


@pytest.fixture
def server(root: Path, tmp_path: Path) -> Iterator[Server]:
    with serving(root, tmp_path / "annotations") as running:
        yield running


@pytest.fixture
def slow(root: Path, tmp_path: Path) -> Iterator[Server]:
    with serving(root, tmp_path / "annotations", delay=0.5) as running:
        yield running


@pytest.fixture
def labeller(chromium: Browser, server: Server) -> Iterator[Labeller]:
    person = Labeller(chromium, server)
    yield person
    person.close()
