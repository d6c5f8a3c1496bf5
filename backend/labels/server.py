"""A server that speaks OpenAI's protocol: its address and key, and what its errors mean.

The key lives in a `Secret`, and what a server says is passed on only where it holds no part of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from backend import settings
from backend.schema import LlmError
from backend.settings import Secret

SHOWN = 300  # characters of a server's own words in an error
TELLING = 6  # characters of the key that give it away


# ---------------------------------------------------------------- where to ask


@dataclass(frozen=True)
class Server:
    """An OpenAI-compatible server and the model to ask for there.

    Raises:
        LlmError: the address is none, holds a secret, or the key cannot be sent.
    """

    base_url: str
    model: str
    key: Secret = field(default_factory=lambda: Secret(""), repr=False)

    def __post_init__(self) -> None:
        # the address may hold a key by mistake, so no error quotes it
        parts = _address(self.base_url)
        if parts is None:
            raise LlmError(
                "The address of the language model's server is no http address.",
                "Set TESSERA_LLM_URL to something like https://openrouter.ai/api/v1.",
            )
        if parts.username or parts.password or parts.query or parts.fragment:
            raise LlmError(
                "The address of the language model's server holds more than host and path.",
                "Put the key into TESSERA_LLM_KEY, and only the address into TESSERA_LLM_URL.",
            )
        key = self.key.reveal()
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise LlmError(
                "The key holds characters that cannot be sent.", "Copy TESSERA_LLM_KEY again."
            )

    @property
    def host(self) -> str:
        """Host and port, as they are shown and keyed."""
        parts = urlsplit(self.base_url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def _address(url: str) -> SplitResult | None:
    """The parts of an http address; None where it is none."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:  # brackets or a port that are no such thing
        return None
    return parts if valid else None


def configured() -> Server:
    """The server that the environment names.

    Raises:
        LlmError: TESSERA_LLM_URL or TESSERA_LLM_MODEL is not set, or unusable.
    """
    now = settings.current()
    names = {"TESSERA_LLM_URL": now.llm_url, "TESSERA_LLM_MODEL": now.llm_model}
    missing = [name for name, value in names.items() if not value]
    if missing:
        raise LlmError(
            "No language model is configured.",
            f"Set {' and '.join(missing)}, and TESSERA_LLM_KEY where the server wants a key; "
            "or use the study's own model.",
        )
    return Server(now.llm_url, now.llm_model, now.llm_key)


# ---------------------------------------------------------------- what can go wrong


def explained(error: Exception, server: Server, timeout: float, tries: int) -> LlmError:
    """What went wrong and what to do. Of the server's words only what holds no part of the key."""
    import openai

    host = server.host
    if isinstance(error, openai.AuthenticationError):
        lacks = "refuses the key" if server.key else "wants a key"
        return LlmError(f"{host} {lacks}.", "Set TESSERA_LLM_KEY to a key that is valid there.")
    if isinstance(error, openai.NotFoundError):
        return LlmError(
            f"{host} does not know the model {server.model!r}, or its address is another.",
            "Set TESSERA_LLM_MODEL to a model it offers, and check that TESSERA_LLM_URL is "
            "complete: it often ends in /v1.",
        )
    if isinstance(error, openai.APITimeoutError):
        return LlmError(
            f"{host} did not reply within {timeout:g} s, in {tries} tries.",
            "Ask fewer at a time, allow a longer timeout, or use a faster model.",
        )
    if isinstance(error, openai.APIConnectionError):
        return LlmError(
            f"{host} cannot be reached, in {tries} tries.",
            "Check that the server runs, the network, and TESSERA_LLM_URL.",
        )
    if isinstance(error, openai.APIStatusError):
        return _refused(error, host, server.key)
    return LlmError(
        f"{host} answered with what cannot be read ({type(error).__name__}).",
        "Check TESSERA_LLM_URL: the address often ends in /v1.",
    )


def _refused(error: Any, host: str, key: Secret) -> LlmError:
    words = str(error.message).removeprefix(f"Error code: {error.status_code} - ")
    said = _harmless(words, key)
    remedies = {
        402: "Add credit to the account.",
        403: "Use a key that may use this model.",
        429: "Wait, ask fewer at a time, or look at the account's limits and credit.",
    }
    other = "Wait and try again; the server is at fault."
    if error.status_code < 500:
        other = "Change what it names: often the prompt is too long, or a parameter not known."
    return LlmError(
        f"{host} refused the request (HTTP {error.status_code}){said}.",
        remedies.get(error.status_code, other),
    )


def _harmless(text: str, key: Secret) -> str:
    """The server's words after a colon; nothing where they hold a part of the key."""
    secret = key.reveal()
    length = min(TELLING, len(secret))
    parts = (secret[at : at + length] for at in range(len(secret) - length + 1))
    if secret and any(part in text for part in parts):
        return ""
    return f": {' '.join(text.split())[:SHOWN].rstrip('.')}" if text else ""
