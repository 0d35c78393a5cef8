"""Sheets of images: every image whole, in its row, in its place, at whole pixels."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from seeing import pixels, where

from gancluster.report import figures

Images = NDArray[np.uint8]


def noise(n: int, *shape: int) -> Images:
    return np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8)


def places(image: Images, path: Path, by: int) -> list[tuple[int, int]]:
    """Where an image `(c, h, w)` stands in the picture, enlarged `by` times: upper left corners (y, x)."""
    drawn = np.broadcast_to(image, (3, *image.shape[1:])).repeat(by, 1).repeat(by, 2)
    return where(drawn.transpose(1, 2, 0), pixels(path))


def test_samples_stand_a_row_a_cluster_in_their_order(tmp_path: Path) -> None:
    images = noise(6, 3, 16, 16)
    figures.sample_grid((images / 255).reshape(2, 3, 3, 16, 16), tmp_path / "a.png", (0.0, 1.0))
    found = [places(image, tmp_path / "a.png", 3) for image in images]
    assert [len(place) for place in found] == [1] * 6
    rows, columns = np.array(found)[:, 0].reshape(2, 3, 2).transpose(2, 0, 1)
    assert (rows == rows[:, :1]).all()
    assert rows[0, 0] + 48 <= rows[1, 0]
    assert (columns == columns[0]).all()
    assert (np.diff(columns[0]) == 50).all()


def test_the_pixel_range_is_stretched_to_black_and_white_and_what_is_no_number_is_black(tmp_path: Path) -> None:
    sample = np.array([[-1.0, 1.0], [np.nan, 7.0]]).repeat(4, 0).repeat(4, 1)
    figures.sample_grid(sample[None, None, None], tmp_path / "a.png", (-1.0, 1.0))
    expected = np.array([[0, 255], [0, 255]], np.uint8).repeat(4, 0).repeat(4, 1)
    assert len(places(expected[None], tmp_path / "a.png", 6)) == 1


def test_a_cluster_shows_its_nearest_then_its_farthest_each_once(tmp_path: Path) -> None:
    images = noise(20, 1, 8, 8)
    distances = np.random.default_rng(1).permutation(20).astype(float)
    figures.cluster_grid(images, np.zeros(20, int), 1, tmp_path / "a.png", distances)
    across = [place[0][1] for i in np.argsort(distances) if (place := places(images[i], tmp_path / "a.png", 6))]
    shown = [bool(places(images[i], tmp_path / "a.png", 6)) for i in np.argsort(distances)]
    assert shown == [True] * 10 + [False] * 6 + [True] * 4
    assert across == sorted(across)
    assert np.argmax(np.diff(across)) == 9  # the gap between near and far


def test_a_small_cluster_shows_every_member_once(tmp_path: Path) -> None:
    images = noise(12, 1, 8, 8)
    for name, distances in (("near", np.arange(12.0)), ("plain", None)):
        figures.cluster_grid(images, np.zeros(12, int), 1, tmp_path / f"{name}.png", distances)
        assert [len(places(image, tmp_path / f"{name}.png", 6)) for image in images] == [1] * 12


def test_an_empty_cluster_keeps_its_row_and_says_so(tmp_path: Path) -> None:
    images = noise(4, 1, 8, 8)
    clusters = np.array([0, 0, 2, 2])
    figures.cluster_grid(images, clusters, 3, tmp_path / "a.png", np.zeros(4))
    (top, left), (bottom, _) = (places(images[i], tmp_path / "a.png", 6)[0] for i in (0, 2))
    between = pixels(tmp_path / "a.png")[top + 50 : bottom, left : left + 150]
    assert bottom - top == 2 * 54
    assert (between < 200).any()  # the word
    assert (between == 255).mean() > 0.8  # and nothing else


@pytest.mark.parametrize(("side", "expected"), [(8, 48), (28, 56), (64, 64), (224, 112)])
def test_small_images_are_enlarged_and_large_ones_pooled(tmp_path: Path, side: int, expected: int) -> None:
    plain = np.full((1, 1, 1, side, side), 0.5)
    figures.sample_grid(plain, tmp_path / "a.png", (0.0, 1.0))
    grey = (pixels(tmp_path / "a.png") == 128).all(2)
    assert grey.any(0).sum() == grey.any(1).sum() == expected


def test_images_with_an_odd_number_of_channels_show_their_mean(tmp_path: Path) -> None:
    sample = np.stack([np.zeros((16, 16)), np.full((16, 16), 0.4)])
    figures.sample_grid(sample[None, None], tmp_path / "a.png", (0.0, 1.0))
    assert len(places(np.full((1, 16, 16), 51, np.uint8), tmp_path / "a.png", 3)) == 1
