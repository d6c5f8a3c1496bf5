"""What goes wrong with a server, and what is said of it: never its key."""

from __future__ import annotations

import json
import logging
import re
import traceback
from pathlib import Path

import pytest

from backend import settings
from backend.labels.contract import Draw
from backend.labels.server import Server, configured
from backend.labels.writers import OpenAiWriter, connect
from backend.schema import LlmError, LlmUnavailableError
from backend.settings import Secret
from backend.store.memo import canonical
from tests.helpers.llm import KEY, Open, Rehearsed, Reply, completion, failure, turns

pytestmark = pytest.mark.usefixtures("own_cache")

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
    opened: Open, server: Rehearsed, reply: Reply, problem: str, remedy: str, calls: int
) -> None:
    assert issubclass(refused(opened, server, reply, (problem, remedy), calls), LlmUnavailableError)


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
    opened: Open, server: Rehearsed, reply: Reply, problem: str, remedy: str
) -> None:
    assert refused(opened, server, reply, (problem, remedy), 1) is LlmError


def refused(
    opened: Open, server: Rehearsed, reply: Reply, error: tuple[str, str], calls: int
) -> type[LlmError]:
    """The kind of error, which is not kept: the same question gets a reply later."""
    writer = opened(tries=2, timeout=0.3 if reply.delay else 20.0)
    server.say(reply)
    with pytest.raises(LlmError) as raised:
        writer.write(turns("x"))
    problem, remedy = error
    assert re.search(problem, raised.value.problem)
    assert remedy in raised.value.remedy
    assert len(server.met) == calls
    server.say(Reply(completion("fine now")))
    assert writer.write(turns("x")) == "fine now"
    return type(raised.value)


def test_a_reply_cut_at_its_limit_is_what_was_said(server: Rehearsed, writer: OpenAiWriter) -> None:
    server.say(Reply(completion("I think that", "length")))
    assert writer.write(turns("x"), Draw(limit=3)) == "I think that"


def test_without_a_key_a_server_that_wants_one_is_named(
    opened: Open, server: Rehearsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TESSERA_LLM_KEY")
    server.say(failure(401, "who are you"))
    with pytest.raises(LlmUnavailableError, match="wants a key"):
        opened().write(turns("x"))


def test_a_server_that_is_not_there_is_an_error_with_a_remedy(
    opened: Open, server: Rehearsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_LLM_URL", "http://127.0.0.1:9/v1")
    writer = opened(tries=2)
    with pytest.raises(LlmUnavailableError, match=r"127\.0\.0\.1:9 cannot be reached"):
        writer.write(turns("x"))


# ---------------------------------------------------------------- the key


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
@pytest.mark.parametrize("echoed", [KEY, f"Bearer {KEY}", KEY[:9] + "*****", "..." + KEY[-8:]])
def test_no_error_log_or_file_holds_the_key(
    opened: Open,
    server: Rehearsed,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    status: int,
    echoed: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    writer = opened(tries=2)
    writer.write(turns("good"))
    server.say(failure(status, f"the key {echoed} is not liked"))
    with pytest.raises(LlmError) as raised:
        writer.write(turns("bad"))
    error = raised.value
    prompt = [*traceback.format_exception(error), repr(error), repr(vars(error))]
    told_of = connect(writer.ref)
    prompt += [repr(told_of), str(told_of), repr(writer), writer.name, repr(writer.ref)]
    prompt += [repr(settings.Secret(KEY)), f"{told_of.key}", told_of.base_url, str(vars(writer))]
    stored = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(stored) >= 2
    pieces = [KEY[place : place + 6] for place in range(len(KEY) - 5)]
    assert not [piece for piece in pieces for text in prompt if piece in text]
    assert not [piece for piece in pieces for data in stored if piece.encode() in data]
    assert KEY not in caplog.text
    assert error.__cause__ is error.__context__ is None  # which would lead to the request


def test_the_memo_refuses_a_key() -> None:
    with pytest.raises(TypeError) as error:
        canonical(Server("http://127.0.0.1/v1", "tiny", Secret(KEY)))
    assert KEY not in str(error.value)


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
    with pytest.raises(LlmError, match="address") as error:
        Server(url, "tiny")
    assert KEY not in "".join(traceback.format_exception(error.value))
    assert "TESSERA_LLM_URL" in error.value.remedy


@pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY}…", f"{KEY} and more"])
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(LlmError, match="characters") as error:
        Server("https://example.org/v1", "tiny", Secret(key))
    assert KEY not in "".join(traceback.format_exception(error.value))


def test_the_environment_names_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "MODEL", "KEY", "PRICE_IN", "PRICE_OUT"):
        monkeypatch.delenv(f"TESSERA_LLM_{name}", raising=False)
    with pytest.raises(LlmError, match="TESSERA_LLM_URL and TESSERA_LLM_MODEL"):
        configured()
    monkeypatch.setenv("TESSERA_LLM_URL", "https://example.org:8443/api/v1")
    monkeypatch.setenv("TESSERA_LLM_MODEL", "tiny")
    assert not configured().key
    monkeypatch.setenv("TESSERA_LLM_KEY", f"{KEY}\n")  # as read from a file
    result = configured()
    assert result == Server("https://example.org:8443/api/v1", "tiny", Secret(KEY))
    assert result.host == "example.org:8443"
    assert KEY not in repr(settings.current())
