"""Clustering by factorising the matrix of samples: NMF, and deep semi-NMF, the papers' NMF-D.

Samples are rows here: X `(n, d)` ≈ H F with parts F `(k, d)` and weights H `(n, k)` ≥ 0.
"""

from __future__ import annotations

from functools import reduce
from typing import Any, ClassVar, Literal

import numpy as np
import sklearn.decomposition
from numpy.typing import NDArray
from pydantic import Field
from sklearn.cluster import KMeans

from gancluster.errors import DataError
from gancluster.methods import base
from gancluster.methods.base import Embedding, Fit, Fitted
from gancluster.methods.classical import STARTS, best_of

Floats = NDArray[np.floating[Any]]


class NMFConfig(base.Config):
    """Options of NMF."""

    rule: Literal["largest", "k-means"] = Field(
        "largest", description="a sample's cluster: its largest part, or K-means"
    )
    n_init: int = Field(20, ge=1, description=f"{STARTS} (rule k-means)")
    max_iter: int = Field(500, ge=1, description="steps of coordinate descent, at most")


class NMF(Fit):
    """K non-negative parts; a sample belongs to the part that it has most of."""

    name: ClassVar[str] = "nmf"
    paper: ClassVar[str] = (
        "Lee, Seung: Learning the Parts of Objects by Non-negative Matrix Factorization, 1999; "
        "clusters as Xu, Liu, Gong: Document Clustering Based on Non-negative Matrix Factorization, 2003"
    )
    config_type: ClassVar[type[base.Config]] = NMFConfig
    smoke: ClassVar[dict[str, Any]] = {"max_iter": 20}

    def fit(self, samples: Embedding, seed: int) -> Fitted:
        c, k = self.config, self.task.n_clusters
        above = samples - self.task.pixel_range[0] if self.task.is_images else samples
        if above.min() < 0:
            raise DataError("nmf takes no negative values: shift the samples, or try deep-semi-nmf")
        model = sklearn.decomposition.NMF(k, init="nndsvda", max_iter=c.max_iter, random_state=seed)
        H = at_unit_parts(model.fit_transform(above), model.components_)
        return Fitted(H.argmax(1) if c.rule == "largest" else best_of(c.n_init, H, k, seed).labels_, H)


def at_unit_parts(H: Floats, F: Floats) -> Embedding:
    """The weights `(n, k)` that give the same H F with parts of length 1: else their scales mean nothing."""
    weights: Embedding = (H * np.linalg.norm(F, axis=1)).astype(np.float32)
    return weights


class DeepSemiNMFConfig(base.Config):
    """Options of deep semi-NMF."""

    hidden: int = Field(40, ge=2, description="parts of the first layer")
    top: int = Field(20, ge=2, description="parts of the second layer, whose weights are clustered")
    layer_steps: int = Field(100, ge=1, description="updates of each layer by itself, before")
    steps: int = Field(200, ge=0, description="updates of all layers together")
    unit_parts: bool = Field(True, description="extension: weights are clustered at parts of length 1")
    n_init: int = Field(20, ge=1, description=STARTS)


class DeepSemiNMF(Fit):
    """X ≈ H F₂ F₁ with H ≥ 0: parts made of parts; K-means of the top weights H.

    Each layer first by itself, then all together: every F is set to its least squares, H takes a multiplicative step.
    The weights of the layer between, which the paper updates too, occur in neither.
    """

    name: ClassVar[str] = "deep-semi-nmf"
    paper: ClassVar[str] = (
        "Trigeorgis, Bousmalis, Zafeiriou, Schuller: A Deep Semi-NMF Model for Learning Hidden Representations, "
        "ICML 2014"
    )
    config_type: ClassVar[type[base.Config]] = DeepSemiNMFConfig
    as_printed: ClassVar[dict[str, Any]] = {"unit_parts": False}
    smoke: ClassVar[dict[str, Any]] = {"layer_steps": 5, "steps": 5, "n_init": 1}

    def fit(self, samples: Embedding, seed: int) -> Fitted:
        c, X = self.config, samples.astype(np.float64)
        hidden, first = semi_nmf(X, min(c.hidden, len(X)), c.layer_steps, seed)
        H, second = semi_nmf(hidden, min(c.top, len(X)), c.layer_steps, seed)
        layers = [first, second]
        for _ in range(c.steps):
            H, layers = tuned(X, H, layers)
        top = at_unit_parts(H, layers[1] @ layers[0]) if c.unit_parts else H.astype(np.float32)
        return Fitted(best_of(c.n_init, top, self.task.n_clusters, seed).labels_, top)

    def extensions(self) -> list[str]:
        return ["parts of length 1"] if self.config.unit_parts else []


def semi_nmf(X: Floats, k: int, steps: int, seed: int) -> tuple[Floats, Floats]:
    """Weights H `(n, k)` ≥ 0 and parts F `(k, d)` of X (Ding, Li, Jordan 2010), from K-means."""
    found = KMeans(k, n_init=1, random_state=seed).fit(X)
    H = np.eye(k)[found.labels_] + 0.2
    for _ in range(steps):
        H = reweighted(X, H, parts(X, H))
    return H, parts(X, H)


def tuned(X: Floats, H: Floats, layers: list[Floats]) -> tuple[Floats, list[Floats]]:
    """One update of all layers and then of H; |X - H … F₂ F₁|² does not grow."""
    layers = list(layers)
    for i in range(len(layers)):
        above = reduce(np.matmul, layers[:i:-1], H)
        below = reduce(np.matmul, layers[:i][::-1]) if i else None
        layers[i] = parts(X, above) if below is None else parts(X, above) @ np.linalg.pinv(below)
    return reweighted(X, H, reduce(np.matmul, layers[::-1])), layers


def parts(X: Floats, H: Floats) -> Floats:
    """The least-squares F `(k, d)` of X ≈ H F."""
    return np.linalg.pinv(H.T @ H, hermitian=True) @ (H.T @ X)


def reweighted(X: Floats, H: Floats, F: Floats) -> Floats:
    """H after a multiplicative step down |X - H F|², which keeps it non-negative."""
    fit, among = X @ F.T, F @ F.T
    up = np.maximum(fit, 0) + H @ np.maximum(-among, 0)
    down = np.maximum(-fit, 0) + H @ np.maximum(among, 0)
    return H * np.sqrt(up / np.maximum(down, 1e-12))
