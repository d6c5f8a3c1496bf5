"""One's own text, read by the model: which features fire and which regions it lands in."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import torch

from backend.answers import passages, tasks
from backend.models import language_model, sae
from backend.regions import leader, nearest, partitioning, statistics
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


@memoize("features.own_text", version=1)
def read(
    model: ModelRef,
    site: Site,
    corpus: CorpusRef,
    spec: PartitionSpec | None,
    autoencoder: SaeRef | None,
    text: str,
    *,
    device: str,
    progress: Progress,
) -> dict[str, Any]:
    """`starts`, `ends` [n] characters of each token; `token`, `feature`, `value` [nnz] of active
    features; with a partition, `owner`, `distance` [n] of its nearest exemplar."""
    network = language_model.load(model, device)
    progress.report(0, 1, "Reading your text")
    encoded = language_model.tokenizer(model)(
        text, add_special_tokens=False, return_offsets_mapping=True
    )
    ids = torch.tensor([[network.bos, *encoded["input_ids"]]])
    residual = network.residual(ids, None, site.layer)[0, 1:].float().cpu()
    offsets = np.array(encoded["offset_mapping"], dtype=np.int32).reshape(-1, 2)
    result: dict[str, Any] = {
        "starts": np.ascontiguousarray(offsets[:, 0]),
        "ends": np.ascontiguousarray(offsets[:, 1]),
    }
    if spec is not None:
        owners = _owners(residual, model, site, corpus, spec)
        result |= dict(zip(("owner", "distance"), owners, strict=True))
    if autoencoder is not None:
        active = sae.load(autoencoder, device).encode_sparse(residual)
        result |= dict(zip(("token", "feature", "value"), map(np.asarray, active), strict=True))
    return result


def _owners(
    residual: torch.Tensor, model: ModelRef, site: Site, corpus: CorpusRef, spec: PartitionSpec
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest exemplar and distance of each row."""
    centre = torch.from_numpy(
        np.array(partitioning.centre.get(model, site, corpus).array("centre"))
    )
    entry = partitioning.build_partition.get(model, site, corpus, spec)
    exemplars = torch.from_numpy(np.array(entry.array("exemplars")))
    found = nearest.assign(leader.unit(residual, centre), exemplars, entry.value("theta"))
    return found.owner, found.distance


def asked(study: Study, text: str) -> tuple[Any, ...]:
    """What `read` is given: without regions while they are not computed."""
    of = study.model, study.site, study.corpus
    there = statistics.describe.find(*of, study.partition) is not None
    return *of, study.partition if there else None, study.sae, text


def probe(study: Study, text: str, feature: int | None) -> Probe | Job:
    """The text's tokens valued by a feature, or by distance to the nearest exemplar.

    Raises:
        ModelError: the text is empty or too long.
        NotFoundError: regions are asked for, and not computed.
    """
    _check(text)
    arguments = asked(study, text)
    if feature is None and arguments[3] is None:
        raise NotFoundError("The study's regions are not computed yet.", "Wait for their job.")
    entry = read.find(*arguments)
    if entry is None:
        return tasks.ensure("probe", study, read.digest(*arguments), text=text)
    regions = () if arguments[3] is None else tuple(entry.array("owner").tolist())
    return Probe(_passage(entry, text, feature, regions), _strongest(study, entry))


def _check(text: str) -> None:
    if not text.strip():
        raise ModelError("There is no text to read.", "Type or paste some.")
    if len(text) > LONGEST * passages.CHARACTERS:
        raise ModelError(
            f"The text has {len(text):,} characters.",
            f"Give at most {LONGEST * passages.CHARACTERS:,}.",
        )


def _passage(entry: Entry, text: str, feature: int | None, regions: tuple[int, ...]) -> Passage:
    starts, ends = entry.array("starts"), entry.array("ends")
    if feature is None:
        values = entry.array("distance").astype(float)
    else:
        values = np.zeros(len(starts))
        chosen = entry.array("feature") == feature
        values[entry.array("token")[chosen]] = entry.array("value")[chosen]
    pieces, done = [], 0
    for end in ends:
        pieces.append(text[done : max(int(end), done)])
        done = max(int(end), done)
    return Passage(
        document=-1,
        title="your text",
        topic="",
        first=0,
        pieces=tuple(pieces),
        values=tuple(values.tolist()),
        regions=regions,
    )


def _strongest(study: Study, entry: Entry) -> pl.DataFrame:
    """position, feature, activation: the strongest features of each token."""
    if study.sae is None:
        kinds = {"position": pl.Int64, "feature": pl.Int64, "activation": pl.Float32}
        return pl.DataFrame(schema=kinds)
    frame = pl.DataFrame(
        {
            "position": entry.array("token"),
            "feature": entry.array("feature"),
            "activation": entry.array("value"),
        }
    )
    return (
        frame.sort("position", "activation", descending=[False, True])
        .group_by("position", maintain_order=True)
        .head(STRONGEST)
    )
