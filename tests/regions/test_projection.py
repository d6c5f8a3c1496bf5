"""Maps of regions: the same on every run, and neighbours stay neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from backend.regions.projection import place, principal
from backend.schema import TesseraError


def clusters(seed: int, each: int = 12, width: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors around three directions, and which."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(3), each)
    raw = 4 * rng.standard_normal((3, width))[label] + rng.standard_normal((3 * each, width))
    raw /= np.linalg.norm(raw, axis=1, keepdims=True)
    return raw.astype(np.float32), label


def test_pca_matches_the_singular_vectors() -> None:
    points, _ = clusters(0)
    centred = points - points.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :2] * sizes[:2]
    result = principal(points)
    assert result.dtype == np.float32
    assert np.allclose(np.abs(result), np.abs(expected), atol=1e-5)


def test_pca_does_not_flip_with_the_sign_of_a_direction() -> None:
    points, _ = clusters(1)
    assert np.allclose(principal(points), principal(points[::-1])[::-1], atol=1e-5)


@pytest.mark.slow  # UMAP compiles on first use
def test_umap_keeps_clusters_together_and_repeats_itself() -> None:
    points, label = clusters(2)
    xy, method = place(points, "umap", seed=3)
    assert method == "umap"
    assert xy.shape == (36, 2)
    assert np.isfinite(xy).all()
    apart = np.linalg.norm(xy[:, None] - xy[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (label[apart.argmin(axis=1)] == label).all()
    repeated, _ = place(points, "umap", seed=3)
    assert np.array_equal(xy, repeated)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_umap_of_a_few_regions_is_their_pca_and_says_so(count: int) -> None:
    points, _ = clusters(4)
    xy, method = place(points[:count], "umap", seed=0)
    assert method == "pca"
    assert np.array_equal(xy, principal(points[:count]))
    assert xy.shape == (count, 2)
    assert np.isfinite(xy).all()


@pytest.mark.slow
@pytest.mark.parametrize("count", [4, 5, 8])
def test_umap_places_as_few_as_four_regions(count: int) -> None:
    points, _ = clusters(5)
    xy, method = place(points[::4][:count], "umap", seed=0)
    assert method == "umap"
    assert np.isfinite(xy).all()
    assert len(np.unique(xy, axis=0)) == count


def test_one_dimension_still_makes_a_map() -> None:
    assert principal(np.array([[1.0], [-1.0]], dtype=np.float32)).shape == (2, 2)


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(TesseraError, match="pca or umap"):
        place(np.eye(5, dtype=np.float32), "tsne", seed=0)
