"""Who reaches the app: this machine, by either of its names, and nobody else."""

from __future__ import annotations

import socket
import urllib.request
from urllib.parse import urlsplit

import pytest

from tests.browser.visits import Visit

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_this_machine_is_answered_by_either_name(visit: Visit, app: str, name: str) -> None:
    visit.app = f"http://{name}:{urlsplit(app).port}"
    with urllib.request.urlopen(f"{visit.app}/_stcore/health", timeout=30) as answer:
        assert answer.read() == b"ok"
    assert visit.open("jobs").locator(".strip h1").inner_text() == "Jobs"


def test_another_address_of_the_machine_is_not_answered(app: str) -> None:
    """127.0.0.2 is the machine too, but not what the app listens on."""
    port = urlsplit(app).port
    assert port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=5).close()
