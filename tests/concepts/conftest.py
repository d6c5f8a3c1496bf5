"""What tests of concepts share: a concept of one's own, the small study with its activations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend import queries, run
from backend.concepts import results as concept_results
from backend.concepts import stability
from backend.schema import (
    Dtype,
    Partition,
    PartitionSpec,
    Progress,
    Reading,
    Site,
    Study,
)
from backend.store.memo import Entry
from backend.study import loading as studies
from components.concepts import membership, purity, readers
from tests.conftest import LAYER, sentences


def own_texts(topic: str) -> str:
    return "\n".join(sentences(topic, 100 + number, 2) for number in range(8))


@pytest.fixture
def study(ready: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setenv("TESSERA_ANNOTATIONS", str(tmp_path / "annotations"))
    return studies.load(ready)


@pytest.fixture
def boats(study: Study) -> str:
    """A concept of one's own, read and scored."""
    name = queries.keep_concept("boats & sea", own_texts("harbour"), own_texts("kitchen"))
    computed(study, name)
    return name


@pytest.fixture
def unlinked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links without a page that they would stand on."""
    for module in (readers, membership, purity):
        monkeypatch.setattr(module, "anchor", lambda label, *_, **__: label)


def computed(study: Study, name: str) -> concept_results.ConceptResults:
    with run.computing("cpu", Progress()):
        return concept_results.results_of(study, name, "", None, None)[0]


@pytest.fixture(scope="module")
def small(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The small study, whose activations are read once for all tests of a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESSERA_STUDIES", str(world / "studies"))
        patch.setenv("TESSERA_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield "small"


def interpolated(name: str, layer: int = LAYER, dtype: Dtype = "float32", **options: Any) -> Entry:
    study = studies.load(name)
    reading = Reading(replace(study.model, dtype=dtype), Site(layer), study.corpus)
    options = {"pairs": 8, "steps": 9, "seed": 0} | options
    return stability.interpolate_prompts(Partition(reading, PartitionSpec(p=10)), **options)


def units(rng: np.random.Generator, count: int, width: int) -> np.ndarray:
    rows = rng.standard_normal((count, width))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
