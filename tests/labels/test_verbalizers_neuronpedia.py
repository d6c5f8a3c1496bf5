"""Neuronpedia's client behind a real server on this machine, which answers as told."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.labels.verbalizers import neuronpedia
from backend.labels.verbalizers.neuronpedia import Neuronpedia, configured
from backend.schema import LlmError, LlmUnavailableError, ModelError, Site, VerbalizerRef
from backend.settings import Secret
from backend.store.memo import canonical

KEY = "sk-np-wallaby-4410-treacle"
SOURCES = [
    {"modelId": "tiny", "id": "made-l3", "layerNum": 3, "author": "someone"},
    {"modelId": "tiny", "id": "made-l7", "layerNum": 7, "author": "someone"},
    {"modelId": "large", "id": "made-l9", "layerNum": 9, "author": "someone"},
]


class Hosted(ThreadingHTTPServer):
    """Speaks Neuronpedia's protocol; `instead` may answer a path in another way."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.met: list[tuple[str, dict[str, Any]]] = []
        self.keys: set[str | None] = set()
        self.instead: dict[str, Callable[[dict[str, Any]], tuple[int, Any, dict[str, str]]]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def say(self, path: str, status: int, body: Any, **headers: str) -> None:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        self.instead[path] = lambda _: (status, body, names)

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        if path in self.instead:
            return self.instead[path](body)
        if path == "sources":
            return 200, {"sources": SOURCES}, {}
        if path == "completion":
            words = ["<bos>", *body["text"].split()]
            tokens = [{"token": t, "token_id": 5, "position": i} for i, t in enumerate(words)]
            return 200, {"tokens": tokens, "prompt_length": len(words), "text": body["text"]}, {}
        words = ["<bos>", *body["text"].split()]
        results = [
            {
                "position": place,
                "token": words[place],
                "description": f" about {words[place]} ",
                "mse": 0.1,
            }
            for place in sorted(body["positions"])
        ]
        return 200, {"results": results, "layer_index": 3, "prompt_length": len(words)}, {}


class Handler(BaseHTTPRequestHandler):
    server: Hosted

    def do_GET(self) -> None:
        self._reply({})

    def do_POST(self) -> None:
        self._reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _reply(self, body: dict[str, Any]) -> None:
        path = self.path.removeprefix("/api/nla/")
        self.server.met.append((path, body))
        self.server.keys.add(self.headers["x-api-key"])
        status, answer, headers = self.server.answer(path, body)
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(data)
        except OSError:  # the client gave up, as a test wants
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


_patches: list[pytest.MonkeyPatch] = []  # that of the test that runs


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosted]:
    _patches[:] = [monkeypatch]
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    created = Hosted()
    thread = threading.Thread(target=created.serve_forever, args=(0.02,))
    thread.start()
    yield created
    created.shutdown()
    thread.join()
    created.server_close()


def opened(
    server: Hosted, layer: int = 3, url: str = "", key: str = KEY, timeout: float = 20.0
) -> Neuronpedia:
    """The service that the environment names."""
    _patches[0].setenv("TESSERA_NEURONPEDIA_URL", url or server.url)
    _patches[0].setenv("TESSERA_NEURONPEDIA_KEY", key)
    _patches[0].setattr(neuronpedia, "TIMEOUT", timeout)
    return configured(VerbalizerRef("neuronpedia", "tiny"), Site(layer))


# ---------------------------------------------------------------- what it does


def test_each_context_is_described_at_its_last_token(server: Hosted) -> None:
    texts = ["the captain finds", "an oven"]
    assert opened(server).verbalize_contexts(texts) == ["about finds", "about oven"]
    explained = [body for path, body in server.met if path == "explain"]
    assert [body["positions"] for body in explained] == [[3], [2]]
    assert {(body["modelId"], body["nlaSourceId"]) for body in explained} == {("tiny", "made-l3")}
    assert all(body["temperature"] == 0 for body in explained)
    assert server.keys == {KEY}


def test_the_nla_of_the_studys_block_is_looked_up_once(server: Hosted) -> None:
    client = opened(server, layer=7)
    client.verbalize_contexts(["a", "b c"])
    assert [path for path, _ in server.met].count("sources") == 1
    assert server.met[-1][1]["nlaSourceId"] == "made-l7"


def test_what_was_asked_before_is_read_from_disk(server: Hosted) -> None:
    opened(server).verbalize_contexts(["the captain"])
    before = len(server.met)
    assert opened(server).verbalize_contexts(["the captain"]) == ["about captain"]
    assert len(server.met) == before
    opened(server, layer=7).verbalize_contexts(["the captain"])
    assert len(server.met) > before


def test_no_texts_ask_nothing(server: Hosted) -> None:
    assert opened(server).verbalize_contexts([]) == []
    assert server.met == []


def test_without_a_key_none_is_sent(server: Hosted) -> None:
    opened(server, key="").verbalize_contexts(["the captain"])
    assert server.keys == {None}


def test_vectors_are_refused_with_what_to_do_instead(server: Hosted) -> None:
    with pytest.raises(LlmUnavailableError, match="reads texts, and cannot be given vectors") as it:
        opened(server).verbalize(np.ones((2, 4), np.float32))
    assert 'kind = "nla"' in it.value.remedy
    assert server.met == []


def test_another_host_than_the_environment_names_is_not_taken_for_it(server: Hosted) -> None:
    client = opened(server)
    opened(server, url="http://127.0.0.1:9")
    with pytest.raises(LlmUnavailableError, match=r"at 127\.0\.0\.1:9, but") as caught:
        client.verbalize_contexts(["the captain"])
    assert "began with other settings" in caught.value.remedy
    assert server.met == []


