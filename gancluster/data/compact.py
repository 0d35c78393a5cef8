"""A part of CIFAR-10 small enough to carry about: the first 1,000 training images of each class and 1,000 test images.

The images lie side by side on lossless sheets, 40 to a row and 25 rows, in reading order.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gancluster.data.dataset import Dataset, Source
from gancluster.data.reading import all_of, arrays, picture
from gancluster.data.splits import Split, parts
from gancluster.errors import DataError

FOLDER = "cifar10-compact"
SHEETS = {"train": [f"train_{i:02d}.webp" for i in range(10)], "test": ["test_00.webp"]}


def cifar10_compact(data_dir: Path, split: Split) -> Dataset:
    """10,000 + 1,000 colour images 32x32, ten classes; the training images 1,000 of each."""
    folder = data_dir / FOLDER
    names, *labels = arrays(folder / "labels.npz", "label_names", *(f"{part}_labels" for part in parts(split)))
    inputs = np.concatenate([_tiles(folder / sheet) for part in parts(split) for sheet in SHEETS[part]])
    return Dataset(
        "cifar10-compact",
        inputs,
        np.concatenate(labels).astype(np.int64),
        10,
        split,
        pixel_range=(-1.0, 1.0),
        flips=True,
        label_names=tuple(map(str, names)),
    )


def _tiles(path: Path) -> NDArray[np.uint8]:
    """The 1,000 images `(1000, 3, 32, 32)` of one sheet."""
    sheet = picture(path)
    if sheet.shape != (800, 1280, 3):
        raise DataError(f"{path} is {sheet.shape} instead of a sheet (800, 1280, 3): replace it by a sound copy")
    return sheet.reshape(25, 32, 40, 32, 3).transpose(0, 2, 4, 1, 3).reshape(1000, 3, 32, 32)


CIFAR10_COMPACT = Source(
    "10,000 + 1,000 colour photographs, 32x32, 10 classes: a part of CIFAR-10",
    cifar10_compact,
    files=all_of(*(f"{FOLDER}/{name}" for name in ["labels.npz", *SHEETS["train"], *SHEETS["test"]])),
    wanted=f"{FOLDER}/labels.npz with train_00.webp … train_09.webp and test_00.webp",
)
