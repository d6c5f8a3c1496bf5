"""Exemplar partitioning of a corpus: the centre, the threshold, the exemplars, who is near which.

After Rumbelow, *Exemplar Partitioning for Mechanistic Interpretability* (2026), with the gray
zone proposed in reply to it. A point is an activation less the centre, at unit length; distance
is 1 - cosine. θ is the p-th percentile of pairwise distance. A point becomes an exemplar where
no exemplar so far is within kθ; then every point is given to its nearest exemplar. It is a
*member* within θ, *gray* between θ and kθ, and *uncovered* beyond.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from backend import run
from backend.corpus.activations import read_corpus
from backend.corpus.contexts import Tokens
from backend.models.device import fast_bfloat16
from backend.regions.leader import RESOLUTION, LeaderPass
from backend.regions.nearest import Assignment
from backend.regions.points import Points, draw_contexts, pairwise, read_contexts
from backend.schema import Partition, PartitionSpec, Reading, TesseraError
from backend.store.memo import Entry, memoize

CENTRED_ON = 200_000  # activations, at least, that the centre is the mean of
PERCENTILES = np.arange(5001) / 100  # of pairwise distance that are kept, 0 to 50
SATURATED = 2048  # points in a row without a new exemplar that mean saturation
MOST_REGIONS = 65_536
GROWTH = 200  # steps of the growth curve


def check_spec(spec: PartitionSpec) -> None:
    """Raises TesseraError where p or k cannot be used, whatever θ turns out to be."""
    if not 0 < spec.p <= 50:
        raise TesseraError(
            f"p = {spec.p:g} is no percentile of distance that makes regions.",
            "Choose p above 0 and at most 50; 1 to 10 are usual.",
        )
    if not 1 <= spec.k < np.inf:
        raise TesseraError(
            f"k = {spec.k:g} would place exemplars within θ of each other.",
            "Choose k of 1 (no gray zone) or more.",
        )


# ---------------------------------------------------------------- points


def points(reading: Reading) -> Points:
    """The points of a corpus, about its memoized centre, on the device of the run."""
    middle = torch.from_numpy(np.array(centre(reading).array("centre")))
    return Points(read_corpus(reading), middle.to(run.current().device))


@memoize("regions.centre", version=1)
def centre(reading: Reading) -> dict[str, Any]:
    """`centre` [width] float32: the part of the mean activation that lies along the mean
    direction, from the first 200,000 activations or, where there are fewer, all. Also how many
    (`tokens`)."""
    along, count = read_corpus(reading).centre(CENTRED_ON)
    return {"centre": along.numpy(), "tokens": count}


# ---------------------------------------------------------------- the threshold


@memoize("regions.distance_percentiles", version=1)
def spread(reading: Reading, seed: int) -> dict[str, Any]:
    """How far apart points are: `percentiles` [batches, 5001] float32, the distances that 0,
    0.01, ... 50% of the pairs of a batch stay within.

    What a batch is decides θ: all positions of 16 contexts of 16 documents, drawn by the seed
    (fewer contexts where the corpus has fewer documents, and fewer batches where it has fewer
    contexts). Also `batches`, `contexts` of each, and `pairs` in all.

    Raises:
        TesseraError: there are no two points to measure between.
    """
    every = points(reading)
    batches = draw_contexts(every.activations.tokens.contexts, seed)
    rows, pairs = [], 0
    for batch in read_contexts(every, batches):
        distances = pairwise(batch)
        if len(distances):
            place = PERCENTILES / 100 * (len(distances) - 1)
            rows.append(np.interp(place, np.arange(len(distances)), distances))
            pairs += len(distances)
    if not rows:
        raise TesseraError(
            "There are no two distinct activations to measure a distance between.",
            "Use a corpus with more tokens.",
        )
    percentiles = np.array(rows, dtype=np.float32)
    return {
        "percentiles": percentiles,
        "batches": len(rows),
        "contexts": len(batches[0]),
        "pairs": pairs,
    }


def theta_of(spread_entry: Entry, p: float) -> float:
    """θ: the mean over batches of the p-th percentile, as a float32 value, so that distances
    stored as float32 compare the same."""
    rows = np.asarray(spread_entry.array("percentiles"), dtype=np.float64)
    mean = np.mean([np.interp(p, PERCENTILES, row) for row in rows])
    return max(float(np.float32(mean)), float(np.float32(2 * RESOLUTION)))


@memoize("regions.thresholds", version=1)
def thresholds(reading: Reading, p_stops: list[float], seed: int) -> dict[str, Any]:
    """`curve` (p, theta): the threshold at every stop, with the `batches` it is a mean over."""
    entry = spread(reading, seed)
    for p in p_stops:
        check_spec(PartitionSpec(p=p))
    curve = {"p": [float(p) for p in p_stops], "theta": [theta_of(entry, p) for p in p_stops]}
    return {
        "curve": pl.DataFrame(curve, schema={"p": pl.Float64, "theta": pl.Float64}),
        "batches": entry.value("batches"),
        "contexts": entry.value("contexts"),
    }


# ---------------------------------------------------------------- the partition


@memoize("regions.partition", version=1, kind=lambda partition: f"p {partition.spec.p:g}")
def build_partition(partition: Partition) -> dict[str, Any]:
    """Finds the exemplars and gives every token to its nearest.

    Arrays: `exemplars` [K, width] float32 unit vectors; `exemplar_tokens` [K] int64 token rows;
    per token `owner`, `runner_up`, `overlap` (int32), `distance`, `margin` (float32), as in
    `nearest.Nearest`. Values: `theta`; `reach` (kθ); `tokens`; `saturated` (the last 2,048
    tokens added no exemplar); `growth` ([tokens seen, K] ...); `batches` that θ is a mean over;
    `order_hash` of the token stream; `dtype` of the activations; `screen`, the format of the
    first look, which changes nothing.

    Raises:
        TesseraError: p or k cannot be used at this θ, or there would be too many regions.
    """
    device = run.current().device
    check_spec(partition.spec)
    sampled = spread(partition.reading, partition.spec.seed)
    theta = theta_of(sampled, partition.spec.p)
    reach = reach_of(partition.spec, theta)
    every = points(partition.reading)
    screen = torch.bfloat16 if fast_bfloat16(device) else torch.float32
    leaders = find_exemplars(
        every, LeaderPass(len(every.centre), reach, device=device, screen=screen)
    )
    rows, tokens = leaders.rows, every.activations.tokens
    return assigned(every, leaders.exemplars, theta, reach) | {
        "exemplars": leaders.exemplars.cpu().numpy(),
        "exemplar_tokens": rows,
        "theta": theta,
        "reach": reach,
        "tokens": len(tokens),
        "saturated": bool(len(tokens) > SATURATED and rows[-1] < len(tokens) - SATURATED),
        "growth": _growth(rows, len(tokens)),
        "batches": sampled.value("batches"),
        "order_hash": _order_hash(tokens),
        "dtype": partition.reading.model.dtype,
        "screen": str(screen).removeprefix("torch."),
    }


def reach_of(spec: PartitionSpec, theta: float) -> float:
    """kθ, a float32 value; raises TesseraError where it is 1 or more."""
    reach = float(np.float32(spec.k * theta))
    if reach < 1:
        return reach
    remedy = (
        f"Choose k below {1 / theta:.2f}, or a smaller p." if theta < 1 else "Choose a smaller p."
    )
    raise TesseraError(
        f"At p = {spec.p:g}, θ is {theta:.3f}; with k = {spec.k:g} exemplars would have to be "
        f"{reach:.3f} apart, and of points that far apart there are never more than a few.",
        remedy,
    )


def find_exemplars(every: Points, leaders: LeaderPass) -> LeaderPass:
    """Feeds all points; raises TesseraError where there are too many exemplars, or none."""
    for row, part in every.steps("Finding exemplars"):
        leaders.feed(part)
        if leaders.count > MOST_REGIONS:
            raise TesseraError(
                f"There are more than {MOST_REGIONS:,} regions after {row + len(part):,} tokens.",
                "Choose a larger p.",
            )
    if not leaders.count:
        raise TesseraError(
            "All activations are the same, so there is nothing to part into regions.",
            "Use a corpus with more tokens, or another site.",
        )
    return leaders


def assigned(every: Points, exemplars: Tensor, theta: float, reach: float) -> dict[str, Any]:
    """The fields of `nearest.Nearest`, of all points."""
    assign, fields = Assignment(exemplars, theta, reach), dict[str, list[np.ndarray]]()
    for _, part in every.steps("Assigning tokens"):
        for name, values in vars(assign(part)).items():
            fields.setdefault(name, []).append(values)
    return {name: np.concatenate(parts) for name, parts in fields.items()}


def _growth(rows: np.ndarray, total: int) -> list[list[int]]:
    """[tokens seen, exemplars among them] at even steps of the stream."""
    steps = np.unique(np.linspace(0, total, GROWTH + 1).astype(np.int64)[1:])
    return np.column_stack([steps, np.searchsorted(rows, steps)]).tolist()


def _order_hash(tokens: Tokens) -> str:
    """Fingerprint of which tokens come in what order, and of where contexts begin."""
    digest = hashlib.sha256(tokens.ids.tobytes())
    digest.update(tokens.contexts["length"].to_numpy().tobytes())
    return digest.hexdigest()[:16]
