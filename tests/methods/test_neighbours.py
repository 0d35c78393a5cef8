"""Nearest neighbours, beside scikit-learn's, and the graph of who thinks whom near."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

from gancluster.methods.neighbours import nearest_neighbours, neighbour_graph


def points(n: int, d: int) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0))


def test_neighbours_are_those_of_the_whole_data_set() -> None:
    samples = points(300, 8) + 1000
    distances, places = NearestNeighbors(n_neighbors=11).fit(samples.numpy()).kneighbors(samples.numpy())
    for part in (100, 170, 300):
        found = nearest_neighbours(samples, 11, part)
        assert np.array_equal(found.places.numpy(), places)
        assert np.allclose(found.distances.numpy()[:, 1:], distances[:, 1:], atol=1e-4)


def test_the_graph_knows_who_thinks_whom_near() -> None:
    samples = points(60, 3)
    distances = torch.cdist(samples, samples).numpy()
    near = distances <= np.sort(distances, axis=1)[:, [4]]
    assert np.array_equal(neighbour_graph(samples, 5).toarray(), (near + near.T * 1.0) / 2)


def test_no_sample_has_more_neighbours_than_there_are_samples() -> None:
    assert np.array_equal(neighbour_graph(points(3, 2), 5).toarray(), np.ones((3, 3)))
