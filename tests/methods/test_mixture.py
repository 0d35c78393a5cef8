"""Mixtures of latents: scores and draws are those of their Gaussians, fits leave no cluster empty and keep numbers."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from gancluster.errors import DataError
from gancluster.methods.mixture import Mixture, Model, Points, fitted, moments, partition

everywhere = pytest.mark.parametrize("model", get_args(Model))
K, D, N = 3, 2, 600


def blobs(seed: int = 0, n: int = N) -> Points:
    """Three oblique blobs of the plane, of unequal size."""
    rng = np.random.default_rng(seed)
    centres = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 7.0]])
    which = rng.choice(K, n, p=[0.5, 0.3, 0.2])
    return centres[which] + rng.standard_normal((n, D)) @ np.array([[1.0, 0.6], [0.0, 0.5]])


def theta(model: Model, latents: Points | None = None, floor: float = 0.05) -> Mixture:
    latents = blobs() if latents is None else latents
    mixture = Mixture(K, D, len(latents), model).double()
    mixture.fit(torch.from_numpy(latents), floor, seed=0)
    return mixture


@pytest.mark.parametrize("model", ["gmm", "gmm-diag"])
def test_scores_are_joint_log_densities(model: Model) -> None:
    mixture, latents = theta(model), blobs(1)
    covariances = mixture.factors @ mixture.factors.mT
    for k, share in enumerate(mixture.shares):
        density = multivariate_normal(mixture.means[k].numpy(), covariances[k].numpy()).logpdf(latents)
        expected = torch.from_numpy(density) + share.log() + D / 2 * np.log(2 * np.pi)
        assert torch.allclose(mixture(torch.from_numpy(latents))[:, k], expected)


@everywhere
def test_points_are_drawn_from_the_gaussian_of_their_cluster(model: Model) -> None:
    mixture = theta(model)
    normal = torch.randn(60_000, D, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for k, mean in enumerate(mixture.means):
        points = mixture(torch.full((len(normal),), k), normal)
        assert torch.allclose(points.mean(0), mean, atol=0.03)
        assert torch.allclose(torch.cov(points.T), mixture.factors[k] @ mixture.factors[k].T, atol=0.05)


def test_k_means_gives_the_nearest_mean_and_em_what_scikit_learn_finds() -> None:
    latents = blobs()
    found = theta("kmeans")(torch.from_numpy(latents)).argmax(1).numpy()
    means = theta("kmeans").means.numpy()
    assert np.array_equal(found, ((latents[:, None] - means) ** 2).sum(2).argmin(1))
    theirs = GaussianMixture(K, reg_covar=0.05**2, n_init=5, random_state=0, tol=1e-6).fit(latents)
    ours = theta("gmm")
    order = ours.means[:, 0].argsort()
    assert np.allclose(ours.means[order], theirs.means_[theirs.means_[:, 0].argsort()], atol=0.05)


@everywhere
def test_a_second_fit_keeps_the_numbers_of_clusters_and_tells_how_many_samples_changed(model: Model) -> None:
    latents = torch.from_numpy(blobs())
    mixture = theta(model)
    before, first = mixture.clusters.clone(), float(mixture())
    mixture.fit(latents + 0.05, 0.05, seed=1)
    assert first == 1.0
    assert float(mixture()) == float((mixture.clusters != before).double().mean()) < 0.01


def test_held_clusters_stay_and_theta_says_how_many_latents_it_would_put_elsewhere() -> None:
    latents = torch.from_numpy(blobs())
    mixture = theta("kmeans")
    held = mixture.clusters.clone()
    held[:60] = (held[:60] + 1) % K
    mixture.hold(latents, held, 0.05)
    assert torch.equal(mixture.clusters, held)
    assert torch.allclose(mixture.means[0], latents[held == 0].mean(0))
    assert float(mixture()) == pytest.approx(0.1, abs=0.01)


@everywhere
def test_no_cluster_is_empty_though_latents_collapse(model: Model) -> None:
    mixture = theta(model)
    before = mixture.clusters.clone()
    mixture.fit(torch.zeros(N, D, dtype=torch.float64), 0.05, seed=0)
    assert torch.equal(mixture.clusters, before)
    assert torch.isfinite(mixture(torch.zeros(1, D, dtype=torch.float64))).all()


def test_em_that_would_leave_a_cluster_empty_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GaussianMixture, "fit_predict", lambda self, latents: np.zeros(len(latents), int))
    monkeypatch.setattr(GaussianMixture, "covariances_", np.ones((K, D, D)), raising=False)
    monkeypatch.setattr(GaussianMixture, "weights_", np.ones(K) / K, raising=False)
    monkeypatch.setattr(GaussianMixture, "means_", np.zeros((K, D)), raising=False)
    _, clusters = fitted(blobs(), K, "gmm", 0.1, seed=0)
    assert len(np.unique(clusters)) == K


@everywhere
@pytest.mark.parametrize("floor", [0.01, 0.3])
def test_no_deviation_is_below_the_floor(model: Model, floor: float) -> None:
    flat = blobs() * np.array([1.0, 0.0])
    deviations = torch.linalg.svdvals(theta(model, flat, floor).factors)
    assert float(deviations.min()) >= floor * (1 - 1e-9)


def test_moments_are_those_of_each_cluster() -> None:
    latents, clusters = blobs(), np.arange(N) % K
    found = moments(latents, clusters, K, floor=0.5)
    for k in range(K):
        own = latents[clusters == k]
        assert np.allclose(found.means[k], own.mean(0))
        assert np.allclose(found.covariances[k], np.diag(own.var(0) + 0.25))
    assert np.allclose(found.shares, 1 / 3)


def test_more_clusters_than_distinct_latents_are_refused_in_one_line() -> None:
    with pytest.raises(DataError, match="only 2 latents are distinct, too few for 3 clusters") as caught:
        partition(np.repeat([[0.0, 1.0], [2.0, 3.0]], 10, axis=0), 3, seed=0, before=None)
    assert "\n" not in str(caught.value)
