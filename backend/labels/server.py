"""A server that speaks OpenAI's protocol: its address, key and prices, and what its errors mean.

An error that any request would meet is an `LlmUnavailableError`; one that is about the messages of
this request is a plain `LlmError`. The key lives in a `Secret`, and what a server says is passed on
only where it holds no part of it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from backend import settings
from backend.labels.costs import Prices
from backend.schema import LlmError, LlmUnavailableError
from backend.settings import Secret

LONGEST = 300  # characters of a server's own words in an error
TELLING = 6  # characters of the key that give it away


# ---------------------------------------------------------------- where to ask


@dataclass(frozen=True)
class Server:
    """An OpenAI-compatible server, the model to ask for there and what that costs.

    Raises:
        LlmUnavailableError: the address is none, holds a secret, or the key cannot be sent.
    """

    base_url: str
    model: str
    key: Secret = field(default_factory=lambda: Secret(""), repr=False)
    prices: Prices | None = None

    def __post_init__(self) -> None:
        check_address(self.base_url, self.key, "TESSERA_LLM", "https://openrouter.ai/api/v1")

    @property
    def host(self) -> str:
        """Host and port, as they are shown and keyed."""
        return host_of(self.base_url)


def check_address(url: str, key: Secret, setting: str, example: str) -> None:
    """Whether a server can be asked at an address, with a key. `setting` begins the names of the
    settings that hold both. An address may hold a key by mistake, so no error quotes it.

    Raises:
        LlmUnavailableError: the address is none, holds a secret, or the key cannot be sent.
    """
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:  # brackets or a port that are no such thing
        parts, valid = urlsplit(""), False
    if not valid:
        raise LlmUnavailableError(
            f"The address {setting}_URL is no http address.",
            f"Set {setting}_URL to something like {example}.",
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise LlmUnavailableError(
            f"The address {setting}_URL holds more than host and path.",
            f"Put the key into {setting}_KEY, and only the address into {setting}_URL.",
        )
    text = key.get_secret_value()
    if text and not (text.isascii() and text.isprintable() and " " not in text):
        raise LlmUnavailableError(
            "The key holds characters that cannot be sent.", f"Copy {setting}_KEY again."
        )


def host_of(url: str) -> str:
    """Host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def configured() -> Server:
    """The server that the environment names.

    Raises:
        LlmUnavailableError: TESSERA_LLM_URL or TESSERA_LLM_MODEL is not set, or one of its
            settings is unusable.
    """
    now = settings.current()
    names = {"TESSERA_LLM_URL": now.llm_url, "TESSERA_LLM_MODEL": now.llm_model}
    missing = [name for name, value in names.items() if not value]
    if missing:
        raise LlmUnavailableError(
            "No language model is configured.",
            f"Set {' and '.join(missing)}, and TESSERA_LLM_KEY where the server wants a key; "
            "or use the study's own model.",
        )
    return Server(now.llm_url, now.llm_model, now.llm_key, prices())


def unlike(server: str, other: str) -> LlmUnavailableError:
    """What is said where a worker's settings name another server than was asked for."""
    return LlmUnavailableError(
        f"The worker knows {server}, but {other} was asked for.",
        "It began with other settings: end it (it ends by itself when idle) and retry.",
    )


def prices() -> Prices | None:
    """The prices that the environment gives; None where it gives none.

    Raises:
        LlmUnavailableError: one is no price, or stands alone.
    """
    now = settings.current()
    texts = {"TESSERA_LLM_PRICE_IN": now.llm_price_in, "TESSERA_LLM_PRICE_OUT": now.llm_price_out}
    if not any(texts.values()):
        return None
    return Prices(*(_price(name, text) for name, text in texts.items()))


def _price(name: str, text: str) -> float:
    try:
        price = float(text)
    except ValueError:
        price = math.nan
    if 0 <= price < math.inf:
        return price
    raise LlmUnavailableError(
        f"{name} is {text!r}, which is no price." if text else f"{name} is not set.",
        "Set both prices to numbers per million tokens, such as 0.25, or neither.",
    )


# ---------------------------------------------------------------- what can go wrong

