"""DASC's energy is a projection's residual; its first C is the best of diagonal 0, and tells subspaces apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from gancluster import metrics
from gancluster.methods.dasc import Subspaces, best_expression, combinations, principal, spectral_clusters

RNG = np.random.default_rng(0)


def test_the_energy_is_the_least_squares_residual_and_zero_in_the_subspace() -> None:
    subspaces = Subspaces(3, 6, 2).double()
    z = torch.from_numpy(RNG.standard_normal((20, 6)))
    energies = subspaces(z).detach().numpy()
    for k, basis in enumerate(subspaces.bases.detach().numpy()):
        _, residuals, _, _ = np.linalg.lstsq(basis, z.numpy().T, rcond=None)
        assert np.allclose(energies[:, k], residuals)
        inside = torch.from_numpy(RNG.standard_normal((5, 2)) @ basis.T)
        assert np.allclose(subspaces(inside)[:, k].detach().numpy(), 0, atol=1e-12)


def test_the_projection_is_idempotent_and_the_same_for_every_basis_of_a_subspace() -> None:
    subspaces = Subspaces(2, 5, 2).double()
    z = torch.from_numpy(RNG.standard_normal((10, 5)))
    U = torch.linalg.qr(subspaces.bases.detach()[0]).Q
    P = U @ U.T
    assert torch.allclose(P @ P, P)
    assert torch.allclose(subspaces(z)[:, 0], (z - z @ P).square().sum(1))
    before = subspaces(z)
    with torch.no_grad():
        subspaces.bases.copy_(subspaces.bases @ torch.tensor([[2.0, 1.0], [0.0, -3.0]]).double())
    assert torch.allclose(subspaces(z), before)


def test_every_row_of_the_first_c_is_the_ridge_regression_on_the_other_latents() -> None:
    z = RNG.standard_normal((12, 4))
    C = best_expression(torch.from_numpy(z), ridge=0.7).numpy()
    for i in range(12):
        others = np.delete(z, i, 0)
        expected = np.linalg.solve(others @ others.T + 0.7 * np.eye(11), others @ z[i])
        assert np.allclose(np.delete(C[i], i), expected, atol=1e-5)
        assert C[i, i] == 0


def union_of_subspaces(n_each: int, dimensions: int, size: int, n_subspaces: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Points of independent subspaces, on the unit sphere, and which each is of."""
    bases = np.linalg.qr(RNG.standard_normal((size, n_subspaces * dimensions)))[0].T.reshape(
        n_subspaces, dimensions, size
    )
    points = np.concatenate([RNG.standard_normal((n_each, dimensions)) @ own for own in bases])
    return points / np.linalg.norm(points, axis=1, keepdims=True), np.repeat(np.arange(n_subspaces), n_each)


def test_on_a_union_of_subspaces_c_has_a_block_for_each_and_k_means_cannot_tell_them() -> None:
    z, truth = union_of_subspaces(n_each=40, dimensions=3, size=16, n_subspaces=5)
    C = best_expression(torch.from_numpy(z), ridge=0.1).double().numpy()
    across = truth != truth[:, None]
    assert np.abs(C[across]).max() < 1e-6 < np.abs(C[~across]).mean()
    found = spectral_clusters(C, 5, kept=10, seed=0)
    assert metrics.scores(truth, found, 5)["acc"] == 1
    assert metrics.scores(truth, KMeans(5, n_init=10, random_state=0).fit(z).labels_, 5)["acc"] < 0.7


def test_with_noise_each_sample_is_still_nearest_to_its_own_subspace() -> None:
    z, truth = union_of_subspaces(n_each=40, dimensions=3, size=16, n_subspaces=5)
    z += 0.05 * RNG.standard_normal(z.shape)
    C = best_expression(torch.from_numpy(z), ridge=1.0).double().numpy()
    found = spectral_clusters(C, 5, kept=10, seed=0)
    subspaces = Subspaces(5, 16, 3).double()
    with torch.no_grad():
        subspaces.bases.copy_(principal(torch.from_numpy(z), torch.from_numpy(found), 5, 3))
        nearest = subspaces(torch.from_numpy(z)).argmin(1).numpy()
    assert metrics.scores(truth, nearest, 5)["acc"] > 0.98


def test_a_fake_leaves_a_subspace_as_far_as_the_members_that_it_is_made_of() -> None:
    subspaces, n = Subspaces(1, 8, 3).double(), 400
    z, clusters = torch.from_numpy(RNG.standard_normal((n, 8))), torch.zeros(n, dtype=torch.int64)
    drawn = [combinations(z, clusters, torch.from_numpy(RNG.standard_normal((n, n)))) for _ in range(20)]
    fakes = torch.cat([subspaces(fake)[:, 0] for fake in drawn])
    assert float(fakes.detach().mean()) == pytest.approx(float(subspaces(z).detach().mean()), rel=0.05)
