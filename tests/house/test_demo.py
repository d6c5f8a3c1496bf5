"""The real thing: Gemma 3 270M, the packaged texts and the committed SAE, on 20,000 tokens."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sae_lens import SAE
from scipy.spatial.distance import cdist

from backend import queries
from backend.corpus import passages
from backend.corpus.activations import Activations
from backend.features import codes
from backend.features.views import FeatureTable
from backend.models import sae
from backend.regions import partitioned
from backend.regions.views import RegionMap
from backend.study import loading as studies
from tests.conftest import ROOT

pytestmark = [pytest.mark.real, pytest.mark.slow]


def activations(name: str) -> Activations:
    study = studies.load(name)
    tokens = passages.tokens_of(study.model, study.corpus)
    return Activations(study.model, study.site, tokens)


def test_texts_come_from_all_topics_once(demo: str) -> None:
    tokens = activations(demo).tokens
    assert len(tokens) == 20_000
    assert set(tokens.topic_names) == {
        "business", "encyclopedia", "entertainment", "politics", "sports", "tech",
    }  # fmt: skip
    assert tokens.documents["text"].n_unique() == len(tokens.documents)


def test_residuals_have_one_huge_direction_which_centring_removes(demo: str) -> None:
    """The published reason for centring: raw residuals are nearly parallel, centred ones not."""
    raw = activations(demo).rows(0, 2_000).float()
    raw_cosine = torch.nn.functional.cosine_similarity(raw[:1_000], raw[1_000:])
    partition = partitioned.partitioned(studies.load(demo).cut())
    assert float(raw_cosine.median()) > 0.8
    assert 0.5 < partition.theta < 0.95


def test_the_partition_agrees_with_a_plain_float64_pass(demo: str) -> None:
    from backend.regions import leader, partitioning

    study = studies.load(demo)
    partition = partitioned.partitioned(study.cut())
    centre = partitioning.centre(study.reading).array("centre")
    rows = activations(demo).rows(0, 3_000)
    points = leader.unit(rows, torch.from_numpy(np.array(centre))).double().numpy()
    expected: list[int] = []
    for row, point in enumerate(points):
        if not expected or (1 - points[expected] @ point).min() > partition.theta:
            expected.append(row)
    exemplars = partition.entry.array("exemplar_tokens")
    assert exemplars[exemplars < 3_000].tolist() == expected
    distances = 1 - points[:500] @ partition.entry.array("exemplars").T.astype(np.float64)
    assert np.allclose(distances.min(axis=1), partition.distance[:500], atol=1e-6)


def test_the_committed_sae_is_what_its_card_says(demo: str) -> None:
    card = json.loads((ROOT / "studies" / "demo-sae" / "card.json").read_text())
    table = queries.features(demo)
    assert isinstance(table, FeatureTable)
    assert table.l0 == pytest.approx(card["train"]["l0"], rel=0.15)
    assert table.fvu == pytest.approx(card["train"]["fvu"], abs=0.04)
    assert card["dead_share"] < 0.05


def test_encoding_equals_saelens(demo: str) -> None:
    study = studies.load(demo)
    assert study.sae is not None
    x = activations(demo).rows(0, 256).float()
    theirs = SAE.load_from_disk(ROOT / "studies" / "demo-sae", device="cpu")
    ours = sae.load(study.sae, "cpu")
    assert torch.allclose(ours.encode(x), theirs.encode(x), atol=1e-2, rtol=1e-3)
    entry = codes.index(study.reading, study.sae)
    dense = np.zeros((256, ours.width), dtype=np.float32)
    offsets = entry.array("token_offsets")[:257]
    for row in range(256):
        span = slice(offsets[row], offsets[row + 1])
        dense[row, entry.array("token_features")[span]] = entry.array("token_values")[span]
    assert np.allclose(dense, theirs.encode(x).detach().numpy(), atol=0.5, rtol=1e-2)


def test_regions_read(demo: str) -> None:
    """Members of a region are nearer to each other than random tokens are, on held-out pairs."""
    answer = queries.regions(demo)
    assert isinstance(answer, RegionMap)
    study = studies.load(demo)
    partition = partitioned.partitioned(study.cut())
    from backend.regions import leader, partitioning

    centre = partitioning.centre(study.reading).array("centre")
    points = leader.unit(activations(demo).rows(0, 20_000), torch.from_numpy(np.array(centre)))
    largest = answer.table.sort("size", descending=True)["region"][:5]
    rng = np.random.default_rng(0)
    spread = cdist(
        points[rng.integers(20_000, size=400)], points[rng.integers(20_000, size=400)], "cosine"
    )
    for region in largest:
        members = points[partition.members(region)[:400].copy()]
        distances = cdist(members, members, "cosine")[np.triu_indices(len(members), 1)]
        assert distances.mean() < spread.mean() - 0.1
