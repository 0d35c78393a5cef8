"""Spectral clusterings: their matrices by brute force, their eigenvectors, and what K-means cannot see."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from numpy.typing import NDArray
from sklearn.cluster import SpectralClustering

from gancluster import metrics
from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset
from gancluster.methods import spectral
from gancluster.methods.base import Fit, Task
from gancluster.methods.classical import KMeans
from gancluster.methods.neighbours import neighbour_graph
from gancluster.methods.spectral import (
    LDMGI,
    SCLS,
    SEC,
    NCuts,
    discretised,
    integrated,
    landmark_codes,
    leading_vectors,
    smallest,
)
from gancluster.runs.fits import flat

Floats = NDArray[Any]


def rings(n: int = 400) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Points `(n, 2)` of two rings, one within the other."""
    rng = np.random.default_rng(0)
    classes, angle = np.arange(n) % 2, rng.uniform(0, 2 * np.pi, n)
    radius = 1 + 2 * classes + 0.1 * rng.standard_normal(n)
    return (radius * [np.cos(angle), np.sin(angle)]).T.astype(np.float32), classes


def points(n: int = 40, d: int = 3) -> NDArray[np.float32]:
    return np.random.default_rng(1).standard_normal((n, d)).astype(np.float32)


def acc(method: type[Fit], samples: NDArray[np.float32], classes: NDArray[np.int64], **options: Any) -> float:
    k = int(classes.max()) + 1
    found = method(method.config_type(**options), Task(samples.shape[1:], k, len(samples))).fit(samples, 0)
    return metrics.scores(classes, found.clusters.astype(np.int64), k)["acc"]


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (NCuts, {}),
        (SCLS, {"landmarks": 60, "nearest": 3}),
        (SCLS, {"landmarks": 100, "nearest": 3, "choice": "random"}),
        (SEC, {"linear_weight": 1e-6}),
        (LDMGI, {"neighbours": 10}),
    ],
)
def test_rings_are_told_apart(method: type[Fit], options: dict[str, Any]) -> None:
    assert acc(method, *rings(), **options) == 1.0
    assert acc(KMeans, *rings()) < 0.7


def test_indicators_are_found_again_in_whatever_basis() -> None:
    classes = np.random.default_rng(0).integers(0, 4, 100)
    indicators = np.eye(4)[classes] / np.sqrt(np.bincount(classes))
    rotation = scipy.linalg.qr(np.random.default_rng(1).standard_normal((4, 4)))[0]
    found = discretised(indicators @ rotation, seed=0)
    assert metrics.ari(metrics.contingency(classes, found)) == 1.0


def test_normalised_cuts_are_those_of_scikit_learn(digits: Dataset) -> None:
    samples = flat(Batches(digits.unlabelled()))
    ours = NCuts(NCuts.config_type(), Task((64,), 10, 240)).fit(samples, 0).clusters
    model = SpectralClustering(10, affinity="nearest_neighbors", assign_labels="discretize", random_state=0)
    assert metrics.ari(metrics.contingency(model.fit_predict(samples).astype(np.int64), ours)) > 0.95


@pytest.mark.parametrize("dense", [0, 240])
def test_the_smallest_eigenvalues_are_found(dense: int, digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectral, "DENSE", dense)
    matrix = integrated(flat(Batches(digits.unlabelled())), 5, 1.0)
    values, vectors = smallest(matrix, 6, seed=0)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(matrix.toarray())[:6], atol=1e-5)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(6), atol=1e-6)


# SC-LS ----------------------------------------------------------------------------------------------------------------


def test_a_sample_s_code_weighs_its_nearest_landmarks() -> None:
    samples, landmarks = points(), points(12)[::-1] + 0.5
    codes = landmark_codes(samples, landmarks, 4).toarray()
    distances = np.linalg.norm(samples[:, None] - landmarks, axis=2)
    kept = distances <= np.sort(distances, axis=1)[:, [3]]
    width = distances[kept].mean()
    weights = np.where(kept, np.exp(-(distances**2) / (2 * width**2)), 0)
    np.testing.assert_allclose(codes, weights / weights.sum(1, keepdims=True), atol=1e-6)


