"""Language models behind any OpenAI-compatible server, asked through the `openai` package.

OpenRouter, vLLM, Ollama, llama.cpp and `transformers serve` all speak this protocol. Each reply is
kept on disk under model, host, messages and parameters, so a second run asks nothing and a killed
one goes on where it was. `Capped` stops a run before it pays for more than it may.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

from backend.labels.contract import Message, Writer
from backend.labels.costs import Cap, Meter, Prices, Usage
from backend.labels.server import Server, configured, explained, without_reply
from backend.schema import LlmError, LlmUnavailableError, Progress
from backend.store.memo import memoize

__all__ = [
    "Cap",
    "Capped",
    "OpenAiWriter",
    "Prices",
    "Server",
    "Usage",
    "ask_all",
    "configured",
]

if TYPE_CHECKING:
    from openai import OpenAI

TIMEOUT = 120.0  # seconds for one try
TRIES = 5  # 429, 5xx, timeouts and broken connections are tried again, ever later


# ---------------------------------------------------------------- asking


class OpenAiWriter:
    """A `Writer` behind a server. Safe to use from several threads."""

    obeys = True

    def __init__(self, server: Server, timeout: float = TIMEOUT, tries: int = TRIES) -> None:
        """`timeout` is in seconds and for each of `tries`."""
        self.server = server
        self.timeout = timeout
        self.tries = tries
        self.name = f"{server.model} at {server.host}"
        self._guard = threading.Lock()
        self._opened: OpenAI | None = None

    def write(
        self,
        messages: Sequence[Message],
        *,
        temperature: float = 0.0,
        limit: int = 300,
        attempt: int = 0,
    ) -> str:
        """The reply, at most `limit` tokens, from disk where the same was asked before.

        `attempt` tells calls apart that are otherwise the same: raise it for another reply.

        Raises:
            LlmUnavailableError: wrong key, unknown model, unreachable or busy server.
            LlmError: no text in the reply, or the server refuses these messages.
        """
        asked = (tuple(messages), float(temperature), limit, attempt)
        entry = reply(self.server.host, self.server.model, *asked, inputs=self)
        return str(entry.value("text"))

    def ask(self, messages: Sequence[Message], temperature: float, limit: int) -> dict[str, Any]:
        """One call, past the memo: `text`, and what the server says of `model`, `finish`,
        `prompt_tokens` and `reply_tokens`; raises as `write`."""
        return self.read(self.call(messages, temperature, limit), limit)

    def call(self, messages: Sequence[Message], temperature: float, limit: int) -> Any:
        """The server's answer, which may say nothing; raises as `write`."""
        answer = self._call(messages, temperature, limit)
        if not isinstance(answer, LlmError) and not getattr(answer, "choices", None):
            answer = without_reply(answer, self.server)
        if isinstance(answer, LlmError):  # raised here, out of reach of the request and its key
            raise answer
        return answer

    def read(self, answer: Any, limit: int) -> dict[str, Any]:
        """What `ask` returns, from an answer; LlmError where it says nothing."""
        choice = answer.choices[0]
        text = (choice.message.content or "").strip()
        finish = str(choice.finish_reason)
        if not text:
            raise _empty(self.name, finish, limit)
        return {"text": text, "finish": finish, "model": str(answer.model), **_usage(answer)}

    def _call(self, messages: Sequence[Message], temperature: float, limit: int) -> Any:
        """The server's answer, or the error that explains why there is none."""
        from openai import OpenAIError

        turns: Any = [{"role": turn.role, "content": turn.content} for turn in messages]
        try:
            return self._client().chat.completions.create(
                model=self.server.model, messages=turns, temperature=temperature, max_tokens=limit
            )
        except (OpenAIError, ValueError) as error:  # ValueError: a body that is no JSON
            return explained(error, self.server, self.timeout, self.tries)

    def _client(self) -> OpenAI:
        from openai import OpenAI

        with self._guard:
            if self._opened is None:
                self._opened = OpenAI(
                    api_key=self.server.key.reveal() or "none",  # local servers want none
                    base_url=self.server.base_url,
                    timeout=self.timeout,
                    max_retries=self.tries - 1,
                )
            return self._opened