# ---------------------------------------------------------------- what can go wrong


def failing(client: Neuronpedia) -> LlmError:
    with pytest.raises(LlmError) as caught:
        client.verbalize_contexts(["the captain"])
    return caught.value


def test_a_block_without_an_nla_is_refused_with_what_there_is(server: Hosted) -> None:
    with pytest.raises(ModelError, match="hosts no NLA of tiny at block 4") as caught:
        opened(server, layer=4).verbalize_contexts(["the captain"])
    assert "there are tiny block 3, tiny block 7, large block 9" in caught.value.remedy


@pytest.mark.parametrize(
    ("status", "headers", "problem", "later"),
    [
        (429, {"Retry_After": "1800"}, "no more requests for 1800 s", True),
        (429, {"Retry_After": KEY}, "no more requests.", True),
        (429, {}, "no more requests.", True),
        (401, {}, "refuses the key", True),
        (403, {}, "refuses the key", True),
        (400, {}, "refused the request (HTTP 400)", False),
        (413, {}, "refused the request (HTTP 413)", False),
        (404, {}, "cannot answer (HTTP 404)", True),
        (503, {}, "cannot answer (HTTP 503)", True),
        (302, {"Location": "http://127.0.0.1:1/elsewhere"}, "cannot answer (HTTP 302)", True),
    ],
)
def test_a_refusal_says_whether_the_run_can_go_on(
    server: Hosted, status: int, headers: dict[str, str], problem: str, later: bool
) -> None:
    server.say("explain", status, {"error": f"you sent {KEY}"}, **headers)
    error = failing(opened(server))
    assert problem in error.problem
    assert isinstance(error, LlmUnavailableError) is later


def test_a_key_that_is_missing_is_asked_for(server: Hosted) -> None:
    server.say("sources", 401, {})
    error = failing(opened(server, key=""))
    assert "wants a key" in error.problem
    assert "TESSERA_NEURONPEDIA_KEY" in error.remedy


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("explain", b"<html>soon</html>"),
        ("explain", b""),
        ("explain", {"results": [{"position": "2", "description": "x"}]}),
        ("explain", {"results": [{"position": 2}]}),
        ("explain", {"error": "none"}),
        ("explain", b"\xff\xfe"),
        ("completion", {"tokens": "the captain"}),
        ("sources", [1]),
    ],
)
def test_a_reply_of_another_form_is_an_error(server: Hosted, path: str, body: Any) -> None:
    server.say(path, 200, body)
    error = failing(opened(server))
    assert "not as Neuronpedia's API does" in error.problem
    assert not isinstance(error, LlmUnavailableError)


@pytest.mark.parametrize("positions", [[], [1], [2, 2], [2, 3]])
def test_other_positions_than_asked_for_are_an_error(server: Hosted, positions: list[int]) -> None:
    results = [{"position": place, "description": "x"} for place in positions]
    server.say("explain", 200, {"results": results})
    assert "not the one asked for" in failing(opened(server)).problem


def test_a_text_without_tokens_is_an_error(server: Hosted) -> None:
    server.say("completion", 200, {"tokens": []})
    assert "no token" in failing(opened(server)).problem


def test_a_failure_is_not_kept(server: Hosted) -> None:
    server.say("explain", 503, {})
    failing(opened(server))
    del server.instead["explain"]
    assert opened(server).verbalize_contexts(["the captain"]) == ["about captain"]


def test_a_server_that_does_not_reply_in_time(server: Hosted) -> None:
    def slow(_: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        time.sleep(0.5)
        return 200, {}, {}

    server.instead["sources"] = slow
    error = failing(opened(server, timeout=0.05))
    assert "did not reply within 0.05 s" in error.problem
    assert isinstance(error, LlmUnavailableError)


def test_a_server_that_is_not_there(server: Hosted) -> None:
    with socket.socket() as receipt:  # bound, and nobody listens
        receipt.bind(("127.0.0.1", 0))
        error = failing(opened(server, url=f"http://127.0.0.1:{receipt.getsockname()[1]}"))
    assert "cannot be reached" in error.problem
    assert isinstance(error, LlmUnavailableError)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "neuronpedia.org",
        "ftp://a.b",
        "http://",
        "http://[",
        "http://a.b:x",
        f"https://{KEY}@a.b",
        f"https://a.b?key={KEY}",
        f"https://a.b#{KEY}",
    ],
)
def test_an_address_that_is_none_is_refused_unquoted(url: str) -> None:
    with pytest.raises(LlmUnavailableError) as caught:
        Neuronpedia("tiny", 3, url, Secret(KEY))
    assert "TESSERA_NEURONPEDIA_URL" in caught.value.remedy
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "clé"])
def test_a_key_that_cannot_be_sent_is_refused(key: str) -> None:
    with pytest.raises(LlmUnavailableError, match="cannot be sent") as caught:
        Neuronpedia("tiny", 3, "http://a.b", Secret(key))
    assert key not in str(caught.value)


@pytest.mark.parametrize("status", [200, 400, 401, 429, 500])
def test_the_key_is_in_no_error_log_or_file(
    server: Hosted, tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    opened(server).verbalize_contexts(["an oven"])
    server.say("explain", status, {"results": KEY, "error": KEY})
    client = opened(server)
    try:
        client.verbalize_contexts(["the captain"])
        pytest.fail("no error")
    except LlmError as error:
        prompt = "".join(traceback.format_exception(error)) + repr(error) + str(error.__context__)
    with pytest.raises(TypeError):
        canonical(client)
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert KEY not in prompt + caplog.text + repr(vars(client))
    assert files
    assert not any(KEY.encode() in data for data in files)
