"""Would the same corpus be parted alike if something that should not matter were otherwise? It is
partitioned again, and the two partitions are compared, beside two random coresets of their sizes:
any directions that lie as densely as activations do agree to some degree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from backend import run
from backend.concepts.rivals import rows_of
from backend.concepts.views import AGREEMENT
from backend.models.device import fast_bfloat16
from backend.regions import partitioning
from backend.regions.leader import LeaderPass, unit
from backend.regions.nearest import Assignment
from backend.regions.points import Points
from backend.schema import NotFoundError, Partition, TesseraError
from backend.statistics.intervals import jackknife_half_width, share_interval
from backend.store.memo import memoize

VARIATIONS = {
    "order": "the text in another order",
    "seed": "θ from other batches",
    "half": "half of the documents",
}
NEAR = 0.9  # cosine of exemplars that are the same one found again
SAMPLE = 20_000  # tokens that agreement is measured on
PARTS = 10  # of the documents, each left out once
ROWS = 1024  # exemplars compared with all others at once


@memoize("concepts.repeated_partition", version=1)
def repeat_partition(partition: Partition, how: str, seed: int) -> dict[str, Any]:
    """Partitions a corpus again, `how` being one of `VARIATIONS`, and compares with the study's.

    `order`: chunks are read in another order (a corpus of one chunk has none), rows within them as
    they are. `seed`: θ is of another draw of batches. `half`: exemplars are sought in documents of
    even or odd number only. Whatever is not named is the study's: centre, θ, order.

    Arrays: `exemplars` [K, width] and `exemplar_tokens` [K] in the order found; `owner` (int32)
    and `distance` (float32) of every token. Values: `regions` and `theta`, and those of the study,
    `study_regions` and `study_theta`. Table `measures` as in `compare_groupings`, for
    exemplars and coreset.

    Raises:
        NotFoundError: no such way.
        TesseraError: as `partitioning.build_partition`.
    """
    device = run.current().device
    if how not in VARIATIONS:
        raise NotFoundError(
            f"There is no way {how!r} to partition again.", f"Use one of {', '.join(VARIATIONS)}."
        )
    study = partitioning.build_partition(partition)
    theta = float(study.value("theta"))
    if how == "seed":
        other = partitioning.spread(partition.reading, partition.spec.seed + 1 + seed)
        theta = partitioning.theta_of(other, partition.spec.p)
    every = partitioning.points(partition.reading)
    part = _partial_points(every, how, seed)
    reach = partitioning.reach_of(partition.spec, theta)
    screen = torch.bfloat16 if fast_bfloat16(device) else torch.float32
    leaders = partitioning.find_exemplars(
        part, LeaderPass(len(part.centre), reach, device=device, screen=screen)
    )
    assigned = partitioning.assigned(every, leaders.exemplars, theta, reach)
    one = Grouping(torch.from_numpy(np.array(study.array("exemplars"))), study.array("owner"))
    two = Grouping(leaders.exemplars.cpu(), assigned["owner"])
    return {
        "exemplars": two.exemplars.numpy(),
        "exemplar_tokens": part.rows[leaders.rows],
        "owner": assigned["owner"],
        "distance": assigned["distance"],
        "regions": len(two.exemplars),
        "theta": theta,
        "study_regions": len(one.exemplars),
        "study_theta": float(study.value("theta")),
        "measures": _measures(every, part.rows, one, two, seed),
    }


# ---------------------------------------------------------------- what is read


@dataclass(frozen=True)
class PartialPoints(Points):
    """Points of some documents, chunks in the order given."""

    chunks: np.ndarray
    included: np.ndarray  # [tokens] bool

    @cached_property
    def rows(self) -> np.ndarray:
        """[tokens read] the token row of each, in the order read."""
        return np.concatenate([self._rows(chunk) for chunk in self.chunks])

    def __len__(self) -> int:
        return int(self.included.sum())

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        position = 0
        for chunk in self.chunks:
            rows = self._rows(chunk) - self.activations.bounds[chunk]
            points = self.activations.read(int(chunk))[torch.from_numpy(rows)]
            yield position, unit(points, self.centre)
            position += len(rows)

    def _rows(self, chunk: int) -> np.ndarray:
        first, last = self.activations.bounds[chunk : chunk + 2]
        return first + np.flatnonzero(self.included[first:last])


def _partial_points(every: Points, how: str, seed: int) -> PartialPoints:
    chunks, included = np.arange(every.activations.chunks), np.ones(len(every), dtype=bool)
    if how == "order":
        chunks = np.random.default_rng(seed).permutation(chunks)
        if (np.diff(chunks) > 0).all():
            chunks = chunks[::-1]
    if how == "half":
        included = every.activations.tokens.document_of % 2 == seed % 2
        if not included.any():
            raise TesseraError(
                "One document cannot be halved.", "Use a corpus with more documents."
            )
    return PartialPoints(every.activations, every.centre, chunks, included)


# ---------------------------------------------------------------- how alike


@dataclass(frozen=True)
class Grouping:
    """Exemplars [K, width], and the `owner` [tokens] of each token."""

    exemplars: Tensor
    owner: np.ndarray


def _measures(
    every: Points, rows: np.ndarray, one: Grouping, two: Grouping, seed: int
) -> pl.DataFrame:
    """`compare_groupings` of two partitions, and of two coresets of as many of the tokens that
    their exemplars were sought in: all, and `rows`."""
    rng = np.random.default_rng(seed)
    total = len(every)
    sample = np.sort(rng.choice(total, min(SAMPLE, total), replace=False))
    parts = rng.permutation(int(every.activations.tokens.document_of.max()) + 1) % PARTS
    part = parts[every.activations.tokens.document_of[sample]]
    coreset_rows = [
        np.sort(rng.choice(pool, len(each.exemplars), replace=False))
        for pool, each in ((np.arange(total), one), (rows, two))
    ]
    needed_rows = np.unique(np.concatenate([sample, *coreset_rows]))
    wanted_points = rows_of(every, needed_rows)
    points, *coresets = (
        wanted_points[torch.from_numpy(np.searchsorted(needed_rows, each))]
        for each in (sample, *coreset_rows)
    )
    nulls = [Grouping(each.cpu(), Assignment(each, 1.0)(points).owner) for each in coresets]
    pairs = {
        "exemplars": [Grouping(each.exemplars, each.owner[sample]) for each in (one, two)],
        "coreset": nulls,
    }
    tables = []
    for done, (kind, (left, right)) in enumerate(pairs.items()):
        run.report(done, len(pairs), "Comparing partitions")
        tables.append(compare_groupings(left, right, part, kind))
    return pl.concat(tables)


def compare_groupings(one: Grouping, two: Grouping, part: np.ndarray, kind: str) -> pl.DataFrame:
    """A table of `AGREEMENT` on tokens that belong to the parts `part` [tokens].

    `found`: the share of the exemplars of `one` to which `two` has one of cosine above .9, with
    Wilson's interval. `weighted`: the share of tokens whose owner is such a one. `agreement`: the
    adjusted mutual information of owners, 1 for the same parting and 0 for chance. Intervals of
    these two are Student's t of what leaving out each part gives (a jackknife over parts, since
    tokens of one document are not independent); null where there is one part only.
    """
    is_recovered = recovered(one.exemplars, two.exemplars)
    share = share_interval(int(is_recovered.sum()), len(is_recovered))
    rows: list[tuple[object, ...]] = [("found", kind, *share, len(is_recovered))]
    within = is_recovered[one.owner]
    measures: dict[str, Callable[[np.ndarray], float]] = {
        "weighted": lambda tokens: float(within[tokens].mean()),
        "agreement": lambda tokens: agreement(one.owner[tokens], two.owner[tokens]),
    }
    for measure, function in measures.items():
        value = function(np.arange(len(part)))
        half = jackknife_half_width(function, part)
        ends = (None, None) if half is None else (max(value - half, -1.0), min(value + half, 1.0))
        rows.append((measure, kind, value, *ends, len(part)))
    return pl.DataFrame(rows, AGREEMENT, orient="row")


def recovered(one: Tensor, two: Tensor) -> np.ndarray:
    """[K] whether any row of `two` has a cosine above .9 with each row of `one`, unit vectors."""
    blocks = [(part @ two.T).amax(dim=1) > NEAR for part in one.split(ROWS)]
    return torch.cat(blocks).cpu().numpy()


def agreement(one: np.ndarray, two: np.ndarray) -> float:
    """Adjusted mutual information of two labellings (Vinh, Epps and Bailey 2010)."""
    from sklearn.metrics import adjusted_mutual_info_score

    return float(adjusted_mutual_info_score(one, two))
