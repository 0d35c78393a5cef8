"""Spectral hashing (Weiss, Torralba and Fergus 2008): harmonics of a box laid around the principal components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gancluster.hashing.base import Codes, Matrix
from gancluster.hashing.principal import Principal, principal


@dataclass(frozen=True)
class Harmonics:
    """Bit k of x: the sign of `cos(pi * modes[k] * u)`, u in [0, 1] being where x lies on axis `axis[k]` of the box.

    `low`, `width`: the box, by axis; `axis`, `modes` `(bits,)`: which axis, and how many half waves on it.
    """

    components: Principal
    low: NDArray[np.float64]
    width: NDArray[np.float64]
    axis: NDArray[np.intp]
    modes: NDArray[np.intp]

    def __call__(self, samples: Matrix) -> Codes:
        place = (self.components.scores(samples) - self.low) / self.width
        above: Codes = np.cos(np.pi * self.modes * place[:, self.axis]) > 0
        return above


def speh(samples: Matrix, bits: int, seed: int) -> Harmonics:
    """The `bits` smoothest harmonics of the uniform distribution in the smallest box that holds the components.

    As in the authors' code the box has `bits` axes where there are as many, and reaches from the least to the greatest
    sample. Nothing is drawn: the seed changes nothing.
    """
    found = principal(samples, bits)
    scores = found.scores(samples)
    width = np.ptp(scores, axis=0)
    return Harmonics(found, scores.min(0), width, *smoothest(width, bits))


def smoothest(width: NDArray[np.float64], bits: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Axis and number of half waves of the `bits` harmonics with the smallest eigenvalues, each `(bits,)`, in order.

    The eigenvalue 1 - exp(-e²/2 (k pi / width)²) (the paper's section 3) grows with k / width, whatever e is. The
    constant, k = 0, is left out, and so are products over axes: their bits would be functions of other bits.
    """
    modes = np.arange(1, bits + 1)
    frequency = modes / width[:, None]
    axis, index = np.unravel_index(np.argsort(frequency, axis=None, kind="stable")[:bits], frequency.shape)
    return axis, modes[index]
