"""R8: documents, classes, unit rows, parts, damage."""

from pathlib import Path

import numpy as np
import pytest
from refusal import refused
from scipy.sparse import csr_matrix

from gancluster.data import catalogue
from gancluster.data.dataset import Dataset
from gancluster.data.text import FILE


@pytest.fixture(scope="module")
def r8(data_dir: Path) -> Dataset:
    return catalogue.load("reuters-r8", data_dir)


def test_it_has_the_published_documents_and_classes(r8: Dataset) -> None:
    assert (r8.inputs.shape, r8.inputs.dtype) == ((7674, 2000), np.float32)
    assert r8.labels is not None
    assert np.bincount(r8.labels).tolist() == [2292, 374, 3923, 51, 271, 293, 144, 326]
    assert r8.label_names == ("acq", "crude", "earn", "grain", "interest", "money-fx", "ship", "trade")


def test_rows_have_unit_length_and_no_negative_weight(r8: Dataset) -> None:
    assert np.linalg.norm(r8.inputs, axis=1) == pytest.approx(np.ones(7674), abs=1e-5)
    assert r8.inputs.min() == 0
    assert r8.sha256 == "03efae32f68db617ae1d2bd50bdfc062d88748741176b5d1b6229d26c19da542"


def test_all_is_train_followed_by_test(r8: Dataset, data_dir: Path) -> None:
    train, test = (catalogue.load("reuters-r8", data_dir, split) for split in ("train", "test"))
    assert (len(train), len(test)) == (5485, 2189)
    assert np.array_equal(np.concatenate([train.inputs, test.inputs]), r8.inputs)


def test_documents_of_a_class_point_the_same_way(r8: Dataset) -> None:
    assert r8.labels is not None
    means = np.stack([r8.inputs[r8.labels == c].mean(axis=0) for c in range(8)])
    nearest = (r8.inputs @ (means / np.linalg.norm(means, axis=1, keepdims=True)).T).argmax(axis=1)
    assert (nearest == r8.labels).mean() > 0.85


def test_parts_are_found_even_where_they_are_mixed(tmp_path: Path) -> None:
    words = csr_matrix(np.diag(np.arange(1.0, 7.0)).astype(np.float32))
    (tmp_path / FILE).parent.mkdir()
    stored = {"data": words.data, "indices": words.indices, "indptr": words.indptr, "shape": words.shape}
    is_train = np.array([0, 1, 0, 1, 1, 1], dtype=bool)
    np.savez(tmp_path / FILE, **stored, labels=np.arange(6), label_names=np.array(list("abcdef")), is_train=is_train)
    assert catalogue.load("reuters-r8", tmp_path).inputs.sum(axis=1).tolist() == [2, 4, 5, 6, 1, 3]
    assert catalogue.load("reuters-r8", tmp_path, "test").inputs.sum(axis=1).tolist() == [1, 3]
    np.savez(tmp_path / FILE, **{**stored, "indices": words.indices + 9}, labels=0, label_names=0, is_train=is_train)
    with refused(f"cannot read {tmp_path / FILE}"):
        catalogue.load("reuters-r8", tmp_path)
