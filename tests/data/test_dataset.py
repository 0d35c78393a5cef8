"""The promise between rooms: hash, firewall, selection."""

import hashlib

import numpy as np
import pytest
from refusal import refused

from gancluster.data.dataset import Dataset, only_whole, parts, require_finite


@pytest.fixture
def images() -> Dataset:
    inputs = np.random.default_rng(0).integers(0, 256, (6, 3, 4, 5), dtype=np.uint8)
    return Dataset("some", inputs, np.array([0, 1, 2, 0, 1, -1]), 3, label_names=("a", "b", "c"))


def test_hash_is_of_type_shape_and_values(images: Dataset) -> None:
    head = b"uint8(6, 3, 4, 5)"
    assert images.sha256 == hashlib.sha256(head + images.inputs.tobytes()).hexdigest()


def test_hash_sees_every_value_and_the_shape_but_no_memory_layout(images: Dataset) -> None:
    changed, other_shape = images.inputs.copy(), images.inputs.reshape(6, 3, 5, 4)
    changed[5, 2, 3, 4] ^= 1
    folded = np.asfortranarray(images.inputs)
    hashes = [Dataset("x", inputs, None, None).sha256 for inputs in (changed, other_shape, folded)]
    assert [h == images.sha256 for h in hashes] == [False, False, True]


def test_hash_does_not_see_labels(images: Dataset) -> None:
    assert images.unlabelled().sha256 == images.sha256


def test_firewall_leaves_the_samples_and_nothing_of_the_labels(images: Dataset) -> None:
    seen = images.unlabelled()
    assert seen.inputs is images.inputs
    assert seen.labels is None
    assert seen.label_names is None
    assert images.labels is not None


def test_take_keeps_samples_and_labels_together(images: Dataset) -> None:
    taken = images.take(np.array([5, 0]))
    assert np.array_equal(taken.inputs, images.inputs[[5, 0]])
    assert taken.labels is not None
    assert taken.labels.tolist() == [-1, 0]
    assert images.unlabelled().take(np.array([1])).labels is None


def test_shape_is_one_samples(images: Dataset) -> None:
    vectors = Dataset("v", np.zeros((7, 2), dtype=np.float32), None, None)
    assert (images.shape, images.is_images, len(images)) == ((3, 4, 5), True, 6)
    assert (vectors.shape, vectors.is_images, len(vectors)) == ((2,), False, 7)


def test_all_is_train_followed_by_test() -> None:
    assert [parts(split) for split in ("all", "train", "test")] == [("train", "test"), ("train",), ("test",)]


def test_parts_that_were_never_published_are_refused() -> None:
    only_whole("usps", "all")
    with refused("usps", "no published train and test parts"):
        only_whole("usps", "test")


def test_nan_and_infinite_values_are_counted_and_located() -> None:
    values = np.zeros((5, 3))
    values[3, 1], values[4, 0] = np.nan, -np.inf
    with refused("cells has 2 NaN or infinite values", "(3, 1)"):
        require_finite("cells", values)
