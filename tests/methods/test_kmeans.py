"""K-means of embeddings, at unit length and as they are."""

from __future__ import annotations

import numpy as np

from gancluster.methods.kmeans import kmeans_centres, nearest, unit_length


def directions(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Samples around three directions, of very different lengths, and which direction each is of."""
    rng = np.random.default_rng(seed)
    which = rng.integers(0, 3, 300)
    noisy = np.eye(3, 5)[which] + 0.1 * rng.standard_normal((300, 5))
    return (noisy * rng.uniform(0.1, 10, (300, 1))).astype(np.float32), which


def test_directions_are_found_whatever_the_lengths() -> None:
    embedding, which = directions()
    centres = kmeans_centres(embedding, 3, seed=0)
    assert centres.shape == (3, 5)
    assert centres.dtype == np.float32
    clusters = nearest(embedding, centres)
    assert len({(int(a), int(b)) for a, b in zip(which, clusters, strict=True)}) == 3


def test_nearest_is_the_least_distance_to_a_centre() -> None:
    embedding, _ = directions()
    centres = kmeans_centres(embedding, 7, seed=0)
    distances = np.linalg.norm(unit_length(embedding)[:, None] - centres, axis=2)
    clusters = nearest(embedding, centres)
    assert clusters.dtype == np.int64
    assert np.allclose(distances[np.arange(300), clusters], distances.min(1), atol=1e-6)


def test_the_same_seed_gives_the_same_centres() -> None:
    embedding, _ = directions()
    assert np.array_equal(kmeans_centres(embedding, 5, seed=3), kmeans_centres(embedding, 5, seed=3))


def test_rows_of_length_zero_stay() -> None:
    assert np.array_equal(unit_length(np.zeros((2, 3), np.float32)), np.zeros((2, 3)))


def test_lengths_tell_clusters_apart_where_they_are_kept() -> None:
    rng = np.random.default_rng(0)
    which = rng.integers(0, 2, 200)
    embedding = (np.array([[1.0, 1.0], [5.0, 5.0]])[which] + 0.1 * rng.standard_normal((200, 2))).astype(np.float32)
    clusters = nearest(embedding, kmeans_centres(embedding, 2, seed=0, unit=False), unit=False)
    assert len({(int(a), int(b)) for a, b in zip(which, clusters, strict=True)}) == 2
