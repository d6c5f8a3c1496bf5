"""Language models behind any OpenAI-compatible server, asked through the `openai` package.

OpenRouter, vLLM, Ollama, llama.cpp and `transformers serve` all speak this protocol. Each reply is
kept on disk under model, host, messages and parameters, so a second run asks nothing and a killed
one goes on where it was. Before a run `estimate` says what it may cost, and `Cap` refuses what is
too much.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backend.labels.contract import Message, Writer
from backend.labels.server import Server, configured, explained
from backend.schema import LlmError, Progress
from backend.store.memo import memoize

__all__ = ["Cap", "Estimate", "OpenAiWriter", "Server", "ask_all", "configured", "estimate"]

if TYPE_CHECKING:
    from openai import OpenAI

TIMEOUT = 120.0  # seconds for one try
TRIES = 5  # 429, 5xx, timeouts and broken connections are tried again, ever later
CHARACTERS = 4  # per token: a rule of thumb for English text


# ---------------------------------------------------------------- asking


class OpenAiWriter:
    """A `Writer` behind a server. Safe to use from several threads."""

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
            LlmError: wrong key, unknown model, unreachable server, or no text in the reply.
        """
        asked = (tuple(messages), float(temperature), limit, attempt)
        entry = reply(self.server.host, self.server.model, *asked, inputs=self)
        return str(entry.value("text"))

    def ask(self, messages: Sequence[Message], temperature: float, limit: int) -> dict[str, Any]:
        """One call, past the memo: `text`, and what the server says of `model`, `finish`,
        `prompt_tokens` and `reply_tokens`; raises as `write`."""
        answer = self._call(messages, temperature, limit)
        if isinstance(answer, LlmError):  # raised here, out of reach of the request and its key
            raise answer
        choices = getattr(answer, "choices", None)
        if not choices:
            raise LlmError(
                f"{self.server.host} answers, but not as chat completions do.",
                "Check TESSERA_LLM_URL: the address often ends in /v1.",
            )
        text = (choices[0].message.content or "").strip()
        finish = str(choices[0].finish_reason)
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


@memoize(version=1)
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
        Cancelled: by `progress`; what is under way ends by itself, the rest is not begun.
    """

    def one(messages: Sequence[Message]) -> str | LlmError:
        try:
            return writer.write(messages, temperature=temperature, limit=limit)
        except LlmError as error:
            return error

    pool = ThreadPoolExecutor(workers)
    try:
        asked = [pool.submit(one, messages) for messages in conversations]
        _follow(asked, progress or Progress())
        return [future.result() for future in asked]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _follow(asked: Sequence[Future[str | LlmError]], progress: Progress) -> None:
    """Reports each second at least, so that a slow server does not keep a job from ending."""
    waiting = set(asked)
    failed = 0
    while waiting:
        done, waiting = wait(waiting, timeout=1.0, return_when=FIRST_COMPLETED)
        failed += sum(isinstance(future.result(), LlmError) for future in done)
        message = "Asking the language model" + (f" ({failed} failed)" if failed else "")
        progress.report(len(asked) - len(waiting), len(asked), message, "replies")


# ---------------------------------------------------------------- what it may cost


@dataclass(frozen=True)
class Estimate:
    """What a run asks for at most: replies that are on disk already cost nothing.

    `cost` is in the currency of the prices, None where none were given.
    """

    calls: int
    prompt_tokens: int  # characters / 4
    reply_tokens: int  # as if every reply used its limit
    cost: float | None
    how: str


def estimate(
    conversations: Sequence[Sequence[Message]],
    limit: int,
    price_in: float | None = None,
    price_out: float | None = None,
) -> Estimate:
    """Calls, tokens and cost of a run; `limit` in tokens a reply, prices per million tokens."""
    calls = len(conversations)
    characters = sum(len(turn.content) for turns in conversations for turn in turns)
    prompt, replies = math.ceil(characters / CHARACTERS), calls * limit
    cost = None
    if price_in is not None and price_out is not None:
        cost = (prompt * price_in + replies * price_out) / 1e6
    how = (
        f"Prompt tokens are approximated by characters / {CHARACTERS}; replies are counted at "
        f"their limit of {limit} tokens; replies that are stored already cost nothing."
    )
    return Estimate(calls, prompt, replies, cost, how)


@dataclass(frozen=True)
class Cap:
    """What a run may ask for; None: as much as it likes."""

    calls: int | None = None
    tokens: int | None = None  # prompts and replies together
    cost: float | None = None

    def check(self, estimate: Estimate) -> None:
        """To be called before the first call.

        Raises:
            LlmError: the estimate exceeds the cap, or cannot be compared with it.
        """
        if self.cost is not None and estimate.cost is None:
            raise LlmError(
                "The cost has a cap, but the prices are not known.",
                "Give the prices per million tokens, or cap calls or tokens instead.",
            )
        tokens = estimate.prompt_tokens + estimate.reply_tokens
        asked = {"calls": estimate.calls, "tokens": tokens, "cost": estimate.cost}
        for name, value in asked.items():
            most = getattr(self, name)
            if most is not None and value > most:
                raise LlmError(
                    f"The run may need {value:,.10g} {name}, above the cap of {most:,.10g}.",
                    "Label fewer features, shorten prompts or replies, or raise the cap.",
                )
