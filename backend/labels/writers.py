"""Language models that write: the study's own, and those behind any OpenAI-compatible server.

OpenRouter, vLLM, Ollama, llama.cpp and `transformers serve` all speak this protocol, asked through
the `openai` package. Each reply is kept on disk under model, host, messages and parameters, so a
second run asks nothing and a killed one goes on where it was. `costs.capped` stops a run before it
pays for more than it may.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backend import run
from backend.labels import costs
from backend.labels.contract import GREEDY, Draw, Message, Writer
from backend.labels.own_model import OwnModel
from backend.labels.references import OWN, SERVER, WriterRef
from backend.labels.server import Server, configured, explained, prices, unlike, without_reply
from backend.schema import LlmError
from backend.store.memo import memoize

if TYPE_CHECKING:
    from openai import OpenAI

TIMEOUT = 120.0  # seconds for one try
TRIES = 5  # 429, 5xx, timeouts and broken connections are tried again, ever later
AT_ONCE = 8  # requests to a server


# ---------------------------------------------------------------- by reference


@dataclass(frozen=True)
class Kind:
    """How writers of a kind are loaded, on a device, and how many threads may ask one at once."""

    load: Callable[[WriterRef, str], Writer]
    workers: int


def load(ref: WriterRef) -> Writer:
    """The writer of a reference, on the device of the run; nothing is asked yet."""
    return KINDS[ref.kind].load(ref, run.current().device)


def workers(ref: WriterRef) -> int:
    """How many threads may ask it at once."""
    return KINDS[ref.kind].workers


def server_ref(server: Server) -> WriterRef:
    """The model that a server offers, without its key."""
    return WriterRef(SERVER, served=server.model, host=server.host)


def limit_cost(
    ref: WriterRef, calls: int, cost: float
) -> contextlib.AbstractContextManager[object]:
    """Within it a server's model is asked for no more; 0: no limit. The own model costs nothing.

    Raises:
        LlmUnavailableError: the cost is limited and the prices are not known, or one is none.
    """
    if ref.kind != SERVER:
        return contextlib.nullcontext()
    return costs.capped(costs.Cap(calls=calls or None, cost=cost or None), prices())


@functools.lru_cache(maxsize=2)
def load_own(ref: WriterRef, device: str) -> OwnModel:
    """A study's own model; one object, so that calls take turns."""
    assert ref.model
    return OwnModel(ref.model, device)


# ---------------------------------------------------------------- asking a server


class OpenAiWriter:
    """A `Writer` behind the server that the environment names. Safe to use from several threads."""

    obeys = True

    def __init__(self, ref: WriterRef) -> None:
        self.ref = ref
        self.name = ref.name

    def write(self, messages: Sequence[Message], draw: Draw = GREEDY) -> str:
        """The reply, from disk where the same was asked before.

        Raises:
            LlmUnavailableError: wrong key, unknown model, unreachable or busy server, another
                server than the environment names, or a cap is reached.
            LlmError: no text in the reply, or the server refuses these messages.
        """
        entry = reply(self.ref, tuple(messages), float(draw.temperature), draw.limit, draw.attempt)
        return str(entry.value("text"))


@memoize("labels.server_reply", version=1)
def reply(
    writer: WriterRef, messages: tuple[Message, ...], temperature: float, limit: int, attempt: int
) -> dict[str, Any]:
    """One call: `text`, and what the server says of `model`, `finish`, `prompt_tokens` and
    `reply_tokens`; raises as `OpenAiWriter.write`."""
    del attempt  # tells calls apart
    server = connect(writer)
    with costs.current_meter.get().call(messages, limit) as counts:
        answer = _answer(server, messages, temperature, limit)
        if isinstance(answer, LlmError):  # raised here, out of reach of the request and its key
            raise answer
        counts |= _usage(answer)
    choice = answer.choices[0]
    text = (choice.message.content or "").strip()
    finish = str(choice.finish_reason)
    if not text:
        raise _empty(writer.name, finish, limit)
    return {"text": text, "finish": finish, "model": str(answer.model), **counts}


def connect(ref: WriterRef) -> Server:
    """The server of a model, as the environment names it.

    Raises:
        LlmUnavailableError: the environment names no server, or another one.
    """
    server = configured()
    here = server_ref(server)
    if here != ref:
        raise unlike(here.name, ref.name)
    return server


def _answer(server: Server, messages: Sequence[Message], temperature: float, limit: int) -> Any:
    """The server's answer, or the error that explains why there is none."""
    from openai import OpenAIError

    turns: Any = [{"role": turn.role, "content": turn.content} for turn in messages]
    try:
        answer: Any = _client(server, TIMEOUT, TRIES).chat.completions.create(
            model=server.model, messages=turns, temperature=temperature, max_tokens=limit
        )
    except (OpenAIError, ValueError) as error:  # ValueError: a body that is no JSON
        return explained(error, server, TIMEOUT, TRIES)
    return answer if getattr(answer, "choices", None) else without_reply(answer, server)


@functools.lru_cache(maxsize=4)
def _client(server: Server, timeout: float, tries: int) -> OpenAI:
    """`timeout` is in seconds and for each of `tries`. Safe to use from several threads."""
    from openai import OpenAI

    return OpenAI(
        api_key=server.key.get_secret_value() or "none",  # local servers want none
        base_url=server.base_url,
        timeout=timeout,
        max_retries=tries - 1,
    )


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


KINDS = {OWN: Kind(load_own, 1), SERVER: Kind(lambda ref, _: OpenAiWriter(ref), AT_ONCE)}
