"""What tests of ExpertLens share: readers of responses that are given, and a whole small run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from backend import run
from backend.evals.expert_lens import answers as expert_lens_answers
from backend.evals.expert_lens import (
    experts,
)
from backend.evals.expert_lens.experts import ConceptSentences, Reader, Units
from backend.evals.expert_lens.views import ExpertLens
from backend.schema import (
    ModelRef,
    Progress,
)

MODEL = ModelRef("folder:nowhere", "0", "float32")
OWN = "butter, spoon, kettle, apple, ladder, cider, zebra"
WHAT = ("maps", "corpus", OWN)
ASK = dict(zip(("units", "sentences", "concepts"), WHAT, strict=True))


@dataclass(frozen=True)
class PlantedReader(Reader):
    """A reader of responses made beforehand: row i is that of the text "i"."""

    rows: Any = None

    def read(self, texts: list[str]) -> torch.Tensor:
        return torch.from_numpy(self.rows[[int(text) for text in texts]])


def ranked(rows: np.ndarray, positives: int, seed: int = 0) -> dict[str, np.ndarray]:
    """`expertise` of responses [2 × sentences, units], positives first in each half."""
    half = len(rows) // 2
    pool = [str(row) for row in range(len(rows))]
    reader = PlantedReader(Units(MODEL), pool, rows)
    parts = [range(first, first + half) for first in (0, half)]
    texts = tuple([str(row) for row in part[:positives]] for part in parts)
    others = tuple(list(part[positives:]) for part in parts)
    sentences_ = ConceptSentences(reader, texts, others)  # type: ignore[arg-type]
    return experts.expertise.function(Units(MODEL), sentences_, seed)  # type: ignore[return-value]


def compute(study: str, **choice: str) -> None:
    """What the job of ExpertLens does."""
    with run.computing("cpu", Progress()):
        expert_lens_answers.expert_lens(study, **ASK | choice)


def look(study: str, units: str, source: str, concepts: str) -> ExpertLens:
    """ExpertLens as it is computed."""
    view = expert_lens_answers.expert_lens.look(study, units, source, concepts)
    assert view is not None
    return view


@pytest.fixture
def view(small: str) -> ExpertLens:
    compute(small)
    return look(small, *WHAT)
