"""Toys' metrics: modes and high quality by hand, W1 against one dimension's closed form and every pairing."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from gancluster.data.embedded import gaussians_8, gaussians_25
from gancluster.metrics import toys

CENTRES = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])


def test_a_mode_is_covered_by_one_point_within_three_deviations() -> None:
    points = np.array([[0.0, 2.9], [0.0, 3.1], [10.0, 3.1], [1.0, 1.0]])
    assert toys.modes_covered(points, CENTRES, 1.0) == 1
    assert toys.modes_covered(points, CENTRES, 1.1) == 2
    assert toys.high_quality_share(points, CENTRES, 1.0) == 0.5


def test_real_points_cover_all_modes_and_as_many_are_within_as_a_gaussian_has() -> None:
    for read, k in ((gaussians_8, 8), (gaussians_25, 25)):
        dataset = read(Path(), "all")
        assert dataset.modes is not None
        centres, deviation = dataset.modes
        assert toys.modes_covered(dataset.inputs, centres, deviation) == len(centres) == k
        assert toys.high_quality_share(dataset.inputs, centres, deviation) == pytest.approx(1 - np.exp(-4.5), abs=0.005)


def test_modes_are_withheld_like_labels() -> None:
    assert gaussians_8(Path(), "all").unlabelled().modes is None


@pytest.mark.parametrize("seed", range(5))
def test_w1_on_a_line_in_the_plane_is_the_closed_form_of_one_dimension(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.standard_normal(50), 2 * rng.standard_normal(50) + 1
    direction = np.array([0.6, 0.8])
    expected = wasserstein_distance(one, other)
    assert toys.exact_w1(np.outer(one, direction), np.outer(other, direction)) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_w1_is_the_cheapest_of_all_pairings(seed: int) -> None:
    one, other = np.random.default_rng(seed).standard_normal((2, 6, 2))
    costs = [np.linalg.norm(one - other[list(order)], axis=1).mean() for order in permutations(range(6))]
    assert toys.exact_w1(one, other) == pytest.approx(min(costs))


def test_w1_of_a_shift_is_its_length_and_of_other_numbers_of_points_refused() -> None:
    points = np.random.default_rng(0).standard_normal((30, 2))
    assert toys.exact_w1(points, points[::-1] + np.array([3, 4])) == pytest.approx(5)
    with pytest.raises(ValueError, match="equally many"):
        toys.exact_w1(points, points[:20])


def test_two_draws_share_no_point() -> None:
    points = np.arange(20.0).reshape(10, 2)
    one, other = toys.drawn(points, 7, seed=0)
    assert len(one) == len(other) == 5
    assert len(np.unique(np.concatenate([one, other])[:, 0])) == 10
