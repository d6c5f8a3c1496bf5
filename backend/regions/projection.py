"""A flat map of regions: their exemplars in two dimensions, by PCA or UMAP.

UMAP: McInnes, Healy, Melville (2018), by umap-learn. Distances on a map are those of neighbours
at best; what is far apart on it may be near in the model.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any, Literal

import numpy as np

from backend import run
from backend.regions import partitioning
from backend.schema import Partition, TesseraError
from backend.store.memo import memoize

NEIGHBOURS = 15  # that UMAP keeps near each point
FEWEST = 4  # regions for which UMAP has neighbours to arrange
SPREAD = 10.0  # width of the map that UMAP starts from


@memoize("regions.layout", version=1, kind=lambda _partition, method: method)
def layout(partition: Partition, method: Literal["pca", "umap"]) -> dict[str, Any]:
    """`xy` [K, 2] float32, one row per region; and the `method` it came by in the end: UMAP of
    fewer than four regions is their PCA.

    Raises:
        TesseraError: there is no such method.
    """
    entry = partitioning.build_partition(partition)
    exemplars = np.array(entry.array("exemplars"))
    run.report(0, 1, f"Laying out {len(exemplars):,} regions", "layouts")
    xy, used = place(exemplars, method, partition.spec.seed)
    return {"xy": xy, "method": used}


def place(exemplars: np.ndarray, method: str, seed: int) -> tuple[np.ndarray, str]:
    """[K, 2] float32 places of unit vectors [K, width], and the method that made them."""
    if method not in ("pca", "umap"):
        raise TesseraError(f"There is no layout called {method!r}.", "Use pca or umap.")
    flat = principal(exemplars)
    if method == "pca" or len(exemplars) < FEWEST:
        return flat, "pca"
    return _umap(exemplars, flat, seed), "umap"


def principal(exemplars: np.ndarray) -> np.ndarray:
    """[K, 2] float32 coordinates along the two directions of most variance; along each, the
    direction's largest component is positive, so the same points give the same map."""
    with run.timing("sklearn"):
        from sklearn.decomposition import PCA  # takes a second to import

    flat = np.zeros((len(exemplars), 2), dtype=np.float32)
    if np.ptp(exemplars, axis=0).any():  # points that are all the same vary in no direction
        axes = min(2, *exemplars.shape)
        reducer = PCA(axes, svd_solver="covariance_eigh")
        flat[:, :axes] = reducer.fit_transform(exemplars.astype(np.float64))
    return flat


def _umap(exemplars: np.ndarray, start: np.ndarray, seed: int) -> np.ndarray:
    """UMAP by cosine from a PCA start: the same on every run, and global order is kept."""
    _compile_umap()
    wide = np.ptp(start, axis=0).max()
    return _fit_umap(exemplars, start * (SPREAD / wide) if wide > 0 else "random", seed)


@functools.cache
@run.timing("umap")
def _compile_umap() -> None:
    """Lets a process import and compile UMAP, which takes seconds and is no work of any one map."""
    few = np.eye(2 * FEWEST, dtype=np.float32)
    _fit_umap(few, few[:, :2], seed=0)


def _fit_umap(points: np.ndarray, start: np.ndarray | str, seed: int) -> np.ndarray:
    with warnings.catch_warnings():  # of TensorFlow, which is not needed, being absent
        warnings.simplefilter("ignore", ImportWarning)
        from umap import UMAP  # here, because importing it takes seconds

    reducer = UMAP(
        n_neighbors=min(NEIGHBOURS, len(points) - 1),
        metric="cosine",
        init=start,  # type: ignore[arg-type]  # it takes an array, too
        random_state=seed,
        n_jobs=1,  # what a fixed seed needs
    )
    return np.asarray(reducer.fit_transform(points), dtype=np.float32)
