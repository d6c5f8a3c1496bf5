"""Why a feature fires at a token: what each token before it adds, and how little text suffices.

The model reads from left to right, so what comes after the token cannot matter: its context is cut
there, and two kinds of variants of what is left are read.

- Occlusion: one token replaced, the rest left in place. What stands in are the commonest tokens of
  the corpus, one after the other: a deletion would move every token after it, and a single
  stand-in says as much about itself as about what it replaces (decision 10).
- Runs: the last tokens alone, after a BOS, from the token itself to all of the context.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from backend import run
from backend.corpus.activations import BATCH, padded
from backend.corpus.contexts import Tokens, tokenize
from backend.models import language_model
from backend.models import sae as sae_models
from backend.models.language_model import LanguageModel
from backend.models.sae import Sae
from backend.schema import Reading, SaeRef, check_number
from backend.store.memo import memoize

STAND_INS = 2  # that each token is replaced by, one after the other
AT_ONCE = 128  # tokens for each context of a batch


@memoize("features.occlusion", version=1)
def read(reading: Reading, sae: SaeRef, feature: int, token: int) -> dict[str, Any]:
    """The feature's activation at a token row, from variants of the T tokens of its context up to
    it.

    Arrays: `stand_ins` and `occluded` [T, 2], what replaced token i and the activation then; `runs`
    [T], the activation from the last i + 1 tokens alone, so the last is that of all the text.

    Raises:
        NotFoundError: the corpus has no such token.
    """
    device = run.current().device
    tokens = Tokens(tokenize(reading.model, reading.corpus))
    ids = up_to(tokens, token)
    network, autoencoder = language_model.load(reading.model, device), sae_models.load(sae, device)
    instead = stand_ins(np.asarray(tokens.ids), ids)
    variants = [*occluded(ids, instead), *runs(ids)]
    activations = last_activations(network, autoencoder, reading.site.layer, feature, variants)
    return {
        "stand_ins": instead,
        "occluded": activations[: instead.size].reshape(instead.shape),
        "runs": activations[instead.size :],
    }


# ---------------------------------------------------------------- variants of a text


def up_to(tokens: Tokens, token: int) -> np.ndarray:
    """[T] int32 ids of a token's context from its beginning to the token."""
    check_number(token, len(tokens), "token", "The corpus")
    return np.array(tokens.ids[tokens.context_span(token)[0] : token + 1])


def stand_ins(corpus: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """[T, 2] int32: the commonest tokens of the corpus other than each of `ids`."""
    kinds, counts = np.unique(corpus, return_counts=True)
    common = kinds[np.argsort(-counts, kind="stable")[: STAND_INS + 1]]
    return np.array([common[common != own][: len(common) - 1] for own in ids], dtype=np.int32)


def occluded(ids: np.ndarray, instead: np.ndarray) -> list[np.ndarray]:
    """Each token replaced by each of its stand-ins: [T · stand-ins] texts of T tokens."""
    texts = np.tile(ids, (instead.size, 1))
    place = np.repeat(np.arange(len(ids)), instead.shape[1])
    texts[np.arange(instead.size), place] = instead.ravel()
    return list(texts)


def runs(ids: np.ndarray) -> list[np.ndarray]:
    """The last token alone, the last two, and so on to all of them."""
    return [ids[len(ids) - length :] for length in range(1, len(ids) + 1)]


# ---------------------------------------------------------------- reading them


def last_activations(
    network: LanguageModel, autoencoder: Sae, layer: int, feature: int, texts: Sequence[np.ndarray]
) -> np.ndarray:
    """[texts] float32: a feature at the last token of each text, each read after a BOS. Texts of
    like length share a forward pass, so little is padded."""
    activations = np.zeros(len(texts), dtype=np.float32)
    total = sum(len(text) for text in texts)
    done = 0
    for batch in _batches(texts, network.device, autoencoder.rows_at_once()):
        run.report(done, total, "Reading variants of the text", "tokens")
        batch_texts = [texts[i] for i in batch]
        ids, mask = padded(batch_texts, network.bos)
        whole = bool(mask.all())
        residual = network.residual(ids, None if whole else mask.to(network.device), layer)
        last = torch.tensor([len(text) for text in batch_texts], device=residual.device)
        rows = residual[torch.arange(len(batch), device=residual.device), last]
        activations[batch] = autoencoder.encode(rows)[:, feature].cpu().numpy()
        done += sum(len(text) for text in batch_texts)
    return activations


def _batches(texts: Sequence[np.ndarray], device: str, most: int) -> list[list[int]]:
    """Indices of texts by length, as many together as fill the device."""
    room = BATCH[device] * AT_ONCE
    batches: list[list[int]] = [[]]
    for i in sorted(range(len(texts)), key=lambda i: len(texts[i])):
        if len(batches[-1]) >= min(most, max(1, room // (1 + len(texts[i])))):
            batches.append([])
        batches[-1].append(i)
    return batches


# ---------------------------------------------------------------- what they say


def effects(without: np.ndarray, full: float) -> np.ndarray:
    """Share of the activation `full` that is lost: 1 where the feature falls silent, below 0 where
    it fires more strongly."""
    return (full - without) / full


def shortest(activations: np.ndarray, share: float) -> int:
    """The length of the shortest run, of 1, 2, … tokens, that gives a share (at most 1) of the
    activation of the last. Activations need not rise with length: a longer run may give less."""
    return int(np.argmax(activations >= share * activations[-1])) + 1


def steady(activations: np.ndarray, share: float) -> int:
    """The length from which on every run gives that share."""
    short = np.flatnonzero(activations < share * activations[-1])
    return int(short[-1]) + 2 if len(short) else 1
