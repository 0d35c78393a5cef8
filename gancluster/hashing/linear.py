"""Hashes whose bits are the sides of hyperplanes through the mean: LSH, PCAH, ITQ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes
from scipy.stats import ortho_group

from gancluster.hashing.base import Codes, Matrix
from gancluster.hashing.principal import principal, require_axes

ITERATIONS = 50  # of ITQ: its paper's number


@dataclass(frozen=True)
class Hyperplanes:
    """Bit k of x is whether `(x - mean) @ axes[:, k] > 0`; `mean` `(d,)`, `axes` `(d, bits)`."""

    mean: NDArray[np.float64]
    axes: Matrix

    def __call__(self, samples: Matrix) -> Codes:
        sides: Codes = (samples - self.mean) @ self.axes > 0
        return sides


def lsh(samples: Matrix, bits: int, seed: int) -> Hyperplanes:
    """Random hyperplanes with Gaussian normals (Charikar 2002).

    Two samples at an angle t, seen from the mean, share a bit with probability 1 - t / pi.
    """
    normals = np.random.default_rng(seed).standard_normal((samples.shape[1], bits))
    return Hyperplanes(samples.mean(0), normals)


def pcah(samples: Matrix, bits: int, seed: int) -> Hyperplanes:
    """The signs of the first `bits` principal components (Wang et al. 2010)."""
    found = require_axes(principal(samples, bits), bits)
    return Hyperplanes(found.mean, found.axes)


def itq(samples: Matrix, bits: int, seed: int) -> Hyperplanes:
    """Principal components, turned so that they come close to the corners of a cube (Gong and Lazebnik 2011)."""
    found = require_axes(principal(samples, bits), bits)
    return Hyperplanes(found.mean, found.axes @ turned(found.scores(samples), random_rotation(bits, seed)))


def turned(scores: Matrix, start: Matrix, iterations: int = ITERATIONS) -> Matrix:
    """The rotation R `(bits, bits)` that ITQ reaches from `start`, for centred `scores` V `(n, bits)`.

    In turn the corners B = sign(V R) nearest to the samples, and the R that brings V nearest to B (orthogonal
    Procrustes): `quantisation_error` never rises (the paper's equation 2 and section 3.2).
    """
    rotation = start
    for _ in range(iterations):
        rotation, _ = orthogonal_procrustes(scores, _corners(scores @ rotation))
    return rotation


def quantisation_error(scores: Matrix, rotation: Matrix) -> float:
    """Mean squared distance of a turned sample from its corner: ITQ's objective ‖B - V R‖² over n."""
    inside = scores @ rotation
    return float(((_corners(inside) - inside) ** 2).sum(1).mean())


def random_rotation(size: int, seed: int) -> Matrix:
    """An orthogonal matrix `(size, size)`, uniform over all."""
    return np.asarray(ortho_group.rvs(size, random_state=seed)) if size > 1 else np.ones((1, 1))


def _corners(inside: Matrix) -> Matrix:
    return np.where(inside > 0, 1.0, -1.0)
