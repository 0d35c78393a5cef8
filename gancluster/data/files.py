"""The user's own data: an .npz archive, or a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gancluster.data.dataset import Dataset, require_finite
from gancluster.data.reading import arrays, names_in, picture, reading
from gancluster.errors import DataError
from gancluster.plain import plain

INPUT_NAMES = ("inputs", "images", "x", "features")
LABEL_NAMES = ("labels", "y")
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
ANEW = "it is damaged or of another kind: save it anew"


def from_npz(path: Path) -> Dataset:
    """An archive with `inputs` (or `images`, `x`, `features`) and, if there, `labels` (or `y`); in any case."""
    there = names_in(path, ANEW)
    inputs_name, labels_name = _named(path, there, INPUT_NAMES), _named(path, there, LABEL_NAMES)
    if inputs_name is None and {"data", "indices", "indptr"} <= set(there):
        filled = "fill it up, numpy.savez(path, inputs=matrix.toarray())"
        raise DataError(f"{path} is a sparse matrix, as scipy.sparse.save_npz writes it: {filled}")
    if inputs_name is None:
        held = ", ".join(there) or "nothing"
        raise DataError(f"{path} has no array called {', '.join(INPUT_NAMES)} (it has: {held}): rename the samples")
    (stored,) = arrays(path, inputs_name, advice=ANEW)
    inputs = as_inputs(stored, str(path))
    labels, label_names = None, None
    if labels_name is not None:
        labels, label_names = encoded(arrays(path, labels_name, advice=ANEW)[0], str(path))
    n_classes = None if label_names is None else len(label_names)
    return Dataset(plain(path.resolve().name), inputs, labels, n_classes, label_names=label_names)


def as_inputs(stored: NDArray[Any], origin: str) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Numbers as the samples of a `Dataset`: `(n, d)` become float32 vectors, more axes uint8 images.

    Vectors keep their values: they are not standardised. Images are `(n, h, w)`, `(n, h, w, c)` or `(n, c, h, w)` with
    1 or 3 channels; what their values mean, see `levels`.
    """
    if stored.dtype.kind not in "biuf":
        raise DataError(f"{origin}: samples are of type {stored.dtype}: save numbers")
    if stored.ndim not in (2, 3, 4) or stored.size == 0:
        wanted = "vectors are (n, d), images (n, h, w), (n, h, w, c) or (n, c, h, w)"
        raise DataError(f"{origin}: samples have the shape {stored.shape}; {wanted}")
    if stored.ndim == 2:
        require_finite(origin, stored)
        with np.errstate(over="ignore"):  # what overflows float32 is infinite there, and the catalogue says so
            return stored.astype(np.float32)
    return levels(channels_first(stored, origin), origin)


def levels(images: NDArray[Any], origin: str) -> NDArray[np.uint8]:
    """Pixels as levels 0 … 255.

    Integers are levels already; booleans become 0 and 255; reals are taken as 0 … 1 if none is above 1, else as levels
    and rounded. Anything outside 0 … 255 is refused, and so are integers with no level above 1, which were meant as 0
    and 1.
    """
    if images.dtype.kind == "b":
        return images.astype(np.uint8) * np.uint8(255)
    require_finite(origin, images)
    low, high = images.min(), images.max()
    if low < 0 or high > 255:
        raise DataError(f"{origin}: pixels run from {low:g} to {high:g}: rescale them to 0 … 1 or 0 … 255")
    if images.dtype.kind in "iu":
        if high == 1:
            raise DataError(f"{origin}: pixels are 0 and 1 as integers, nearly black: save booleans, or 255 times them")
        return images.astype(np.uint8)
    return np.rint(images.astype(np.float32) * (255 if high <= 1 else 1)).astype(np.uint8)


def channels_first(images: NDArray[Any], origin: str) -> NDArray[Any]:
    """Images `(n, h, w)`, `(n, h, w, c)` or `(n, c, h, w)` as `(n, c, h, w)`, c being 1 or 3."""
    if images.ndim == 3:
        return np.ascontiguousarray(images[:, None])
    first, last = images.shape[1] in (1, 3), images.shape[3] in (1, 3)
    if first == last:
        which = "both the second and the last axis" if first else "no axis"
        raise DataError(f"{origin}: {which} of {images.shape} can be 1 grey or 3 colour channels: save (n, h, w, c)")
    return np.ascontiguousarray(images if first else np.moveaxis(images, 3, 1))


