"""The promise between rooms: hash, firewall, selection, and the labels that are revealed."""

import hashlib

import numpy as np
import pytest
from refusal import refused

from gancluster.data.batches import Batches
from gancluster.data.dataset import Dataset, require_finite
from gancluster.data.splits import only_whole, parts


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


def labelled(*counts: int, unknown: int = 0) -> Dataset:
    """Shuffled vectors with so many of every class, and so many of none."""
    labels = np.repeat([*range(len(counts)), -1], [*counts, unknown])
    labels = np.random.default_rng(1).permutation(labels)
    return Dataset("bag", np.arange(len(labels), dtype=np.float32)[:, None], labels, len(counts))


@pytest.mark.parametrize("n", [3, 4, 5, 12, 29])
def test_revealed_are_as_many_of_each_class_with_their_own_labels(n: int) -> None:
    bag = labelled(10, 10, 10, unknown=40)
    samples, labels = bag.reveal(n, seed=2)
    assert len(set(samples.tolist())) == len(samples) == n
    assert (np.diff(samples) > 0).all()
    assert bag.labels is not None
    assert labels.tolist() == bag.labels[samples].tolist()
    counts = np.bincount(labels, minlength=3)
    assert (counts.sum(), counts.max() - counts.min()) == (n, n % 3 > 0)
    assert (samples.dtype, labels.dtype) == (np.int64, np.int64)


def test_a_seed_reveals_the_same_and_seeds_reveal_all_sooner_or_later() -> None:
    bag = labelled(10, 10, 10, unknown=10)
    found = [bag.reveal(4, seed) for seed in range(60)]
    assert all(np.array_equal(one, other) for one, other in zip(found[7], bag.reveal(4, 7), strict=True))
    assert bag.labels is not None
    assert {int(i) for samples, _ in found for i in samples} == set(np.flatnonzero(bag.labels >= 0).tolist())
    assert {int(np.bincount(labels).argmax()) for _, labels in found} == {0, 1, 2}  # whose label is the fourth


def test_what_is_revealed_shares_no_memory_with_the_labels() -> None:
    bag = labelled(5, 5)
    samples, labels = bag.reveal(10, 0)
    assert bag.labels is not None
    assert not np.shares_memory(labels, bag.labels)
    assert samples.tolist() == list(range(10))


def test_a_rare_class_gives_all_it_has_whatever_the_seed() -> None:
    bag = labelled(2, 9, 9, unknown=5)
    for seed in range(20):
        assert np.bincount(bag.reveal(8, seed).labels).tolist() == [2, 3, 3]
        with refused("class 0 of bag has only 2 labelled samples", "lower --labels from 9, or give more samples"):
            bag.reveal(9, seed)


@pytest.mark.parametrize(
    ("bag", "n", "says"),
    [
        (labelled(5, 5).unlabelled(), 4, "bag has no labels to learn from: leave out --labels"),
        (labelled(5, 5, 5), 2, "2 labels cannot show 3 classes: let --labels be 3 or more"),
        (labelled(5, 0, 5), 3, "class 1 of bag has only 0 labelled samples"),
        (labelled(5, 5, unknown=9), 11, "labelled samples: lower --labels from 11"),
        (labelled(0, 0, unknown=9), 2, "class 0 of bag has only 0 labelled samples"),
    ],
)
def test_what_cannot_be_revealed_is_refused(bag: Dataset, n: int, says: str) -> None:
    with refused(says):
        bag.reveal(n, 0)


def test_batches_hold_the_labels_they_are_given_and_else_none() -> None:
    bag = labelled(5, 5, unknown=3)
    without, known = Batches(bag), bag.reveal(4, 0)
    assert (without.known.tolist(), without.labels.tolist()) == ([], [])
    batches = Batches(bag, known=known)
    assert (batches.known.tolist(), batches.labels.tolist()) == (known.samples.tolist(), known.labels.tolist())
    assert batches.at(batches.known)[:, 0].tolist() == known.samples.tolist()


def test_parts_are_all_samples_in_their_order_scaled() -> None:
    pixels = np.arange(7 * 4, dtype=np.uint8).reshape(7, 1, 2, 2)
    parts = list(Batches(Dataset("some", pixels, None, None, pixel_range=(-1.0, 1.0))).parts(3))
    assert [len(part) for part in parts] == [3, 3, 1]
    np.testing.assert_allclose(np.concatenate(parts), pixels / 127.5 - 1, atol=1e-6)
