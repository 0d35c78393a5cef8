"""Planes: principal axes are the singular vectors', t-SNE keeps neighbours, two features stay as they are."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from seeing import pixels
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness

from gancluster.report import figures, planes
from gancluster.report.style import DPI

DIGITS: NDArray[np.float32] = load_digits().data.astype(np.float32)
RNG = np.random.default_rng(0)


def test_the_principal_plane_is_that_of_the_singular_vectors() -> None:
    points, shares = planes.principal_axes(DIGITS)
    left, values, _ = np.linalg.svd(DIGITS - DIGITS.mean(0), full_matrices=False)
    assert np.abs((left[:, :2] * values[:2] * points).sum(0)) == pytest.approx(values[:2] ** 2, rel=1e-4)
    assert shares == pytest.approx(values[:2] ** 2 / (values**2).sum(), rel=1e-4)
    plane = planes.principal(DIGITS)
    assert (plane.axes, plane.shown.tolist()) == (("first principal axis (15%)", "second (14%)"), list(range(1797)))


def test_two_features_are_drawn_as_they_are_and_one_on_a_line() -> None:
    two = planes.of_features(DIGITS[:, 20:22])
    assert np.array_equal(two.points, DIGITS[:, 20:22])
    assert two.axes == ("first feature", "second feature")
    one = planes.of_features(DIGITS[:, 20:21])
    assert np.array_equal(one.points, np.stack([DIGITS[:, 20], np.zeros(1797)], 1))


def test_t_sne_keeps_neighbours_better_than_principal_axes() -> None:
    few = DIGITS[:300]
    plane = planes.of_features(few)
    assert plane.axes == ("t-SNE, first axis (300 samples)", "second axis")
    assert trustworthiness(few, plane.points) > 0.95 > trustworthiness(few, planes.principal(few).points)


def test_the_same_features_and_seed_give_the_same_points() -> None:
    once, again = planes.by_t_sne(DIGITS[:80]), planes.by_t_sne(DIGITS[:80])
    assert np.array_equal(once.points, again.points)


def test_t_sne_shows_a_part_of_many_samples_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planes, "NEIGHBOURED", 60)
    plane, other = planes.by_t_sne(DIGITS), planes.by_t_sne(DIGITS, seed=1)
    assert plane.points.shape == (60, 2)
    assert plane.axes[0] == "t-SNE, first axis (60 of 1,797 samples)"
    assert plane.shown.tolist() == sorted(set(plane.shown.tolist()))
    assert plane.shown.tolist() != other.shown.tolist()


@pytest.mark.parametrize("n", [1, 2, 4, 5, 9])
@pytest.mark.parametrize("same", [False, True])
def test_the_least_features_are_drawn(tmp_path: Path, n: int, same: bool) -> None:
    features = np.ones((n, 3)) if same else RNG.normal(size=(n, 3))
    plane = planes.of_features(features.astype(np.float32))
    assert np.isfinite(plane.points).all()
    figures.embedding_plane(plane, np.zeros(n, int), tmp_path / "a.png")
    assert pixels(tmp_path / "a.png").shape[0] == int(3.7 * DPI)


@pytest.mark.parametrize("shape", [(1, 3), (5, 1), (4, 2)])
def test_the_least_embeddings_are_drawn(tmp_path: Path, shape: tuple[int, int]) -> None:
    figures.embedding_plane(planes.principal(np.ones(shape, np.float32)), np.zeros(shape[0], int), tmp_path / "a.png")
    assert pixels(tmp_path / "a.png").shape[0] == int(3.7 * DPI)
