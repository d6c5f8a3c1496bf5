"""A server on this machine that speaks the chat-completions protocol, and delays, fails and refuses
as told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from backend.labels.contract import Message
from backend.labels.writers import OpenAiWriter

Open = Callable[..., OpenAiWriter]  # takes `tries` and `timeout`
KEY = "sk-quokka-7731-marmalade"


@dataclass(frozen=True)
class Reply:
    """How the server answers one request; without a body it closes the connection."""

    body: str | None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


@dataclass(frozen=True)
class Request:
    path: str
    key: str
    body: dict[str, Any]
    arrived: float

    @property
    def question(self) -> str:
        return self.body["messages"][-1]["content"]


def completion(text: str | None, finish: str = "stop", **more: Any) -> str:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
    whole = {"id": "1", "object": "chat.completion", "created": 0, "model": "tiny-2026"}
    return json.dumps(whole | {"choices": [choice | {"finish_reason": finish}], "usage": usage})


def failure(status: int, message: str, **headers: str) -> Reply:
    return Reply(json.dumps({"error": {"message": message}}), status, headers)


class Rehearsed(ThreadingHTTPServer):
    """Speaks the chat-completions protocol; `answer` decides each reply."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.met: list[Request] = []
        self.answer: Callable[[Request], Reply] = lambda request: echo(request)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def say(self, *replies: Reply) -> None:
        """These in turn, then the last one again and again."""
        left = list(replies)
        self.answer = lambda _: left.pop(0) if len(left) > 1 else left[0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Rehearsed

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["Authorization"]
        request = Request(self.path, key, body, time.monotonic())
        self.server.met.append(request)
        reply = self.server.answer(request)
        time.sleep(reply.delay)
        self.close_connection = True
        if reply.body is not None:
            self._send(reply, reply.body.encode())

    def _send(self, reply: Reply, data: bytes) -> None:
        self.send_response(reply.status)
        headers = {"Content-Type": "application/json", "Connection": "close"} | reply.headers
        for name, value in (headers | {"Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(data)
        except OSError:  # the client gave up on us, which some tests want
            self.close_connection = True

    def log_message(self, *args: Any) -> None:
        """Silent."""


def echo(request: Request, delay: float = 0.0) -> Reply:
    return Reply(completion(f"about {request.question}"), delay=delay)


def turns(text: str) -> tuple[Message, ...]:
    return (Message("system", "Label the feature."), Message("user", text))


@contextmanager
def serving() -> Iterator[Rehearsed]:
    """A server that answers meanwhile."""
    server = Rehearsed()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def paying(server: Rehearsed, prompt: int, reply: int, delay: float = 0.0) -> None:
    """Each reply takes so many tokens, as the server counts them."""

    def answer(request: Request) -> Reply:
        whole = json.loads(completion(f"about {request.question}"))
        whole["usage"] |= {"prompt_tokens": prompt, "completion_tokens": reply}
        return Reply(json.dumps(whole), delay=delay)

    server.answer = answer
