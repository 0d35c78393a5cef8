"""How good a clustering looks without labels: how much nearer samples are to their own cluster than to the next."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gancluster.metrics.clustering import Integers


def silhouette(embedding: NDArray[np.floating], clusters: Integers) -> float:
    """Mean silhouette (Rousseeuw 1987) of `clusters` `(n,)` in `embedding` `(n, m)`, in [-1, 1].

    Of a sample: (b - a) / max(a, b), where a is its mean Euclidean distance to the others of its cluster and b that to
    the samples of the nearest other cluster; 0 for one that is alone. NaN where there is one cluster only. Takes n²
    numbers of memory: give it some thousand samples.
    """
    occurring, own = np.unique(clusters, return_inverse=True)
    if len(occurring) < 2:
        return float("nan")
    members = (own[:, None] == np.arange(len(occurring))).astype(float)
    sizes = members.sum(0)
    sums = _distances(embedding.astype(float)) @ members
    here = np.arange(len(own)), own
    near = sums[here] / np.maximum(sizes[own] - 1, 1)
    means = sums / sizes
    means[here] = np.inf
    next_one = means.min(1)
    width = (next_one - near) / np.maximum(np.maximum(near, next_one), np.finfo(float).tiny)
    return float(np.where(sizes[own] > 1, width, 0.0).mean())


def _distances(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Euclidean distances `(n, n)` between the rows of `(n, m)`; exactly 0 from a row to itself."""
    centred = points - points.mean(0)
    squares = np.square(centred).sum(1)
    squared = squares[:, None] + squares - 2 * centred @ centred.T
    np.fill_diagonal(squared, 0.0)
    distances: NDArray[np.float64] = np.sqrt(np.maximum(squared, 0.0))
    return distances