BUSY = {408, 409, 425, 429}
THIS_REQUEST = {400, 413, 422}  # the messages are at fault: others may pass
REMEDIES = {
    402: "Add credit to the account.",
    403: "Use a key that may use this model.",
} | dict.fromkeys(BUSY, "Wait, ask fewer at a time, or look at the account's limits and credit.")
AT_FAULT = "Wait and try again; the server is at fault, or cannot run TESSERA_LLM_MODEL."
CHECK = "Check TESSERA_LLM_URL and TESSERA_LLM_MODEL."


def explained(error: Exception, server: Server, timeout: float, tries: int) -> LlmError:
    """What went wrong and what to do. Of the server's words only what holds no part of the key."""
    import openai

    host = server.host
    if isinstance(error, openai.APITimeoutError):
        return LlmUnavailableError(
            f"{host} did not reply within {timeout:g} s, in {tries} tries.",
            "Ask fewer at a time, allow a longer timeout, or use a faster model.",
        )
    if isinstance(error, openai.APIConnectionError):
        return LlmUnavailableError(
            f"{host} cannot be reached, in {tries} tries.",
            "Check that the server runs, the network, and TESSERA_LLM_URL.",
        )
    if isinstance(error, openai.APIStatusError):
        return _refused(error.status_code, _words(error.body), server)
    return LlmUnavailableError(
        f"{host} answered with what cannot be read ({type(error).__name__}).",
        "Check TESSERA_LLM_URL: the address often ends in /v1.",
    )


def without_reply(answer: Any, server: Server) -> LlmError:
    """Why an answer holds no reply: OpenRouter reports some errors with the status of success."""
    error = getattr(answer, "error", None)
    if isinstance(error, dict):
        code = error.get("code")
        return _refused(code if isinstance(code, int) else 500, _words(error), server)
    return LlmUnavailableError(
        f"{server.host} answers, but not as chat completions do.",
        "Check TESSERA_LLM_URL: the address often ends in /v1.",
    )


def _refused(status: int, words: str, server: Server) -> LlmError:
    detail = _harmless(words, server.key)
    if status == 401:
        lacks = "refuses the key" if server.key else "wants a key"
        problem = f"{server.host} {lacks}."
        return LlmUnavailableError(problem, "Set TESSERA_LLM_KEY to a key that is valid there.")
    if status == 404 or (status == 400 and _about_the_model(words, server.model)):
        return LlmUnavailableError(
            f"{server.host} does not know the model {server.model!r}, or its address is "
            f"another{detail}.",
            "Set TESSERA_LLM_MODEL to a model it offers, and check that TESSERA_LLM_URL is "
            "complete: it often ends in /v1.",
        )
    problem = f"{server.host} refused the request (HTTP {status}){detail}."
    if status in THIS_REQUEST or (status == 403 and re.search("flagged|moderation", words)):
        other = "often the prompt is too long, its content not wanted, or a parameter not known."
        return LlmError(problem, f"Change what it names: {other}")
    return LlmUnavailableError(problem, REMEDIES.get(status, AT_FAULT if status >= 500 else CHECK))


def _about_the_model(words: str, model: str) -> bool:
    """Whether a 400 is about the model's name: some servers answer so instead of with 404."""
    match = re.search(rf"(?<![\w./-]){re.escape(model)}(?![\w/-])", words)
    return bool(match) and not re.search("token|length|context|too l", words, re.IGNORECASE)


def _words(body: object) -> str:
    """What the server says is wrong, of a response's body; nothing where that is a page."""
    if isinstance(body, dict):
        return str(next((body[n] for n in ("message", "detail", "error") if body.get(n)), body))
    return "" if body is None or str(body).startswith("<") else str(body)


def _harmless(text: str, key: Secret) -> str:
    """The server's words after a colon; nothing where they hold a part of the key."""
    secret = key.get_secret_value()
    length = min(TELLING, len(secret))
    parts = (secret[start : start + length] for start in range(len(secret) - length + 1))
    if secret and any(part in text for part in parts):
        return ""
    return f": {' '.join(text.split())[:LONGEST].rstrip('.')}" if text else ""
