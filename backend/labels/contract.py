"""What the parts of labelling give each other: excerpts, evidence, models that read and write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

Split = Literal["range", "post"]
Negatives = Literal["other", "silent", "hard"]


@dataclass(frozen=True)
class Excerpt:
    """A context of the corpus with one feature's activations."""

    row: int  # token row of the peak; where the feature is silent, of the first token
    pieces: tuple[str, ...]  # the text, token by token
    values: tuple[float, ...]  # the feature's activation on each token, 0 where it is silent
    peak: int  # index of the strongest token; -1 where the feature is silent

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def strength(self) -> float:
        """Activation at the peak."""
        return self.values[self.peak] if self.peak >= 0 else 0.0


@dataclass(frozen=True)
class Evidence:
    """Excerpts of one feature, in three parts that share no context: `train` for explainers,
    strongest first; `test` and `negatives` for scorers."""

    feature: int
    maximum: float  # the feature's strongest activation in the corpus
    train: tuple[Excerpt, ...]
    test: tuple[Excerpt, ...]
    negatives: tuple[Excerpt, ...]
    # what the negatives' own features do there: marks for fuzzing in the post's manner
    foreign: tuple[tuple[float, ...], ...]
    split: Split
    kind: Negatives  # `evidence.NEGATIVES` says which contexts the negatives are
    seed: int
    how: str  # how all this was drawn, in a sentence


@dataclass(frozen=True)
class Message:
    """One turn of a conversation with a language model."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True)
class Draw:
    """How a reply is drawn: at most `limit` tokens; `attempt` tells draws apart that are otherwise
    the same, so a higher one is another reply."""

    temperature: float = 0.0
    limit: int = 300
    attempt: int = 0


GREEDY = Draw()


class Writer(Protocol):
    """A language model that answers in text."""

    name: str  # what exactly answers, for keys and provenance
    obeys: bool  # it follows instructions; one that only continues text is shown cases instead

    def write(self, messages: Sequence[Message], draw: Draw = GREEDY) -> str:
        """The reply.

        Raises:
            LlmUnavailableError: it cannot be asked now.
            LlmError: its reply is no use.
        """
        ...


class Predictor(Protocol):
    """A language model that says how likely a text is after another."""

    name: str

    def likelihoods(self, prompts: Sequence[str], answers: Sequence[str]) -> np.ndarray:
        """[prompts] mean log-probability of the tokens of each prompt's answer after it."""
        ...


class Embedder(Protocol):
    """Texts to unit vectors."""

    name: str

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """[texts, width] float32."""
        ...


class Verbalizer(Protocol):
    """What says in words what a residual vector of one model and site holds."""

    name: str  # what exactly speaks, for keys and provenance

    def verbalize(self, vectors: np.ndarray) -> list[str]:
        """[n, width] float32 residual vectors to n texts, "" where there is none; raises
        LlmError."""
        ...
