"""Principal axes, which four of the hashes start from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gancluster.errors import DataError
from gancluster.hashing.base import Matrix


class Principal(NamedTuple):
    """Principal axes of samples `(n, d)`, the widest first: `mean` `(d,)`, `axes` `(d, k)`, `variances` `(k,)` > 0."""

    mean: NDArray[np.float64]
    axes: Matrix
    variances: NDArray[np.float64]

    def scores(self, samples: Matrix) -> Matrix:
        """Coordinates `(n, k)` of samples `(n, d)`."""
        return (samples - self.mean) @ self.axes


def principal(samples: Matrix, at_most: int) -> Principal:
    """The widest `at_most` axes along which `samples` vary at all, exactly (scikit-learn's choice may be random)."""
    from sklearn.decomposition import PCA

    n, d = samples.shape
    mean = samples.mean(0)
    solver = "covariance_eigh" if d <= n else "full"
    fitted = PCA(min(at_most, n, d), svd_solver=solver).fit(samples - mean)
    variances = fitted.explained_variance_
    varying = variances > variances[0] * np.finfo(np.float64).eps * max(n, d)
    return Principal(mean, fitted.components_[varying].T, variances[varying])


def require_axes(found: Principal, bits: int) -> Principal:
    """`found`, if it has an axis a bit; else `DataError`."""
    axes = len(found.variances)
    if axes < bits:
        advice = f"ask for {axes} bits or fewer, or for lsh, speh or sphh, which can give more"
        raise DataError(f"{bits} bits need {bits} axes, but the samples vary along {axes} only: {advice}")
    return found
