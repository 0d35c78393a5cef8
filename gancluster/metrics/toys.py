"""How well generated points of the plane follow a toy whose modes are known; no label is involved.

A point is of high quality if it is within 3 standard deviations of the nearest mode's centre, and a mode is covered if
one such point is nearest to it (Srivastava et al. 2017, *VEEGAN*, who draw 2,500 points). Of an isotropic Gaussian of
the plane itself, 1 - exp(-9/2) = 98.9 % are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

WITHIN = 3.0  # standard deviations
MOST = 2000  # points that are assigned to each other

Points = NDArray[np.floating[Any]]


def modes_covered(points: Points, centres: Points, deviation: float) -> int:
    """How many of `centres` `(k, 2)` have at least one high-quality point of `points` `(n, 2)`."""
    distances = cdist(points, centres)
    nearest = distances.argmin(1)
    return len(np.unique(nearest[distances.min(1) <= WITHIN * deviation]))


def high_quality_share(points: Points, centres: Points, deviation: float) -> float:
    """Share of `points` `(n, 2)` within 3 `deviation` of the nearest of `centres` `(k, 2)`."""
    return float((cdist(points, centres).min(1) <= WITHIN * deviation).mean())


def exact_w1(points: Points, others: Points) -> float:
    """Wasserstein-1 distance of two samples of n points each, `(n, d)`: the least mean Euclidean cost of a pairing.

    `ValueError` unless there are equally many, 1 to 2,000.
    """
    if points.shape != others.shape or not 1 <= len(points) <= MOST:
        raise ValueError(f"W1 needs equally many points, 1 to {MOST:,}: not {points.shape} and {others.shape}")
    costs = cdist(points, others)
    return float(costs[linear_sum_assignment(costs)].mean())


def drawn(points: Points, n: int, seed: int) -> tuple[Points, Points]:
    """Two disjoint draws of at most `n` of `points` `(m, d)`, equally many in both."""
    order = np.random.default_rng(seed).permutation(len(points))
    n = min(n, len(points) // 2)
    return points[order[:n]], points[order[n : 2 * n]]
