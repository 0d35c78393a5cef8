"""Spherical hashing: balls of half the samples that share a quarter."""

import numpy as np
import pytest
from numpy.typing import NDArray

from gancluster.hashing import spherical
from gancluster.hashing.base import squared_distances
from gancluster.hashing.spherical import forces, overlaps, settled, sphh

Pixels = NDArray[np.float64]


def test_each_ball_holds_half_of_the_samples_and_two_share_a_quarter(pixels: Pixels) -> None:
    codes = sphh(pixels, 32, 0)(pixels)
    assert codes.mean(0) == pytest.approx(np.full(32, 0.5), abs=0.005)
    shared = overlaps(codes)[np.triu_indices(32, 1)]
    assert np.abs(shared - 0.25).mean() <= 0.1 * 0.25
    assert shared.std() <= 0.15 * 0.25


def test_moving_the_pivots_is_what_settles_the_overlaps(pixels: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spherical, "ROUNDS", 0)
    assert not settled(overlaps(sphh(pixels, 32, 0)(pixels)))
    monkeypatch.setattr(spherical, "ROUNDS", 100)
    assert settled(overlaps(sphh(pixels, 32, 0)(pixels)))


def test_a_bit_says_whether_a_sample_lies_in_the_ball(pixels: Pixels) -> None:
    balls = sphh(pixels, 8, 0)
    distance = np.linalg.norm((pixels - balls.mean)[:, None] - balls.pivots, axis=2)
    assert np.array_equal(balls(pixels), distance <= np.sqrt(balls.squared_radii))
    assert squared_distances(pixels, balls.pivots) == pytest.approx(
        ((pixels[:, None] - balls.pivots) ** 2).sum(2), rel=1e-9
    )


def test_overlaps_are_the_shares_of_samples_in_two_balls(pixels: Pixels) -> None:
    codes = sphh(pixels, 8, 0)(pixels)
    by_hand = [[(one & other).mean() for other in codes.T] for one in codes.T]
    assert overlaps(codes) == pytest.approx(np.array(by_hand), abs=1e-6)


def test_pivots_that_share_too_much_part_and_others_meet() -> None:
    pivots = np.array([[0.0, 0.0], [1.0, 0.0]])
    too_much, too_little = (np.array([[0.5, o], [o, 0.5]]) for o in (0.5, 0.0))
    assert forces(pivots, too_much).tolist() == [[-0.25, 0], [0.25, 0]]  # half of (1 - 0), the mean of two
    assert forces(pivots, too_little).tolist() == [[0.25, 0], [-0.25, 0]]
    assert not forces(pivots, np.full((2, 2), 0.25)).any()


def test_forces_are_the_sum_over_pairs_and_move_no_centre_of_mass() -> None:
    rng = np.random.default_rng(0)
    pivots, shared = rng.standard_normal((5, 3)), rng.random((5, 5))
    shared = shared + shared.T
    by_hand = np.zeros((5, 3))
    for i in range(5):
        for j in range(5):
            by_hand[i] += 0.5 * (shared[i, j] - 0.25) / 0.25 * (pivots[i] - pivots[j]) / 5
    assert forces(pivots, shared) == pytest.approx(by_hand)
    assert forces(pivots, shared).sum(0) == pytest.approx(np.zeros(3), abs=1e-9)


def test_a_single_ball_is_settled() -> None:
    assert settled(np.array([[0.5]]))
