"""Clusterings that need no network, as the papers' tables list them: scikit-learn's K-means and mixture of Gaussians.

A method that does not beat these has learnt nothing. All read the samples as they are, images as rows of pixels.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import sklearn.cluster
from pydantic import Field
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from gancluster.methods import base
from gancluster.methods.base import Embedding, Fit, Fitted

COMPONENTS = 50  # principal components that stand for samples
STARTS = "starts by k-means++; the best by inertia is kept"


def principal_components(samples: Embedding, components: int, seed: int) -> tuple[PCA, Embedding]:
    """A projection of samples `(n, d)` on at most so many axes of most variance, and their coordinates on these."""
    pca = PCA(min(components, *samples.shape), random_state=seed)
    return pca, np.asarray(pca.fit_transform(samples), np.float32)


def best_of(n_init: int, samples: Embedding, n_clusters: int, seed: int) -> sklearn.cluster.KMeans:
    """The best, by inertia, of `n_init` starts of K-means of samples `(n, d)`."""
    return sklearn.cluster.KMeans(n_clusters, n_init=n_init, random_state=seed).fit(samples)


class KMeansConfig(base.Config):
    """Options of K-means."""

    n_init: int = Field(20, ge=1, description=STARTS)


class KMeans(Fit):
    """K-means of the samples as they are."""

    name: ClassVar[str] = "kmeans"
    paper: ClassVar[str] = (
        "Lloyd: Least Squares Quantization in PCM, 1957/1982; k-means++ by Arthur, Vassilvitskii, 2007"
    )
    config_type: ClassVar[type[base.Config]] = KMeansConfig
    smoke: ClassVar[dict[str, Any]] = {"n_init": 1}

    def fit(self, samples: Embedding, seed: int) -> Fitted:
        found = best_of(self.config.n_init, samples, self.task.n_clusters, seed)
        _, shown = principal_components(samples, COMPONENTS, seed)
        return Fitted(found.labels_, shown, np.asarray(found.cluster_centers_, np.float32))


class PCAKMeansConfig(base.Config):
    """Options of K-means on principal components."""

    n_init: int = Field(20, ge=1, description=STARTS)
    components: int = Field(COMPONENTS, ge=1, description="principal components, at most")


class PCAKMeans(Fit):
    """K-means of principal components.

    The part of a sample outside of their span is as far from one centre as from any other, so its nearest centre in
    the span is the nearest in the samples' space.
    """

    name: ClassVar[str] = "pca-kmeans"
    paper: ClassVar[str] = "K-means (Lloyd 1957/1982) on principal components (Pearson 1901)"
    config_type: ClassVar[type[base.Config]] = PCAKMeansConfig
    smoke: ClassVar[dict[str, Any]] = {"n_init": 1}

    def fit(self, samples: Embedding, seed: int) -> Fitted:
        pca, reduced = principal_components(samples, self.config.components, seed)
        found = best_of(self.config.n_init, reduced, self.task.n_clusters, seed)
        centres = pca.inverse_transform(found.cluster_centers_)
        return Fitted(found.labels_, reduced, np.asarray(centres, np.float32))


class GMMConfig(base.Config):
    """Options of the mixture of Gaussians."""

    components: int = Field(COMPONENTS, ge=1, description="principal components that are modelled, at most")
    covariance: Literal["full", "tied", "diag", "spherical"] = Field("full", description="of each Gaussian")
    n_init: int = Field(5, ge=1, description="starts from K-means; the best by likelihood is kept")
    max_iter: int = Field(200, ge=1, description="iterations of EM of a start, at most")
    floor: float = Field(1e-6, ge=0, description="added to every variance")


class GMM(Fit):
    """A mixture of Gaussians on principal components, by EM; a sample belongs to the likeliest."""

    name: ClassVar[str] = "gmm"
    paper: ClassVar[str] = "Dempster, Laird, Rubin: Maximum Likelihood from Incomplete Data via the EM Algorithm, 1977"
    config_type: ClassVar[type[base.Config]] = GMMConfig
    smoke: ClassVar[dict[str, Any]] = {"n_init": 1, "max_iter": 10}

    def fit(self, samples: Embedding, seed: int) -> Fitted:
        c = self.config
        _, reduced = principal_components(samples, c.components, seed)
        mixture = GaussianMixture(
            self.task.n_clusters,
            covariance_type=c.covariance,
            n_init=c.n_init,
            max_iter=c.max_iter,
            reg_covar=c.floor,
            random_state=seed,
        )
        return Fitted(mixture.fit_predict(reduced), reduced)
