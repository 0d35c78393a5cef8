"""What a hash is: fitted to samples, it gives every sample, seen or not, a code of so many bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gancluster.errors import DataError

Matrix = NDArray[np.float64]
Codes = NDArray[np.bool_]
Encode = Callable[[Matrix], Codes]


@dataclass(frozen=True)
class Fitted:
    """A hash that has seen its samples, of `width` values each."""

    width: int
    function: Encode

    def encode(self, samples: ArrayLike) -> Codes:
        """Codes `(n, bits)` of samples `(n, width)`; `DataError` where they are of another width or not finite."""
        matrix = _matrix(samples)
        if matrix.shape[1] != self.width:
            raise DataError(f"these samples have {matrix.shape[1]} values, but the hash was fitted to {self.width}")
        return self.function(matrix)


@dataclass(frozen=True)
class Hash:
    """A way to make codes without labels; `learn(samples, bits, seed)` does it for samples that have been checked."""

    title: str
    source: str
    learn: Callable[[Matrix, int, int], Encode]

    def fit(self, samples: ArrayLike, bits: int, seed: int = 0) -> Fitted:
        """Fit `bits` bits to samples `(n, d)`, any finite reals; equal seeds give equal codes.

        `DataError` where there are fewer samples than bits, where they are all alike or not finite, or where a hash
        that needs an axis of variation a bit does not find as many.
        """
        matrix = _matrix(samples)
        if bits < 1:
            raise DataError(f"a code of {bits} bits says nothing: ask for at least 1 bit")
        if len(matrix) < max(bits, 2):
            raise DataError(f"{len(matrix)} samples are too few for {bits} bits: give more, or ask for fewer bits")
        if not np.ptp(matrix, axis=0).any():
            raise DataError(f"all {len(matrix)} samples are the same: there is nothing to tell apart")
        return Fitted(matrix.shape[1], self.learn(matrix, bits, seed))


def squared_distances(samples: Matrix, points: Matrix) -> Matrix:
    """Squared Euclidean distances `(n, k)` of samples `(n, d)` and points `(k, d)`."""
    from sklearn.metrics.pairwise import euclidean_distances

    return np.asarray(euclidean_distances(samples, points, squared=True))


def _matrix(samples: ArrayLike) -> Matrix:
    """Samples as float64 `(n, d)`: thresholds at medians and distances by expansion want the digits."""
    given: NDArray[Any] = np.asarray(samples)
    if given.ndim != 2 or 0 in given.shape or given.dtype.kind not in "biuf":
        raise DataError(f"samples are {given.dtype} {given.shape}: give numbers (n, d), images flattened")
    if not np.isfinite(given).all():
        raise DataError("some samples are NaN or infinite: replace or drop them")
    return given.astype(np.float64)
