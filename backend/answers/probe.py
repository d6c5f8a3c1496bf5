"""One's own text, read by the model: which features fire and which regions it lands in."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import polars as pl
import torch

from backend.answers import passages, tasks
from backend.models import language_model, sae
from backend.regions import leader, partition
from backend.schema import (
    CorpusRef,
    Job,
    ModelError,
    ModelRef,
    NotFoundError,
    PartitionSpec,
    Progress,
    SaeRef,
    Site,
    Study,
)
from backend.store.memo import Entry, memoize
from backend.views import Passage, Probe

LONGEST = 2_000  # tokens of one's own text
STRONGEST = 8  # features listed for each token


@memoize(version=1)
def read(
    model: ModelRef,
    site: Site,
    corpus: CorpusRef,
    spec: PartitionSpec,
    autoencoder: SaeRef | None,
    text: str,
    *,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """`starts`, `ends` [n] characters of each token; `owner`, `distance` [n] of its nearest
    exemplar; `token`, `feature`, `value` [nnz] of the active features."""
    network = language_model.load(model, device)
    progress.report(0, 1, "Reading your text")
    encoded = language_model.tokenizer(model)(
        text, add_special_tokens=False, return_offsets_mapping=True
    )
    ids = torch.tensor([[network.bos, *encoded["input_ids"]]])
    residual = network.residual(ids, None, site.layer)[0, 1:].float().cpu()
    offsets = np.array(encoded["offset_mapping"], dtype=np.int32).reshape(-1, 2)
    owner, distance = _owners(residual, model, site, corpus, spec)
    result: dict[str, Any] = {
        "starts": np.ascontiguousarray(offsets[:, 0]),
        "ends": np.ascontiguousarray(offsets[:, 1]),
        "owner": owner,
        "distance": distance,
    }
    if autoencoder is not None:
        active = sae.load(autoencoder, device).encode_sparse(residual)
        result |= dict(zip(("token", "feature", "value"), map(np.asarray, active), strict=True))
    return result
