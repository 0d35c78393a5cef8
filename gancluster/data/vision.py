"""Image sets that torchvision knows how to fetch, in the folders where it puts them.

MNIST and its relatives are read here, from the packed files as they lie; the others by torchvision, which checks the
published sums of CIFAR-10, STL-10 and SVHN before it opens them. It is imported only when asked for one of those.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gancluster.data.dataset import Dataset, Source
from gancluster.data.files import channels_first
from gancluster.data.reading import all_of, reading, reason
from gancluster.data.splits import Split, parts
from gancluster.errors import DataError

AGAIN = "it is damaged or incomplete: delete it and fetch it again (gancluster data fetch {})"
DIGIT_NAMES = tuple("0123456789")


def torchvision_part(name: str) -> Any:
    """The module `name` of torchvision, or a `DataError` that says how to mend the installation."""
    try:
        import torchvision  # noqa: F401 - whose fault it is if what is in it cannot be imported

        return import_module(f"torchvision.{name}")
    except Exception as error:  # builds that do not match raise ImportError, RuntimeError, OSError, AttributeError …
        advice = "its build must match torch's, so reinstall both together: pip install -U torch torchvision"
        raise DataError(f"torchvision cannot be imported ({reason(error)}): {advice}") from error


def read_idx(path: Path, advice: str) -> NDArray[np.uint8]:
    """An IDX file of bytes, packed (.gz) or not: two zeros, an 8, the number of axes, their lengths, the values."""
    with reading(path, advice), gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
        content = file.read()
        if content[:3] != b"\0\0\x08":
            raise ValueError("no IDX file of bytes")
        shape = np.frombuffer(content, dtype=">u4", count=content[3], offset=4).astype(int)
        return np.frombuffer(content, dtype=np.uint8, offset=4 + 4 * content[3]).reshape(shape).copy()


def _idx_files(cls: str) -> Callable[[Path], list[Path]]:
    """Images and labels of both parts in `cls/raw`, each packed if it is there so, else unpacked; or none."""

    def files(data_dir: Path) -> list[Path]:
        stems = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
        forms = [[data_dir / cls / "raw" / (stem + end) for end in (".gz", "")] for stem in stems]
        found = [path for form in forms for path in [p for p in form if os.path.exists(p)][:1]]
        return found if len(found) == len(stems) else []

    return files


def _idx_source(name: str, cls: str, label_names: tuple[str, ...], summary: str) -> Source:
    """MNIST or a data set published in its form: 60,000 + 10,000 grey images 28x28, ten classes."""
    files = _idx_files(cls)

    def read(data_dir: Path, split: Split) -> Dataset:
        train_images, train_labels, test_images, test_labels = files(data_dir)
        of_part = {"train": (train_images, train_labels), "test": (test_images, test_labels)}
        stored = [[read_idx(path, AGAIN.format(name)) for path in of_part[part]] for part in parts(split)]
        images, labels = (np.concatenate(arrays) for arrays in zip(*stored, strict=True))
        inputs = channels_first(images, name)
        return Dataset(name, inputs, labels.astype(np.int64), 10, split, label_names=label_names)

    def fetch(data_dir: Path) -> None:
        datasets = torchvision_part("datasets")
        for file, md5 in getattr(datasets, cls).resources:
            _from_any(getattr(datasets, cls).mirrors, data_dir / cls / "raw", file, md5)

    return Source(summary, read, fetch, files, f"{cls}/raw/{{train,t10k}}-{{images-idx3,labels-idx1}}-ubyte.gz")


def _from_any(mirrors: list[str], folder: Path, file: str, md5: str) -> None:
    """Download `file` from the first mirror that gives it with the right sum, unless it is there already."""
    for mirror in mirrors:
        try:
            torchvision_part("datasets").utils.download_url(mirror + file, folder, file, md5)
            return
        except (OSError, RuntimeError):
            if mirror == mirrors[-1]:
                raise


@dataclass(frozen=True)
class _Published:
    """A data set that torchvision reads: its class, and where under the data folder it looks for the files.

    `train` and `test` are the files or folders of the parts; torchvision chooses a part by `split=` or by `train=`.
    """

    name: str
    cls: str
    folder: str
    train: str
    test: str
    by_split: bool = False
    pixel_range: tuple[float, float] = (-1.0, 1.0)
    flips: bool = False
    label_names: tuple[str, ...] | None = None

    def part(self, data_dir: Path, part: str, download: bool = False) -> Any:
        choice = {"split": part} if self.by_split else {"train": part == "train"}
        return getattr(torchvision_part("datasets"), self.cls)(data_dir / self.folder, download=download, **choice)

    def read(self, data_dir: Path, split: Split) -> Dataset:
        torchvision_part("datasets")  # what is wrong with torchvision is not wrong with the files
        stored = []
        for part in parts(split):
            with reading(data_dir / (self.train if part == "train" else self.test), AGAIN.format(self.name)):
                stored.append(self.part(data_dir, part))
        inputs = channels_first(np.concatenate([part.data for part in stored]), self.name)
        labels = np.concatenate([part.labels if self.by_split else part.targets for part in stored]).astype(np.int64)
        names = self.label_names or tuple(getattr(stored[0], "classes", ())) or None
        return Dataset(self.name, inputs, labels, 10, split, self.pixel_range, self.flips, names)

    def fetch(self, data_dir: Path) -> None:
        (data_dir / self.folder).mkdir(parents=True, exist_ok=True)
        for part in ("train", "test"):
            self.part(data_dir, part, download=True)

    def source(self, summary: str) -> Source:
        files = list(dict.fromkeys([self.train, self.test]))
        return Source(summary, self.read, self.fetch, all_of(*files), " and ".join(files))


FASHION_NAMES = ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
KANA = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")

MNIST = _idx_source("mnist", "MNIST", DIGIT_NAMES, "60,000 + 10,000 handwritten digits, 28x28 grey, 10 classes")
FASHION_MNIST = _idx_source(
    "fashion-mnist", "FashionMNIST", FASHION_NAMES, "60,000 + 10,000 articles of clothing, 28x28 grey, 10 classes"
)
KMNIST = _idx_source("kmnist", "KMNIST", KANA, "60,000 + 10,000 cursive hiragana, 28x28 grey, 10 classes")
USPS_9298 = _Published(
    "usps-9298", "USPS", "USPS", "USPS/usps.bz2", "USPS/usps.t.bz2", pixel_range=(0.0, 1.0), label_names=DIGIT_NAMES
).source("7,291 + 2,007 handwritten digits, 16x16 grey, 10 classes: not the USPS of the papers")
CIFAR10 = _Published("cifar10", "CIFAR10", "", "cifar-10-batches-py", "cifar-10-batches-py", flips=True).source(
    "50,000 + 10,000 colour photographs, 32x32, 10 classes"
)
STL10 = _Published("stl10", "STL10", "", "stl10_binary", "stl10_binary", by_split=True, flips=True).source(
    "5,000 + 8,000 colour photographs, 96x96, 10 classes"
)
SVHN = _Published(
    "svhn", "SVHN", "SVHN", "SVHN/train_32x32.mat", "SVHN/test_32x32.mat", by_split=True, label_names=DIGIT_NAMES
).source("73,257 + 26,032 house numbers, 32x32 colour, 10 classes")
