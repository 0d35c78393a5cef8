"""Spectral clusterings: eigenvectors of a matrix that knows which samples are near each other, made into clusters.

Normalised cuts reads a graph of nearest neighbours; SC-LS replaces the graph by a few landmarks; SEC wants the
eigenvectors to be nearly linear in the samples; LDMGI puts a discriminant model about every sample.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy import sparse
from scipy.sparse.csgraph import laplacian
from scipy.sparse.linalg import LinearOperator, aslinearoperator, eigsh
from sklearn.cluster import KMeans
from sklearn.manifold import spectral_embedding
from sklearn.neighbors import NearestNeighbors

from gancluster.methods import base
from gancluster.methods.base import Embedding, Fit, Fitted
from gancluster.methods.classical import STARTS, best_of
from gancluster.methods.neighbours import neighbour_graph

Floats = NDArray[np.floating[Any]]
DENSE = 2000  # samples whose eigenvectors are found without iterations
LANDMARK_STEPS = 5  # of K-means: landmarks have to be spread, not to be optimal


# From eigenvectors to clusters ----------------------------------------------------------------------------------------


def smallest(matrix: Any, k: int, seed: int) -> tuple[Floats, Floats]:
    """The k smallest eigenvalues, ascending, of a symmetric `(n, n)`, and their eigenvectors `(n, k)`, orthonormal.

    Above `DENSE` samples by Lanczos' method, which of equal eigenvalues (a graph in parts) may see only one. It begins
    with a product, in which a null space would be lost: hence the matrix plus I.
    """
    n, operator = matrix.shape[0], aslinearoperator(matrix)
    if n <= DENSE:
        values, vectors = scipy.linalg.eigh(operator @ np.eye(n), subset_by_index=[0, k - 1])
        return values, vectors
    start = np.random.default_rng(seed).standard_normal(n)
    shifted = operator + aslinearoperator(sparse.identity(n))
    values, vectors = eigsh(shifted, k, which="SA", v0=start, tol=1e-6, ncv=max(4 * k, 40))
    return values - 1, vectors


def discretised(vectors: Floats, seed: int, steps: int = 100) -> NDArray[np.int64]:
    """Clusters `(n,)` by the rotation of eigenvectors `(n, k)` whose rows are nearest to indicators.

    Yu and Shi, Multiclass Spectral Clustering, 2003: begins at rows that are nearly orthogonal, the first by the seed.
    """
    rows = vectors / np.linalg.norm(vectors, axis=0)
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    n, k = rows.shape
    chosen, overlap = [int(np.random.default_rng(seed).integers(n))], np.zeros(n)
    while len(chosen) < k:
        overlap += np.abs(rows @ rows[chosen[-1]])
        chosen.append(int(overlap.argmin()))
    rotation, nearness = rows[chosen].T, 0.0
    for _ in range(steps):
        clusters: NDArray[np.int64] = (rows @ rotation).argmax(1)
        left, values, right = np.linalg.svd(np.eye(k)[clusters].T @ rows)
        if values.sum() - nearness < 1e-9 * n:
            break
        rotation, nearness = (left @ right).T, values.sum()
    return clusters


# Normalised cuts ------------------------------------------------------------------------------------------------------


class NCutsConfig(base.Config):
    """Options of normalised cuts."""

    neighbours: int = Field(10, ge=1, description="nearest neighbours of a sample in the graph, itself among them")


class NCuts(Fit):
    """Few and light edges of a graph of nearest neighbours cut, for clusters of much weight."""

    name: ClassVar[str] = "n-cuts"
    paper: ClassVar[str] = "Shi, Malik: Normalized Cuts and Image Segmentation, 2000; discretised as Yu, Shi 2003"
    config_type: ClassVar[type[base.Config]] = NCutsConfig

    def fit(self, samples: Embedding, seed: int) -> Fitted:
        k, graph = self.task.n_clusters, neighbour_graph(torch.from_numpy(samples), self.config.neighbours)
        vectors = spectral_embedding(graph, n_components=k, random_state=seed, drop_first=False)
        return Fitted(discretised(vectors, seed), vectors.astype(np.float32))


# Landmarks ------------------------------------------------------------------------------------------------------------


class SCLSConfig(base.Config):
    """Options of SC-LS."""

    landmarks: int = Field(1000, ge=2, description="points that stand for all samples (p)")
    choice: Literal["k-means", "random"] = Field("k-means", description="landmarks: a few steps of K-means, or samples")
    nearest: int = Field(5, ge=1, description="landmarks that a sample is made of (r)")
    n_init: int = Field(20, ge=1, description=STARTS)


class SCLS(Fit):
    """Spectral clustering of the graph that samples make through the landmarks they are near to."""

    name: ClassVar[str] = "sc-ls"
    paper: ClassVar[str] = "Chen, Cai: Large Scale Spectral Clustering with Landmark-Based Representation, AAAI 2011"
    config_type: ClassVar[type[base.Config]] = SCLSConfig
    smoke: ClassVar[dict[str, Any]] = {"landmarks": 100, "n_init": 1}

    def fit(self, samples: Embedding, seed: int) -> Fitted:
        c = self.config
        codes = landmark_codes(samples, self.landmarks(samples, seed), c.nearest)
        vectors = leading_vectors(codes, self.task.n_clusters)
        return Fitted(best_of(c.n_init, vectors, self.task.n_clusters, seed).labels_, vectors)

    def landmarks(self, samples: Embedding, seed: int) -> Embedding:
        """The landmarks `(p, d)`."""
        p = min(self.config.landmarks, len(samples))
        if self.config.choice == "random":
            drawn: Embedding = samples[np.random.default_rng(seed).permutation(len(samples))[:p]]
            return drawn
        found = KMeans(p, init="random", n_init=1, max_iter=LANDMARK_STEPS, random_state=seed).fit(samples)
        return np.asarray(found.cluster_centers_, np.float32)


def landmark_codes(samples: Embedding, landmarks: Embedding, nearest: int) -> sparse.csr_matrix:
    """Z `(n, p)`: a sample's Gaussian weights of its nearest landmarks, of sum 1 (Eq. 4: Nadaraya-Watson).

    The width, which the paper leaves open: the mean distance of all samples to these landmarks.
    """
    n, p = len(samples), len(landmarks)
    distances, found = NearestNeighbors(n_neighbors=min(nearest, p)).fit(landmarks).kneighbors(samples)
    weights = np.exp(-(distances**2) / (2 * max(distances.mean(), 1e-12) ** 2)) + 1e-300
    weights /= weights.sum(1, keepdims=True)
    rows = np.repeat(np.arange(n), found.shape[1])
    return sparse.csr_matrix((weights.ravel(), (rows, found.ravel())), (n, p))


def leading_vectors(codes: sparse.csr_matrix, k: int) -> Embedding:
    """The k leading eigenvectors `(n, k)` of Z D⁻¹ Zᵀ, D the sums of Z's columns: left singular vectors of Z D^-1/2.

    Rows of that matrix have the sum 1, so no degrees are missing; the first eigenvalue is 1.
    """
    scale = 1 / np.sqrt(np.maximum(np.asarray(codes.sum(0)).ravel(), 1e-12))
    scaled = codes @ sparse.diags(scale)
    p = scaled.shape[1]
    values, right = scipy.linalg.eigh((scaled.T @ scaled).toarray(), subset_by_index=[max(p - k, 0), p - 1])
    left = scaled @ right[:, ::-1] / np.sqrt(np.maximum(values[::-1], 1e-12))
    return np.asarray(left, np.float32)


# Spectral embedded clustering -----------------------------------------------------------------------------------------


class SECConfig(base.Config):
    """Options of SEC."""

    neighbours: int = Field(10, ge=1, description="nearest neighbours of a sample in the graph, itself among them")
    linear_weight: float = Field(1.0, gt=0, description="weight of what is not linear in the samples (µ)")
    ridge: float = Field(1.0, gt=0, description="weight of the linear map's squares, within that (γ)")


class SEC(Fit):
    """Spectral clustering whose indicators F are also nearly a linear map of the samples.

    Minimises tr(Fᵀ L F) + µ (|X W + 1 bᵀ - F|² + γ |W|²) over F with FᵀF = I, W and b, L the normalised Laplacian.
    """

    name: ClassVar[str] = "sec"
    paper: ClassVar[str] = (
        "Nie, Zeng, Tsang, Xu, Zhang: Spectral Embedded Clustering, IEEE Trans. Neural Networks 2011 (IJCAI 2009)"
    )
    config_type: ClassVar[type[base.Config]] = SECConfig

    def fit(self, samples: Embedding, seed: int) -> Fitted:
        _, F = smallest(self.matrix(samples), self.task.n_clusters, seed)
        return Fitted(discretised(F, seed), F.astype(np.float32))

    def matrix(self, samples: Embedding) -> LinearOperator:
        """L + µ (H - X (XᵀX + γ I)⁻¹ Xᵀ), X centred: what is left once W and b have their best values."""
        c, n = self.config, len(samples)
        L = laplacian(neighbour_graph(torch.from_numpy(samples), c.neighbours), normed=True).astype(np.float64)
        X = samples.astype(np.float64) - samples.mean(0, dtype=np.float64)
        factor = scipy.linalg.cho_factor(X.T @ X + c.ridge * np.eye(X.shape[1]))

        def apply(F: Floats) -> Floats:
            F = F.reshape(n)
            residual = F - F.mean() - X @ scipy.linalg.cho_solve(factor, X.T @ F)
            product: Floats = L @ F + c.linear_weight * residual
            return product

        return LinearOperator((n, n), matvec=apply, dtype=np.float64)


# Local discriminant models --------------------------------------------------------------------------------------------


class LDMGIConfig(base.Config):
    """Options of LDMGI."""

    neighbours: int = Field(5, ge=2, description="samples of a clique: one and its nearest neighbours (k)")
    ridge: float = Field(1.0, gt=0, description="added to a clique's scatter (λ)")


class LDMGI(Fit):
    """A linear discriminant model in every sample's neighbourhood; the indicators that please all of them together."""

    name: ClassVar[str] = "ldmgi"
    paper: ClassVar[str] = (
        "Yang, Xu, Nie, Yan, Zhuang: Image Clustering Using Local Discriminant Models and Global Integration, "
        "IEEE Trans. Image Processing 2010"
    )
    config_type: ClassVar[type[base.Config]] = LDMGIConfig

    def fit(self, samples: Embedding, seed: int) -> Fitted:
        matrix = integrated(samples, min(self.config.neighbours, len(samples)), self.config.ridge)
        _, G = smallest(matrix, self.task.n_clusters, seed)
        return Fitted(discretised(G, seed), G.astype(np.float32))


def integrated(samples: Embedding, size: int, ridge: float) -> sparse.csr_matrix:
    """The sum `(n, n)` over cliques of λ H (X̃ᵀX̃ + λ I)⁻¹ H, H = I - 11ᵀ/k, X̃ the clique's samples less their mean.

    For indicators G of a clique, tr(Gᵀ H G) - tr((S + λ I)⁻¹ S_b): what the discriminant model leaves unexplained.
    """
    n = len(samples)
    cliques = NearestNeighbors(n_neighbors=size).fit(samples).kneighbors(samples, return_distance=False)
    H, parts = np.eye(size) - 1 / size, []
    for some in np.array_split(cliques, max(n // 1000, 1)):
        X = H @ samples[some].astype(np.float64)
        parts.append(ridge * H @ np.linalg.inv(X @ X.transpose(0, 2, 1) + ridge * np.eye(size)) @ H)
    rows, columns = np.repeat(cliques, size, axis=1).ravel(), np.tile(cliques, size).ravel()
    return sparse.csr_matrix((np.concatenate(parts).ravel(), (rows, columns)), (n, n))
