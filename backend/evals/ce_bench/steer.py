"""The authors' steering demo: features shifted towards a subject while the model writes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch

from backend import run
from backend.evals.ce_bench.definitions import Means
from backend.evals.ce_bench.means import means, read_means
from backend.evals.ce_bench.pairs import Stories, load, parse_marks, read_stories
from backend.evals.ce_bench.views import TEXTS
from backend.labels.prefixes import common
from backend.models import language_model
from backend.models import sae as sae_models
from backend.models.steering import continued
from backend.schema import ModelError, ModelRef, NotFoundError, PairsRef, SaeRef, Site, TesseraError
from backend.store.memo import memoize

LONGEST = 256  # tokens of a prompt
KINDS = ("unchanged", "reconstruction", "towards", "away", "permuted")


@dataclass(frozen=True)
class Steering:
    """A prompt that is continued for some tokens, and how far towards which subject."""

    subject: str
    prompt: str
    strength: float
    tokens: int = 40


@memoize("ce_bench.steered_texts", version=1)
def steer(
    model: ModelRef, site: Site, sae: SaeRef, pairs: PairsRef, steering: Steering
) -> dict[str, Any]:
    """Table `texts` (`TEXTS`), a row for each of `KINDS`, and the `words` that count as mentions.
    Permuted is the control: the same numbers, each at a random feature.

    Raises:
        NotFoundError: there is no such subject.
        TesseraError: there is no other subject to tell it from.
        ModelError: the prompt is empty or too long.
    """
    subject, strength, device = steering.subject, steering.strength, run.current().device
    entry = means(model, site, sae, pairs, "sae")
    shift = shift_of(read_means(entry), Stories(read_stories(model, pairs)).subjects, subject)
    run.report(0, 1, "Writing", "texts")
    network, autoencoder = language_model.load(model, device), sae_models.load(sae, device)
    tokenizer = language_model.tokenizer(model)
    prompt_ids = tokenizer(steering.prompt, add_special_tokens=False)["input_ids"]
    if not 0 < len(prompt_ids) <= LONGEST:
        raise ModelError(
            f"The prompt has {len(prompt_ids)} tokens.",
            f"Write some text of at most {LONGEST} tokens.",
        )
    permuted_shift = np.random.default_rng([pairs.seed, 7]).permutation(shift)
    shifts = np.stack([0 * shift, strength * shift, -strength * shift, strength * permuted_shift])
    ids = [network.bos, *prompt_ids]
    rows, first = continued(
        network, autoencoder, site.layer, ids, torch.from_numpy(shifts), steering.tokens
    )
    words = vocabulary(pairs, subject)
    texts = [tokenizer.decode(row, skip_special_tokens=True) for row in rows]
    return {"texts": _texts(texts, rows, first, words), "words": sorted(words)}


def _texts(
    texts: list[str], rows: list[list[int]], first: torch.Tensor, words: set[str]
) -> pl.DataFrame:
    """The table of `steer`; `rows` are the token ids of the texts, `first` [kinds, vocabulary] the
    log probabilities of the first token. The first row is the unchanged model."""
    divergence = (first[0].exp() * (first[0] - first)).sum(dim=1).clamp_min(0)
    return pl.DataFrame(
        {
            "kind": KINDS,
            "text": texts,
            "tokens": [len(row) for row in rows],
            "same": [common(row, rows[0]) for row in rows],
            "mentions": [mentions(text, words) for text in texts],
            "moved": divergence.double().tolist(),
        },
        TEXTS,
    )


def shift_of(means: Means, subjects: list[str], subject: str) -> np.ndarray:
    """[W] float32: mean activations over the stories of a subject less those over all others."""
    if subject not in subjects:
        raise NotFoundError(
            f"No story is about {subject!r}.", f"Choose one of {', '.join(subjects[:20])}."
        )
    if len(subjects) < 2:
        raise TesseraError(
            f"All stories are about {subject}, so there is nothing to tell it from.",
            "Use stories of two subjects or more.",
        )
    own = np.repeat(means.subject_of == subjects.index(subject), 2)
    return (means.mean[own].mean(axis=0) - means.mean[~own].mean(axis=0)).astype(np.float32)


def vocabulary(pairs: PairsRef, subject: str) -> set[str]:
    """The words that the subject's stories mark, or else those of its name, in lower case."""
    words = set(_words(subject))
    for pair in load(pairs):
        for story in pair.stories if pair.subject == subject else ():
            text, spans, _ = parse_marks(story)
            words |= {word for first, last in spans for word in _words(text[first:last])}
    return words


def mentions(text: str, words: set[str]) -> int:
    return sum(word in words for word in _words(text))


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"[^\W\d_]+", text.casefold()) if len(word) > 2]
