"""Writers behind a real server on this machine, which delays, fails and refuses as told."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import openai._base_client as client
import pytest

from backend import settings
from backend.labels import costs, writers
from backend.labels.contract import Evidence, Excerpt, Message, Writer
from backend.labels.costs import Cap, Meter, Prices, Usage
from backend.labels.explainers import EXPLAINERS, Context
from backend.labels.references import WriterRef, read_writer
from backend.labels.server import Server, configured
from backend.labels.writers import OpenAiWriter, ask_all, connect, server_ref
from backend.schema import Cancelled, LlmError, LlmUnavailableError, Progress
from backend.settings import Secret
from backend.store.memo import canonical

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
    def said(self) -> str:
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
    return Reply(completion(f"about {request.said}"), delay=delay)


def asked(text: str) -> tuple[Message, ...]:
    return (Message("system", "Label the feature."), Message("user", text))


_patches: list[pytest.MonkeyPatch] = []  # that of the test that runs


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _patches[:] = [monkeypatch]
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(client, "INITIAL_RETRY_DELAY", 0.02)  # seconds, doubled at each try


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsed]:
    made = Rehearsed()
    monkeypatch.setenv("TESSERA_LLM_URL", made.url)
    monkeypatch.setenv("TESSERA_LLM_MODEL", "tiny")
    monkeypatch.setenv("TESSERA_LLM_KEY", KEY)
    thread = threading.Thread(target=made.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def writer(server: Rehearsed) -> OpenAiWriter:
    return opened(server)


def opened(_: Rehearsed, **options: float) -> OpenAiWriter:
    """The writer that the environment names, of so many `tries` and such a `timeout`."""
    for name, value in options.items():
        _patches[0].setattr(writers, name.upper(), value)
    return OpenAiWriter(server_ref(configured()))


@contextlib.contextmanager
def capped(
    server: Rehearsed, *caps: Any, prices: Prices | None = None
) -> Iterator[tuple[OpenAiWriter, Meter]]:
    with costs.capped(Cap(*caps), prices) as meter:
        yield opened(server, tries=2), meter


# ---------------------------------------------------------------- one reply


def test_what_is_asked_arrives_and_the_reply_comes_back(
    server: Rehearsed, writer: OpenAiWriter
) -> None:
    contract: Writer = writer
    assert contract.write(asked("boats"), temperature=0.7, limit=40) == "about boats"
    [request] = server.met
    assert request.path == "/v1/chat/completions"
    assert request.key == f"Bearer {KEY}"
    assert request.body == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "Label the feature."},
            {"role": "user", "content": "boats"},
        ],
        "temperature": 0.7,
        "max_tokens": 40,
    }
    assert writer.name == f"tiny at 127.0.0.1:{server.server_port}"


def test_the_same_question_is_asked_once_ever(server: Rehearsed, writer: OpenAiWriter) -> None:
    first = writer.write(asked("boats"))
    for again in (writer, opened(server)):  # as another process would
        assert again.write(list(asked("boats")), temperature=0) == first
    assert len(server.met) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"messages": asked("ovens")},
        {"temperature": 0.5},
        {"limit": 7},
        {"attempt": 1},
        {"writer": WriterRef("server", served="other", host="127.0.0.1")},
        {"writer": WriterRef("server", served="tiny", host="example.org")},
    ],
)
def test_another_question_is_another_entry(change: dict[str, Any]) -> None:
    one = {
        "writer": WriterRef("server", served="tiny", host="127.0.0.1"),
        "messages": asked("boats"),
        "temperature": 0.0,
        "limit": 300,
        "attempt": 0,
    }
    assert writers.reply.digest(**one) != writers.reply.digest(**one | change)


def test_another_attempt_asks_again(server: Rehearsed, writer: OpenAiWriter) -> None:
    server.say(Reply(completion("one")), Reply(completion("two")))
    assert [writer.write(asked("x"), attempt=n) for n in (0, 1, 0, 1)] == ["one", "two"] * 2
    assert len(server.met) == 2


def test_an_entry_says_what_the_server_said_of_itself(
    server: Rehearsed, writer: OpenAiWriter
) -> None:
    writer.write(asked("boats"))
    entry = writers.reply.get(writer.ref, asked("boats"), 0.0, 300, 0)
    told = {name: entry.value(name) for name in ("model", "finish", "prompt_tokens")}
    assert told == {"model": "tiny-2026", "finish": "stop", "prompt_tokens": 11}
    assert entry.value("reply_tokens") == 3


def test_a_server_that_counts_no_tokens_is_fine(server: Rehearsed, writer: OpenAiWriter) -> None:
    whole = json.loads(completion("ok"))
    del whole["usage"]
    server.say(Reply(json.dumps(whole)))
    assert writer.write(asked("x")) == "ok"


# ---------------------------------------------------------------- trying again


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_passes_is_tried_again(server: Rehearsed, writer: OpenAiWriter, status: int) -> None:
    server.say(failure(status, "busy"), failure(status, "busy"), Reply(completion("at last")))
    assert writer.write(asked("x")) == "at last"
    assert len(server.met) == 3


def test_a_broken_connection_is_tried_again(server: Rehearsed, writer: OpenAiWriter) -> None:
    server.say(Reply(None), Reply(completion("at last")))
    assert writer.write(asked("x")) == "at last"


def test_a_reply_that_takes_too_long_is_tried_again(server: Rehearsed) -> None:
    server.say(Reply(completion("late"), delay=1.5), Reply(completion("in time")))
    assert opened(server, timeout=0.5).write(asked("x")) == "in time"


def test_it_waits_as_long_as_the_server_says(server: Rehearsed, writer: OpenAiWriter) -> None:
    server.say(failure(429, "slow down", **{"Retry-After": "1"}), Reply(completion("ok")))
    writer.write(asked("x"))
    first, second = (request.arrived for request in server.met)
    assert second - first >= 1.0  # far above the delay set for tests


def test_waits_grow_and_tries_are_bounded(
    server: Rehearsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "INITIAL_RETRY_DELAY", 0.1)
    server.say(failure(503, "down"))
    with pytest.raises(LlmError, match="503"):
        opened(server, tries=4).write(asked("x"))
    assert len(server.met) == 4
    times = [request.arrived for request in server.met]
    assert times[3] - times[2] >= 0.3  # 0.4 s less a quarter at random
    assert times[1] - times[0] >= 0.075


# ---------------------------------------------------------------- what goes wrong


def no_reply(code: int | str, message: str) -> Reply:
    """An error with the status of success."""
    return Reply(json.dumps({"error": {"message": message, "code": code}}))


PAGE = Reply("<html>", headers={"Content-Type": "text/html"})


@pytest.mark.parametrize(
    ("reply", "problem", "remedy", "calls"),
    [
        (failure(401, f"Incorrect key {KEY}"), "refuses the key", "TESSERA_LLM_KEY", 1),
        (failure(402, "no credit"), "HTTP 402", "credit", 1),
        (failure(403, "not for you"), r"403\): not for you", "may use this model", 1),
        (failure(404, "no such model"), "model 'tiny'.*: no such", "TESSERA_LLM_MODEL", 1),
        (failure(400, "tiny is no model ID"), "model 'tiny'", "TESSERA_LLM_MODEL", 1),
        (failure(405, "what?"), r"405\): what", "TESSERA_LLM_URL", 1),
        (failure(429, "quota"), r"HTTP 429\): quota", "fewer at a time", 2),
        (failure(429, "quota", **{"Retry-After": "7200"}), "HTTP 429", "fewer at a time", 1),
        (failure(500, "oops"), r"HTTP 500\): oops", "at fault", 2),
        (Reply("<html>", 502), r"HTTP 502\)\.", "at fault", 2),
        (no_reply(429, "slow down"), r"HTTP 429\): slow", "fewer at a time", 1),
        (no_reply("server_error", "oops"), r"HTTP 500\): oops", "at fault", 1),
        (Reply(None), "cannot be reached, in 2 tries", "TESSERA_LLM_URL", 2),
        (Reply("{}"), "not as chat completions do", "/v1", 1),
        (PAGE, "not as chat", "/v1", 1),
        (Reply("{broken"), "cannot be read", "/v1", 1),
        (Reply(completion("late"), delay=0.9), "within 0.3 s, in 2 tries", "longer timeout", 2),
    ],
)
def test_a_server_that_cannot_be_asked_now_says_what_to_do(
    server: Rehearsed, reply: Reply, problem: str, remedy: str, calls: int
) -> None:
    assert issubclass(refused(server, reply, problem, remedy, calls), LlmUnavailableError)


@pytest.mark.parametrize(
    ("reply", "problem", "remedy"),
    [
        (failure(400, "prompt is too long"), "prompt is too long", "too long"),
        (failure(400, "tiny reads 512 tokens"), "512 tokens", "too long"),
        (failure(400, "content policy"), "content policy", "content not wanted"),
        (failure(403, "your input was flagged"), "flagged", "content not wanted"),
        (Reply('{"detail": [{"msg": "no"}]}', 422), "'msg': 'no'", "Change"),
        (no_reply(400, "too long"), "too long", "too long"),
        (Reply(completion("")), "empty reply", "another model"),
        (Reply(completion(None, "content_filter")), "content_filter", "another model"),
        (Reply(completion(" ", "length")), "used up its 300 tokens", "Raise the limit"),
    ],
)
def test_a_reply_that_is_no_use_is_a_failure_and_no_reason_to_stop(
    server: Rehearsed, reply: Reply, problem: str, remedy: str
) -> None:
    assert refused(server, reply, problem, remedy, 1) is LlmError


def refused(
    server: Rehearsed, reply: Reply, problem: str, remedy: str, calls: int
) -> type[LlmError]:
    """The kind of error, which is not kept: the same question gets a reply later."""
    writer = opened(server, tries=2, timeout=0.3 if reply.delay else 20.0)
    server.say(reply)
    with pytest.raises(LlmError) as told:
        writer.write(asked("x"))
    assert re.search(problem, told.value.problem)
    assert remedy in told.value.remedy
    assert len(server.met) == calls
    server.say(Reply(completion("fine now")))
    assert writer.write(asked("x")) == "fine now"
    return type(told.value)


def test_a_reply_cut_at_its_limit_is_what_was_said(server: Rehearsed, writer: OpenAiWriter) -> None:
    server.say(Reply(completion("I think that", "length")))
    assert writer.write(asked("x"), limit=3) == "I think that"


def test_without_a_key_a_server_that_wants_one_is_named(
    server: Rehearsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TESSERA_LLM_KEY")
    server.say(failure(401, "who are you"))
    with pytest.raises(LlmUnavailableError, match="wants a key"):
        opened(server).write(asked("x"))


def test_a_server_that_is_not_there_is_an_error_with_a_remedy(
    server: Rehearsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_LLM_URL", "http://127.0.0.1:9/v1")
    writer = opened(server, tries=2)
    with pytest.raises(LlmUnavailableError, match=r"127\.0\.0\.1:9 cannot be reached"):
        writer.write(asked("x"))


# ---------------------------------------------------------------- the key


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
@pytest.mark.parametrize("echoed", [KEY, f"Bearer {KEY}", KEY[:9] + "*****", "..." + KEY[-8:]])
def test_no_error_log_or_file_holds_the_key(
    server: Rehearsed,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    status: int,
    echoed: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    writer = opened(server, tries=2)
    writer.write(asked("good"))
    server.say(failure(status, f"the key {echoed} is not liked"))
    with pytest.raises(LlmError) as told:
        writer.write(asked("bad"))
    error = told.value
    shown = [*traceback.format_exception(error), repr(error), repr(vars(error))]
    told_of = connect(writer.ref).server
    shown += [repr(told_of), str(told_of), repr(writer), writer.name, repr(writer.ref)]
    shown += [repr(settings.Secret(KEY)), f"{told_of.key}", told_of.base_url, str(vars(writer))]
    stored = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(stored) >= 2
    pieces = [KEY[at : at + 6] for at in range(len(KEY) - 5)]
    assert not [piece for piece in pieces for text in shown if piece in text]
    assert not [piece for piece in pieces for data in stored if piece.encode() in data]
    assert KEY not in caplog.text
    assert error.__cause__ is error.__context__ is None  # which would lead to the request


def test_the_memo_refuses_a_key() -> None:
    with pytest.raises(TypeError) as told:
        canonical(Server("http://127.0.0.1/v1", "tiny", Secret(KEY)))
    assert KEY not in str(told.value)


@pytest.mark.parametrize(
    "url",
    [
        f"https://me:{KEY}@example.org/v1",
        f"https://example.org/v1?key={KEY}",
        f"https://example.org/v1#{KEY}",
        f"example.org/{KEY}",
        f"https://example.org:{KEY}/v1",
        f"https://[{KEY}/v1",
        f"ftp://example.org/{KEY}",
        "",
    ],
)
def test_an_address_that_is_none_or_holds_a_key_is_refused(url: str) -> None:
    with pytest.raises(LlmError, match="address") as told:
        Server(url, "tiny")
    assert KEY not in "".join(traceback.format_exception(told.value))
    assert "TESSERA_LLM_URL" in told.value.remedy


@pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY}…", f"{KEY} and more"])
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(LlmError, match="characters") as told:
        Server("https://example.org/v1", "tiny", Secret(key))
    assert KEY not in "".join(traceback.format_exception(told.value))


def test_the_environment_names_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "MODEL", "KEY", "PRICE_IN", "PRICE_OUT"):
        monkeypatch.delenv(f"TESSERA_LLM_{name}", raising=False)
    with pytest.raises(LlmError, match="TESSERA_LLM_URL and TESSERA_LLM_MODEL"):
        configured()
    monkeypatch.setenv("TESSERA_LLM_URL", "https://example.org:8443/api/v1")
    monkeypatch.setenv("TESSERA_LLM_MODEL", "tiny")
    assert not configured().key
    monkeypatch.setenv("TESSERA_LLM_KEY", f"{KEY}\n")  # as read from a file
    found = configured()
    assert found == Server("https://example.org:8443/api/v1", "tiny", Secret(KEY))
    assert found.host == "example.org:8443"
    assert KEY not in repr(settings.current())


# ---------------------------------------------------------------- many replies

LATENCY = 0.25


class Kept(Progress):
    """Keeps what is reported; cancels once `limit` are done."""

    def __init__(self, limit: float = 1e9) -> None:
        self.limit = limit
        self.seen: list[tuple[float, float, str]] = []

    def report(self, done: float, total: float, message: str, unit: str = "") -> None:
        self.seen.append((done, total, message))
        if done >= self.limit:
            raise Cancelled


def timed(server: Rehearsed, conversations: Sequence[Sequence[Message]], workers: int) -> float:
    started = time.monotonic()
    found = ask_all(opened(server), conversations, workers)
    assert all(isinstance(text, str) for text in found)
    return time.monotonic() - started


def test_eight_at_a_time_are_five_times_as_fast_as_one(
    server: Rehearsed, writer: OpenAiWriter
) -> None:
    writer.write(asked("a first call, which loads the client"))
    server.answer = lambda request: echo(request, LATENCY)
    alone = timed(server, [asked(f"alone {n}") for n in range(16)], 1)
    together = timed(server, [asked(f"together {n}") for n in range(16)], 8)
    assert alone >= 16 * LATENCY
    assert alone / together >= 5


def test_no_more_than_workers_at_a_time_and_order_is_kept(
    server: Rehearsed, writer: OpenAiWriter
) -> None:
    guard, now, most = threading.Lock(), 0, 0

    def answer(request: Request) -> Reply:
        nonlocal now, most
        with guard:
            now += 1
            most = max(most, now)
        time.sleep(0.02 * (int(request.said) % 3))
        with guard:
            now -= 1
        return echo(request)

    server.answer = answer
    progress = Kept()
    found = ask_all(writer, [asked(str(n)) for n in range(12)], 3, progress)
    assert found == [f"about {n}" for n in range(12)]
    assert 1 < most <= 3
    assert progress.seen[-1][:2] == (12, 12)


def test_a_second_run_asks_nothing(server: Rehearsed, writer: OpenAiWriter) -> None:
    conversations = [asked(str(n)) for n in range(10)]
    first = ask_all(writer, conversations, temperature=0.3, limit=20)
    assert len(server.met) == 10
    assert ask_all(opened(server), conversations, temperature=0.3, limit=20) == first
    assert len(server.met) == 10


def test_half_failing_leaves_the_others_intact(server: Rehearsed) -> None:
    def answer(request: Request) -> Reply:
        return failure(400, "no") if int(request.said) % 2 else echo(request)

    server.answer = answer
    progress = Kept()
    conversations = [asked(str(n)) for n in range(10)]
    found = ask_all(opened(server, tries=2), conversations, 4, progress)
    assert found[::2] == [f"about {n}" for n in range(0, 10, 2)]
    assert all(isinstance(error, LlmError) and error.remedy for error in found[1::2])
    assert "5 failed" in progress.seen[-1][2]
    server.answer, before = echo, len(server.met)
    assert ask_all(opened(server), conversations) == [f"about {n}" for n in range(10)]
    assert len(server.met) == before + 5  # only what had failed


def test_a_run_stops_where_the_server_does_and_goes_on_later(server: Rehearsed) -> None:
    guard, credit = threading.Lock(), 10

    def answer(request: Request) -> Reply:
        nonlocal credit
        with guard:
            credit -= 1
            paid = credit >= 0
        return echo(request, 0.05) if paid else failure(402, "no credit")

    server.answer = answer
    progress = Kept()
    conversations = [asked(str(n)) for n in range(200)]
    with pytest.raises(LlmUnavailableError, match="no credit"):
        ask_all(opened(server), conversations, 8, progress)
    assert len(server.met) <= 10 + 8  # no more than were under way
    assert progress.seen[-1][0] == len(server.met)
    server.answer, before = echo, len(server.met)
    assert ask_all(opened(server), conversations) == [f"about {n}" for n in range(200)]
    assert len(server.met) == before + 200 - 10  # what was paid for is kept


def test_a_server_that_stops_is_no_failure_of_a_method(
    server: Rehearsed, writer: OpenAiWriter
) -> None:
    excerpt = Excerpt(0, ("The", " boat"), (0.0, 2.0), 1)
    evidence = Evidence(3, 2.0, (excerpt,), (), (), (), "range", "other", 0, "")
    explain = EXPLAINERS["eleuther_acts_top5"].explain
    server.say(failure(402, "no credit"))
    with pytest.raises(LlmUnavailableError, match="no credit"):
        explain(evidence, Context(writer=writer))
    server.say(failure(400, "not this"))
    assert "not this" in explain(evidence, Context(writer=writer)).failed


def test_a_cancelled_run_begins_nothing_more_and_resumes(
    server: Rehearsed, writer: OpenAiWriter
) -> None:
    server.answer = lambda request: echo(request, 0.02)
    conversations = [asked(str(n)) for n in range(40)]
    with pytest.raises(Cancelled):
        ask_all(writer, conversations, 2, Kept(5))
    assert len(server.met) < 40
    found = ask_all(writer, conversations, 2)
    assert found == [f"about {n}" for n in range(40)]
    assert {request.said for request in server.met} == {str(n) for n in range(40)}
    assert len(server.met) == 40  # nothing twice


def test_an_error_that_is_none_of_the_models_ends_the_run() -> None:
    class Broken:
        name = "broken"
        obeys = True

        def write(self, messages: Any, **options: Any) -> str:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask_all(Broken(), [asked("x")])


# ---------------------------------------------------------------- a cap in mid-run


def paying(server: Rehearsed, prompt: int, reply: int, delay: float = 0.0) -> None:
    """Each reply takes so many tokens, as the server counts them."""

    def answer(request: Request) -> Reply:
        whole = json.loads(completion(f"about {request.said}"))
        whole["usage"] |= {"prompt_tokens": prompt, "completion_tokens": reply}
        return Reply(json.dumps(whole), delay=delay)

    server.answer = answer


def test_calls_are_capped_and_a_higher_cap_goes_on(server: Rehearsed) -> None:
    with capped(server, 3) as (writer, meter):
        for n in range(3):
            assert writer.write(asked(str(n))) == f"about {n}"
        with pytest.raises(
            LlmUnavailableError, match="cap of 3 calls is reached: 3 so far"
        ) as told:
            writer.write(asked("3"))
        assert "What was paid for is kept: raise the cap and start again." in told.value.remedy
        assert writer.write(asked("1")) == "about 1"  # from disk
        assert meter.paid == Usage(3, 33, 9, None)
    with capped(server, 1) as (writer, meter):
        assert [writer.write(asked(str(n))) for n in range(4)] == [f"about {n}" for n in range(4)]
        assert meter.paid.calls == 1
    assert len(server.met) == 4
    assert writer.write(asked("5")) == "about 5"  # out of any cap


@pytest.mark.parametrize("cap", [Cap(calls=20), Cap(tokens=2000), Cap(cost=0.3)])
def test_eight_threads_never_pass_a_cap_and_use_it_up(server: Rehearsed, cap: Cap) -> None:
    """A call is estimated at 101 + 400 tokens and takes 90 + 10, so that some wait for others."""
    paying(server, 90, 10, 0.02)
    prices = Prices(100.0, 200.0)  # a call costs 0.011
    conversations = [(Message("user", f"{n:04}" + "x" * 400),) for n in range(60)]
    with (
        costs.capped(cap, prices) as meter,
        pytest.raises(LlmUnavailableError, match="is reached"),
    ):
        ask_all(opened(server), conversations, 8, limit=400)
    spent = meter.paid
    assert not cap.passed(spent)
    assert len(server.met) == spent.calls
    left = Usage(spent.calls + 1, spent.prompt_tokens + 101, spent.reply_tokens + 400, None)
    cost = prices.cost(left.prompt_tokens, left.reply_tokens)
    assert cap.passed(Usage(left.calls, left.prompt_tokens, left.reply_tokens, cost))
    assert spent.cost == pytest.approx(spent.calls * 0.011)


def test_what_the_server_did_not_answer_costs_nothing_and_a_useless_reply_does(
    server: Rehearsed,
) -> None:
    with capped(server, 2, prices=Prices(1e6, 2e6)) as (writer, meter):
        refusals = [failure(503, "down"), failure(400, "too long"), Reply("{}")]
        for n, refusal in enumerate(refusals):
            server.say(refusal)
            with pytest.raises(LlmError):
                writer.write(asked(str(n)))
        assert meter.paid == Usage(0, 0, 0, 0.0)
        server.say(Reply(completion("", "length")))
        for _ in range(2):
            with pytest.raises(LlmError, match="used up"):
                writer.write(asked("x"))
        assert meter.paid == Usage(2, 22, 6, 34.0)
        with pytest.raises(LlmUnavailableError, match="cap of 2 calls"):
            writer.write(asked("x"))


def test_where_the_server_does_not_count_the_estimate_does(server: Rehearsed) -> None:
    whole = json.loads(completion("ok"))
    del whole["usage"]
    server.say(Reply(json.dumps(whole)))
    with capped(server) as (writer, meter):
        writer.write((Message("user", "x" * 401),), limit=50)
        assert meter.paid == Usage(1, 101, 50, None)


def test_a_call_above_the_whole_cap_is_never_made(server: Rehearsed) -> None:
    with (
        capped(server, None, 300) as (writer, _),
        pytest.raises(LlmUnavailableError, match="cap of 300 tokens is reached: 0 so far"),
    ):
        writer.write(asked("x"), limit=300)
    assert not server.met


def test_a_limited_cost_takes_the_prices_of_the_server(
    server: Rehearsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = opened(server)
    with pytest.raises(LlmUnavailableError, match="prices"), writers.limit_cost(writer.ref, 0, 1.0):
        pass
    monkeypatch.setenv("TESSERA_LLM_PRICE_IN", "1e6")
    monkeypatch.setenv("TESSERA_LLM_PRICE_OUT", "2e6")
    with writers.limit_cost(writer.ref, 0, 1000.0) as meter:
        writer.write(asked("x"))
        assert isinstance(meter, Meter)
        assert meter.paid.cost == 11 + 2 * 3
        words = "cap of 1,000 in cost is reached: 17 so far"
        with pytest.raises(LlmUnavailableError, match=words):
            writer.write(asked("y"), limit=500)


def test_another_server_than_the_environment_names_is_not_taken_for_it(
    server: Rehearsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = opened(server)
    assert read_writer(writer.ref.who) == writer.ref
    monkeypatch.setenv("TESSERA_LLM_MODEL", "other")
    with pytest.raises(LlmUnavailableError, match=r"knows other at .*, but tiny at") as told:
        writer.write(asked("x"))
    assert "began with other settings" in told.value.remedy
    assert not server.met


# ---------------------------------------------------------------- prices


def test_the_environment_names_the_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESSERA_LLM_URL", "https://example.org/v1")
    monkeypatch.setenv("TESSERA_LLM_MODEL", "tiny")
    monkeypatch.setenv("TESSERA_LLM_PRICE_IN", " 0.25")
    monkeypatch.setenv("TESSERA_LLM_PRICE_OUT", "0")
    assert configured().prices == Prices(0.25, 0.0)
    monkeypatch.setenv("TESSERA_LLM_PRICE_IN", "")
    monkeypatch.setenv("TESSERA_LLM_PRICE_OUT", "")
    assert configured().prices is None


@pytest.mark.parametrize("bad", ["cheap", "-1", "nan", "inf", "1,5", ""])
@pytest.mark.parametrize("name", ["TESSERA_LLM_PRICE_IN", "TESSERA_LLM_PRICE_OUT"])
def test_a_bad_price_is_named(monkeypatch: pytest.MonkeyPatch, name: str, bad: str) -> None:
    monkeypatch.setenv("TESSERA_LLM_URL", "https://example.org/v1")
    monkeypatch.setenv("TESSERA_LLM_MODEL", "tiny")
    for each in ("TESSERA_LLM_PRICE_IN", "TESSERA_LLM_PRICE_OUT"):
        monkeypatch.setenv(each, bad if each == name else "1.5")
    with pytest.raises(LlmUnavailableError, match=f"{name} is ") as told:
        configured()
    assert bad in told.value.problem
    assert "per million" in told.value.remedy