def encoded(labels: NDArray[Any], origin: str) -> tuple[NDArray[np.int64] | None, tuple[str, ...] | None]:
    """Labels of any kind `(n,)` as int64 0 … k - 1 in sorted order, and the k names they had.

    The number -1 stays -1: a sample without a label. (None, None) where no sample has one.
    """
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "biufSU":
        raise DataError(f"{origin}: labels are {labels.dtype} {labels.shape}: give one number or name a sample, (n,)")
    if labels.dtype.kind == "f":
        if not (np.isfinite(labels).all() and (labels == np.rint(labels)).all()):
            raise DataError(f"{origin}: labels are not whole numbers: use integers or names (-1 for unknown)")
        labels = labels.astype(np.int64)
    elif labels.dtype.kind == "S":
        labels = np.char.decode(labels, "utf-8", "replace")
    known = np.ones(len(labels), dtype=bool) if labels.dtype.kind == "U" else labels != -1
    names, codes = np.unique(labels[known], return_inverse=True)
    if names.tolist() == [1] and not known.all():
        raise DataError(f"{origin}: labels are -1 and 1, but -1 means unlabelled: number two classes 0 and 1")
    if not len(names):
        return None, None
    full = np.full(len(labels), -1, dtype=np.int64)
    full[known] = codes
    return full, tuple(plain(str(name)) for name in names.tolist())


def from_folder(path: Path) -> Dataset:
    """Images of one size, in the order of their names: all in `path`, or in one sub-folder a class.

    Files with other suffixes than `SUFFIXES` and hidden ones are passed over. Grey images have 1 channel, coloured
    ones 3; where both occur, all have 3.
    """
    flat = _images_in(path)
    classes = {folder.name: _images_in(folder) for folder in _visible(path) if folder.is_dir()}
    classes = {name: files for name, files in classes.items() if files}
    if flat and classes:
        beside = f"{path} has images both in itself ({flat[0].name}) and in sub-folders ({next(iter(classes))})"
        raise DataError(f"{beside}: keep them all in it, or all in one sub-folder a class")
    if not flat and not classes:
        raise DataError(f"{path} has no images ({' '.join(SUFFIXES)}), neither in itself nor in one sub-folder a class")
    if flat:
        return Dataset(plain(path.resolve().name), _stacked(flat), None, None)
    inputs = _stacked([file for files in classes.values() for file in files])
    labels = np.repeat(np.arange(len(classes), dtype=np.int64), [len(files) for files in classes.values()])
    return Dataset(plain(path.resolve().name), inputs, labels, len(classes), label_names=tuple(map(plain, classes)))


def _named(path: Path, there: list[str], wanted: tuple[str, ...]) -> str | None:
    """The one name of `there` that is a form of `wanted`, in any case; None where there is none."""
    found = [name for name in there if name.lower() in wanted]
    if len(found) > 1:
        raise DataError(f"{path} has both '{found[0]}' and '{found[1]}': keep one of them")
    return found[0] if found else None


def _visible(folder: Path) -> list[Path]:
    with reading(folder):
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _images_in(folder: Path) -> list[Path]:
    return [file for file in _visible(folder) if file.suffix.lower() in SUFFIXES and file.is_file()]


def _stacked(files: list[Path]) -> NDArray[np.uint8]:
    """Image files of one size as `(n, c, h, w)`."""
    pictures: list[NDArray[np.uint8]] = []
    for file in files:
        pictures.append(picture(file, "it is damaged or no image: remove or replace it"))
        (h, w), (height, width) = pictures[0].shape[:2], pictures[-1].shape[:2]
        if (h, w) != (height, width):
            sizes = f"{files[0]} is {w}x{h}, {file} is {width}x{height}"
            raise DataError(f"images must have one size, but {sizes}: resize them all to one size first")
    if any(image.ndim == 3 for image in pictures):
        pictures = [image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2) for image in pictures]
        return np.ascontiguousarray(np.moveaxis(np.stack(pictures), 3, 1))
    return np.stack(pictures)[:, None]
