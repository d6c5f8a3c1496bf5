"""One's own text, read by the model: which features fire and which regions it lands in."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import polars as pl
import torch

from backend import run
from backend.corpus import passages
from backend.corpus.activations import padded
from backend.corpus.contexts import encoded
from backend.corpus.views import Passage
from backend.models import language_model
from backend.models import sae as sae_models
from backend.query import query
from backend.regions import description, leader, nearest, partitioning
from backend.regions.views import STRONGEST, Probe
from backend.schema import ModelError, Partition, PartitionSpec, Reading, SaeRef, Study
from backend.store.memo import Entry, memoize

LONGEST = 2_000  # tokens of one's own text
MOST = 8  # features listed for each token


@memoize("features.own_text", version=1)
def read_text(
    reading: Reading, spec: PartitionSpec | None, sae: SaeRef | None, text: str
) -> dict[str, Any]:
    """`starts`, `ends` [n] characters of each token; `token`, `feature`, `value` [nnz] of active
    features; with a partition, `owner`, `distance` [n] of its nearest exemplar."""
    model, device = reading.model, run.current().device
    network = language_model.load(model, device)
    run.report(0, 1, "Reading your text")
    [tokens] = encoded(language_model.tokenizer(model), [text])
    ids, starts, ends = (np.ascontiguousarray(column) for column in tokens.T)
    inputs, _ = padded([ids], network.bos)
    residual = network.residual(inputs, None, reading.site.layer)[0, 1:].float().cpu()
    result: dict[str, Any] = {"starts": starts, "ends": ends}
    if spec is not None:
        owners = _owners(residual, Partition(reading, spec))
        result |= dict(zip(("owner", "distance"), owners, strict=True))
    if sae is not None:
        active = sae_models.load(sae, device).encode_sparse(residual)
        result |= dict(zip(("token", "feature", "value"), map(np.asarray, active), strict=True))
    return result


def _owners(residual: torch.Tensor, partition: Partition) -> tuple[np.ndarray, np.ndarray]:
    """Nearest exemplar and distance of each row."""
    centre = torch.from_numpy(np.array(partitioning.centre(partition.reading).array("centre")))
    built = partitioning.build_partition(partition)
    exemplars = torch.from_numpy(np.array(built.array("exemplars")))
    nearest_of = nearest.assign(leader.unit(residual, centre), exemplars, built.value("theta"))
    return nearest_of.owner, nearest_of.distance


@query("Your text, read by the model", priority=50)
def probe(study: Study, text: str, feature: int | None = None) -> Probe:
    """One's own text, read by the model: each token's regions and strongest features, valued by a
    feature, or by its distance to the nearest exemplar.

    Raises:
        ModelError: the text is empty or too long.
    """
    _check(text)
    entry = read_text(study.reading, _spec(study, feature), study.sae, text)
    regions = tuple(entry.array("owner").tolist()) if "owner" in entry else ()
    return Probe(_passage(entry, text, feature, regions), _strongest(entry))


def _spec(study: Study, feature: int | None) -> PartitionSpec | None:
    """The partition, which a text is read without where a feature is asked for before regions are
    computed."""
    if feature is None or description.describe.find(study.cut()) is not None:
        return study.partition
    return None


def _check(text: str) -> None:
    if not text.strip():
        raise ModelError("There is no text to read.", "Type or paste some.")
    if len(text) > LONGEST * passages.CHARACTERS:
        raise ModelError(
            f"The text has {len(text):,} characters.",
            f"Give at most {LONGEST * passages.CHARACTERS:,}.",
        )


def _passage(entry: Entry, text: str, feature: int | None, regions: tuple[int, ...]) -> Passage:
    ends = entry.array("ends")
    if feature is None:
        values = entry.array("distance").astype(float)
    else:
        values = np.zeros(len(ends))
        is_asked = entry.array("feature") == feature
        values[entry.array("token")[is_asked]] = entry.array("value")[is_asked]
    # tokens may be parts of one character, and share its end
    bounds = np.maximum.accumulate([0, *ends])
    pieces = (text[first:last] for first, last in itertools.pairwise(bounds))
    return Passage(
        document=-1,
        title="your text",
        topic="",
        first=0,
        pieces=tuple(pieces),
        values=tuple(values.tolist()),
        regions=regions,
    )


def _strongest(entry: Entry) -> pl.DataFrame:
    """`STRONGEST` features of each token; none without an SAE."""
    if "token" not in entry:
        return pl.DataFrame(schema=STRONGEST)
    columns = (entry.array(name) for name in ("token", "feature", "value"))
    frame = pl.DataFrame(dict(zip(STRONGEST, columns, strict=True)), schema=STRONGEST)
    ordered = frame.sort("position", "activation", descending=[False, True])
    return ordered.group_by("position", maintain_order=True).head(MOST)
