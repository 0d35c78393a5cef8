"""Spectral hashing: the harmonics of a box."""

import numpy as np
import pytest
from numpy.typing import NDArray

from gancluster.hashing.spectral import smoothest, speh


def test_harmonics_come_in_the_order_of_their_eigenvalues() -> None:
    """Against every k / width there is, sorted by hand: widths 4 and 1 give four half waves before the other axis."""
    axis, modes = smoothest(np.array([4.0, 1.0]), 6)
    frequency = modes / np.array([4.0, 1.0])[axis]
    assert frequency.tolist() == [0.25, 0.5, 0.75, 1.0, 1.0, 1.25]
    assert list(zip(axis.tolist(), modes.tolist(), strict=True)) == [(0, 1), (0, 2), (0, 3), (0, 4), (1, 1), (0, 5)]


def test_no_other_harmonic_is_smoother_than_those_chosen() -> None:
    width = np.random.default_rng(0).uniform(1, 5, 7)
    axis, modes = smoothest(width, 20)
    every = np.sort((np.arange(1, 100) / width[:, None]).ravel())
    assert modes / width[axis] == pytest.approx(every[:20])
    assert len({*zip(axis.tolist(), modes.tolist(), strict=True)}) == 20


def test_bits_of_a_uniform_box_are_balanced_and_uncorrelated() -> None:
    """Up to two half waves an axis: the signs of one and of three are correlated, though the waves are not."""
    box = np.random.default_rng(0).uniform(size=(20_000, 3)) * [6, 5, 4.2]
    codes = speh(box, 4, 0)(box).astype(float)
    assert codes.mean(0) == pytest.approx(np.full(4, 0.5), abs=0.03)
    assert np.corrcoef(codes.T) == pytest.approx(np.eye(4), abs=0.06)


def test_each_bit_counts_half_waves_along_its_axis() -> None:
    """Along the widest axis mode k changes its sign k times, at odd multiples of width / 2k."""
    line = np.linspace(0, 1, 4001)[:, None] * [1.0, 1e-6]
    codes = speh(line, 5, 0)(line)
    changes = [np.flatnonzero(np.diff(bit)) / 4000 for bit in codes.T.astype(int)]
    assert [len(at) for at in changes] == [1, 2, 3, 4, 5]
    for k, at in enumerate(changes, 1):
        assert at == pytest.approx((2 * np.arange(k) + 1) / (2 * k), abs=5e-4)


def test_a_dead_axis_gets_no_bit(pixels: NDArray[np.float64]) -> None:
    fitted = speh(pixels, 64, 0)
    assert len(fitted.width) < 64  # some pixels are never on
    assert (fitted.width[fitted.axis] > 0).all()
    assert fitted.modes.max() > 1
