"""The study's own model as labeller and judge: works offline, costs nothing, and is weak.

A base model follows no instructions. As a `Writer` it continues a plain text that shows by example
what is wanted; as a `Predictor` it is read from how likely it finds a text, never from what it
writes, so that no reply fails to parse.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np
import torch

from backend.labels.contract import GREEDY, Draw, Message
from backend.labels.prefixes import common, forward, likelihoods
from backend.labels.references import OWN, WriterRef
from backend.models import language_model
from backend.models.language_model import LanguageModel
from backend.schema import LlmError, ModelRef

CUE = "\nAnswer:"  # where a turn of the user does not itself end with a colon
BLANK_LINE = re.compile(r"\n[ \t]*\n")


class OwnModel:
    """A `Writer` and a `Predictor`. Calls from several threads take turns."""

    def __init__(self, ref: ModelRef, device: str) -> None:
        """`device` is cpu, cuda or mps; the model is loaded by the first call."""
        self.ref = ref
        self.device = device
        self.name = WriterRef(OWN, ref).name
        self.obeys = False  # a base model follows no instructions
        self._guard = threading.Lock()

    def likelihoods(self, prompts: Sequence[str], answers: Sequence[str]) -> np.ndarray:
        """[prompts] float64: mean log-probability of the tokens of each prompt's answer after it,
        0 for an empty answer.

        Raises:
            LlmError: a prompt with its answer is longer than the model reads.
        """
        if not prompts:
            return np.empty(0)
        with self._guard:
            network = language_model.load(self.ref, self.device)
            whole = _encode(network, [p + a for p, a in zip(prompts, answers, strict=True)])
            for ids in whole:
                self._fits(network, ids)
            # a prompt's last token may merge with the answer's first, which is then part of it
            starts = [common(*pair) for pair in zip(_encode(network, prompts), whole, strict=True)]
            return likelihoods(network, whole, starts).double().numpy()

    def write(self, messages: Sequence[Message], draw: Draw = GREEDY) -> str:
        """What the model continues the conversation with, up to a blank line or the limit.

        The likeliest token each time at temperature 0; else drawn with a seed made from the
        messages and the attempt, so the same call gives the same text.

        Raises:
            LlmError: the reply is empty, or the messages are longer than the model reads.
        """
        with self._guard:
            network = language_model.load(self.ref, self.device)
            (ids,) = _encode(network, [layout(messages)])
            self._fits(network, ids, room=draw.limit)
            turns = json.dumps([[asdict(turn) for turn in messages], draw.attempt])
            seed = int.from_bytes(hashlib.sha256(turns.encode()).digest()[:7])
            tokens = _continuation(network, ids, draw.temperature, seed)
            text = _until_blank_line(network, tokens, draw.limit)
        if not text:
            raise LlmError(
                f"{self.name} ended its reply before it said anything.",
                "Show it an example of a reply, or raise the temperature.",
            )
        return text

    def _fits(self, network: LanguageModel, ids: Sequence[int], room: int = 0) -> None:
        """Raises LlmError where the model does not read so many tokens and `room` more."""
        most = getattr(network.network.config.get_text_config(), "max_position_embeddings", None)
        if most and len(ids) + room > most:
            more = f" and replies of {room}" if room else ""
            raise LlmError(
                f"{self.name} reads {most} tokens, too few for a prompt of {len(ids)}{more}.",
                "Show fewer or shorter examples, or lower the limit of replies.",
            )


def layout(messages: Sequence[Message]) -> str:
    """Messages as a text that a base model continues: each of the user's turns ends with a cue,
    a reply follows it on its line, and a blank line ends both instructions and replies."""
    parts = []
    for turn in messages:
        content = turn.content.strip()
        if turn.role == "user":
            parts.append(content if content.endswith(":") else content + CUE)
        else:
            parts.append(f"{' ' * (turn.role == 'assistant')}{content}\n\n")
    return "".join(parts).rstrip()


# ---------------------------------------------------------------- tokens


def _encode(network: LanguageModel, texts: Sequence[str]) -> list[list[int]]:
    """Of each text the BOS and its tokens."""
    encode = language_model.tokenizer(network.ref)
    token_ids = encode(list(texts), add_special_tokens=False)["input_ids"]
    return [[network.bos, *ids] for ids in token_ids]


# ---------------------------------------------------------------- text


def _continuation(
    network: LanguageModel, ids: list[int], temperature: float, seed: int
) -> Iterator[int]:
    """Token ids that follow, until the model ends the text. The generator of random numbers is
    its own, so other threads' draws do not matter."""
    generator = torch.Generator().manual_seed(seed)
    fed, past, ends = torch.tensor([ids]), None, _ends(network)
    while True:
        logits, past = forward(network, fed, [(0, fed.shape[1] - 1)], past)
        token = _pick(logits[0].cpu(), temperature, generator)
        if token in ends:
            return
        yield token
        fed = torch.tensor([[token]])


def _pick(logits: torch.Tensor, temperature: float, generator: torch.Generator) -> int:
    if temperature <= 0:
        return int(logits.argmax())
    return int(torch.multinomial((logits / temperature).softmax(0), 1, generator=generator))


def _ends(network: LanguageModel) -> set[int]:
    """Tokens by which the model ends a text."""
    eos = network.network.generation_config.eos_token_id
    several = eos if isinstance(eos, list) else [eos]
    own = language_model.tokenizer(network.ref).eos_token_id
    return {token for token in (*several, own) if token is not None}


def _until_blank_line(network: LanguageModel, draws: Iterator[int], limit: int) -> str:
    """The text of up to `limit` tokens, cut at the first blank line after it has begun."""
    decode = language_model.tokenizer(network.ref).decode
    tokens: list[int] = []
    text = ""
    while len(tokens) < limit and (token := next(draws, None)) is not None:
        tokens.append(token)
        text = decode(tokens, skip_special_tokens=True).lstrip()
        if BLANK_LINE.search(text):
            break
    return BLANK_LINE.split(text)[0].strip()
