"""Data sets that need no file: scikit-learn's digits, and the plane toys on which GAN losses are compared.

The toys' constants are those of the WGAN-GP paper's toy experiments (Gulrajani et al. 2017); each is drawn once, by a
fixed generator.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gancluster.data.dataset import Dataset, Modes, Source
from gancluster.data.splits import Split, only_whole

SEED = 0


def digits(data_dir: Path, split: Split) -> Dataset:
    """1,797 handwritten digits 8x8, ten classes, their levels 0 … 16 spread over 0 … 255."""
    from sklearn.datasets import load_digits

    only_whole("digits", split)
    stored = load_digits()
    inputs = np.rint(stored.images[:, None] * (255 / 16)).astype(np.uint8)
    return Dataset("digits", inputs, stored.target.astype(np.int64), 10, label_names=tuple("0123456789"))


def gaussians_8(data_dir: Path, split: Split) -> Dataset:
    """8 x 500 points: Gaussians of deviation .02 on a circle of radius 2, all divided by 1.414."""
    angle = np.arange(8) * (2 * np.pi / 8)
    centres = 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _gaussians("gaussians-8", split, centres, each=500, deviation=0.02, divisor=1.414)


def gaussians_25(data_dir: Path, split: Split) -> Dataset:
    """25 x 400 points: Gaussians of deviation .05 on a 5x5 grid with step 2, all divided by 2.828."""
    centres = 2.0 * np.stack(np.meshgrid(np.arange(-2, 3), np.arange(-2, 3), indexing="ij"), axis=-1).reshape(25, 2)
    return _gaussians("gaussians-25", split, centres, each=400, deviation=0.05, divisor=2.828)


def swiss_roll(data_dir: Path, split: Split) -> Dataset:
    """4,000 points along a spiral, noise .25, divided by 7.5: one piece, so nothing to label."""
    from sklearn.datasets import make_swiss_roll

    only_whole("swiss-roll", split)
    points, _ = make_swiss_roll(4000, noise=0.25, random_state=SEED)
    return Dataset("swiss-roll", (points[:, [0, 2]] / 7.5).astype(np.float32), None, None)


def two_moons(data_dir: Path, split: Split) -> Dataset:
    """2 x 1,000 points on two interleaved half circles of radius 1, noise .05."""
    from sklearn.datasets import make_moons

    only_whole("two-moons", split)
    points, moon = make_moons(2000, noise=0.05, random_state=SEED)
    return Dataset("two-moons", points.astype(np.float32), moon.astype(np.int64), 2)


def _gaussians(
    name: str, split: Split, centres: NDArray[np.floating], each: int, deviation: float, divisor: float
) -> Dataset:
    """`each` points about every centre `(k, 2)`, labelled by it."""
    only_whole(name, split)
    labels = np.repeat(np.arange(len(centres), dtype=np.int64), each)
    noise = deviation * np.random.default_rng(SEED).standard_normal((len(labels), 2))
    points = ((centres[labels] + noise) / divisor).astype(np.float32)
    return Dataset(
        name, points, labels, len(centres), modes=Modes(centres.astype(np.float64) / divisor, deviation / divisor)
    )


DIGITS = Source("1,797 handwritten digits, 8x8 grey, 10 classes (scikit-learn)", digits)
GAUSSIANS_8 = Source("4,000 points in the plane: 8 Gaussians on a circle", gaussians_8)
GAUSSIANS_25 = Source("10,000 points in the plane: 25 Gaussians on a grid", gaussians_25)
SWISS_ROLL = Source("4,000 points in the plane: a spiral, without classes", swiss_roll)
TWO_MOONS = Source("2,000 points in the plane: two interleaved half circles", two_moons)
