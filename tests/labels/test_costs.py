"""What calls cost, and the cap that stops a run in the middle."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import pytest

from backend.labels import costs, writers
from backend.labels.contract import Draw, Message
from backend.labels.costs import Cap, Meter, Prices, Usage
from backend.labels.references import read_writer
from backend.labels.server import configured
from backend.labels.writers import OpenAiWriter
from backend.schema import LlmError, LlmUnavailableError
from backend.store.executor import LOCAL
from tests.helpers.llm import Open, Rehearsed, Reply, completion, failure, paying, turns

pytestmark = pytest.mark.usefixtures("own_cache")

Capped = Callable[..., AbstractContextManager[tuple[OpenAiWriter, Meter]]]


@pytest.fixture
def capped(server: Rehearsed, opened: Open) -> Capped:
    """A writer within a cap, and the meter."""

    @contextmanager
    def enter(*caps: Any, prices: Prices | None = None) -> Iterator[tuple[OpenAiWriter, Meter]]:
        with costs.capped(Cap(*caps), prices) as meter:
            yield opened(tries=2), meter

    return enter


# ---------------------------------------------------------------- a cap in mid-run


def test_calls_are_capped_and_a_higher_cap_goes_on(capped: Capped, server: Rehearsed) -> None:
    with capped(3) as (writer, meter):
        for n in range(3):
            assert writer.write(turns(str(n))) == f"about {n}"
        with pytest.raises(
            LlmUnavailableError, match="cap of 3 calls is reached: 3 so far"
        ) as error:
            writer.write(turns("3"))
        assert "What was paid for is kept: raise the cap and start again." in error.value.remedy
        assert writer.write(turns("1")) == "about 1"  # from disk
        assert meter.paid == Usage(3, 33, 9, None)
    with capped(1) as (writer, meter):
        assert [writer.write(turns(str(n))) for n in range(4)] == [f"about {n}" for n in range(4)]
        assert meter.paid.calls == 1
    assert len(server.met) == 4
    assert writer.write(turns("5")) == "about 5"  # out of any cap


@pytest.mark.parametrize("cap", [Cap(calls=20), Cap(cost=0.3)])
def test_eight_threads_never_pass_a_cap_and_use_it_up(
    opened: Open, server: Rehearsed, cap: Cap
) -> None:
    """A call is estimated at 101 + 400 tokens and takes 90 + 10, so that some wait for others."""
    paying(server, 90, 10, 0.02)
    prices = Prices(100.0, 200.0)  # a call costs 0.011
    conversations = [(Message("user", f"{n:04}" + "x" * 400),) for n in range(60)]
    ask = partial(opened().write, draw=Draw(limit=400))
    with (
        costs.capped(cap, prices) as meter,
        pytest.raises(LlmUnavailableError, match="is reached"),
    ):
        LOCAL.each(ask, conversations, lambda _: None, 8)
    paid = meter.paid
    assert not cap.passed(paid)
    assert len(server.met) == paid.calls
    rest = Usage(paid.calls + 1, paid.prompt_tokens + 101, paid.reply_tokens + 400, None)
    cost = prices.cost(rest.prompt_tokens, rest.reply_tokens)
    assert cap.passed(Usage(rest.calls, rest.prompt_tokens, rest.reply_tokens, cost))
    assert paid.cost == pytest.approx(paid.calls * 0.011)


def test_what_the_server_did_not_answer_costs_nothing_and_a_useless_reply_does(
    capped: Capped, server: Rehearsed
) -> None:
    with capped(2, prices=Prices(1e6, 2e6)) as (writer, meter):
        refusals = [failure(503, "down"), failure(400, "too long"), Reply("{}")]
        for n, refusal in enumerate(refusals):
            server.say(refusal)
            with pytest.raises(LlmError):
                writer.write(turns(str(n)))
        assert meter.paid == Usage(0, 0, 0, 0.0)
        server.say(Reply(completion("", "length")))
        for _ in range(2):
            with pytest.raises(LlmError, match="used up"):
                writer.write(turns("x"))
        assert meter.paid == Usage(2, 22, 6, 34.0)
        with pytest.raises(LlmUnavailableError, match="cap of 2 calls"):
            writer.write(turns("x"))


def test_where_the_server_does_not_count_the_estimate_does(
    capped: Capped, server: Rehearsed
) -> None:
    whole = json.loads(completion("ok"))
    del whole["usage"]
    server.say(Reply(json.dumps(whole)))
    with capped() as (writer, meter):
        writer.write((Message("user", "x" * 401),), Draw(limit=50))
        assert meter.paid == Usage(1, 101, 50, None)


def test_a_call_above_the_whole_cap_is_never_made(capped: Capped, server: Rehearsed) -> None:
    with (
        capped(None, 300.0, prices=Prices(1e6, 1e6)) as (writer, _),
        pytest.raises(LlmUnavailableError, match="cap of 300 in cost is reached: 0 so far"),
    ):
        writer.write(turns("x"), Draw(limit=300))
    assert not server.met


def test_a_limited_cost_takes_the_prices_of_the_server(
    opened: Open, server: Rehearsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = opened()
    with pytest.raises(LlmUnavailableError, match="prices"), writers.limit_cost(writer.ref, 0, 1.0):
        pass
    monkeypatch.setenv("TESSERA_LLM_PRICE_IN", "1e6")
    monkeypatch.setenv("TESSERA_LLM_PRICE_OUT", "2e6")
    with writers.limit_cost(writer.ref, 0, 1000.0) as meter:
        writer.write(turns("x"))
        assert isinstance(meter, Meter)
        assert meter.paid.cost == 11 + 2 * 3
        words = "cap of 1,000 in cost is reached: 17 so far"
        with pytest.raises(LlmUnavailableError, match=words):
            writer.write(turns("y"), Draw(limit=500))


def test_another_server_than_the_environment_names_is_not_taken_for_it(
    opened: Open, server: Rehearsed, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = opened()
    assert read_writer(writer.ref.who) == writer.ref
    monkeypatch.setenv("TESSERA_LLM_MODEL", "other")
    with pytest.raises(LlmUnavailableError, match=r"knows other at .*, but tiny at") as error:
        writer.write(turns("x"))
    assert "began with other settings" in error.value.remedy
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
    with pytest.raises(LlmUnavailableError, match=f"{name} is ") as error:
        configured()
    assert bad in error.value.problem
    assert "per million" in error.value.remedy
