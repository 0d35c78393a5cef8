"""USPS as the papers use it: 11,000 digits, S. Roweis's file with 1,100 of each (not the 9,298 of other libraries)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gancluster.data.dataset import Dataset, Source
from gancluster.data.reading import arrays, first_of, matlab
from gancluster.data.splits import Split, only_whole
from gancluster.errors import DataError

EACH = 1100
_files = first_of("USPS/usps_11000.npz", "USPS/usps_all.mat", "usps_11000.npz", "usps_all.mat")


def usps(data_dir: Path, split: Split) -> Dataset:
    """11,000 digits 16x16, sorted by class (1, 2, …, 9, 0) as published."""
    only_whole("usps", split)
    (path,) = _files(data_dir)
    images, labels = arrays(path, "images", "labels") if path.suffix == ".npz" else _unfolded(path)
    whole = images.shape == (10 * EACH, 16, 16) and images.dtype == np.uint8 and labels.dtype.kind in "iu"
    if not whole or not np.array_equal(np.unique_counts(labels).counts, [EACH] * 10):
        raise DataError(f"{path} is not the USPS of 11,000 images 16x16, 1,100 of each digit: replace it")
    return Dataset("usps", images[:, None], labels.astype(np.int64), 10, label_names=tuple("0123456789"))


def _unfolded(path: Path) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Images `(11000, 16, 16)` and labels from `usps_all.mat`: `data` `(256, 1100, 10)`, the digits 1 … 9, then 0.

    MATLAB folds images column by column. Which way round a copy is, its ones tell: upright they are taller than wide.
    """
    (data,) = matlab(path, "data")
    if data.shape != (256, EACH, 10):
        raise DataError(f"{path}: 'data' is {data.shape} instead of (256, 1100, 10): it is not Roweis's USPS file")
    images = data.transpose(2, 1, 0).reshape(10 * EACH, 16, 16)
    ones = images[:EACH].mean(axis=0)
    if _spread(ones.sum(axis=1)) < _spread(ones.sum(axis=0)):
        images = images.transpose(0, 2, 1)
    return np.ascontiguousarray(images), np.repeat((np.arange(10, dtype=np.int64) + 1) % 10, EACH)


def _spread(ink: NDArray[np.float64]) -> float:
    """Variance of the place of the ink along one axis, `ink` `(16,)` being how much lies at each."""
    place = np.arange(len(ink))
    mean = np.average(place, weights=ink)
    return float(np.average((place - mean) ** 2, weights=ink))


USPS = Source(
    "11,000 handwritten digits, 16x16 grey, 1,100 of each: the USPS of the clustering papers",
    usps,
    files=_files,
    wanted="USPS/usps_11000.npz or USPS/usps_all.mat (S. Roweis's file)",
)
