"""A model of the hub, fetched by the real client from a server that answers as the hub does."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from backend.models import hub as backend_hub

ROOT = Path(__file__).parent.parent.parent
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """Serves one folder as `tiny/model`; `tiny/gated` is the same behind terms."""

    folder: Path

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        path = self.path.partition("?")[0].strip("/")
        names = sorted(file.name for file in self.folder.iterdir())
        if path.startswith("api/models/"):
            files = [{"rfilename": name} for name in names]
            if "/tree/" in path:
                tree = [self._entry(self.folder / name) for name in names]
                self._send(200, json.dumps(tree), body)
            else:
                self._send(200, json.dumps({"id": path, "sha": COMMIT, "siblings": files}), body)
        elif path.startswith("tiny/gated/"):
            self._send(401, "Access to it is restricted.", body, {"X-Error-Code": "GatedRepo"})
        elif (name := path.rpartition("/")[2]) in names:
            raw = (self.folder / name).read_bytes()
            tag = hashlib.sha256(raw).hexdigest()
            self._send(200, raw, body, {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT})
        else:
            self._send(404, "Entry not found", body, {"X-Error-Code": "EntryNotFound"})

    def _entry(self, file: Path) -> dict[str, object]:
        size = file.stat().st_size
        return {"type": "file", "path": file.name, "size": size, "oid": file.name}

    def _send(
        self, code: int, content: str | bytes, body: bool, headers: dict[str, str] | None = None
    ) -> None:
        raw = content if isinstance(content, bytes) else content.encode()
        self.send_response(code)
        for name, value in {"Content-Length": str(len(raw)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(world: Path) -> Iterator[str]:
    Hub.folder = world / "model"
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def prepare(hub: str, world: Path, folder: Path, repository: str) -> subprocess.CompletedProcess:
    """`python -m backend prepare` of a study whose model is on the hub, in a process of its own:
    the client reads its address when it is imported."""
    studies = folder / "studies"
    studies.mkdir()
    (studies / "mine.toml").write_text(
        f'model = {{ source = "hub:{repository}" }}\n'
        "site = { layer = 2 }\n"
        "corpus = { context_length = 32, "
        f'sources = [{{ kind = "files", path = "{world / "corpus"}" }}] }}\n'
        "partition = { p = 10 }\n"
    )
    environment = {name: os.environ[name] for name in os.environ if not name.startswith("HF_")}
    environment |= {
        "HF_ENDPOINT": hub,
        "HF_HOME": str(folder / "hub"),
        "HF_HUB_DISABLE_XET": "1",
        "TESSERA_STUDIES": str(studies),
        "TESSERA_CACHE": str(folder / "cache"),
    }
    command = [sys.executable, "-m", "backend", "prepare", "--study", "mine"]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600
    )


def test_a_model_of_the_hub_needs_only_its_name(hub: str, world: Path, tmp_path: Path) -> None:
    done = prepare(hub, world, tmp_path, "tiny/model")
    assert done.returncode == 0, done.stderr
    recipes = list((tmp_path / "cache").glob("regions.partition/**/recipe.json"))
    assert recipes
    assert all(COMMIT in recipe.read_text() for recipe in recipes)


def test_a_gated_model_without_a_token_names_the_remedy(
    hub: str, world: Path, tmp_path: Path
) -> None:
    done = prepare(hub, world, tmp_path, "tiny/gated")
    assert done.returncode != 0
    assert "tiny/gated is gated" in done.stderr
    assert "HF_TOKEN" in done.stderr


# ---------------------------------------------------------------- versions of files


def sha(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()


def test_a_digest_of_files_is_of_their_contents_in_order_and_of_names_where_given(
    tmp_path: Path,
) -> None:
    paths = [tmp_path / name for name in ("a.txt", "b.txt")]
    for path in paths:
        path.write_bytes(path.name.encode() * 3)
    parts = [path.name.encode() * 3 for path in paths]
    contents = sha(sha(parts[0]) + sha(parts[1])).hex()[:16]
    assert backend_hub.files_digest(paths) == contents
    named = sha(b"a.txt\0" + sha(parts[0]) + b"b.txt\0" + sha(parts[1])).hex()[:16]
    assert backend_hub.files_digest(paths, lambda path: path.name) == named
    assert backend_hub.files_digest(reversed(paths)) != contents


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("\n one\ntwo"), "one"),
        (ConnectionError(), "ConnectionError"),
        (OSError("x" * 400), "x" * 300),
    ],
)
def test_an_error_of_others_is_told_by_its_first_line(error: Exception, line: str) -> None:
    assert backend_hub.first_line(error) == line
