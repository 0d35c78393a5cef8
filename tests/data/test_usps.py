"""The papers' USPS: its facts, which way up its digits stand, and what is not it."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from refusal import refused
from scipy.io import savemat
from sklearn.neighbors import KNeighborsClassifier

from gancluster.data import catalogue
from gancluster.data.dataset import Dataset

SHA256 = "265088277b78c1598204248dec8474f7f39a7fb67b0c9c429a947973ce6394af"


@pytest.fixture(scope="module")
def usps(data_dir: Path) -> Dataset:
    return catalogue.load("usps", data_dir)


def folded(dataset: Dataset, by_columns: bool) -> NDArray[np.uint8]:
    """The images as Roweis's array `(256, 1100, 10)`, each folded by columns (as MATLAB does) or by rows."""
    images = dataset.inputs[:, 0].reshape(10, 1100, 16, 16)
    return (images.transpose(0, 1, 3, 2) if by_columns else images).reshape(10, 1100, 256).transpose(2, 1, 0)


def test_it_is_the_published_set(usps: Dataset) -> None:
    assert usps.inputs.shape == (11_000, 1, 16, 16)
    assert usps.labels is not None
    assert np.bincount(usps.labels).tolist() == [1100] * 10
    assert usps.labels[::1100].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert (usps.inputs.min(), usps.inputs.max(), usps.pixel_range, usps.flips) == (0, 255, (0.0, 1.0), False)
    assert len(np.unique(usps.inputs.reshape(11_000, -1), axis=0)) == 11_000
    assert usps.sha256 == SHA256


@pytest.mark.parametrize("by_columns", [True, False])
def test_matlab_file_gives_the_same_upright_images(usps: Dataset, tmp_path: Path, by_columns: bool) -> None:
    (tmp_path / "USPS").mkdir()
    savemat(tmp_path / "USPS" / "usps_all.mat", {"data": folded(usps, by_columns)})
    read = catalogue.load("usps", tmp_path)
    assert read.sha256 == SHA256
    assert np.array_equal(read.labels, usps.labels)


def test_labels_and_orientation_agree_with_the_other_usps(usps: Dataset, data_dir: Path) -> None:
    # 1-NN on one collection of postal digits knows the other (framed differently) only if both stand the same way up.
    known, asked = usps.take(np.arange(0, 11_000, 4)), catalogue.load("usps-9298", data_dir, "test")
    knn = KNeighborsClassifier(1).fit(known.inputs.reshape(len(known), -1), known.labels)
    assert knn.score(asked.inputs.reshape(len(asked), -1), asked.labels) > 0.55
    turned = asked.inputs.transpose(0, 1, 3, 2).reshape(len(asked), -1)
    assert knn.score(turned, asked.labels) < 0.3


def test_neighbours_share_their_digit(usps: Dataset) -> None:
    known, asked = usps.take(np.arange(0, 11_000, 3)), usps.take(np.arange(1, 11_000, 11))
    knn = KNeighborsClassifier(1).fit(known.inputs.reshape(len(known), -1), known.labels)
    assert knn.score(asked.inputs.reshape(len(asked), -1), asked.labels) > 0.92


def test_another_usps_under_its_name_is_refused(usps: Dataset, tmp_path: Path) -> None:
    np.savez(tmp_path / "usps_11000.npz", images=usps.inputs[:9298, 0], labels=usps.labels[:9298])
    with refused("usps_11000.npz", "not the USPS of 11,000"):
        catalogue.load("usps", tmp_path)
    (tmp_path / "usps_11000.npz").unlink()
    savemat(tmp_path / "usps_all.mat", {"data": np.zeros((256, 11, 10), dtype=np.uint8)})
    with refused("usps_all.mat", "(256, 11, 10)"):
        catalogue.load("usps", tmp_path)


def test_it_must_be_brought_and_has_no_parts(data_dir: Path, tmp_path: Path) -> None:
    with refused("usps is not in", "usps_all.mat"):
        catalogue.load("usps", tmp_path)
    with refused("usps has no published train and test parts"):
        catalogue.load("usps", data_dir, "test")
