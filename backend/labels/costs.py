"""What calls cost, and a cap that holds while a run goes on.

A cap changes no result, so it is no part of any key: whoever pays enters it (`capped`), and calls
of a server find it there.
"""

from __future__ import annotations

import contextlib
import contextvars
import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backend.labels.contract import Message
from backend.schema import LlmUnavailableError

CHARACTERS = 4  # per token: a rule of thumb for English text
UNITS = {"calls": "calls", "cost": "in cost"}


@dataclass(frozen=True)
class Prices:
    """Of a million tokens, in the currency of whoever serves them."""

    price_in: float  # prompts
    price_out: float  # replies

    def cost(self, prompt_tokens: int, reply_tokens: int) -> float:
        return (prompt_tokens * self.price_in + reply_tokens * self.price_out) / 1e6


@dataclass(frozen=True)
class Usage:
    """Calls and their tokens; `cost` is in the currency of the prices, None without them."""

    calls: int
    prompt_tokens: int
    reply_tokens: int
    cost: float | None


def usage(prices: Prices | None, calls: int, prompt_tokens: int, reply_tokens: int) -> Usage:
    cost = prices.cost(prompt_tokens, reply_tokens) if prices else None
    return Usage(calls, prompt_tokens, reply_tokens, cost)


def characters(messages: Sequence[Message]) -> int:
    return sum(len(turn.content) for turn in messages)


# ---------------------------------------------------------------- the cap


@dataclass(frozen=True)
class Cap:
    """What a run may ask for; None: as much as it likes."""

    calls: int | None = None
    cost: float | None = None

    def passed(self, usage: Usage) -> str:
        """Which of calls and cost is above the cap; empty where neither is."""
        for name in UNITS:
            value, most = getattr(usage, name), getattr(self, name)
            if value is not None and most is not None and value > most:
                return name
        return ""


def _amount(amounts: Cap | Usage, name: str, unit: bool = True) -> str:
    number = f"{getattr(amounts, name):,.10g}"
    return f"{number} {UNITS[name]}" if unit else number


class Meter:
    """Counts what is paid for and begins no call that may pass the cap, from any thread.

    Each call under way is held at its estimate until what it took is known. So calls never pass
    the cap, and cost does not while calls take no more than was estimated.
    """

    def __init__(self, cap: Cap, prices: Prices | None) -> None:
        """Raises LlmUnavailableError where the cost is capped and there are no prices."""
        if cap.cost is not None and prices is None:
            raise LlmUnavailableError(
                "The cost has a cap, but the prices are not known.",
                "Set TESSERA_LLM_PRICE_IN and TESSERA_LLM_PRICE_OUT, per million tokens, or cap "
                "calls instead.",
            )
        self.cap = cap
        self.prices = prices
        self.paid = usage(prices, 0, 0, 0)
        self._held: list[Usage] = []
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def call(self, messages: Sequence[Message], limit: int) -> Iterator[dict[str, int | None]]:
        """Within it one call is made, held at its estimate. Its `prompt_tokens` and `reply_tokens`
        are put into the dictionary; where the server did not count (None), it took what was
        estimated. A call that ends with an error was not answered, so it costs nothing.

        Raises:
            LlmUnavailableError: what is paid for leaves no room for it.
        """
        estimate = self._hold(messages, limit)
        counts: dict[str, int | None] = {}
        cost = usage(self.prices, 0, 0, 0)
        try:
            yield counts
            prompt, reply = counts["prompt_tokens"], counts["reply_tokens"]
            prompt = estimate.prompt_tokens if prompt is None else prompt
            reply = estimate.reply_tokens if reply is None else reply
            cost = usage(self.prices, 1, prompt, reply)
        finally:
            with self._changed:
                self._held.remove(estimate)
                self.paid = self._sum(self.paid, cost)
                self._changed.notify_all()

    def _hold(self, messages: Sequence[Message], limit: int) -> Usage:
        """The estimate of a call. Where calls under way leave no room for it, waits for them, since
        most take less than their estimate."""
        prompt = math.ceil(characters(messages) / CHARACTERS)
        estimate = usage(self.prices, 1, prompt, limit)
        with self._changed:
            while self.cap.passed(self._sum(self.paid, *self._held, estimate)):
                passed = self.cap.passed(self._sum(self.paid, estimate))
                if passed:
                    raise self._reached(passed, estimate)
                self._changed.wait()
            self._held.append(estimate)
        return estimate

    def _sum(self, *amounts: Usage) -> Usage:
        calls, prompt, reply = (
            sum(getattr(one, name) for one in amounts)
            for name in ("calls", "prompt_tokens", "reply_tokens")
        )
        return usage(self.prices, calls, prompt, reply)

    def _reached(self, name: str, estimate: Usage) -> LlmUnavailableError:
        return LlmUnavailableError(
            f"The cap of {_amount(self.cap, name)} is reached: "
            f"{_amount(self.paid, name, unit=False)} so far, and the next call may take "
            f"{_amount(estimate, name, unit=False)}.",
            "What was paid for is kept: raise the cap and start again.",
        )


# of the cap that holds now; by default none does
current_meter = contextvars.ContextVar("meter", default=Meter(Cap(), None))  # noqa: B039


@contextlib.contextmanager
def capped(cap: Cap, prices: Prices | None) -> Iterator[Meter]:
    """Within it no call of a server begins that may pass the cap; the meter says what was paid.

    What counts are answers of the server, useless ones included; replies from disk and calls that
    it refused cost nothing. One that it charges for though it came too late is not seen.

    Raises:
        LlmUnavailableError: the cost is capped and there are no prices.
    """
    meter = Meter(cap, prices)
    token = current_meter.set(meter)
    try:
        yield meter
    finally:
        current_meter.reset(token)
