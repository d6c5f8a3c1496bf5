"""Tokens that directions promote and suppress, against the dense product with the vocabulary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from backend.corpus import sources
from backend.features import logits as feature_logits
from backend.models import language_model, logits
from backend.models import sae as sae_models
from backend.regions.logit_lens import lens
from backend.regions.partitioning import build_partition
from backend.schema import (
    CorpusRef,
    ModelRef,
    NotFoundError,
    Partition,
    PartitionSpec,
    Reading,
    SaeRef,
    Site,
    SourceRef,
)


@pytest.fixture
def model(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelRef:
    monkeypatch.setenv("TESSERA_CACHE", str(tmp_path / "cache"))
    source = f"folder:{world / 'model'}"
    return ModelRef(source, language_model.resolve(source), "float32")


@pytest.fixture
def sae(world: Path) -> SaeRef:
    source = f"folder:{world / 'sae'}"
    return SaeRef(source, sae_models.resolve(source))


def dense(model: ModelRef, directions: torch.Tensor) -> np.ndarray:
    """Final norm's gain, then the unembedding, spelt out."""
    network = language_model.load(model, "cpu").network
    gain = 1 + network.model.norm.weight
    return ((directions * gain) @ network.lm_head.weight.T).detach().numpy()


def same_effects(effects: dict[str, np.ndarray], expected: np.ndarray) -> None:
    for row, scores in enumerate(expected):
        order = np.sort(scores)
        for name, best in (("promoted", order[::-1]), ("suppressed", order)):
            actual = effects[f"{name}_logits"][row]
            np.testing.assert_allclose(actual, best[: len(actual)], rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(scores[effects[name][row]], actual, rtol=1e-4, atol=1e-5)
        edges, counts = effects["edges"][row], effects["histogram"][row]
        assert counts.sum() == len(scores)
        np.testing.assert_allclose(edges[[0, -1]], [scores.min(), scores.max()], rtol=1e-4)
        middle = int((scores < edges[len(edges) // 2]).sum())
        assert counts[: len(counts) // 2].sum() == pytest.approx(middle, abs=1)


def test_effects_of_directions_equal_the_dense_product(
    model: ModelRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logits, "CELLS", 2000)  # three directions at a time
    torch.manual_seed(0)
    directions = torch.randn(10, 32)
    result = logits.direction_effects(language_model.load(model, "cpu"), directions)
    assert result["promoted"].shape == (10, logits.TOP)
    assert result["histogram"].shape == (10, logits.BINS)
    same_effects(result, dense(model, directions))


def test_a_direction_of_no_effect_has_a_histogram_too(model: ModelRef) -> None:
    network = language_model.load(model, "cpu")
    result = logits.direction_effects(network, torch.zeros(1, 32))
    assert result["histogram"].sum() == network.network.lm_head.weight.shape[0]
    assert not result["promoted_logits"].any()


def test_effects_of_features_come_in_blocks(
    model: ModelRef, sae: SaeRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (logits, feature_logits):
        monkeypatch.setattr(module, "BLOCK", 40)
    decoder = sae_models.load(sae, "cpu").decoder
    for block, rows in ((0, decoder[:40]), (1, decoder[40:])):
        entry = feature_logits.effects(model, sae, block)
        names = ("promoted", "suppressed", "promoted_logits", "suppressed_logits")
        result = {name: entry.array(name) for name in (*names, "histogram", "edges")}
        assert len(result["promoted"]) == len(rows)
        same_effects(result, dense(model, rows))
    for block in (-1, 2):
        with pytest.raises(NotFoundError, match="64 features"):
            feature_logits.effects(model, sae, block)
        with pytest.raises(NotFoundError, match="64 features"):
            feature_logits.neighbours(sae, block)


def test_neighbours_are_the_features_of_highest_cosine(
    model: ModelRef, sae: SaeRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model.source  # an empty cache
    for module in (logits, feature_logits):
        monkeypatch.setattr(module, "BLOCK", 40)
    monkeypatch.setattr(feature_logits, "CELLS", 64 * 7)
    decoder = sae_models.load(sae, "cpu").decoder
    unit = torch.nn.functional.normalize(decoder, dim=1)
    cosine = (unit @ unit.T).numpy()
    np.fill_diagonal(cosine, -2)
    parts = [feature_logits.neighbours(sae, block) for block in (0, 1)]
    features = np.concatenate([part.array("features") for part in parts])
    cosines = np.concatenate([part.array("cosines") for part in parts])
    np.testing.assert_allclose(cosines, -np.sort(-cosine, axis=1)[:, :20], rtol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(cosine, features, 1), cosines, rtol=1e-5)


def test_the_lens_reads_exemplars(world: Path, model: ModelRef) -> None:
    source = sources.resolve(SourceRef("files", path=str(world / "corpus")))
    corpus, spec = CorpusRef((source,), 1500, 32), PartitionSpec(p=10.0)
    partition = Partition(Reading(model, Site(2), corpus), spec)
    entry = lens(partition, 0)
    exemplars = torch.from_numpy(np.array(build_partition(partition).array("exemplars")))
    best = dense(model, exemplars).argmax(axis=1)
    assert entry.array("promoted")[:, 0].tolist() == best.tolist()
    with pytest.raises(NotFoundError, match=f"{len(exemplars)} regions"):
        lens(partition, 1)
