"""Neuronpedia's API for the natural language autoencoders it hosts.

It takes a text and positions in it, runs model and NLA itself and never sees a vector. Requests and
replies stand under "shapes", as the service's published source describes them; none of this could
be tried against the live service. Two things are less sure than the rest: that a text is split into
tokens by `completion` with no token to complete (there, but not in the documented part of the API),
and that a text without turns is read as it is.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

import numpy as np
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from backend import settings
from backend.labels.server import THIS_REQUEST, check_address, host_of, unlike
from backend.schema import LlmError, LlmUnavailableError, ModelError
from backend.settings import Secret
from backend.store.memo import memoize

TIMEOUT = 120.0  # seconds
TEMPERATURE = 0.0
SECONDS = re.compile(r"[0-9]{1,5}")


# ---------------------------------------------------------------- shapes


class _Shape(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class _Source(_Shape):
    """Of GET /api/nla/sources"""

    modelId: str  # noqa: N815
    id: str
    layerNum: int  # noqa: N815


class _Token(_Shape):
    """Of POST /api/nla/completion"""

    position: int


class _Result(_Shape):
    """Of POST /api/nla/explain"""

    position: int
    description: str


Item = TypeVar("Item", bound=_Shape)


class _Reply(_Shape, Generic[Item]):
    """Each reply is a list under a name of its own."""

    items: list[Item] = Field(validation_alias=AliasChoices("sources", "tokens", "results"))


# ---------------------------------------------------------------- asking


class Neuronpedia:
    """One hosted NLA. It has a `Verbalizer`'s form, and refuses what it cannot do: vectors."""

    def __init__(
        self, model: str, layer: int, url: str, key: Secret, timeout: float = TIMEOUT
    ) -> None:
        """`model` is the name there; `key` may be empty; `timeout` is in seconds.

        Raises:
            LlmUnavailableError: the address is none or holds a secret, or the key cannot be sent.
        """
        self.model, self.layer, self.timeout = model, layer, timeout
        check_address(url, key, "TESSERA_NEURONPEDIA", "https://www.neuronpedia.org")
        self.url, self.host, self._key = url.rstrip("/"), host_of(url), key
        self._source = ""
        self.name = f"NLA of {model} at block {layer} on {self.host}"

    def verbalize(self, vectors: np.ndarray) -> NoReturn:
        """Raises LlmUnavailableError."""
        raise LlmUnavailableError(
            f"{self.host} reads texts, and cannot be given vectors ({len(vectors)} here).",
            'Use kind = "nla" with a checkpoint, or "patchscope", in [verbalizer].',
        )

    def verbalize_contexts(self, texts: Sequence[str]) -> list[str]:
        """What the NLA says of the activation at each text's last token, so cut them at the peak.
        Two requests a text, from disk where the same was asked before.

        Raises:
            LlmUnavailableError: it cannot be asked now.
            LlmError: a reply that is no use.
            ModelError: it hosts no NLA of this model and block.
        """
        ref = HostedRef(self.host, self.model, self.layer)
        return [str(describe(ref, text).value("text")) for text in texts]

    def last_position(self, text: str) -> int:
        """Of the text's tokens as the service counts them."""
        body = {"text": text, "completion_tokens": 0, **self._model_fields()}
        tokens = self._ask("POST", "completion", _Reply[_Token], body)
        if not tokens:
            raise LlmError(f"{self.host} finds no token in the text.", "Leave empty texts out.")
        return max(token.position for token in tokens)

    def explain(self, text: str, position: int) -> str:
        """What the NLA says of the activation at a position; raises as `verbalize_contexts`."""
        body = {"text": text, "positions": [position], "temperature": TEMPERATURE}
        results = self._ask("POST", "explain", _Reply[_Result], body | self._model_fields())
        if [each.position for each in results] != [position]:
            raise LlmError(
                f"{self.host} describes {len(results)} positions, not the one asked for.",
                "Try again later.",
            )
        return results[0].description.strip()

    def _model_fields(self) -> dict[str, str]:
        """The model and its NLA for this block, which is looked up once."""
        if not self._source:
            offered = self._ask("GET", "sources", _Reply[_Source])
            site = (self.model, self.layer)
            sources = {each.id for each in offered if (each.modelId, each.layerNum) == site}
            if not sources:
                there = ", ".join(f"{each.modelId} block {each.layerNum}" for each in offered)
                raise ModelError(
                    f"{self.host} hosts no NLA of {self.model} at block {self.layer}.",
                    f"An NLA fits one model and one layer; there are {there or 'none'}.",
                )
            self._source = min(sources)
        return {"modelId": self.model, "nlaSourceId": self._source}

    def _ask(
        self, method: str, path: str, shape: type[_Reply[Item]], body: Any = None
    ) -> list[Item]:
        answer = self._call(method, path, body)
        if isinstance(answer, LlmError):  # raised here, out of reach of the request and its key
            raise answer
        with contextlib.suppress(ValidationError):  # as a context it would quote the reply
            return shape.model_validate_json(answer).items
        raise LlmError(
            f"{self.host} answers, but not as Neuronpedia's API does.",
            "Check TESSERA_NEURONPEDIA_URL; if it is right, the API has changed.",
        )

    def _call(self, method: str, path: str, body: Any) -> bytes | LlmError:
        """The body of the reply, or the error that explains why there is none."""
        import httpx2

        headers = {"x-api-key": self._key.get_secret_value()} if self._key else {}
        where = f"{self.url}/api/nla/{path}"
        try:
            reply = httpx2.request(method, where, json=body, headers=headers, timeout=self.timeout)
        except httpx2.TimeoutException:
            return LlmUnavailableError(
                f"{self.host} did not reply within {self.timeout:g} s.",
                "Try again later: its NLA may have to start.",
            )
        except httpx2.HTTPError:
            return LlmUnavailableError(
                f"{self.host} cannot be reached.",
                "Check the network and TESSERA_NEURONPEDIA_URL.",
            )
        if reply.is_success:
            return reply.content
        return self._refused(reply.status_code, reply.headers.get("Retry-After", ""))

    def _refused(self, status: int, wait: str) -> LlmError:
        """The service's own words are not passed on: they might hold the key."""
        if status in (401, 403):
            lacks = "refuses the key" if self._key else "wants a key"
            return LlmUnavailableError(
                f"{self.host} {lacks} (HTTP {status}).", "Set TESSERA_NEURONPEDIA_KEY."
            )
        if status == 429:
            after = f" for {wait} s" if SECONDS.fullmatch(wait) else ""
            return LlmUnavailableError(
                f"{self.host} takes no more requests{after}.",
                "Go on after that: what was answered is kept.",
            )
        if status in THIS_REQUEST:
            return LlmError(
                f"{self.host} refused the request (HTTP {status}).", "Use a shorter text."
            )
        return LlmUnavailableError(
            f"{self.host} cannot answer (HTTP {status}).",
            "Check TESSERA_NEURONPEDIA_URL, or try again later.",
        )


@dataclass(frozen=True)
class HostedRef:
    """The NLA of a model and block that a host offers."""

    host: str
    model: str
    layer: int


@memoize("labels.neuronpedia_text", version=1)
def describe(nla: HostedRef, text: str) -> dict[str, Any]:
    """`text`: what an NLA says of a text's last token; raises as `Neuronpedia`."""
    service = connect(nla)
    return {"text": service.explain(text, service.last_position(text))}


def connect(nla: HostedRef) -> Neuronpedia:
    """The service that hosts an NLA.

    Raises:
        LlmUnavailableError: the environment names another host, or its settings are unusable.
    """
    service = configured(nla.model, nla.layer)
    if service.host != nla.host:
        raise unlike(f"Neuronpedia at {service.host}", nla.host)
    return service


def configured(model: str, layer: int) -> Neuronpedia:
    """The service at the address and with the key that the environment names; raises as
    `Neuronpedia`."""
    now = settings.current()
    return _opened(model, layer, now.neuronpedia_url, now.neuronpedia_key, TIMEOUT)


# one object, so that the NLA of a block is looked up once
_opened = functools.lru_cache(maxsize=4)(Neuronpedia)