class Capped(OpenAiWriter):
    """One that stops before it pays for more than a cap allows.

    What counts are answers of the server, useless ones included; replies from disk and calls that
    it refused cost nothing. One that it charges for though it came too late is not seen here.
    """

    def __init__(self, writer: OpenAiWriter, cap: Cap, prices: Prices | None = None) -> None:
        """As `writer`; `prices` are its server's where None are given.

        Raises:
            LlmUnavailableError: the cost is capped and there are no prices.
        """
        super().__init__(writer.server, writer.timeout, writer.tries)
        self._meter = Meter(cap, prices or writer.server.prices)

    @property
    def spent(self) -> Usage:
        """What this object has paid for."""
        return self._meter.paid

    def ask(self, messages: Sequence[Message], temperature: float, limit: int) -> dict[str, Any]:
        """As `OpenAiWriter.ask`, within the cap."""
        held = self._meter.hold(messages, limit)
        try:
            answer = self.call(messages, temperature, limit)
        except BaseException:
            self._meter.forget(held)
            raise
        self._meter.settle(held, **_usage(answer))
        return self.read(answer, limit)


def _empty(name: str, finish: str, limit: int) -> LlmError:
    if finish == "length":
        return LlmError(
            f"{name} used up its {limit} tokens before it said anything.",
            "Raise the limit: models that think first need more.",
        )
    return LlmError(
        f"{name} gave an empty reply (finish: {finish}).", "Try again, or use another model."
    )


def _usage(answer: Any) -> dict[str, int | None]:
    usage = answer.usage  # not every server counts
    return {
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "reply_tokens": usage.completion_tokens if usage else None,
    }


@memoize("labels.server_reply", version=1)
def reply(
    host: str,
    model: str,
    messages: tuple[Message, ...],
    temperature: float,
    limit: int,
    attempt: int,
    *,
    inputs: OpenAiWriter,
) -> dict[str, Any]:
    """What `OpenAiWriter.ask` returns. `inputs` asks `model` at `host`; of it nothing is kept."""
    del host, model, attempt  # they name the result; `inputs` knows the first two
    return inputs.ask(messages, temperature, limit)


# ---------------------------------------------------------------- asking many


def ask_all(
    writer: Writer,
    conversations: Sequence[Sequence[Message]],
    workers: int = 8,
    progress: Progress | None = None,
    *,
    temperature: float = 0.0,
    limit: int = 300,
) -> list[str | LlmError]:
    """A reply or the error in its place for each conversation, in order; `workers` at a time.

    Raises:
        LlmUnavailableError: the writer cannot be asked now. What is under way is waited for and
            kept, the rest is not begun.
        Cancelled: by `progress`; what is under way ends by itself, the rest is not begun.
    """
    unavailable = threading.Event()

    def one(messages: Sequence[Message]) -> str | LlmError | None:
        if unavailable.is_set():
            return None
        try:
            return writer.write(messages, temperature=temperature, limit=limit)
        except LlmUnavailableError as error:
            unavailable.set()
            return error
        except LlmError as error:
            return error

    pool = ThreadPoolExecutor(workers)
    try:
        asked = [pool.submit(one, messages) for messages in conversations]
        _follow(asked, progress or Progress())
        replies = [found for future in asked if (found := future.result()) is not None]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    for found in replies:
        if isinstance(found, LlmUnavailableError):
            raise found
    return replies


def _follow(asked: Sequence[Future[str | LlmError | None]], progress: Progress) -> None:
    """Reports each second at least, so that a slow server does not keep a job from ending."""
    waiting = set(asked)
    ended = failed = 0
    while waiting:
        done, waiting = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
        ended += sum(future.result() is not None for future in done)
        failed += sum(isinstance(future.result(), LlmError) for future in done)
        message = "Asking the language model" + (f" ({failed} failed)" if failed else "")
        progress.report(ended, len(asked), message, "replies")
