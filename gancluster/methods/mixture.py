"""The clustering model θ of latents: a Gaussian a cluster, fitted by K-means or EM, that points are drawn from."""

from __future__ import annotations

import warnings
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from gancluster import metrics
from gancluster.errors import DataError
from gancluster.methods.kmeans import STARTS

Model = Literal["kmeans", "gmm", "gmm-diag"]
Points = NDArray[np.float64]
Clusters = NDArray[np.int64]
FRESH = 3  # starts of K-means beside the partition that it goes on from
BETTER = 0.999  # of whose inertia a fresh one must have less


class Theta(NamedTuple):
    """K Gaussians in d dimensions: shares `(K,)`, means `(K, d)`, covariances `(K, d, d)`."""

    shares: Points
    means: Points
    covariances: Points


class Mixture(nn.Module):
    """θ, a player that nobody trains.

    Latents `(b, d)` → their scores `(b, K)`: `log p(k, z)` but for a constant, or by K-means `-||z - μ_k||² / 2`; the
    cluster is the largest. Clusters `(b,)` with `normal` `(b, d)` → a point `(b, d)` drawn from each one's Gaussian.
    Nothing → the share of samples whose cluster the latest fit has changed.
    """

    shares: Tensor
    means: Tensor
    factors: Tensor
    clusters: Tensor
    changed: Tensor

    def __init__(self, n_clusters: int, size: int, n_samples: int, model: Model) -> None:
        super().__init__()
        self.model, self.n_clusters = model, n_clusters
        self.register_buffer("shares", torch.full((n_clusters,), 1 / n_clusters))
        self.register_buffer("means", torch.zeros(n_clusters, size))
        self.register_buffer("factors", torch.eye(size).repeat(n_clusters, 1, 1))  # L, of covariances L Lᵀ
        self.register_buffer("clusters", torch.full((n_samples,), -1))
        self.register_buffer("changed", torch.ones(()))

    def forward(self, z: Tensor | None = None, normal: Tensor | None = None) -> Tensor:
        if z is None:
            return self.changed
        if normal is None:
            return self.scores(z)
        return self.means[z] + (self.factors[z] @ normal[:, :, None])[:, :, 0]

    def scores(self, z: Tensor) -> Tensor:
        off = z - self.means[:, None]  # (K, b, d)
        if self.model == "kmeans":
            return off.square().sum(2).T / -2
        within: Tensor = torch.linalg.solve_triangular(self.factors, off.mT, upper=False)
        log_size = self.factors.diagonal(dim1=1, dim2=2).log().sum(1)
        return self.shares.log() - log_size - within.square().sum(1).T / 2

    @torch.no_grad()
    def fit(self, latents: Tensor, floor: float, seed: int) -> None:
        """Become the θ of `latents` `(n, d)`, from their clusters of the last fit on; `floor` as in `fitted`."""
        before = self.clusters.cpu().numpy() if bool((self.clusters >= 0).all()) else None
        theta, clusters = fitted(latents.double().cpu().numpy(), self.n_clusters, self.model, floor, seed, before)
        self._become(theta, clusters, 1.0 if before is None else (clusters != before).mean())

    @torch.no_grad()
    def hold(self, latents: Tensor, clusters: Tensor, floor: float) -> None:
        """Become the Gaussians, of diagonal covariance, of given clusters `(n,)`; changed: whom θ puts elsewhere."""
        held = clusters.cpu().numpy()
        self._become(moments(latents.double().cpu().numpy(), held, self.n_clusters, floor), held, 0.0)
        self.changed.copy_((self.scores(latents).argmax(1) != clusters).double().mean())

    def _become(self, theta: Theta, clusters: Clusters, changed: float) -> None:
        found = (theta.shares, theta.means, np.linalg.cholesky(theta.covariances), clusters, np.array(changed))
        for buffer, values in zip(self.buffers(), found, strict=True):
            buffer.copy_(torch.from_numpy(values))


def fitted(
    latents: Points, n_clusters: int, model: Model, floor: float, seed: int, before: Clusters | None = None
) -> tuple[Theta, Clusters]:
    """θ of latents `(n, d)` and their clusters `(n,)`, of which none is empty.

    K-means, from the partition `before` if there is one; then EM from there, if asked, unless that leaves one empty.
    No deviation is below `floor`, whose square is added to every variance.
    """
    clusters = partition(latents, n_clusters, seed, before)
    theta = moments(latents, clusters, n_clusters, floor)
    if model == "kmeans":
        return theta, clusters
    likelier, found = expectation_maximisation(latents, theta, model, floor, seed)
    return (likelier, found) if len(np.unique(found)) == n_clusters else (theta, clusters)


def partition(latents: Points, n_clusters: int, seed: int, before: Clusters | None = None) -> Clusters:
    """K-means' clusters `(n,)`: the best of 20 starts, or from the partition `before` on, or of a few starts if better.

    They are numbered as those `before` that they have most samples of, one to one. Where a cluster would be empty it is
    `before`, which has no empty one. `DataError` where fewer latents than clusters are distinct.
    """
    if before is None:
        if (distinct := len(np.unique(latents, axis=0))) < n_clusters:
            raise DataError(
                f"only {distinct} latents are distinct, too few for {n_clusters} clusters: lower --clusters"
            )
        return k_means(latents, n_clusters, seed, "k-means++", STARTS)[0]
    found, inertia = k_means(latents, n_clusters, seed, moments(latents, before, n_clusters, 0.0).means, 1)
    fresh, less = k_means(latents, n_clusters, seed, "k-means++", FRESH)
    if less < BETTER * inertia:
        found = metrics.matching(metrics.contingency(before, fresh, n_clusters))[fresh]
    return found if len(np.unique(found)) == n_clusters else before


def k_means(latents: Points, n_clusters: int, seed: int, init: Any, n_init: int) -> tuple[Clusters, float]:
    """Clusters `(n,)` by scikit-learn's K-means, and their inertia."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with threadpool_limits(1), warnings.catch_warnings():  # several threads add up in any order: not the same bytes
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = KMeans(n_clusters, init=init, n_init=n_init, random_state=seed).fit(latents)
    return found.labels_.astype(np.int64), float(found.inertia_)


def moments(latents: Points, clusters: Clusters, n_clusters: int, floor: float) -> Theta:
    """Shares, means and diagonal covariances of a partition without empty clusters."""
    members = (clusters == np.arange(n_clusters)[:, None]).astype(np.float64)
    members /= members.sum(1, keepdims=True)
    means = members @ latents
    variances = np.maximum(members @ latents**2 - means**2, 0) + floor**2
    return Theta(np.bincount(clusters) / len(clusters), means, variances[:, :, None] * np.eye(latents.shape[1]))


def expectation_maximisation(
    latents: Points, start: Theta, model: Model, floor: float, seed: int
) -> tuple[Theta, Clusters]:
    """θ by EM from `start`, and the likeliest Gaussian of each latent `(n,)`."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    full, precisions = model == "gmm", np.linalg.inv(start.covariances)
    mixture = GaussianMixture(
        len(start.means),
        covariance_type="full" if full else "diag",
        reg_covar=floor**2,
        weights_init=start.shares,
        means_init=start.means,
        precisions_init=precisions if full else precisions.diagonal(axis1=1, axis2=2),
        random_state=seed,
    )
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clusters = mixture.fit_predict(latents).astype(np.int64)
    covariances = mixture.covariances_
    theta = covariances if full else covariances[:, :, None] * np.eye(latents.shape[1])
    return Theta(mixture.weights_, mixture.means_, theta), clusters
