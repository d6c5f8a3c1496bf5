"""Writers behind a server on this machine: what is asked, kept and tried again."""

from __future__ import annotations

import json
from typing import Any

import openai._base_client as client
import pytest

from backend.labels import writers
from backend.labels.contract import Draw, Evidence, Excerpt, Writer
from backend.labels.explainers import EXPLAINERS, Context
from backend.labels.references import WriterRef
from backend.labels.writers import OpenAiWriter
from backend.schema import LlmError, LlmUnavailableError
from tests.helpers.llm import KEY, Open, Rehearsed, Reply, completion, failure, turns

# ---------------------------------------------------------------- one reply


def test_what_is_asked_arrives_and_the_reply_comes_back(
    server: Rehearsed, writer: OpenAiWriter
) -> None:
    contract: Writer = writer
    assert contract.write(turns("boats"), Draw(temperature=0.7, limit=40)) == "about boats"
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


def test_the_same_question_is_asked_once_ever(
    opened: Open, server: Rehearsed, writer: OpenAiWriter
) -> None:
    first = writer.write(turns("boats"))
    for each in (writer, opened()):  # as another process would
        assert each.write(list(turns("boats")), Draw(temperature=0)) == first
    assert len(server.met) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"messages": turns("ovens")},
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
        "messages": turns("boats"),
        "temperature": 0.0,
        "limit": 300,
        "attempt": 0,
    }
    assert writers.reply.digest(**one) != writers.reply.digest(**one | change)


def test_another_attempt_asks_again(server: Rehearsed, writer: OpenAiWriter) -> None:
    server.say(Reply(completion("one")), Reply(completion("two")))
    assert [writer.write(turns("x"), Draw(attempt=n)) for n in (0, 1, 0, 1)] == [
        "one",
        "two",
    ] * 2
    assert len(server.met) == 2


def test_an_entry_says_what_the_server_said_of_itself(
    server: Rehearsed, writer: OpenAiWriter
) -> None:
    writer.write(turns("boats"))
    entry = writers.reply.get(writer.ref, turns("boats"), 0.0, 300, 0)
    error = {name: entry.value(name) for name in ("model", "finish", "prompt_tokens")}
    assert error == {"model": "tiny-2026", "finish": "stop", "prompt_tokens": 11}
    assert entry.value("reply_tokens") == 3


def test_a_server_that_counts_no_tokens_is_fine(server: Rehearsed, writer: OpenAiWriter) -> None:
    whole = json.loads(completion("ok"))
    del whole["usage"]
    server.say(Reply(json.dumps(whole)))
    assert writer.write(turns("x")) == "ok"


# ---------------------------------------------------------------- trying again


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_passes_is_tried_again(server: Rehearsed, writer: OpenAiWriter, status: int) -> None:
    server.say(failure(status, "busy"), failure(status, "busy"), Reply(completion("at last")))
    assert writer.write(turns("x")) == "at last"
    assert len(server.met) == 3


def test_a_broken_connection_is_tried_again(server: Rehearsed, writer: OpenAiWriter) -> None:
    server.say(Reply(None), Reply(completion("at last")))
    assert writer.write(turns("x")) == "at last"


def test_a_reply_that_takes_too_long_is_tried_again(opened: Open, server: Rehearsed) -> None:
    server.say(Reply(completion("late"), delay=1.5), Reply(completion("in time")))
    assert opened(timeout=0.5).write(turns("x")) == "in time"


def test_it_waits_as_long_as_the_server_says(server: Rehearsed, writer: OpenAiWriter) -> None:
    server.say(failure(429, "slow down", **{"Retry-After": "1"}), Reply(completion("ok")))
    writer.write(turns("x"))
    first, second = (request.arrived for request in server.met)
    assert second - first >= 1.0  # far above the delay set for tests


def test_waits_grow_and_tries_are_bounded(
    opened: Open, server: Rehearsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "INITIAL_RETRY_DELAY", 0.1)
    server.say(failure(503, "down"))
    with pytest.raises(LlmError, match="503"):
        opened(tries=4).write(turns("x"))
    assert len(server.met) == 4
    times = [request.arrived for request in server.met]
    assert times[3] - times[2] >= 0.3  # 0.4 s less a quarter at random
    assert times[1] - times[0] >= 0.075


# ---------------------------------------------------------------- what a failure stops


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


def test_what_was_paid_for_is_kept_where_the_credit_ends(
    server: Rehearsed, writer: OpenAiWriter
) -> None:
    paid = [Reply(completion(f"about {n}")) for n in range(3)]
    server.say(*paid, failure(402, "no credit"))
    with pytest.raises(LlmUnavailableError, match="no credit"):
        [writer.write(turns(str(n))) for n in range(9)]
    assert len(server.met) == 4
    server.say(Reply(completion("later")))
    replies = [writer.write(turns(str(n))) for n in range(9)]
    assert replies == ["about 0", "about 1", "about 2", *["later"] * 6]
    assert len(server.met) == 4 + 6
