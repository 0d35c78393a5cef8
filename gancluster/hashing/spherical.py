"""Spherical hashing (Heo et al. 2012): a bit says whether a sample lies in a ball."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gancluster.hashing.base import Codes, Matrix, squared_distances

MEAN_TOLERANCE, DEVIATION_TOLERANCE = 0.10, 0.15  # of overlaps, as fractions of a quarter: the paper's
ROUNDS = 100  # at most


@dataclass(frozen=True)
class Balls:
    """Bit k of x: is x, seen from `mean` `(d,)`, within `squared_radii[k]` of pivot k? `pivots` `(bits, d)`."""

    mean: NDArray[np.float64]
    pivots: Matrix
    squared_radii: NDArray[np.float64]

    def __call__(self, samples: Matrix) -> Codes:
        inside: Codes = squared_distances(samples - self.mean, self.pivots) <= self.squared_radii
        return inside


def sphh(samples: Matrix, bits: int, seed: int) -> Balls:
    """Balls that hold half of the samples each and, two by two, share about a quarter of them (algorithm 1).

    Pivots begin at samples drawn by `seed` and are moved until the overlaps are right, for at most 100 rounds.
    """
    mean = samples.mean(0)
    centred = samples - mean
    pivots = centred[np.random.default_rng(seed).choice(len(centred), bits, replace=False)]
    for _ in range(ROUNDS):
        distances = squared_distances(centred, pivots)
        radii = np.median(distances, axis=0)
        shared = overlaps(distances <= radii)
        if settled(shared):
            break
        pivots = pivots + forces(pivots, shared)
    return Balls(mean, pivots, np.median(squared_distances(centred, pivots), axis=0))


def overlaps(codes: Codes) -> Matrix:
    """The fraction of the samples that two balls share `(bits, bits)`; a quarter where their bits are independent."""
    inside = codes.astype(np.float32)  # counts are exact up to 2^24 samples
    return (inside.T @ inside).astype(np.float64) / len(codes)


def settled(shared: Matrix) -> bool:
    """Whether the overlaps of pairs lie about a quarter, in the mean and in their spread."""
    pairs = shared[np.triu_indices(len(shared), 1)]
    if not len(pairs):
        return True
    away, spread = np.abs(pairs - 0.25).mean(), pairs.std()
    return bool(away <= MEAN_TOLERANCE * 0.25 and spread <= DEVIATION_TOLERANCE * 0.25)


def forces(pivots: Matrix, shared: Matrix) -> Matrix:
    """How each pivot moves `(bits, d)`: off those it shares too much with, towards those it shares too little with.

    The mean over j of (o_ij - 1/4) / (1/4) / 2 * (p_i - p_j), the o_ij being `overlaps` (algorithm 1).
    """
    push = (shared - 0.25) / 0.25 / 2
    moved: Matrix = (push.sum(1, keepdims=True) * pivots - push @ pivots) / len(pivots)
    return moved
