"""What a region's exemplar would make the model say: its direction read as logits."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from backend import run
from backend.models import language_model
from backend.models.logits import direction_effects
from backend.regions.partitioning import build_partition
from backend.schema import NotFoundError, Partition
from backend.store.memo import memoize

BLOCK = 512  # regions computed together


@memoize("regions.logit_lens", version=1)
def lens(partition: Partition, block: int) -> dict[str, Any]:
    """Effects of exemplars block·512 to block·512 + 511 (region r is row r mod 512), each the
    direction from the centre to the exemplar; arrays as in `direction_effects`.

    Raises:
        NotFoundError: the partition has no such block.
    """
    device = run.current().device
    entry = build_partition(partition)
    exemplars = entry.array("exemplars")
    some = np.array(exemplars[block * BLOCK : (block + 1) * BLOCK])
    if block < 0 or not len(some):
        raise NotFoundError(
            f"There is no block {block} of regions.",
            f"The partition has {len(exemplars)} regions in blocks of {BLOCK}.",
        )
    run.report(0, 1, "Reading logits of exemplars")
    return dict(
        direction_effects(
            language_model.load(partition.reading.model, device), torch.from_numpy(some)
        )
    )
