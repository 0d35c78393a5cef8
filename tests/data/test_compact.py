"""The part of CIFAR-10: counts, channel means, tiles in their place, damage."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from refusal import refused

from gancluster.data import catalogue
from gancluster.data.compact import CIFAR10_COMPACT, FOLDER, SHEETS
from gancluster.data.dataset import Dataset


@pytest.fixture(scope="module")
def cifar(data_dir: Path) -> Dataset:
    return catalogue.load("cifar10-compact", data_dir)


@pytest.fixture
def copy(data_dir: Path, tmp_path: Path) -> Path:
    """A data folder of one's own to damage."""
    shutil.copytree(data_dir / FOLDER, tmp_path / FOLDER, copy_function=shutil.copyfile)
    return tmp_path


def test_all_is_train_followed_by_test(cifar: Dataset, data_dir: Path) -> None:
    train, test = (catalogue.load("cifar10-compact", data_dir, split) for split in ("train", "test"))
    assert [len(d) for d in (cifar, train, test)] == [11_000, 10_000, 1000]
    assert np.array_equal(np.concatenate([train.inputs, test.inputs]), cifar.inputs)
    assert train.labels is not None
    assert test.labels is not None
    assert np.bincount(train.labels).tolist() == [1000] * 10
    assert np.bincount(test.labels).tolist() == [103, 89, 100, 103, 90, 86, 112, 102, 106, 109]


def test_channel_means_are_near_those_of_the_whole_set(cifar: Dataset) -> None:
    means = cifar.inputs.mean(axis=(0, 2, 3)) / 255
    assert means == pytest.approx([0.4914, 0.4822, 0.4465], abs=0.01)
    assert cifar.sha256 == "0715279640d38f449855219415dfbed5655e51ddf630dd95c532e859fe3218a4"
    assert (cifar.pixel_range, cifar.flips, cifar.shape) == ((-1.0, 1.0), True, (3, 32, 32))
    assert cifar.label_names is not None
    assert cifar.label_names[:2] == ("airplane", "automobile")


def test_a_tile_is_cut_where_it_lies_on_its_sheet(cifar: Dataset, data_dir: Path) -> None:
    # Image 1000 * 3 + 40 * 7 + 11 lies on sheet 3 in row 7, column 11.
    with Image.open(data_dir / FOLDER / "train_03.webp") as sheet:
        tile = np.asarray(sheet.crop((11 * 32, 7 * 32, 12 * 32, 8 * 32)))
    assert np.array_equal(cifar.inputs[3000 + 40 * 7 + 11].transpose(1, 2, 0), tile)


def test_neighbouring_pixels_are_alike(cifar: Dataset) -> None:
    # Were rows, columns or channels mixed up, neighbours would differ about as much as any two pixels.
    images = cifar.inputs[:500].astype(float)
    steps = [np.abs(np.diff(images, axis=axis)).mean() for axis in (2, 3)]
    assert max(steps) < 0.3 * images.std()


def test_damaged_wrong_or_missing_sheets_are_named(copy: Path) -> None:
    sheet = copy / FOLDER / "train_04.webp"
    sheet.write_bytes(sheet.read_bytes()[:50_000])
    with refused(f"cannot read {sheet}"):
        CIFAR10_COMPACT.read(copy, "train")
    Image.new("RGB", (32, 32)).save(sheet)
    with refused(str(sheet), "(800, 1280, 3)"):
        CIFAR10_COMPACT.read(copy, "train")
    sheet.unlink()
    with refused("cifar10-compact is not in", SHEETS["train"][0]):
        catalogue.load("cifar10-compact", copy)


def test_labels_that_do_not_fit_the_images_are_refused(copy: Path) -> None:
    path = copy / FOLDER / "labels.npz"
    with np.load(path) as stored:
        kept = dict(stored)
    np.savez(path, **{**kept, "test_labels": kept["test_labels"][:-1]})
    with refused("(999,) labels for 1000 samples"):
        catalogue.load("cifar10-compact", copy, "test")
    path.write_bytes(path.read_bytes()[:-100])
    with refused(f"cannot read {path}"):
        catalogue.load("cifar10-compact", copy, "test")
