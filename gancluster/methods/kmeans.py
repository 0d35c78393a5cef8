"""K-means of embeddings, at unit length or as they are, as methods with a K-means rule use it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

STARTS = 20


def kmeans_centres(
    embedding: NDArray[np.float32], n_clusters: int, seed: int, unit: bool = True
) -> NDArray[np.float32]:
    """Best of 20 starts of K-means on `(n, m)`, each sample scaled to length 1 if `unit`: centres `(n_clusters, m)`."""
    from sklearn.cluster import KMeans

    samples = unit_length(embedding) if unit else embedding
    with threadpool_limits(1):  # several threads add up in any order: not the same bytes twice
        fitted = KMeans(n_clusters, n_init=STARTS, random_state=seed).fit(samples)
    return np.asarray(fitted.cluster_centers_, np.float32)


def nearest(embedding: NDArray[np.float32], centres: NDArray[np.float32], unit: bool = True) -> NDArray[np.int64]:
    """The centre nearest to each sample of `(n, m)`, scaled to length 1 if `unit`: `(n,)`."""
    samples = unit_length(embedding) if unit else embedding
    distances: NDArray[np.float32] = (centres**2).sum(1) - 2 * samples @ centres.T
    clusters: NDArray[np.int64] = distances.argmin(1)
    return clusters


def unit_length(embedding: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row divided by its Euclidean norm."""
    unit: NDArray[np.float32] = embedding / np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), 1e-12)
    return unit
