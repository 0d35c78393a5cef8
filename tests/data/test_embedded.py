"""Digits and toys are what the papers and scikit-learn say they are."""

from pathlib import Path

import numpy as np
import pytest
from refusal import refused
from sklearn.datasets import load_digits

from gancluster.data import embedded
from gancluster.data.dataset import Dataset, Source

NOWHERE = Path("nowhere")
TOYS = [embedded.GAUSSIANS_8, embedded.GAUSSIANS_25, embedded.SWISS_ROLL, embedded.TWO_MOONS]


def read(source: Source) -> Dataset:
    return source.read(NOWHERE, "all")


def test_digits_are_scikit_learns_spread_over_the_bytes() -> None:
    digits, original = read(embedded.DIGITS), load_digits()
    assert digits.inputs.shape == (1797, 1, 8, 8)
    assert (digits.inputs.min(), digits.inputs.max()) == (0, 255)
    assert np.abs(digits.inputs[:, 0] * (16 / 255) - original.images).max() <= 0.5 * 16 / 255
    assert digits.labels is not None
    assert np.array_equal(digits.labels, original.target)
    assert digits.sha256 == "63abdb2527e019679211ac57ed01eafac82385406b576af39935a75007b38a37"


@pytest.mark.parametrize(
    ("source", "k", "n", "radius", "deviation"),
    [(embedded.GAUSSIANS_8, 8, 4000, 2 / 1.414, 0.02 / 1.414), (embedded.GAUSSIANS_25, 25, 10_000, None, 0.05 / 2.828)],
)
def test_gaussians_have_their_centres_and_widths(
    source: Source, k: int, n: int, radius: float | None, deviation: float
) -> None:
    points = read(source)
    assert points.labels is not None
    assert (len(points), points.n_classes, np.bincount(points.labels).tolist()) == (n, k, [n // k] * k)
    centres = np.stack([points.inputs[points.labels == c].mean(axis=0) for c in range(k)])
    widths = np.stack([points.inputs[points.labels == c].std(axis=0) for c in range(k)])
    assert widths == pytest.approx(np.full((k, 2), deviation), rel=0.2)
    if radius is not None:
        assert np.hypot(*centres.T) == pytest.approx(np.full(k, radius), abs=0.005)
    else:
        grid = sorted((x, y) for x in (-2, -1, 0, 1, 2) for y in (-2, -1, 0, 1, 2))
        assert np.rint(centres * 1.414).astype(int).tolist() == [list(place) for place in grid]


def test_swiss_roll_is_a_spiral_without_classes() -> None:
    roll = read(embedded.SWISS_ROLL)
    assert (len(roll), roll.labels, roll.n_classes) == (4000, None, None)
    # A swiss roll is (t cos t, t sin t): away from noise, radius and angle agree modulo a turn.
    radius, angle = np.hypot(*roll.inputs.T) * 7.5, np.arctan2(roll.inputs[:, 1], roll.inputs[:, 0])
    gap = (radius - angle + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(gap).mean() < 0.3
    assert 4 < radius.min() < radius.max() < 15


def test_two_moons_lie_on_half_circles() -> None:
    moons = read(embedded.TWO_MOONS)
    assert moons.labels is not None
    centre = np.where(moons.labels[:, None] == 0, [0.0, 0.0], [1.0, 0.5])
    assert np.hypot(*(moons.inputs - centre).T) == pytest.approx(np.ones(2000), abs=0.25)
    assert np.bincount(moons.labels).tolist() == [1000, 1000]


@pytest.mark.parametrize("source", [embedded.DIGITS, *TOYS])
def test_two_readings_are_the_same_and_parts_do_not_exist(source: Source) -> None:
    assert read(source).sha256 == read(source).sha256
    with refused("no published train and test parts"):
        source.read(NOWHERE, "train")


@pytest.mark.parametrize("source", TOYS)
def test_toys_are_points_of_unit_size(source: Source) -> None:
    points = read(source)
    assert points.inputs.dtype == np.float32
    assert points.shape == (2,)
    assert 0.4 < points.inputs.std() < 1.5
