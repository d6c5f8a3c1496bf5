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
from backend.regions.views import STRONGEST, NearMiss, Probe
from backend.schema import ModelError, Partition, PartitionSpec, Reading, SaeRef, Study
from backend.store.memo import Entry, memoize

LONGEST = 2_000  # tokens of one's own text
MOST = 8  # features listed for each token


@memoize("features.own_text_residual", version=1)
def read_residual(reading: Reading, text: str) -> dict[str, Any]:
    """`starts`, `ends` [n] characters of each token, `residual` [n, width] float32 at the site."""
    network = language_model.load(reading.model, run.current().device)
    run.report(0, 1, "Reading your text")
    [tokens] = encoded(language_model.tokenizer(reading.model), [text])
    ids, starts, ends = (np.ascontiguousarray(column) for column in tokens.T)
    inputs, _ = padded([ids], network.bos)
    residual = network.residual(inputs, None, reading.site.layer)[0, 1:].float().cpu()
    return {"starts": starts, "ends": ends, "residual": residual.numpy()}


@memoize("features.own_text_preactivation", version=1)
def read_preactivation(reading: Reading, sae: SaeRef, text: str, feature: int) -> dict[str, Any]:
    """`value`, `needed` [n]: at each token what the encoder gives a feature, and what that has to
    exceed for it to fire (`Sae.preactivation`)."""
    residual = torch.from_numpy(np.array(read_residual(reading, text).array("residual")))
    run.report(0, 1, "Reading what nearly fires")
    value, needed = sae_models.load(sae, run.current().device).preactivation(residual, feature)
    return {"value": value, "needed": needed}


@memoize("features.own_text", version=1)
def read_text(
    reading: Reading, spec: PartitionSpec | None, sae: SaeRef | None, text: str
) -> dict[str, Any]:
    """`starts`, `ends` [n] characters of each token; `token`, `feature`, `value` [nnz] of active
    features; with a partition, `owner`, `distance` [n] of its nearest exemplar."""
    read = read_residual(reading, text)
    residual = torch.from_numpy(np.array(read.array("residual")))
    result: dict[str, Any] = {name: read.array(name) for name in ("starts", "ends")}
    if spec is not None:
        owners = _owners(residual, Partition(reading, spec))
        result |= dict(zip(("owner", "distance"), owners, strict=True))
    if sae is not None:
        active = sae_models.load(sae, run.current().device).encode_sparse(residual)
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
    feature, or by its distance to the nearest exemplar; of a feature that fires nowhere, where it
    comes nearest.

    Raises:
        ModelError: the text is empty or too long.
    """
    _check(text)
    entry = read_text(study.reading, _spec(study, feature), study.sae, text)
    regions = tuple(entry.array("owner").tolist()) if "owner" in entry else ()
    passage = _passage(entry, text, feature, regions)
    return Probe(passage, _strongest(entry), _nearest(study, passage, text, feature))


def _nearest(study: Study, passage: Passage, text: str, feature: int | None) -> NearMiss | None:
    """Where a feature that is silent comes nearest to firing."""
    if feature is None or study.sae is None or any(passage.values) or not passage.values:
        return None
    entry = read_preactivation(study.reading, study.sae, text, feature)
    value, needed = np.asarray(entry.array("value")), np.asarray(entry.array("needed"))
    if np.isnan(value).any():
        return None
    place = int(np.argmax(value - needed))
    return NearMiss(place, float(value[place]), float(needed[place]))


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