def test_its_vectors_are_the_leading_eigenvectors_of_the_graph_through_landmarks() -> None:
    codes = landmark_codes(points(), points(12)[::-1] + 0.5, 4)
    dense = codes.toarray()
    graph = dense @ np.diag(1 / np.maximum(dense.sum(0), 1e-12)) @ dense.T
    np.testing.assert_allclose(graph.sum(1), 1)
    values = np.linalg.eigvalsh(graph)[::-1][:5]
    vectors = leading_vectors(codes, 5).astype(np.float64)
    assert values[0] == pytest.approx(1)
    np.testing.assert_allclose(graph @ vectors, vectors * values, atol=1e-6)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(5), atol=1e-5)
    np.testing.assert_allclose(np.abs(vectors[:, 0]), 1 / np.sqrt(40), atol=1e-6)


# SEC ------------------------------------------------------------------------------------------------------------------


def objective(samples: Floats, F: Floats, W: Floats, b: Floats, mu: float, gamma: float) -> float:
    """tr(Fᵀ L F) + µ (|X W + 1 bᵀ - F|² + γ |W|²), with L spelt out."""
    graph = neighbour_graph(torch.from_numpy(samples), 5).toarray()
    np.fill_diagonal(graph, 0)
    scale = 1 / np.sqrt(graph.sum(1))
    L = np.eye(len(graph)) - scale[:, None] * graph * scale
    misfit = np.square(samples @ W + b - F).sum() + gamma * np.square(W).sum()
    return float(np.trace(F.T @ L @ F) + mu * misfit)


def best_map(samples: Floats, F: Floats, gamma: float) -> tuple[Floats, Floats]:
    """The W and b of least misfit, by ordinary least squares on rows added for the ridge."""
    n, d = samples.shape
    left = np.block([[samples, np.ones((n, 1))], [np.sqrt(gamma) * np.eye(d), np.zeros((d, 1))]])
    found = np.linalg.lstsq(left, np.vstack([F, np.zeros((d, F.shape[1]))]), rcond=None)[0]
    return found[:-1], found[-1]


def test_sec_s_objective_at_its_optimum_is_the_sum_of_eigenvalues_and_nothing_is_below() -> None:
    samples, mu, gamma, k = points().astype(np.float64), 0.7, 0.3, 4
    method = SEC(SEC.config_type(neighbours=5, linear_weight=mu, ridge=gamma), Task((3,), k, 40))
    values, F = smallest(method.matrix(samples.astype(np.float32)), k, seed=0)
    least = objective(samples, F, *best_map(samples, F, gamma), mu, gamma)
    assert least == pytest.approx(values.sum(), abs=1e-5)
    rng = np.random.default_rng(0)
    for size in (0.01, 0.1, 10.0):
        other = scipy.linalg.qr(F + size * rng.standard_normal(F.shape), mode="economic")[0]
        assert objective(samples, other, *best_map(samples, other, gamma), mu, gamma) > least
    W, b = best_map(samples, F, gamma)
    assert objective(samples, F, W + 0.01, b, mu, gamma) > least
    assert objective(samples, F, W, b + 0.01, mu, gamma) > least


# LDMGI ----------------------------------------------------------------------------------------------------------------


def test_ldmgi_s_matrix_sums_what_discriminant_models_of_cliques_leave() -> None:
    samples, size, ridge = points(30).astype(np.float64), 5, 0.4
    distances, wanted = np.linalg.norm(samples[:, None] - samples, axis=2), np.zeros((30, 30))
    H = np.eye(size) - 1 / size
    for clique in np.argsort(distances, axis=1)[:, :size]:
        X = (H @ samples[clique]).T
        scatter = X @ X.T + ridge * np.eye(3)
        wanted[np.ix_(clique, clique)] += H - X.T @ np.linalg.solve(scatter, X)
    found = integrated(samples.astype(np.float32), size, ridge).toarray()
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    np.testing.assert_allclose(found.sum(1), 0, atol=1e-8)
    assert np.linalg.eigvalsh(found).min() > -1e-8
