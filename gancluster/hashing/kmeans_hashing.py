"""K-means hashing (He, Wen and Sun 2013): the numbers of codewords, chosen so that Hamming distances mean something.

The space is cut in subspaces of 4 bits, each with 16 codewords. In one of them, the codewords c_i are to be near the
samples, and far from each other by s √h(i, j), h being the Hamming distance of their numbers. The unit of length is s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from gancluster.errors import DataError
from gancluster.hashing.base import Codes, Matrix, squared_distances
from gancluster.hashing.principal import Principal, principal, require_axes

BITS = 4  # of a subspace
WEIGHT = 10.0  # lambda, and 50 rounds: the authors' code
ROUNDS = 50
STEPS = 10  # of a round

NUMBERS = (np.arange(2**BITS)[:, None] >> np.arange(BITS) & 1).astype(np.bool_)
"""The bits `(16, 4)` of every codeword's number."""

SIDES = np.sqrt((NUMBERS[:, None] != NUMBERS).sum(2))
"""√h `(16, 16)`: what the distances of codewords are to be, those of the corners of a cube of side 1."""


@dataclass(frozen=True)
class Product:
    """Bits 4m … 4m + 3 of x: the number of the codeword nearest to it in subspace m.

    `parts`: which principal components each subspace has; `codewords`: its `(16, d_m)`.
    """

    components: Principal
    parts: list[NDArray[np.intp]]
    codewords: list[Matrix]

    def __call__(self, samples: Matrix) -> Codes:
        scores = self.components.scores(samples)
        nearest = [_nearest(scores[:, part], words) for part, words in zip(self.parts, self.codewords, strict=True)]
        return np.hstack([NUMBERS[index] for index in nearest])


class Cells(NamedTuple):
    """What the codewords' objective needs to know of the samples: the `share` `(16,)` and the `mean` of each cell."""

    share: NDArray[np.float64]
    mean: Matrix


def kmh(samples: Matrix, bits: int, seed: int) -> Product:
    """Affinity-preserving K-means in each of `bits / 4` subspaces of the principal components.

    Nothing is drawn: the seed changes nothing. `DataError` where `bits` is no multiple of 4, or more than axes.
    """
    if bits % BITS:
        raise DataError(f"kmh makes bits by fours, not {bits}: ask for {bits + -bits % BITS} bits")
    found = require_axes(principal(samples, samples.shape[1]), bits)
    scores = found.scores(samples)
    parts = balanced_parts(found.variances, bits // BITS)
    return Product(found, parts, [affinity_preserving(scores[:, part]) for part in parts])


def balanced_parts(variances: NDArray[np.float64], n_parts: int) -> list[NDArray[np.intp]]:
    """Share out axes, the widest first, among subspaces of equal size so that products of variances come out even.

    Each goes to the subspace with the smallest sum of logarithms that is not full (Ge et al. 2013, as KMH uses it).
    """
    logs = np.log(variances) - np.log(variances[-1]) + 1
    room = [len(part) for part in np.array_split(variances, n_parts)]
    parts: list[list[int]] = [[] for _ in range(n_parts)]
    for axis in range(len(variances)):
        open_parts = [m for m in range(n_parts) if len(parts[m]) < room[m]]
        parts[min(open_parts, key=lambda m: logs[parts[m]].sum())].append(axis)
    return [np.array(part) for part in parts]


def affinity_preserving(scores: Matrix, weight: float = WEIGHT, rounds: int = ROUNDS) -> Matrix:
    """Codewords `(16, d)` for principal components `(n, d)`, the widest first: cells and codewords in turn."""
    side = best_side(scores)
    scaled, words = scores / side, corners(scores.shape[1])
    for _ in range(rounds):
        before = words
        words = improved(words, cells_of(scaled, words), weight)
        if np.allclose(words, before, rtol=0, atol=1e-6):
            break
    return side * words


def best_side(scores: Matrix) -> float:
    """s: the side of the cube about 0 whose corners are nearest to the first 4 components `(n, d)`."""
    return float(2 * np.abs(scores[:, :BITS]).mean())


def corners(d: int) -> Matrix:
    """The start `(16, d)`: corners of the cube of side 1 in the first 4 dimensions, numbered as by PCA hashing."""
    return np.pad(np.where(NUMBERS, 0.5, -0.5), ((0, 0), (0, d - BITS)))


def cells_of(scores: Matrix, words: Matrix) -> Cells:
    """The samples' cells: each sample belongs to the codeword nearest to it."""
    member = np.eye(len(words))[_nearest(scores, words)]
    count = member.sum(0)
    return Cells(count / len(scores), (member.T @ scores) / np.maximum(count, 1)[:, None])


def improved(words: Matrix, cells: Cells, weight: float) -> Matrix:
    """Codewords with a lower `objective` for given cells: steps of L-BFGS for all (the authors': for one by one)."""

    def value_and_slope(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        return objective(flat.reshape(words.shape), cells, weight)

    found = minimize(value_and_slope, words.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": STEPS})
    return np.asarray(found.x).reshape(words.shape)


def objective(words: Matrix, cells: Cells, weight: float) -> tuple[float, NDArray[np.float64]]:
    """Quantisation error plus `weight` times affinity error, less what no codeword changes; and its gradient, flat.

    Σ_j p_j ‖c_j - m_j‖² + weight Σ_ij p_i p_j (‖c_i - c_j‖ - √h(i, j))², with p the cells' shares and m their means
    (for one c_j, this is the paper's equation 8).
    """
    off = words - cells.mean
    distance = cdist(words, words)
    excess = distance - SIDES
    pairs = cells.share[:, None] * cells.share
    value = cells.share @ (off**2).sum(1) + weight * (pairs * excess**2).sum()
    pull = pairs * excess / np.where(distance > 0, distance, 1)
    slope = 2 * cells.share[:, None] * off + 4 * weight * (pull.sum(1, keepdims=True) * words - pull @ words)
    return float(value), slope.ravel()


def _nearest(scores: Matrix, words: Matrix) -> NDArray[np.intp]:
    index: NDArray[np.intp] = squared_distances(scores, words).argmin(1)
    return index
