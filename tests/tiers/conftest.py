"""The small world with its tiers."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend import queries, run
from backend.corpus.contexts import Tokens, tokenize
from backend.schema import Progress, Study, Tier, TierSpec
from backend.study import loading as studies
from tests.helpers.caches import use_copy_without

WINDOWS = ("input", "output", "cross")
SPEC = TierSpec(count=5, input=1, output=1, cross=5)
NAMES = ["unscored", "1 input", "1 output", "2 cross", "3 obscure"]  # on screen and in files


def tier_of(name: str) -> Tier:
    return Tier(NAMES.index(name))


@pytest.fixture
def study(ready: str) -> Study:
    return studies.load(ready)


@pytest.fixture
def tokens(study: Study) -> Tokens:
    return Tokens(tokenize(study.model, study.corpus))


@pytest.fixture
def sorted_study(study: Study) -> Study:
    """With tiers computed."""
    compute_tiers(study, SPEC)
    return study


@pytest.fixture
def unlabelled_study(sorted_study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """With tiers computed and, in a cache of its own, no label: one that was written for another
    test would be a label of its feature like any other."""
    use_copy_without("labels.*", tmp_path, monkeypatch)
    return sorted_study


def compute_tiers(study: Study, spec: TierSpec) -> None:
    with run.computing("cpu", Progress()):
        queries.tiers(study.name, spec)
