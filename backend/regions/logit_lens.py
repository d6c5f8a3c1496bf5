"""What a region's exemplar would make the model say: its direction read as logits."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from backend import run
from backend.models import language_model
from backend.models.logits import block_of, direction_effects
from backend.regions.partitioning import build_partition
from backend.schema import Partition
from backend.store.memo import memoize


@memoize("regions.logit_lens", version=1)
def lens(partition: Partition, block: int) -> dict[str, Any]:
    """Effects of exemplars block·512 to block·512 + 511 (region r is row r mod 512), each the
    direction from the centre to the exemplar; arrays as in `direction_effects`.

    Raises:
        NotFoundError: the partition has no such block.
    """
    exemplars = torch.from_numpy(np.array(build_partition(partition).array("exemplars")))
    directions = block_of(exemplars, block, "regions")
    run.report(0, 1, "Reading logits of exemplars")
    network = language_model.load(partition.reading.model, run.current().device)
    return dict(direction_effects(network, directions))
